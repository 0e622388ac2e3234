"""What a former release made is kept by today's programs: nothing is replaced, nothing goes but what is named here with its reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from localcloud.providers.diff import changes
from localcloud.providers.replacement import decide
from stacks.settings import HANDED_OVER, StackName
from tests.stacks.recording import recorded, stacks

GOLDENS = sorted((Path(__file__).parents[1] / "golden").glob("stacks-*.json"))
PROGRAMS = {name: (program, foundations) for name, program, foundations in stacks()}
STATES = {(path.stem, stack): state for path in GOLDENS for stack, state in json.loads(path.read_text()).items()}
"""What stood, by the release's golden and the stack."""
PROGRAM_KINDS = get_args(get_type_hints(StackName)["kind"])
GONE: dict[tuple[str, str], str] = {}
"""``(stack, URN)`` of what a release gave up, with the reason. An update that deletes must be allowed by its run (adr/0009)."""


def faults(old: list[dict[str, Any]], new: list[dict[str, Any]], stack: str = "") -> list[str]:
    """What of ``old`` today's programs would replace or delete."""
    by_urn = {urn: one for one in new for urn in (one["urn"], *one["aliases"])}
    found = []
    for one in old:
        now = by_urn.get(one["urn"])
        if now is None:
            if (stack, one["urn"]) not in GONE:
                found.append(f"{one['urn']} would be deleted")
            continue
        verdict = decide(now["type"], changes(one["inputs"], now["inputs"]), one["inputs"], now["inputs"])
        # A relay's program is in its machine's user data: another one is another machine, to which the stack hands over (adr/0048).
        handed_over = stack.startswith("relay.") and one["urn"].rpartition("::")[2].startswith(HANDED_OVER)
        if verdict.replaces and not handed_over:
            found.append(f"{one['urn']} would be replaced by its {', '.join(verdict.replaces)}")
    return found


@pytest.mark.parametrize(("golden", "stack"), sorted(STATES))
def test_an_upgrade_replaces_and_deletes_nothing_of_what_stands(golden: str, stack: str) -> None:
    old = STATES[golden, stack]
    program, foundations = PROGRAMS[stack]
    assert len(old) > 0
    assert faults(old, recorded(stack, program, foundations), stack) == []


def test_every_kind_of_stack_has_stood_in_every_cloud_that_it_can_stand_in() -> None:
    stood = {stack for _, stack in STATES}
    assert {stack.partition(".")[0] for stack in stood} == set(PROGRAM_KINDS)
    assert stood == set(PROGRAMS)


def test_an_upgrade_that_would_take_the_edges_database_along_is_noticed() -> None:
    old = STATES["stacks-0.0", "edge"]
    renamed = [one | {"inputs": one["inputs"] | {"name": "other"}} if one["type"].endswith(":D1Database") else one for one in old]
    (database,) = [one["urn"] for one in old if one["type"].endswith(":D1Database")]
    assert faults(old, [one | {"aliases": []} for one in renamed]) == [f"{database} would be replaced by its name"]


def test_of_a_relay_only_the_machine_may_be_replaced() -> None:
    old = STATES["stacks-0.2", "relay.acme.azure.westeurope"]
    elsewhere = [one | {"inputs": one["inputs"] | {"location": "northeurope"}} for one in old]
    found = faults(old, elsewhere, "relay.acme.azure.westeurope")
    assert [fault.rpartition("::")[2] for fault in found] == ["relay-vnet would be replaced by its location"]


def test_a_renamed_resource_without_an_alias_and_a_changed_name_are_noticed() -> None:
    vpc = {"urn": "urn:a", "type": "aws:ec2/vpc:Vpc", "inputs": {"cidrBlock": "10.0.0.0/16"}, "aliases": []}
    assert faults([vpc], [{**vpc, "urn": "urn:b"}]) == ["urn:a would be deleted"]
    assert faults([vpc], [{**vpc, "urn": "urn:b", "aliases": ["urn:a"]}]) == []
    assert faults([vpc], [{**vpc, "inputs": {"cidrBlock": "10.1.0.0/16"}}]) == ["urn:a would be replaced by its cidrBlock"]
