"""What a former release made is kept by today's programs: nothing is replaced, nothing goes but what is named here with its reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from localcloud.providers.diff import changes
from localcloud.providers.replacement import decide
from tests.stacks.recording import recorded, stacks

GOLDENS = sorted((Path(__file__).parents[1] / "golden").glob("stacks-*.json"))
PROGRAMS = {name: (program, foundations) for name, program, foundations in stacks()}
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
        if verdict.replaces:
            found.append(f"{one['urn']} would be replaced by its {', '.join(verdict.replaces)}")
    return found


@pytest.mark.parametrize("golden", GOLDENS, ids=lambda path: path.stem)
@pytest.mark.parametrize("stack", sorted(PROGRAMS))
def test_an_upgrade_replaces_and_deletes_nothing_of_what_stands(golden: Path, stack: str) -> None:
    old = json.loads(golden.read_text())[stack]
    program, foundations = PROGRAMS[stack]
    assert len(old) > 0
    assert faults(old, recorded(stack, program, foundations), stack) == []


def test_a_renamed_resource_without_an_alias_and_a_changed_name_are_noticed() -> None:
    vpc = {"urn": "urn:a", "type": "aws:ec2/vpc:Vpc", "inputs": {"cidrBlock": "10.0.0.0/16"}, "aliases": []}
    assert faults([vpc], [{**vpc, "urn": "urn:b"}]) == ["urn:a would be deleted"]
    assert faults([vpc], [{**vpc, "urn": "urn:b", "aliases": ["urn:a"]}]) == []
    assert faults([vpc], [{**vpc, "inputs": {"cidrBlock": "10.1.0.0/16"}}]) == ["urn:a would be replaced by its cidrBlock"]
