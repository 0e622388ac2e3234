"""The door: what is wrong with a run is said before anything of it is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from automation.errors import AutomationError, ForeignMigration, InvalidSettings, UnknownStack, UnknownTenant
from automation.service.door import Door
from automation.service.tenants import TenantFiles
from spotlane import wire
from spotlane.errors import ApiProblem, Unreachable

NOW = "2026-01-01T00:00:00Z"
TENANT = {"id": "acme", "boundary": {"name": "eu"}, "boundaryDigest": "sha256:" + "0" * 64, "clouds": ["aws"], "createdAt": NOW, "updatedAt": NOW}
PLACEMENT = wire.StackRef(kind="placement", tenant="acme", workload="web", generation=2)
REGION = wire.StackRef(kind="region", tenant="acme", cloud="aws", region="eu-west-1")
REQUEST = wire.RunRequest(idempotency_key="a", stack=PLACEMENT, operation="up", migration="acme_web_2", step="provision")


class Edge:
    """Knows no tenant; or is away."""

    def __init__(self, *, away: bool = False) -> None:
        self._away = away

    def tenant(self, tenant: str) -> wire.Tenant:
        if self._away:
            raise Unreachable("edge API", "http://api", "refused", "start it")
        raise ApiProblem(wire.Problem(type="unknown-tenant", title="none", status=404, detail="none", findings=None))


def door(home: Path, *, known: bool = True, away: bool = False, stacks: frozenset[str] = frozenset()) -> Door:
    tenants = TenantFiles(home)
    if known:
        tenants.write(wire.Tenant.model_construct(id="acme", boundary={"name": "eu"}, boundary_digest="sha256:0"))
    return Door(tenants, lambda: Edge(away=away), stacks.__contains__)  # type: ignore[arg-type, return-value]  # a fake with the call in use


def test_a_run_of_a_known_tenant_passes_while_the_edge_is_away(tmp_path: Path) -> None:
    door(tmp_path, away=True).check(REQUEST)


def test_of_a_tenant_never_met_the_edge_is_asked(tmp_path: Path) -> None:
    with pytest.raises(UnknownTenant, match="no tenant 'acme'"):
        door(tmp_path, known=False).check(REQUEST)
    with pytest.raises(Unreachable):
        door(tmp_path, known=False, away=True).check(REQUEST)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"migration": "globex_web_2"}, ForeignMigration, "globex_web_2 is not of placement.acme.web.2's workload"),
        ({"migration": "acme_webshop_2"}, ForeignMigration, "acme_webshop_2"),
        ({"settings": {"cloud": "moon"}}, InvalidSettings, "cloud: "),
        ({"stack": REGION, "migration": None, "operation": "drift"}, UnknownStack, "no stack 'region.acme.aws.eu-west-1'"),
        ({"stack": REGION, "migration": None, "operation": "refresh"}, UnknownStack, "no stack"),
    ],
)
def test_what_is_wrong_is_refused_by_name(tmp_path: Path, change: dict[str, Any], error: type[AutomationError], text: str) -> None:
    with pytest.raises(error, match=text):
        door(tmp_path).check(REQUEST.model_copy(update=change))


def test_a_stack_that_is_there_can_be_refreshed_and_one_that_is_not_can_be_destroyed(tmp_path: Path) -> None:
    checked = door(tmp_path, stacks=frozenset({REGION.name}))
    checked.check(REQUEST.model_copy(update={"stack": REGION, "migration": None, "operation": "refresh"}))
    checked.check(REQUEST.model_copy(update={"stack": PLACEMENT, "operation": "destroy"}))


TAKEN = {"aws": {"existingAccountId": "123456789012"}, "azure": {"existingSubscriptionId": "ABC-1"}, "gcp": {"projectId": "spotlane-acme"}}


@pytest.mark.parametrize("cloud", ["aws", "azure", "gcp"])
def test_an_account_of_another_tenant_is_refused_before_anything_is_made(tmp_path: Path, cloud: str) -> None:
    checked, tenants = door(tmp_path), TenantFiles(tmp_path)
    tenants.write(wire.Tenant.model_construct(id="globex", boundary={"name": "us"}, boundary_digest="sha256:1"))
    tenants.learn("globex", {"aws_account_id": "123456789012", "azure_subscription_id": "abc-1", "gcp_project_id": "spotlane-acme"})
    own = wire.RunRequest(
        idempotency_key="t", stack=wire.StackRef(kind="tenant", tenant="acme"), operation="up", settings={"boundary": {}, cloud: TAKEN[cloud]}
    )
    with pytest.raises(InvalidSettings, match="is tenant globex's already"):
        checked.check(own)
    checked.check(own.model_copy(update={"stack": wire.StackRef(kind="tenant", tenant="globex")}))


VPC = wire.ImportedResource(type="aws:ec2/vpc:Vpc", name="network-vpc", id="vpc-1", parent=f"urn:pulumi:{REGION.name}::spotlane::spotlane:aws:Network::network")
IMPORT = wire.RunRequest(idempotency_key="i", stack=REGION, operation="import", imports=[VPC])


def test_an_import_into_a_stack_that_stands_passes(tmp_path: Path) -> None:
    door(tmp_path, stacks=frozenset({REGION.name})).check(IMPORT)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"imports": []}, InvalidSettings, "name at least one resource"),
        ({"operation": "up"}, InvalidSettings, "they go with the operation import"),
        (
            {"stack": wire.StackRef(kind="region", tenant="globex", cloud="aws", region="eu-west-1")},
            InvalidSettings,
            r"imports\[0\]\.parent: .* is no resource of this",
        ),
    ],
)
def test_an_import_of_another_form_or_below_another_stack_is_refused(tmp_path: Path, change: dict[str, Any], error: type[AutomationError], text: str) -> None:
    with pytest.raises(error, match=text):
        door(tmp_path, stacks=frozenset({REGION.name})).check(IMPORT.model_copy(update=change))


def test_an_import_into_no_stack_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownStack):
        door(tmp_path).check(IMPORT)
