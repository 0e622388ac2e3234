"""The tenant's account, subscription and project; a region's network: what they fence off, and what the stacks above take from them."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from stacks import region, tenant
from stacks.settings import SettingsError, load_settings, parse_stack_name
from tests.components.declared import Declared, declared

EU = {"name": "acme-eu", "residency": {"regimes": ["gdpr"]}}
CLOUDS = {
    "aws": {"email": "acme@example.com", "organizationalUnitId": "ou-1"},
    "azure": {"billingScope": "/providers/Microsoft.Billing/x"},
    "gcp": {"projectId": "spotlane-acme", "folderId": "42", "billingAccount": "0-1-2"},
}
TENANT = {
    "aws_account_id": "222222222222",
    "aws_role_arn": "arn:aws:iam::222222222222:role/spotlane-automation",
    "azure_subscription_id": "sub-1",
    "gcp_project_id": "spotlane-acme",
    "gcp_project_number": "123456789012",
    "gcp_automation_email": "spotlane-automation@spotlane-acme.iam.gserviceaccount.com",
}


def tenant_stack(document: dict[str, Any]) -> Declared:
    return declared(lambda: tenant.declare(parse_stack_name("tenant.acme"), load_settings("tenant.acme", document)), "tenant.acme")


def region_stack(cloud: str, name: str, zones: list[str], outputs: dict[str, Any] = TENANT) -> Declared:
    stack = f"region.acme.{cloud}.{name}"
    document = {"cidr": "10.16.0.0/16", "zones": zones}
    return declared(lambda: region.declare(parse_stack_name(stack), load_settings(stack, document)), stack, {"tenant.acme": outputs})


def test_a_tenants_clouds_are_fenced_by_its_boundary() -> None:
    run = tenant_stack({"boundary": EU, **CLOUDS})
    (statement,) = json.loads(run.inputs("Policy")[0]["content"])["Statement"]
    allowed = statement["Condition"]["StringNotEquals"]["aws:RequestedRegion"]
    assert "eu-west-1" in allowed
    assert "us-east-1" not in allowed
    locations = [assignment["parameters"]["listOfAllowedLocations"]["value"] for assignment in run.inputs("PolicyAssignment") if "parameters" in assignment]
    assert len(locations) == 2
    assert all("westeurope" in found and "eastus" not in found for found in locations)
    (locations_of_gcp,) = [inputs for inputs in run.inputs("Policy") if str(inputs.get("name")).endswith("/gcp.resourceLocations")]
    values = locations_of_gcp["spec"]["rules"][0]["values"]["allowedValues"]
    assert "in:europe-west4-locations" in values
    assert "in:us-central1-locations" not in values


def test_a_tenants_outputs_name_its_accounts() -> None:
    outputs = tenant_stack({"boundary": EU, **CLOUDS}).outputs
    assert outputs["aws_account_id"] == "aws-account-id"
    assert outputs["aws_role_arn"]
    assert outputs["azure_subscription_id"] == "0f8b3b1e-0000-0000-0000-6a1f5f3f7a10"
    assert outputs["gcp_project_id"] == "spotlane-acme"
    assert outputs["boundary_digest"].startswith("sha256:")


def test_the_automation_role_trusts_the_management_account_only() -> None:
    role = tenant_stack({"boundary": EU, "aws": CLOUDS["aws"]}).one("Role")
    (statement,) = json.loads(role["assumeRolePolicy"])["Statement"]
    assert statement["Principal"] == {"AWS": "arn:aws:iam::111111111111:root"}


def test_a_cloud_in_which_the_boundary_allows_nothing_gets_no_account() -> None:
    run = tenant_stack({"boundary": {**EU, "clouds": ["aws"]}, **CLOUDS})
    assert [args.typ for args in run.resources if args.typ.startswith(("gcp:", "azure-native:"))] == []


def test_a_boundary_that_allows_no_region_is_refused_before_anything_is_declared() -> None:
    nowhere = {"name": "nowhere", "residency": {"countries": ["AQ"]}}
    with pytest.raises(SettingsError, match="allows no region of any cloud"):
        tenant.declare(parse_stack_name("tenant.acme"), load_settings("tenant.acme", {"boundary": nowhere, "aws": CLOUDS["aws"]}))


def test_a_wrong_boundary_is_reported_by_its_path() -> None:
    with pytest.raises(SettingsError) as caught:
        tenant.declare(parse_stack_name("tenant.acme"), load_settings("tenant.acme", {"boundary": {"name": "x", "residancy": {}}}))
    assert caught.value.faults[0].startswith("boundary.residancy")


def test_an_aws_region_has_a_private_subnet_in_each_zone_and_lets_nothing_in() -> None:
    run = region_stack("aws", "eu-west-1", ["eu-west-1a", "eu-west-1b"])
    public, *private = sorted((subnet["cidrBlock"], subnet["availabilityZone"]) for subnet in run.inputs("Subnet"))
    assert public == ("10.16.0.0/20", "eu-west-1a")
    assert private == [("10.16.16.0/20", "eu-west-1a"), ("10.16.32.0/20", "eu-west-1b")]
    assert all(subnet["mapPublicIpOnLaunch"] is False for subnet in run.inputs("Subnet"))
    assert "ingress" not in run.one("SecurityGroup")
    assert run.inputs("SecurityGroupIngressRule") == []
    assert run.outputs["subnet_ids"] == {"eu-west-1a": "network-eu-west-1a-id", "eu-west-1b": "network-eu-west-1b-id"}
    assert run.outputs["role_arn"] == TENANT["aws_role_arn"]


def test_an_azure_region_denies_every_inbound_connection() -> None:
    run = region_stack("azure", "westeurope", ["-"])
    (rule,) = [one for one in run.one("NetworkSecurityGroup")["securityRules"] if one["direction"] == "Inbound"]
    assert (rule["direction"], rule["access"], rule["sourceAddressPrefix"]) == ("Inbound", "Deny", "*")
    assert run.one("Subnet")["networkSecurityGroup"] == {"id": "network-firewall-id"}
    assert run.outputs["subnet_id"] == "network-subnet-id"


def test_a_gcp_region_denies_every_inbound_connection() -> None:
    run = region_stack("gcp", "europe-west4", ["europe-west4-a"])
    (firewall,) = [rule for rule in run.inputs("Firewall") if rule["direction"] == "INGRESS"]
    assert (firewall["denies"], firewall["sourceRanges"]) == ([{"protocol": "all"}], ["0.0.0.0/0"])
    assert run.one("Subnetwork")["ipCidrRange"] == "10.16.0.0/16"
    assert run.outputs["service_account"] == "wl@spotlane-acme.iam.gserviceaccount.com"


def test_a_region_of_a_cloud_that_the_tenant_has_not_says_what_to_do() -> None:
    with pytest.raises(pulumi.RunError, match=r"stack 'tenant.acme' has no output 'aws_(account_id|role_arn)'; give tenant.acme an aws section"):
        region_stack("aws", "eu-west-1", ["eu-west-1a"], {"gcp_project_id": "x"})
