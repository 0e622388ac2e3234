"""One cloud call, normalised: what placement wants to do, what a Pulumi resource declares and what an HTTP request asks for look the same here.

A call holds names, regions, accounts and yes/no traits, and never a property's value, so that no finding and no audit record can leak a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Point = Literal["plan", "place", "api"]
Access = Literal["read", "metadata", "write", "delete"]
"""``metadata`` is a read of public facts (prices, regions, machine types): it names no tenant's data and is allowed in every region."""
Scope = Literal["regional", "global"]
TraitName = Literal["spot", "public-address", "open-ingress", "disk-encrypted", "customer-key", "instance-metadata-v2", "open-egress"]

Accounts = Mapping[str, frozenset[str]]
"""A tenant's own accounts by cloud: AWS account ids, Azure subscription ids, GCP project ids."""


@dataclass(frozen=True, slots=True)
class Trait:
    """A yes/no fact about what the call makes. ``holds`` is None where it is unknown until apply; ``path`` is the property that says so."""

    name: TraitName
    holds: bool | None
    path: str


@dataclass(frozen=True, slots=True)
class Named:
    """A region or account that the call names, and where. ``value`` is None where it is unknown until apply.

    ``copy`` marks a region that gets a copy of the data (replica, backup, paired region), besides the one where it stands.
    """

    value: str | None
    path: str
    copy: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A call as the rules see it.

    ``account`` is the account that the call acts in, None where nothing in it says so. ``regions`` and ``accounts`` are all that it names, parameters
    included. ``resource`` is the first name by which people know the resource, ``names`` are all by which the cloud knows it (name, Name tag, id): an
    exemption is matched against those, as every enforcer sees them. ``tags`` is None for what can't be tagged. ``data_class`` is the value of its tag
    ``data-class``.
    """

    point: Point
    principal: str
    tenant: str
    cloud: str
    service: str
    action: str
    access: Access
    scope: Scope
    resource_type: str = ""
    resource: str = ""
    names: tuple[str, ...] = ()
    data_class: Named | None = None
    account: str | None = None
    regions: tuple[Named, ...] = ()
    accounts: tuple[Named, ...] = ()
    traits: tuple[Trait, ...] = ()
    tags: frozenset[str] | None = None
    tags_path: str = ""
    tags_unknown: bool = False

    @property
    def region(self) -> str | None:
        """The first region named, or None."""
        return self.regions[0].value if self.regions else None
