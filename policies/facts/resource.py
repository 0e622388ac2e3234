"""A Pulumi resource as the packs see it, and its translation into a call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from domain.boundary.call import Call, Named, Scope, Trait, TraitName
from policies.facts.reading import UNKNOWN, Inputs

DATA_CLASS_TAG = "data-class"
"""Tag (GCP: label) whose value is one of the boundary's data classes."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource: its type token, name and inputs, and its provider's settings."""

    type: str
    name: str
    inputs: Inputs
    provider: Inputs = field(default_factory=lambda: Inputs({}, "provider"))

    @property
    def package(self) -> str:
        """``aws`` of ``aws:ec2/instance:Instance``."""
        return self.type.split(":", 1)[0]

    @property
    def module(self) -> str:
        """``ec2`` of ``aws:ec2/instance:Instance``, ``compute`` of ``azure-native:compute/v20240701:VirtualMachine``."""
        return self.type.split(":")[1].split("/")[0] if ":" in self.type else ""

    @property
    def kind(self) -> str:
        """``Instance`` of ``aws:ec2/instance:Instance``."""
        return self.type.rsplit(":", 1)[-1]


@dataclass(slots=True)
class Facts:
    """What a translator gathers of one resource."""

    scope: Scope = "regional"
    account: str | None = None
    regions: list[Named] = field(default_factory=list)
    accounts: list[Named] = field(default_factory=list)
    traits: list[Trait] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    data_class: Named | None = None
    tags: frozenset[str] | None = None
    tags_path: str = ""
    tags_unknown: bool = False

    def trait(self, name: TraitName, holds: bool | None, path: str) -> None:
        """Notes a yes/no fact."""
        self.traits.append(Trait(name, holds, path))

    def place(self, value: Any, path: str, region_of: Callable[[str], str] = lambda text: text) -> bool:
        """Notes a region (``region_of`` turns a zone into one). Answers whether there was a value, known or not."""
        if value is UNKNOWN:
            self.regions.append(Named(None, path))
            return True
        if isinstance(value, str) and value:
            self.regions.append(Named(region_of(value), path))
            return True
        return False

    def copied(self, value: Any, path: str, region_of: Callable[[str], str] = lambda text: text) -> None:
        """Notes a region that gets a copy."""
        if value is UNKNOWN:
            self.regions.append(Named(None, path, copy=True))
        elif isinstance(value, str) and value:
            self.regions.append(Named(region_of(value), path, copy=True))

    def named(self, *values: Any) -> None:
        """Notes names by which the cloud knows the resource; what is no known text is left out."""
        self.names += [value for value in values if isinstance(value, str) and value and value not in self.names]

    def tagged(self, inputs: Inputs, key: str, inherited: frozenset[str] = frozenset()) -> None:
        """Notes the tag keys at ``key``, and of the tags ``Name`` and ``data-class`` the values."""
        value = inputs.get(key)
        tags = inputs.within(key)
        self.tags_path = inputs.at(key)
        self.tags_unknown = value is UNKNOWN
        self.tags = inherited | tags.keys()
        self.classified(tags)

    def classified(self, tags: Inputs) -> None:
        """Notes the values of the tags ``Name`` and ``data-class``."""
        if tags.unknown:
            return
        self.named(tags.get("Name"))
        for key in sorted(tags.keys()):
            if key.lower() == DATA_CLASS_TAG and tags.get(key) is not None:
                self.data_class = Named(None if tags.get(key) is UNKNOWN else str(tags.get(key)), tags.at(key))

    def call(self, resource: Resource, cloud: str, tenant: str) -> Call:
        """The call that creating or updating the resource makes."""
        return Call(
            point="plan",
            principal="pulumi",
            tenant=tenant,
            cloud=cloud,
            service=resource.module,
            action=resource.kind,
            access="write",
            scope=self.scope,
            resource_type=resource.type,
            resource=resource.name,
            names=tuple(self.names),
            data_class=self.data_class,
            account=self.account,
            regions=tuple(self.regions),
            accounts=tuple(self.accounts),
            traits=tuple(self.traits),
            tags=self.tags,
            tags_path=self.tags_path,
            tags_unknown=self.tags_unknown,
        )


def known_text(value: Any) -> str | None:
    """A known, non-empty text, or None."""
    return value if isinstance(value, str) and value else None
