"""Which components the package offers, under the type tokens that they have anyway.

Names only: a component's module, and with it its cloud's SDK, is imported when the first one is constructed.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PACKAGE = "spotlane"


@dataclass(frozen=True, slots=True)
class Offered:
    """A component: its class and its arguments' class, by name. ``given`` fills arguments that no program passes, by ``module:function``."""

    module: str
    component: str
    arguments: str
    given: Mapping[str, str] = field(default_factory=dict)

    def component_class(self) -> Any:
        """The component's class."""
        return getattr(importlib.import_module(self.module), self.component)

    def arguments_class(self) -> Any:
        """The dataclass of its arguments."""
        return getattr(importlib.import_module(self.module), self.arguments)

    def filled(self) -> dict[str, Any]:
        """Values of the arguments that are given."""
        found = {}
        for name, maker in self.given.items():
            module, _, function = maker.partition(":")
            found[name] = getattr(importlib.import_module(module), function)()
        return found


def _of(module: str, component: str, given: Mapping[str, str] | None = None) -> Offered:
    return Offered(f"components.{module}", component, f"{component}Args", given or {})


COMPONENTS: Mapping[str, Offered] = {
    **{
        f"{PACKAGE}:{cloud}:{component}": _of(f"{cloud}.{module}", component)
        for cloud in ("aws", "azure", "gcp")
        for module, component in (("network", "Network"), ("identity", "WorkloadIdentity"), ("disk_key", "DiskKey"), ("spot", "SpotMachine"))
    },
    f"{PACKAGE}:aws:FlowLog": _of("aws.flow_log", "FlowLog"),
    f"{PACKAGE}:azure:FlowLog": _of("azure.flow_log", "FlowLog"),
    f"{PACKAGE}:tenant:AwsAccount": _of("tenant.aws", "TenantAccount"),
    f"{PACKAGE}:tenant:AzureSubscription": _of("tenant.azure", "TenantSubscription"),
    f"{PACKAGE}:tenant:GcpProject": _of("tenant.gcp", "TenantProject"),
    f"{PACKAGE}:tunnel:OriginTunnel": _of("tunnel", "OriginTunnel"),
    f"{PACKAGE}:edge:TcpAddress": _of("edge.address", "TcpAddress"),
    f"{PACKAGE}:edge:EdgePlatform": _of("edge.platform", "EdgePlatform", {"blueprint": "components.edge.blueprint:load"}),
}
"""By type token. The Kivera layer isn't among them: it sets the environment of the engine that runs a program, which a provider can't."""
