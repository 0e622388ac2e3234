"""What no stack owns: by the tags of a resource, the states of stacks and the runs under way."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components import naming
from domain.orphans import CloudResource, orphans, owner

MACHINE = CloudResource("aws", "123456789012", "eu-west-1", "instance", "i-0a", naming.tags("acme", "web-api", "acme_web-api_3"))
STACK = "placement.acme.web-api.3"


def judged(resource: CloudResource, held: dict[str, frozenset[str] | None], busy: frozenset[str] = frozenset()) -> list[tuple[str, str]]:
    return [(one.stack, one.reason) for one in orphans([resource], "acme", held, busy)]


def test_a_machine_without_its_stack_is_an_orphan() -> None:
    assert judged(MACHINE, {STACK: None}) == [(STACK, "no-stack")]


def test_a_machine_that_its_stacks_state_does_not_hold_is_an_orphan() -> None:
    assert judged(MACHINE, {STACK: frozenset({"i-0b"})}) == [(STACK, "not-in-state")]


def test_a_machine_in_its_stacks_state_is_none_in_whatever_case_the_cloud_writes_it() -> None:
    assert judged(replace(MACHINE, id="I-0A"), {STACK: frozenset({"i-0a"})}) == []


def test_what_comes_with_a_machine_is_judged_by_its_stack_alone() -> None:
    disk = replace(MACHINE, kind="volume", id="vol-1", implied=True)
    assert judged(disk, {STACK: frozenset({"i-0a"})}) == []
    assert judged(disk, {STACK: None}) == [(STACK, "no-stack")]


def test_a_stack_that_is_worked_on_has_no_orphans() -> None:
    assert judged(MACHINE, {STACK: None}, frozenset({STACK})) == []


def test_what_names_no_placement_belongs_to_its_region() -> None:
    network = replace(MACHINE, kind="vpc", id="vpc-1", tags=naming.tags("acme"))
    assert judged(network, {"region.acme.aws.eu-west-1": None}) == [("region.acme.aws.eu-west-1", "no-stack")]


@pytest.mark.parametrize("tags", [naming.tags("globex", "web-api", "acme_web-api_3"), {**MACHINE.tags, "managed-by": "somebody"}, {}])
def test_what_is_not_the_tenants_or_not_ours_is_never_touched(tags: dict[str, str]) -> None:
    assert owner(replace(MACHINE, tags=tags), "acme") is None
    assert judged(replace(MACHINE, tags=tags), {}) == []


@given(st.sampled_from(["aws", "azure", "gcp"]), st.from_regex(r"[a-z](?:-?[a-z0-9]){1,30}", fullmatch=True), st.integers(1, 10**6))
def test_the_owner_is_the_stack_whose_tags_a_resource_carries_on_every_cloud(cloud: str, workload: str, generation: int) -> None:
    tags = naming.tags("acme", workload, f"acme_{workload}_{generation}")
    carried = naming.labels(tags) if cloud == "gcp" else tags
    assert owner(replace(MACHINE, cloud=cloud, tags=carried), "acme") == f"placement.acme.{workload}.{generation}"  # type: ignore[arg-type]  # one of the three
