"""What a program asks the engine for, resource by resource: URN, type, inputs, aliases. ``python -m tests.stacks.recording FILE`` writes the golden of today's
programs; a golden is recorded at a release and kept, so that later programs are held to what stands in users' accounts.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pulumi
from pulumi.runtime import rpc
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.stack import run_pulumi_func

from components.edge import blueprint
from stacks import address, edge, placement, region, relay, tenant
from stacks.settings import load_settings, parse_stack_name
from tests.components.declared import Declared, alone

Json = dict[str, Any]
BOUNDARY = {"name": "acme-eu", "residency": {"regimes": ["gdpr"]}}
_TENANT: Json = {
    "boundary": BOUNDARY,
    "aws": {"email": "acme@example.com", "organizationalUnitId": "ou-1"},
    "azure": {"billingScope": "/providers/Microsoft.Billing/x"},
    "gcp": {"projectId": "spotlane-acme", "folderId": "42", "billingAccount": "0-1-2"},
}
_TENANT_OUTPUTS: Json = {
    "aws_account_id": "222222222222",
    "aws_role_arn": "arn:aws:iam::222222222222:role/spotlane-automation",
    "azure_subscription_id": "sub-1",
    "gcp_project_id": "spotlane-acme",
    "gcp_project_number": "123456789012",
    "gcp_automation_email": "spotlane-automation@spotlane-acme.iam.gserviceaccount.com",
}
_REGIONS: Json = {
    "region.acme.aws.eu-west-1": {
        "account_id": "222222222222",
        "role_arn": "arn:aws:iam::222222222222:role/spotlane-automation",
        "subnet_ids": {"eu-west-1a": "subnet-a", "eu-west-1b": "subnet-b"},
        "security_group_id": "sg-1",
        "instance_profile_name": "spotlane-workload-eu-west-1",
    },
    "region.acme.azure.westeurope": {"subscription_id": "sub-1", "resource_group_name": "group", "subnet_id": "subnet", "identity_id": "identity"},
    "region.acme.gcp.europe-west4": {
        "project_id": "spotlane-acme",
        "automation_email": "spotlane-automation@spotlane-acme.iam.gserviceaccount.com",
        "subnetwork_id": "projects/spotlane-acme/subnet",
        "service_account": "wl@acme",
    },
}
_OFFERS = {
    "aws": ("eu-west-1", "eu-west-1b", "m7g.large", "arm64"),
    "azure": ("westeurope", "-", "Standard_D2s_v5", "x86_64"),
    "gcp": ("europe-west4", "europe-west4-a", "n2-standard-2", "x86_64"),
}
_ZONES = {"aws": ["eu-west-1a", "eu-west-1b"], "azure": ["-"], "gcp": ["europe-west4-a"]}


def stacks() -> Iterator[tuple[str, Callable[[], None], Mapping[str, Mapping[str, Any]]]]:
    """Name, program and foundations' outputs of each stack that is recorded."""
    yield "tenant.acme", _program(tenant, "tenant.acme", _TENANT), {}
    for cloud, (place, zone, instance_type, arch) in _OFFERS.items():
        name = f"region.acme.{cloud}.{place}"
        yield name, _program(region, name, {"cidr": "10.16.0.0/16", "zones": _ZONES[cloud]}), {"tenant.acme": _TENANT_OUTPUTS}
        of = {"cloud": cloud, "region": place, "zone": zone, "instanceType": instance_type, "arch": arch, "maxUsdPerHour": 0.05}
        ways = {"zone": zone, "instanceType": instance_type, "arch": arch, "zoneName": "example.com", "cloudflareZoneId": "zone"}
        serves = {"workloads": [{"label": "web-acme", "port": 9000}, {"label": "data-acme", "port": 5432}]}
        yield f"relay.acme.{cloud}.{place}", _program(relay, f"relay.acme.{cloud}.{place}", ways | serves), _REGIONS
        yield f"placement.acme.{cloud}.3", _program(placement, f"placement.acme.{cloud}.3", of | _MACHINE), _REGIONS
    settings = {"accountId": "account", "zone": "example.com", "zoneId": "zone", "tcpPort": 9000}
    yield "address.acme.web", _program(address, "address.acme.web", settings), {}
    yield "edge", _edge, {}


