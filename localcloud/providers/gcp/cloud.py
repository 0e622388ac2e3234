"""The gcp provider: resources become calls of Google's REST APIs."""

from __future__ import annotations

from collections.abc import Callable

from localcloud.providers.faults import Unsupported
from localcloud.providers.gcp.api import GcpApi
from localcloud.providers.gcp.compute import COMPUTE_TYPES, ComputeHandler, RouterNatHandler
from localcloud.providers.gcp.platform import (
    CustomRoleHandler,
    MemberHandler,
    OrgPolicyHandler,
    ProjectHandler,
    ServiceAccountHandler,
    ServiceHandler,
)
from localcloud.providers.ports import Handler, ProviderSettings
from localcloud.providers.values import Props

HANDLERS: dict[str, Callable[[GcpApi], Handler]] = {
    "gcp:compute/routerNat:RouterNat": RouterNatHandler,
    "gcp:organizations/project:Project": ProjectHandler,
    "gcp:projects/service:Service": ServiceHandler,
    "gcp:projects/iAMCustomRole:IAMCustomRole": CustomRoleHandler,
    "gcp:projects/iAMMember:IAMMember": MemberHandler,
    "gcp:orgpolicy/policy:Policy": OrgPolicyHandler,
    "gcp:serviceaccount/account:Account": ServiceAccountHandler,
}
_PROJECT_FUNCTION = "gcp:organizations/getProject:getProject"
_GLOBAL = {"gcp:organizations/project:Project", "gcp:orgpolicy/policy:Policy"}


class GcpPackage:
    """The package."""

    package = "gcp"

    def __init__(self, settings: ProviderSettings) -> None:
        self._settings = settings

    @property
    def types(self) -> frozenset[str]:
        """The resource types that it can make."""
        return frozenset({*COMPUTE_TYPES, *HANDLERS})

    def connect(self, config: Props) -> GcpConnection:
        """A connection with a provider's config."""
        return GcpConnection(self._settings, config)


class GcpConnection:
    """One provider's project."""

    def __init__(self, settings: ProviderSettings, config: Props) -> None:
        self.api = GcpApi(settings, config)

    def prepare(self, token: str, inputs: Props) -> Props:
        """The inputs; labels by default aren't in use here."""
        return inputs

    def places(self, token: str, inputs: Props) -> Props:
        """Project, region and zone as they are in effect."""
        if token in _GLOBAL:
            return {}
        found = {"project": inputs.get("project") or self.api.project}
        scope = COMPUTE_TYPES[token].scope if token in COMPUTE_TYPES else "region" if token == "gcp:compute/routerNat:RouterNat" else "global"
        if scope == "region":
            found["region"] = inputs.get("region") or self.api.region
        elif scope == "zone":
            found["zone"] = inputs.get("zone") or self.api.zone
        return {name: value for name, value in found.items() if value}

    def handler(self, token: str) -> Handler | None:
        """The handler of a resource type."""
        if token in COMPUTE_TYPES:
            return ComputeHandler(self.api, COMPUTE_TYPES[token])
        return HANDLERS[token](self.api) if token in HANDLERS else None

    def invoke(self, token: str, arguments: Props) -> Props:
        """The provider's project."""
        if token != _PROJECT_FUNCTION:
            raise Unsupported(f"the local cloud has no function {token}; it has {_PROJECT_FUNCTION}")
        project = str(arguments.get("projectId") or self.api.project)
        return {"projectId": project, "id": f"projects/{project}", "name": project}
