"""States that older programs left behind: today's programs bring them up to date without taking anything away.

``golden/older_states_<cloud>.json`` holds resources by stack, exported after an ``up`` of the programs of then; what was a secret is made up.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi import automation

from components.gcp import spot
from stacks import accounts, region, tenant
from stacks.settings import load_settings, parse_stack_name
from tests.localcloud.providers.conftest import Stage

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
EU = {"name": "acme-eu", "version": 1, "residency": {"regimes": ["gdpr"]}, "spotOnly": True, "encryption": {"disks": True}}
GCP: dict[str, Any] = {"projectId": "spotlane-olden", "folderId": "folders/100000000000", "billingAccount": "000000-000000-000000"}
TENANT, REGION, PLACEMENT = "tenant.olden", "region.olden.gcp.europe-west4", "placement.olden.web.1"


def declaring(module: Any, stack: str, settings: dict[str, Any]) -> Callable[[], None]:
    return lambda: module.declare(parse_stack_name(stack), load_settings(stack, settings))


def gcp_machine() -> None:
    project, automation_email = "spotlane-olden", "spotlane-automation@spotlane-olden.iam.gserviceaccount.com"
    here = pulumi.ResourceOptions(provider=accounts.gcp_provider("europe-west4", project, automation_email))
    subnetwork = f"projects/{project}/regions/europe-west4/subnetworks/spotlane-europe-west4"
    tags = {"managed-by": "spotlane", "placement": "olden_web_1", "team": "web", "tenant": "olden", "workload": "web"}
    account = f"wl-europe-west4@{project}.iam.gserviceaccount.com"
    args = spot.SpotMachineArgs("web-olden-1", "europe-west4-a", "n2-standard-2", "x86_64", subnetwork, account, pulumi.Output.secret("#cloud-config"), tags)
    spot.SpotMachine("machine", args, here)


PROGRAMS = {
    TENANT: declaring(tenant, TENANT, {"boundary": EU, "gcp": GCP}),
    REGION: declaring(region, REGION, {"cidr": "10.48.0.0/16", "zones": ["europe-west4-a", "europe-west4-b"]}),
    PLACEMENT: gcp_machine,
}


def recalled(stage: Stage, name: str, resources: list[dict[str, Any]], program: Callable[[], None]) -> automation.Stack:
    """A stack of this project that holds ``resources``."""
    stack = stage.stack(program, name, project="spotlane")
    manifest = {"time": "2026-01-01T00:00:00Z", "magic": "", "version": ""}
    stack.import_stack(automation.Deployment(version=3, deployment={"manifest": manifest, "resources": resources}))
    return stack


@pytest.mark.parametrize("name", [TENANT, REGION, PLACEMENT])
def test_an_older_state_of_gcp_is_brought_up_to_date_without_a_replacement(name: str, stage: Stage) -> None:
    states = json.loads((GOLDEN / "older_states_gcp.json").read_text(encoding="utf-8"))
    recalled(stage, TENANT, states[TENANT], PROGRAMS[TENANT])  # the region takes its project from it
    stack = recalled(stage, name, states[name], PROGRAMS[name])
    # Only what is new is made; what was there is kept or changed in place.
    assert set(stack.preview().change_summary) <= {automation.OpType.SAME, automation.OpType.UPDATE, automation.OpType.CREATE, automation.OpType.READ}
    deployment: Any = stack.export_stack().deployment
    assert len(deployment["resources"]) == len(states[name])
