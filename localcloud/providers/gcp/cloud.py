"""The ``gcp`` package: which handler serves which type."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from localcloud.providers.faults import Rejected, Unsupported
from localcloud.providers.gcp import budgets, identity, instance, kms, members, network, projects
from localcloud.providers.gcp.google import Google, Locks
from localcloud.providers.gcp.resource import GcpHandler
from localcloud.providers.ports import Call, Handler, ProviderSettings
from localcloud.providers.rest import Rest
from localcloud.providers.values import Props

HANDLERS: dict[str, type[GcpHandler]] = {
    "gcp:organizations/project:Project": projects.Project,
    "gcp:projects/service:Service": projects.Service,
    "gcp:orgpolicy/policy:Policy": projects.OrgPolicy,
    "gcp:projects/defaultServiceAccounts:DefaultServiceAccounts": identity.DefaultServiceAccounts,
    "gcp:projects/iAMMember:IAMMember": members.ProjectMember,
    "gcp:projects/iAMCustomRole:IAMCustomRole": identity.CustomRole,
    "gcp:serviceaccount/account:Account": identity.ServiceAccount,
    "gcp:serviceaccount/iAMMember:IAMMember": members.ServiceAccountMember,
    "gcp:iam/workloadIdentityPool:WorkloadIdentityPool": identity.WorkloadIdentityPool,
    "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider": identity.WorkloadIdentityPoolProvider,
    "gcp:billing/budget:Budget": budgets.Budget,
    "gcp:monitoring/notificationChannel:NotificationChannel": budgets.NotificationChannel,
    "gcp:kms/keyRing:KeyRing": kms.KeyRing,
    "gcp:kms/cryptoKey:CryptoKey": kms.CryptoKey,
    "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember": members.CryptoKeyMember,
    "gcp:compute/network:Network": network.Network,
    "gcp:compute/subnetwork:Subnetwork": network.Subnetwork,
    "gcp:compute/firewall:Firewall": network.Firewall,
    "gcp:compute/router:Router": network.Router,
    "gcp:compute/routerNat:RouterNat": network.RouterNat,
    "gcp:compute/instance:Instance": instance.Instance,
}


def _project(google: Google, arguments: Props) -> Props:
    id = str(arguments.get("projectId") or google.project)
    found = projects.Project(google).read(Call("", "", time.monotonic() + 60, threading.Event()), f"projects/{id}", {"autoCreateNetwork": True})
    if found is None:
        raise Rejected(f"project {id} was not found")
    return {**found.outputs, "id": found.id}


def _client(google: Google, arguments: Props) -> Props:
    id = f"projects/{google.project}/regions/{google.region}/zones/{google.zone}"
    return {"id": id, "project": google.project, "region": google.region, "zone": google.zone, "accessToken": google.token, "defaultLabels": {}}


def _zones(google: Google, arguments: Props) -> Props:
    project, region = google.project_of(arguments), google.region_of(arguments)
    items = google.request("GET", google.compute(f"projects/{project}/zones")).get("items") or []
    names = sorted(item["name"] for item in items if item["name"].rpartition("-")[0] == region and arguments.get("status") in (None, item.get("status")))
    return {**arguments, "id": f"projects/{project}/regions/{region}", "project": project, "region": region, "names": names}


FUNCTIONS: dict[str, Callable[[Google, Props], Props]] = {
    "gcp:organizations/getProject:getProject": _project,
    "gcp:organizations/getClientConfig:getClientConfig": _client,
    "gcp:compute/getZones:getZones": _zones,
}


class GcpConnection:
    """One configuration of the provider."""

    def __init__(self, google: Google) -> None:
        self._google = google

    def prepare(self, token: str, inputs: Props) -> Props:
        """Nothing is added."""
        return inputs

    def places(self, token: str, inputs: Props) -> Props:
        """The effective project, region and zone."""
        kind = HANDLERS.get(token)
        defaults = {"project": self._google.project, "region": self._google.region, "zone": self._google.zone}
        return {name: inputs.get(name) or defaults[name] or None for name in (kind.PLACES if kind is not None else ())}

    def handler(self, token: str) -> Handler | None:
        """The handler of a type."""
        kind = HANDLERS.get(token)
        return None if kind is None else kind(self._google)

    def invoke(self, token: str, arguments: Props) -> Props:
        """A function's result."""
        function = FUNCTIONS.get(token)
        if function is None:
            raise Unsupported(f"{token}: the local cloud doesn't have this function; of gcp it has {', '.join(sorted(FUNCTIONS))}")
        return function(self._google, arguments)


class GcpPackage:
    """Makes connections."""

    package = "gcp"
    types = frozenset(HANDLERS)

    def __init__(self, settings: ProviderSettings) -> None:
        self._rest = Rest(settings)
        self._locks = Locks()

    def connect(self, config: Props) -> GcpConnection:
        """A connection with a provider's config."""
        return GcpConnection(Google(self._rest, config, self._locks))