_MACHINE: Json = {
    "zoneName": "example.com",
    "cloudflareZoneId": "zone",
    "cloudflareAccountId": "account",
    "tags": {"team": "web"},
    "machine": {
        "artifactUrl": "https://api.example.com/v1/artifacts/a",
        "artifactDigest": "sha256:" + "0" * 64,
        "command": ["python3", "service.py"],
        "httpPort": 8080,
        "tcpPort": 9000,
        "incidentUrl": "https://api.example.com/v1/incidents",
        "placementToken": "placement-token",
    },
}


def _program(module: Any, stack: str, settings: Json) -> Callable[[], None]:
    return lambda: module.declare(parse_stack_name(stack), load_settings(stack, settings))


_SOMEWHERE = re.compile(re.escape(tempfile.gettempdir()) + r"/[^/\"]+/")
"""Where the edge's modules lie for a recording."""


def _edge() -> None:
    """The edge with its own bindings and modules of no account: what is in a module never decides whether a resource is replaced."""
    bindings = (blueprint.HERE / "workers" / "bindings.json").read_text()
    with tempfile.TemporaryDirectory() as folder:
        workers, console = Path(folder, "workers"), Path(folder, "console")
        for file in (*(workers / "dist" / f"{script}.js" for script in json.loads(bindings)["scripts"]), console / "dist" / "index.html"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("//")
        (workers / "bindings.json").write_text(bindings)
        plan = blueprint.load(workers, console)
        settings = {"accountId": "account", "zone": "example.com", "zoneId": "zone", "automationUrl": "https://automation.example.com"}
        with patch.object(blueprint, "load", lambda: plan):
            _program(edge, "edge", settings | {"platformKeySha256": "0" * 64, "protectData": True})()


class _Monitor(MockMonitor):
    """Writes down each registration of a resource of a cloud."""

    def __init__(self, mocks: Declared) -> None:
        super().__init__(mocks)
        self.recorded: list[Json] = []

    def RegisterResource(self, request: Any) -> Any:
        answer = super().RegisterResource(request)
        if request.custom and not request.type.startswith("pulumi:"):
            inputs = json.loads(_SOMEWHERE.sub("", json.dumps(rpc.deserialize_properties(request.object), default=str)))
            aliases = [self._urn(one, request) for one in request.aliases]
            # The engine leaves the stack itself out of a type chain; the mocks don't.
            urn = answer.urn.replace("pulumi:pulumi:Stack$", "")
            self.recorded.append({"urn": urn, "type": request.type, "inputs": inputs, "aliases": sorted(aliases)})
        return answer

    def _urn(self, alias: Any, request: Any) -> str:
        if alias.urn:
            return str(alias.urn)
        spec = alias.spec
        parent = "" if spec.noParent else spec.parentUrn or request.parent
        return str(self.make_urn(parent, spec.type or request.type, spec.name or request.name)).replace("pulumi:pulumi:Stack$", "")


def recorded(stack: str, program: Callable[[], None], foundations: Mapping[str, Mapping[str, Any]]) -> list[Json]:
    """The resources that ``program`` declares as ``stack``, in the order of their URNs."""
    mocks = Declared(foundations)
    monitor = _Monitor(mocks)

    async def whole() -> None:
        pulumi.runtime.set_mocks(mocks, project="spotlane", stack=stack, preview=False, monitor=monitor)
        root: Any = pulumi.runtime.settings.get_root_resource()
        root.outputs = {}
        await run_pulumi_func(program)

    alone(whole())
    return sorted(monitor.recorded, key=lambda one: str(one["urn"]))


if __name__ == "__main__":
    document = {name: recorded(name, program, foundations) for name, program, foundations in stacks()}
    Path(sys.argv[1]).write_text(json.dumps(document, separators=(",", ":"), sort_keys=True) + "\n")
