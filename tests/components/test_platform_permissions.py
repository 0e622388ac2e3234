"""The policies that are handed out: without a wildcard action, and no less than what the components declare."""

from __future__ import annotations

import json

import pytest

from components.tenant import platform_permissions
from components.tenant.azure_permissions import AUTOMATION_ACTIONS
from stacks.permissions import PRINTED, main


@pytest.mark.parametrize("cloud", sorted(PRINTED))
def test_what_is_printed_is_json_without_a_wildcard_action(cloud: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([cloud]) == 0
    document = json.loads(capsys.readouterr().out)
    actions = [action for statement in document.get("Statement", []) for action in _listed(statement["Action"])] + document.get("Actions", [])
    assert [action for action in actions if "*" in action] == []


def test_an_unknown_cloud_is_refused_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["moon"]) == 2
    assert "aws, aws-tenant, azure, gcp, cloudflare" in capsys.readouterr().err


def test_the_platform_enters_tenants_by_the_two_roles_and_no_others() -> None:
    (enters,) = [one for one in platform_permissions.aws()["Statement"] if one["Sid"] == "EntersTenants"]
    assert enters["Resource"] == ["arn:aws:iam::*:role/OrganizationAccountAccessRole", "arn:aws:iam::*:role/spotlane-automation"]


def test_azures_platform_role_holds_what_it_gives_to_tenants_roles() -> None:
    assert set(platform_permissions.azure()["Actions"]) >= set(AUTOMATION_ACTIONS)


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def test_the_feeds_of_capacity_and_shapes_may_ask_and_no_more() -> None:
    [prices] = [one for one in platform_permissions.aws()["Statement"] if one["Sid"] == "Prices"]
    assert {"ec2:GetSpotPlacementScores", "pricing:GetProducts"} <= set(prices["Action"])
    assert [one for one in platform_permissions.azure()["Actions"] if "ResourceGraph" in one] == ["Microsoft.ResourceGraph/resources/read"]
    assert [one for one in platform_permissions.azure()["Actions"] if "placement" in one] == ["Microsoft.Compute/locations/placementScores/generate/action"]
    assert platform_permissions.gcp()["pricesProject"] == ["roles/compute.viewer"]
