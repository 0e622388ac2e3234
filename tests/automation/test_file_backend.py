"""Stacks of the file backend: looked up, and begun as the engine began the first one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from automation.runs.file_backend import FileBackend

FRESH: dict[str, Any] = {
    "version": 3,
    "checkpoint": {
        "stack": "organization/spotlane/edge",
        "latest": {"manifest": {"version": "v3.258.0"}, "secrets_providers": {"type": "passphrase"}, "metadata": {}},
    },
}


@pytest.fixture
def backend(tmp_path: Path) -> FileBackend:
    (tmp_path / ".pulumi" / "stacks" / "spotlane").mkdir(parents=True)
    (tmp_path / ".pulumi" / "stacks" / "spotlane" / "edge.json").write_text(json.dumps(FRESH))
    found = FileBackend.of({"PULUMI_BACKEND_URL": f"file://{tmp_path}"}, "spotlane")
    assert found is not None
    return found


def test_a_stack_begins_as_the_first_one_did_under_its_own_name(backend: FileBackend, tmp_path: Path) -> None:
    blank = backend.blank("edge")
    assert blank == FRESH
    backend.begin("tenant.acme", FRESH)
    made = json.loads((tmp_path / ".pulumi" / "stacks" / "spotlane" / "tenant.acme.json").read_text())
    assert made == {**FRESH, "checkpoint": {**FRESH["checkpoint"], "stack": "organization/spotlane/tenant.acme"}}
    assert backend.exists("tenant.acme") and not backend.exists("tenant.globex")


@pytest.mark.parametrize("key", ["resources", "pending_operations"])
def test_a_stack_that_holds_something_is_no_blank(backend: FileBackend, tmp_path: Path, key: str) -> None:
    document = json.loads(json.dumps(FRESH))
    document["checkpoint"]["latest"][key] = [{"urn": "urn:pulumi:edge"}]
    (tmp_path / ".pulumi" / "stacks" / "spotlane" / "edge.json").write_text(json.dumps(document))
    assert backend.blank("edge") is None


def test_what_is_no_checkpoint_is_no_blank(backend: FileBackend, tmp_path: Path) -> None:
    (tmp_path / ".pulumi" / "stacks" / "spotlane" / "edge.json").write_text("{}")
    assert backend.blank("edge") is None
    assert backend.blank("tenant.absent") is None


def test_other_backends_are_left_to_the_engine() -> None:
    assert FileBackend.of({"PULUMI_BACKEND_URL": "s3://states"}, "spotlane") is None
    assert FileBackend.of({}, "spotlane") is None
