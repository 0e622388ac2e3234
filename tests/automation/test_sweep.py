"""The sweep: clouds first, states after them; removal only when asked; an account that can't be read is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from automation.accounts.port import Account, CantRemove, Quota
from automation.calls.fetch import FeedFault
from automation.service.sweep import Sweeper
from components import naming
from domain.boundary.compiled import CompiledBoundary
from domain.catalog import CloudName
from domain.orphans import CloudResource
from spotlane import wire

ACME = wire.Tenant(
    id="acme",
    boundary={"name": "eu", "residency": {"regions": ["eu-west-1", "eu-central-1"]}},
    boundary_digest="sha256:" + "0" * 64,
    clouds=["aws"],
)
KEPT = CloudResource("aws", "1", "eu-west-1", "instance", "i-kept", naming.tags("acme", "web", "acme_web_4"))
LOST = replace(KEPT, id="i-lost", tags=naming.tags("acme", "web", "acme_web_3"))
DOUBLE = replace(KEPT, id="i-double")


class Edge:
    def tenants(self) -> list[wire.Tenant]:
        return [ACME]

    def tenant(self, tenant: str) -> wire.Tenant:
        assert tenant == "acme"
        return ACME


class Backend:
    """Stacks with the ids that they hold."""

    def __init__(self, **stacks: list[str]) -> None:
        self.stacks: dict[str, list[str]] = {"tenant.acme": []} | stacks
        self.asked: list[str] = []

    def deployment(self, stack: str) -> dict[str, Any] | None:
        self.asked.append(stack)
        if stack not in self.stacks:
            return None
        root = {"type": "pulumi:pulumi:Stack", "outputs": {"aws_account_id": "1"}}
        return {"deployment": {"resources": [root, *({"id": one} for one in self.stacks[stack])]}}

    def settings(self, stack: str) -> dict[str, Any]:
        return {}


class Cloud:
    """An account whose resources can be removed; ``denied`` can't be read, ``stuck`` can't be removed."""

    cloud: CloudName = "aws"
    id = "1"

    def __init__(self, *lying: CloudResource, denied: bool = False, stuck: frozenset[str] = frozenset()) -> None:
        self.lying, self.denied, self.stuck = list(lying), denied, stuck
        self.regions: list[str] = []

    def resources(self, regions: Sequence[str]) -> list[CloudResource]:
        if self.denied:
            raise FeedFault("denied", "the proxy refused the call")
        self.regions = list(regions)
        return list(self.lying)

    def remove(self, resource: CloudResource) -> None:
        if resource.id in self.stuck:
            raise CantRemove(f"{resource.id}: remove it by hand")
        self.lying = [one for one in self.lying if one.id != resource.id]

    def quotas(self, regions: Sequence[str]) -> list[Quota]:
        return []


class Opener:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def accounts(self, outputs: Mapping[str, Any], settings: Mapping[str, Any], boundary: CompiledBoundary) -> list[Account]:
        return [self._cloud] if outputs.get("aws_account_id") else []


def sweeper(cloud: Cloud, backend: Backend, busy: frozenset[str] = frozenset()) -> Sweeper:
    return Sweeper(Edge(), backend, Opener(cloud), lambda: set(busy))  # type: ignore[arg-type]  # a fake with the calls in use


def backend() -> Backend:
    return Backend(**{"placement.acme.web.4": ["I-KEPT"]})


def swept(found: wire.Sweep) -> list[tuple[str, str, str]]:
    return [(one.id, one.reason, one.outcome) for one in found.orphans]


def test_a_look_tells_orphans_and_removes_nothing() -> None:
    cloud = Cloud(KEPT, LOST, DOUBLE)
    found = sweeper(cloud, backend()).look(wire.SweepRequest())
    assert swept(found) == [("i-lost", "no-stack", "found"), ("i-double", "not-in-state", "found")]
    assert (found.accounts, found.errors, len(cloud.lying)) == (1, [], 3)


def test_only_the_regions_of_the_boundary_are_looked_into() -> None:
    cloud = Cloud()
    sweeper(cloud, backend()).look(wire.SweepRequest())
    assert sorted(cloud.regions) == ["eu-central-1", "eu-west-1"]


def test_what_is_told_to_be_removed_is_removed_and_what_is_owned_stays() -> None:
    cloud = Cloud(KEPT, LOST, DOUBLE)
    found = sweeper(cloud, backend()).look(wire.SweepRequest(tenant="acme", remove=True))
    assert {outcome for _, _, outcome in swept(found)} == {"removed"}
    assert cloud.lying == [KEPT]


def test_what_can_not_be_removed_says_why_and_the_rest_is_removed() -> None:
    cloud = Cloud(LOST, DOUBLE, stuck=frozenset({"i-lost"}))
    found = sweeper(cloud, backend()).look(wire.SweepRequest(remove=True))
    assert swept(found) == [("i-lost", "no-stack", "failed"), ("i-double", "not-in-state", "removed")]
    assert found.orphans[0].detail == "i-lost: remove it by hand"


def test_an_account_that_can_not_be_read_is_an_error_and_no_orphan() -> None:
    found = sweeper(Cloud(LOST, denied=True), backend()).look(wire.SweepRequest())
    assert (found.orphans, found.errors) == ([], ["aws 1 of acme: denied: the proxy refused the call"])


def test_stacks_that_are_worked_on_are_left_alone() -> None:
    cloud = Cloud(LOST)
    assert sweeper(cloud, backend(), frozenset({"placement.acme.web.3"})).look(wire.SweepRequest(remove=True)).orphans == []
    assert cloud.lying == [LOST]


def test_a_tenant_without_accounts_has_nothing_to_look_into() -> None:
    empty = Backend()
    del empty.stacks["tenant.acme"]
    assert sweeper(Cloud(LOST), empty).look(wire.SweepRequest()).accounts == 0
