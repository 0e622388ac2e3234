"""The examples of stacks/config hold for the kind of stack that they are named after."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from domain.boundary.model import load
from stacks.settings import PlacementSettings, TenantSettings, load_settings

EXAMPLES = sorted((Path(__file__).parents[2] / "stacks" / "config").glob("Pulumi.*.example*.yaml"))
STACKS = {"tenant": "tenant.acme", "relay": "relay.acme.aws.eu-west-1", "region": "region.acme.aws.eu-west-1", "placement": "placement.acme.web.1"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_accepted(path: Path) -> None:
    document = yaml.safe_load(path.read_text())["config"]["spotlane:settings"]
    settings = load_settings(STACKS[path.name.split(".")[1]], document)
    if isinstance(settings, TenantSettings):
        assert load(settings.boundary).name == document["boundary"]["name"]
    if isinstance(settings, PlacementSettings):
        assert settings.machine.placement_token == ""


def test_every_cloud_has_an_example_of_each_regional_kind() -> None:
    names = {path.name for path in EXAMPLES}
    assert {f"Pulumi.{kind}.example.{cloud}.yaml" for kind in ("region", "relay", "placement") for cloud in ("aws", "azure", "gcp")} <= names
