"""What the service derives for the stacks that it brings up."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from automation.errors import AutomationError
from automation.service.stack_plans import StackPlans
from automation.service.tenants import TenantFiles
from automation.settings import AutomationSettings
from spotlane.wire import OfferRef, RunRequest, StackRef, Workload
from stacks.settings import load_settings
from tests.automation.test_redeploys import workload

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


def test_an_account_that_a_tenant_brought_stays_the_tenants_and_the_boundary_is_the_edges(tmp_path: Path) -> None:
    brought = {"existingProjectId": "acme-data-1", "poolId": "acme-automation"}
    file = tmp_path / "config" / "Pulumi.tenant.acme.yaml"
    file.parent.mkdir()
    file.write_text(yaml.safe_dump({"config": {"spotlane:settings": {"boundary": {"name": "old"}, "gcp": brought}}}))
    assert derived(tmp_path, STACKS[0], {"name": "b"}) == {"boundary": {"name": "b"}, "gcp": brought}


def test_a_tenants_stack_that_comes_with_settings_is_judged_by_the_boundary_of_the_edge(tmp_path: Path) -> None:
    tenant = SimpleNamespace(id="acme", boundary={"name": "b"}, boundary_digest="sha256:0", clouds=["aws"])
    edge: Any = SimpleNamespace(tenant=lambda id: tenant)
    plans = StackPlans(AutomationSettings(home=tmp_path, api_url="http://127.0.0.1:1/v1"), lambda: edge, TenantFiles(tmp_path), "", "program")
    request = RunRequest(idempotency_key="k", stack=STACKS[0], operation="up", settings={"boundary": {"name": "other"}, "aws": {"existingAccountId": "1" * 12}})
    assert plans.settings(request) == request.settings
    ((pack,),) = [plans.packs(request)]
    assert pack.config is not None
    assert json.loads(pack.config.read_text())["spotlane"]["boundary"] == {"name": "b"}


def test_a_new_account_follows_the_services_settings(tmp_path: Path) -> None:
    file = tmp_path / "config" / "Pulumi.tenant.acme.yaml"
    file.parent.mkdir()
    file.write_text(yaml.safe_dump({"config": {"spotlane:settings": {"boundary": {"name": "b"}, "gcp": {"projectId": "old", "folderId": "folders/1"}}}}))
    assert derived(tmp_path, STACKS[0], {"name": "b"}, gcp_folder="folders/2")["gcp"]["folderId"] == "folders/2"


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


@pytest.mark.parametrize(("capacity", "bid"), [("spot", 0.05), ("on-demand", None)])
def test_a_machine_is_bought_as_its_decision_says_and_only_spot_has_a_bid(tmp_path: Path, capacity: str, bid: float | None) -> None:
    one = workload("a", None)
    spec = one.spec.model_copy(update={"placement": one.spec.placement.model_copy(update={"max_usd_per_hour": 0.05})})
    found = placed(tmp_path, one.model_copy(update={"spec": spec}), capacity)
    assert (found["capacityType"], found["maxUsdPerHour"]) == (capacity, bid)


@pytest.mark.parametrize(("logs", "url"), [(True, "http://127.0.0.1:1/v1/logs"), (False, None)])
def test_a_machine_is_told_where_to_tell_its_lines_only_where_its_file_asks_for_it(tmp_path: Path, logs: bool, url: str | None) -> None:
    one = workload("a", None)
    machine = placed(tmp_path, one.model_copy(update={"spec": one.spec.model_copy(update={"logs": logs})}))["machine"]
    assert (machine.get("logUrl"), "logUrl" in machine) == (url, logs)


def placed(tmp_path: Path, one: Workload, capacity: str = "spot") -> dict[str, Any]:
    """The settings of a placement of ``one``, as its stack takes them."""
    offer = OfferRef(cloud="aws", region="eu-west-1", zone="eu-west-1a", instance_type="m5.large")
    edge: Any = SimpleNamespace(
        api_url="http://127.0.0.1:1/v1",
        migration=lambda _: SimpleNamespace(id="acme_web_1", workload="web-acme", decision=SimpleNamespace(offer=offer, capacity=capacity)),
        workload=lambda _: one,
        placement_credentials=lambda _: SimpleNamespace(access_token="t", origin_key="ab" * 32),
    )
    plans = StackPlans(AutomationSettings(home=tmp_path, api_url="http://127.0.0.1:1/v1"), lambda: edge, TenantFiles(tmp_path), "", "program")
    stack = StackRef(kind="placement", tenant="acme", workload="web", generation=1)
    found = plans.settings(RunRequest(idempotency_key="k", stack=stack, operation="up", migration="acme_web_1"))
    assert found is not None
    load_settings(stack.name, found)
    return dict(found)
