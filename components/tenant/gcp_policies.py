"""The organisation policies that fence a tenant's project: Google enforces them on whoever calls, the project's owners too. Pure.

Constraints: Resource Manager, "Organization policy constraints". Left out on purpose (adr/0058): ``compute.skipDefaultNetworkCreation``, which Google reads
when a project is made, before it can have a policy of its own; ``compute.requireShieldedVm``, which asks for Secure Boot and so refuses Arm machines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class OrgPolicy:
    """One policy. ``name`` is its part of a resource's name; a list constraint allows ``values`` or denies ``denied``, a boolean one is enforced."""

    name: str
    constraint: str
    values: Sequence[str] | None = None
    denied: Sequence[str] | None = None
    deny_all: bool = False


ALWAYS = (
    OrgPolicy("no-keys", "iam.disableServiceAccountKeyCreation"),
    OrgPolicy("no-uploaded-keys", "iam.disableServiceAccountKeyUpload"),
    # Who gets onto a machine does so as a person whom IAM knows; no SSH key in metadata opens one.
    OrgPolicy("os-login", "compute.requireOsLogin"),
    OrgPolicy("no-serial-port", "compute.disableSerialPortAccess"),
    # No machine routes for others; the relay copies bytes between sockets and needs no forwarding.
    OrgPolicy("no-forwarding", "compute.vmCanIpForward", deny_all=True),
    OrgPolicy("no-peering", "compute.restrictVpcPeering", deny_all=True),
    OrgPolicy("no-public-buckets", "storage.publicAccessPrevention"),
)
"""What holds in every tenant's project."""


def policies(allowed_locations: Sequence[str], *, public_addresses: bool, customer_keys: bool) -> list[OrgPolicy]:
    """The policies of a project whose boundary admits ``allowed_locations`` (values of ``gcp.resourceLocations``; empty: none)."""
    found = [OrgPolicy("locations", "gcp.resourceLocations", values=list(allowed_locations), deny_all=not allowed_locations)]
    if not public_addresses:
        found.append(OrgPolicy("no-public-addresses", "compute.vmExternalIpAccess", deny_all=True))
    if customer_keys:
        found.append(OrgPolicy("customer-keys", "gcp.restrictNonCmekServices", denied=["compute.googleapis.com"]))
    return [*found, *ALWAYS]
