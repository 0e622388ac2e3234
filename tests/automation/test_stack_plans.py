"""What the service derives for the stacks that it brings up."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from automation.errors import AutomationError
from automation.service.stack_plans import StackPlans
from automation.service.tenants import TenantFiles
from automation.settings import AutomationSettings
from spotlane.wire import RunRequest, StackRef
from stacks.settings import load_settings

STACKS = [StackRef(kind="tenant", tenant="acme"), StackRef(kind="region", tenant="acme", cloud="gcp", region="europe-west4")]


def derived(tmp_path: Path, stack: StackRef, boundary: dict[str, Any], **settings: Any) -> dict[str, Any]:
    tenant = SimpleNamespace(id="acme", boundary=boundary, boundary_digest="sha256:0", clouds=["gcp"])
    edge: Any = SimpleNamespace(tenant=lambda id: tenant)
    plans = StackPlans(AutomationSettings(home=tmp_path, api_url="http://127.0.0.1:1/v1", **settings), lambda: edge, TenantFiles(tmp_path), "", "program")
    found: Any = plans.settings(RunRequest(idempotency_key="k", stack=stack, operation="up"))
    load_settings(stack.name, found)  # the stack takes them as they are
    return dict(found)


@pytest.mark.parametrize(("encryption", "key"), [({}, None), ({"disks": True}, None), ({"customerKeys": True}, "customer")])
def test_a_region_gets_a_key_of_the_tenants_own_where_the_boundary_asks(tmp_path: Path, encryption: dict[str, Any], key: str | None) -> None:
    assert derived(tmp_path, STACKS[1], {"name": "b", "encryption": encryption}).get("diskKey") == key


def test_a_project_lets_the_service_impersonate_its_automation_account(tmp_path: Path) -> None:
    principal = "serviceAccount:automation@platform.iam.gserviceaccount.com"
    assert "automationPrincipal" not in derived(tmp_path, STACKS[0], {"name": "b"})["gcp"]
    assert derived(tmp_path, STACKS[0], {"name": "b"}, gcp_automation_principal=principal)["gcp"]["automationPrincipal"] == principal


PLACEMENT = StackRef(kind="placement", tenant="acme", workload="web", generation=3)
BENEATH = [["tenant.acme"], ["region.acme.gcp.europe-west4"]]


def beneath(tmp_path: Path, **request: Any) -> list[list[str]]:
    """The foundations of a placement's run without a migration, where nothing stands yet."""
    tenant = SimpleNamespace(id="acme", boundary={"name": "b"}, boundary_digest="sha256:0", clouds=["gcp"])
    edge: Any = SimpleNamespace(tenant=lambda id: tenant)
    plans = StackPlans(AutomationSettings(home=tmp_path, api_url="http://127.0.0.1:1/v1"), lambda: edge, TenantFiles(tmp_path), "", "program")
    waves = plans.foundations(RunRequest(idempotency_key="k", stack=PLACEMENT, operation="up", **request))
    return [[one.stack.name for one in wave] for wave in waves]


def test_a_placement_that_brings_its_own_settings_stands_on_what_they_name(tmp_path: Path) -> None:
    assert beneath(tmp_path, settings={"cloud": "gcp", "region": "europe-west4"}) == BENEATH


def test_a_placement_that_is_tried_again_stands_on_what_its_last_run_stood_on(tmp_path: Path) -> None:
    file = tmp_path / "config" / f"Pulumi.{PLACEMENT.name}.yaml"
    file.parent.mkdir()
    file.write_text("config:\n  spotlane:settings:\n    cloud: gcp\n    region: europe-west4\n")
    assert beneath(tmp_path) == BENEATH


def test_a_placement_of_which_nothing_is_known_says_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(AutomationError, match="needs the migration that it belongs to, or settings of its own"):
        beneath(tmp_path)
