"""The recipe for a dead engine: pending creates are named or looked for, taken over where they are, removed where they are twice."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from automation.accounts.cloudflare import CloudflareAccount
from automation.accounts.port import Account
from automation.calls.fetch import Fetcher
from automation.errors import EngineFailed
from automation.runs import pending
from automation.runs.pending import PendingCreate
from automation.runs.recovery import Found, Recovery
from automation.service.lookup import Lookup
from components import naming
from domain.orphans import CloudResource
from localcloud.providers.azure.types import TYPES as ARM_TYPES
from spotlane import wire
from tests.automation.test_sweep import ACME, Cloud

STACK = "placement.acme.web.3"
PROVIDER = "urn:pulumi:s::spotlane::pulumi:providers:azure-native::p"
TAGS = naming.tags("acme", "web", "acme_web_3") | {"Name": "web-acme-3"}


def resource(type: str, name: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {"urn": f"urn:pulumi:s::spotlane::{type}::{name}", "custom": True, "type": type, "inputs": dict(inputs), "provider": f"{PROVIDER}::id"}


INSTANCE = resource("aws:ec2/instance:Instance", "machine", {"tags": TAGS})
MACHINE = resource("azure-native:compute:VirtualMachine", "machine", {"resourceGroupName": "g", "vmName": "web"})
LYING = CloudResource("aws", "1", "eu-west-1", "instance", "i-1", TAGS)


def state(*creating: Mapping[str, Any], held: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    provider = {"urn": PROVIDER, "id": "id", "custom": True, "type": "pulumi:providers:azure-native", "inputs": {"subscriptionId": "s1", "project": "p1"}}
    operations = [{"type": "creating", "resource": dict(one)} for one in creating]
    return {"version": 3, "deployment": {"resources": [provider, *held], "pending_operations": operations}}


class Engine:
    """A stack whose refresh keeps what ``there`` holds; notes what was done."""

    def __init__(self, document: dict[str, Any] | None, *there: str) -> None:
        self.document, self.there = document, set(there)
        self.done: list[str] = []

    def end(self, journal: Path) -> None:
        self.done.append("end")

    def deployment(self, stack: str) -> dict[str, Any] | None:
        return copy.deepcopy(self.document)

    def unlock(self, stack: str) -> None:
        self.done.append("unlock")

    def restore(self, stack: str, deployment: Mapping[str, Any]) -> None:
        self.done.append("restore")
        self.document = copy.deepcopy(dict(deployment))

    def ask(self, stack: str) -> None:
        self.done.append("refresh")
        assert self.document is not None
        deployment = self.document["deployment"]
        kept = [one for one in deployment["resources"] if one["type"].startswith("pulumi:") or one.get("id") in self.there]
        self.document = {**self.document, "deployment": {"resources": kept}}

    def repaired(self, stack: str) -> None:
        self.done.append("repaired")

    @property
    def held(self) -> list[str]:
        assert self.document is not None
        return [one["id"] for one in self.document["deployment"]["resources"] if not one["type"].startswith("pulumi:")]


class Clouds:
    """Answers with ``found``, round after round."""

    def __init__(self, *found: Mapping[str, Sequence[Found]]) -> None:
        self.found = list(found)
        self.asked: list[list[str]] = []

    def look(self, stack: str, creates: Sequence[PendingCreate], held: frozenset[str]) -> Mapping[str, Sequence[Found]]:
        self.asked.append([one.urn for one in creates])
        return self.found.pop(0) if self.found else {}


def recover(engine: Engine, clouds: Clouds) -> list[float]:
    slept: list[float] = []
    Recovery(engine, clouds, sleep=slept.append).recover(STACK, Path("journal"))
    return slept


def test_what_the_cloud_draws_ids_for_is_looked_for_and_taken_over() -> None:
    engine = Engine(state(INSTANCE), "i-1")
    assert recover(engine, Clouds({INSTANCE["urn"]: [Found("i-1")]})) == [0.0]
    assert engine.held == ["i-1"]
    assert engine.done == ["end", "unlock", "restore", "refresh", "repaired"]


def test_what_has_a_name_of_ours_is_asked_for_by_it_without_a_look() -> None:
    id = "/subscriptions/s1/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/web"
    engine, clouds = Engine(state(MACHINE), id), Clouds()
    recover(engine, clouds)
    assert engine.held == [id]
    assert clouds.asked == [[]]


def test_what_takes_effect_after_the_engines_death_is_found_at_the_second_look() -> None:
    engine = Engine(state(INSTANCE), "i-1")
    assert recover(engine, Clouds({}, {INSTANCE["urn"]: [Found("i-1")]})) == [0.0, 5.0]
    assert engine.held == ["i-1"]


def test_what_is_nowhere_is_given_up_and_the_rest_stays() -> None:
    other = resource("aws:ec2/vpc:Vpc", "vpc", {}) | {"id": "vpc-1"}
    engine = Engine(state(INSTANCE, held=[other]), "vpc-1")
    recover(engine, Clouds())
    assert engine.held == ["vpc-1"]
    assert engine.done[-1] == "repaired"


def test_of_two_that_were_made_one_is_taken_over_and_one_removed() -> None:
    removed: list[str] = []
    engine = Engine(state(INSTANCE), "i-1")
    recover(engine, Clouds({INSTANCE["urn"]: [Found("i-1"), Found("i-2", lambda: removed.append("i-2"))]}))
    assert (engine.held, removed) == (["i-1"], ["i-2"])


def test_without_a_pending_create_the_clouds_are_asked_and_nothing_is_looked_for() -> None:
    engine, clouds = Engine(state()), Clouds()
    recover(engine, clouds)
    assert engine.done == ["end", "unlock", "refresh", "repaired"]
    assert clouds.asked == []


def test_a_stack_that_is_gone_only_has_its_engine_ended() -> None:
    engine = Engine(None)
    recover(engine, Clouds())
    assert engine.done == ["end", "repaired"]


def test_a_look_that_fails_leaves_the_state_and_the_mark_as_they_were() -> None:
    class Dark(Clouds):
        def look(self, stack: str, creates: Sequence[PendingCreate], held: frozenset[str]) -> Mapping[str, Sequence[Found]]:
            raise EngineFailed(stack, "recovery", ["no answer"], [])

    engine = Engine(state(INSTANCE))
    with pytest.raises(EngineFailed, match="no answer"):
        recover(engine, Dark())
    assert engine.document == state(INSTANCE)
    assert engine.done == ["end", "unlock"]


def test_only_creates_of_real_resources_that_the_state_lacks_are_pending() -> None:
    updating = state() | {}
    updating["deployment"]["pending_operations"] = [
        {"type": "updating", "resource": INSTANCE},
        {"type": "creating", "resource": {**resource("pulumi:providers:aws", "p", {})}},
        {"type": "creating", "resource": {**resource("spotlane:aws:SpotMachine", "m", {}), "custom": False}},
        {"type": "creating", "resource": MACHINE},
    ]
    assert [one.urn for one in pending.creates(updating)] == [MACHINE["urn"]]
    assert pending.creates(state(MACHINE, held=[MACHINE | {"id": "x"}])) == []


def test_a_name_that_is_not_known_yet_gives_no_id() -> None:
    nameless = resource("azure-native:compute:VirtualMachine", "machine", {"resourceGroupName": "g"})
    assert pending.creates(state(nameless))[0].named_id() is None


def test_ids_follow_the_names_as_resource_manager_forms_them() -> None:
    checked = 0
    for token, kind in ARM_TYPES.items():
        form = pending.NAMED.get(token)
        if form is None:
            continue
        checked += 1
        assert form == kind.path, token
    assert checked >= 8


@pytest.mark.parametrize(
    ("change", "borne"),
    [
        ({}, ["i-1"]),
        ({"kind": "volume"}, []),
        ({"id": "i-HELD"}, []),
        ({"tags": TAGS | {"Name": "web-acme-4"}}, []),
        ({"tags": TAGS | {"aws:ec2:fleet": "x"}}, ["i-1"]),
    ],
)
def test_a_create_is_known_by_kind_and_all_of_its_tags_among_what_no_state_holds(change: dict[str, Any], borne: list[str]) -> None:
    (create,) = pending.creates(state(INSTANCE))
    found = pending.bearing(create, [dataclasses.replace(LYING, **change)], frozenset({"i-held"}))
    assert [one.id for one in found] == borne


class Known:
    def tenant(self, tenant: str) -> wire.Tenant | None:
        return ACME if tenant == "acme" else None


def lookup(cloud: Cloud, region: str = "eu-west-1") -> Lookup:
    def opened(tenant: wire.Tenant) -> list[tuple[Account, list[str]]]:
        return [(cloud, [])]

    return Lookup(Known(), opened, lambda stack: {"cloud": "aws", "region": region}, CloudflareAccount(Fetcher(), None, {}))


def test_the_lookup_asks_the_tenants_account_in_the_stacks_region_and_can_remove_what_it_found() -> None:
    cloud = Cloud(LYING)
    found = lookup(cloud).look(STACK, pending.creates(state(INSTANCE)), frozenset())
    assert [one.id for one in found[INSTANCE["urn"]]] == ["i-1"]
    assert cloud.regions == ["eu-west-1"]
    remove = found[INSTANCE["urn"]][0].remove
    assert remove is not None
    remove()
    assert cloud.lying == []


def test_a_region_stack_is_looked_for_where_its_name_says() -> None:
    cloud = Cloud()
    lookup(cloud, "nowhere").look("region.acme.aws.eu-central-1", pending.creates(state(INSTANCE)), frozenset())
    assert cloud.regions == ["eu-central-1"]


def test_a_cloud_that_gives_no_answer_is_a_failure_and_not_an_absence() -> None:
    with pytest.raises(EngineFailed, match="can't be looked up"):
        lookup(Cloud(denied=True)).look(STACK, pending.creates(state(INSTANCE)), frozenset())


def test_the_state_that_is_restored_asks_for_the_cloud_by_id_with_what_was_asked_for() -> None:
    taken = pending.adopted(state(MACHINE, INSTANCE), {MACHINE["urn"]: "/vm"})
    assert "pending_operations" not in taken["deployment"]
    assert taken["deployment"]["resources"][-1] == MACHINE | {"id": "/vm", "outputs": {"resourceGroupName": "g", "vmName": "web", "id": "/vm"}}
