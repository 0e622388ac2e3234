"""The package's schema: what the engine thinks of it, and that it says what the components say."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic.alias_generators import to_camel

from provider.catalogue import COMPONENTS
from provider.server import SCHEMA
from provider.shape import arguments, outputs


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """As it is checked in."""
    found: dict[str, Any] = json.loads(SCHEMA.read_text())
    return found


def test_the_engine_finds_no_fault(engine: Path) -> None:
    checked = subprocess.run([str(engine), "schema", "check", str(SCHEMA)], capture_output=True, text=True, timeout=60, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


@pytest.mark.parametrize("token", sorted(COMPONENTS))
def test_it_offers_what_the_component_takes_and_gives(schema: dict[str, Any], token: str) -> None:
    offered, said = COMPONENTS[token], schema["resources"][token]
    taken = arguments(offered.arguments_class(), offered.given)
    assert said["inputProperties"].keys() == {to_camel(name) for name in taken}
    assert set(said["requiredInputs"]) == {to_camel(name) for name, shape in taken.items() if not shape.optional}
    assert said["properties"].keys() == {to_camel(name) for name in outputs(offered.component_class())}


def test_user_data_is_a_secret_on_every_cloud(schema: dict[str, Any]) -> None:
    machines = [one["inputProperties"]["userData"] for token, one in schema["resources"].items() if token.endswith(":SpotMachine")]
    assert [one["secret"] for one in machines] == [True, True, True]
