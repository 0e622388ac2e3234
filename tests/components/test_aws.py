"""What the AWS components declare: an account that is fenced and entered by one role, a closed network, one machine."""

from __future__ import annotations

import json
import re
from typing import Any

import pulumi
import pytest

from components.aws import disk_key, network, offering, spot
from components.tenant import aws as tenant
from components.tenant import aws_permissions as permissions
from domain.catalog import CATALOG
from stacks import placement, region
from stacks import tenant as tenant_stack
from stacks.settings import SettingsError, load_settings, parse_stack_name
from tests.components.declared import Declared, declared
from tests.stacks.test_foundations import CLOUDS, EU, TENANT
from tests.stacks.test_placement import REGIONS, STACK, document

ACCOUNT = "222222222222"
FEDERATION = tenant.Federation("https://token.example.com", "automation")
ISSUER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.example.com"


def account(**changes: Any) -> Declared:
    args: dict[str, Any] = {"tenant": "acme", "home_region": "eu-west-1", "service_control_policy": "{}", "email": "acme@example.com"}
    args |= {"tags": {"tenant": "acme"}, **changes}

    def program() -> None:
        made = tenant.TenantAccount("aws", tenant.TenantAccountArgs(**args))
        pulumi.export("role_arn", made.role_arn)
        pulumi.export("permissions_boundary", made.permissions_boundary)

    return declared(program, "tenant.acme")


def region_of(**settings: Any) -> Declared:
    stack = "region.acme.aws.eu-west-1"
    whole = {"cidr": "10.16.0.0/16", "zones": ["eu-west-1a", "eu-west-1b"], **settings}
    outputs = {**TENANT, "aws_permissions_boundary": permissions.boundary_arn(ACCOUNT), "aws_external_id": "spotlane-acme"}
    return declared(lambda: region.declare(parse_stack_name(stack), load_settings(stack, whole)), stack, {"tenant.acme": outputs})


def machine(**changes: Any) -> Declared:
    args: dict[str, Any] = {"machine_name": "web-acme-3", "instance_type": "m7g.large", "arch": "arm64", "subnet_id": "subnet", "security_group_id": "group"}
    args |= {"instance_profile_name": "profile", "user_data": "boot", "tags": {"tenant": "acme", "cost-center": "42"}, **changes}

    def program() -> None:
        spot.SpotMachine("machine", spot.SpotMachineArgs(**args))

    return declared(program, "placement.acme.web.3")


# Tenant


def test_two_control_policies_stand_on_the_account_its_boundary_and_its_guard_rails() -> None:
    run = account(existing_account_id=ACCOUNT)
    assert [attached["targetId"] for attached in run.inputs("PolicyAttachment")] == [ACCOUNT, ACCOUNT]
    rails = json.loads(next(policy["content"] for policy in run.inputs("Policy") if policy["name"] == "spotlane-acme-guard"))
    denied = {action for statement in rails["Statement"] for action in statement["Action"]}
    assert all(statement["Effect"] == "Deny" for statement in rails["Statement"])
    assert denied >= {"organizations:LeaveOrganization", "ec2:DisableEbsEncryptionByDefault", "s3:PutAccountPublicAccessBlock", "iam:PutRolePolicy"}


def test_only_leaving_and_encryption_are_denied_to_the_automation_role_as_well() -> None:
    rails = permissions.guard_rails(ACCOUNT, tenant.AUTOMATION_ROLE)["Statement"]
    unconditional = [statement["Sid"] for statement in rails if "Condition" not in statement]
    assert unconditional == ["Leaving", "EncryptionOff"]
    exempt = {statement["Sid"]: statement["Condition"]["ArnNotLike"]["aws:PrincipalArn"] for statement in rails if "Condition" in statement}
    assert all(f"arn:aws:iam::{ACCOUNT}:role/spotlane-automation" in principals for principals in exempt.values())


def test_each_policy_is_as_short_as_its_quota_asks() -> None:
    def size(policy: dict[str, Any]) -> int:
        return len(json.dumps(policy, separators=(",", ":")))

    assert size(permissions.guard_rails(ACCOUNT, tenant.AUTOMATION_ROLE)) <= 5120
    assert size(permissions.automation_policy(ACCOUNT)) <= 10_240
    assert size(permissions.workload_boundary(ACCOUNT)) <= 6144


def test_the_automation_role_has_no_wildcard_action_and_destroys_only_what_is_ours() -> None:
    statements = permissions.automation_policy(ACCOUNT)["Statement"]
    assert [action for statement in statements for action in statement["Action"] if "*" in action] == []
    for statement in statements:
        for action in statement["Action"]:
            if re.match(r"(ec2:(Delete|Terminate|Revoke|Release)|kms:ScheduleKeyDeletion)", action):
                assert statement["Condition"] == {"StringEquals": {"aws:ResourceTag/managed-by": "spotlane"}}, action


def test_a_role_can_only_be_made_or_given_more_within_the_workloads_boundary() -> None:
    (bounded,) = [statement for statement in permissions.automation_policy(ACCOUNT)["Statement"] if "iam:PutRolePolicy" in statement["Action"]]
    assert bounded["Condition"] == {"StringEquals": {"iam:PermissionsBoundary": permissions.boundary_arn(ACCOUNT)}}
    run = region_of()
    assert {role["permissionsBoundary"] for role in run.inputs("Role")} == {permissions.boundary_arn(ACCOUNT)}
    reachable = [action for statement in permissions.workload_boundary(ACCOUNT)["Statement"] for action in statement["Action"]]
    assert [action for action in reachable if action.split(":")[0] in {"iam", "organizations", "ec2", "account", "*"}] == []


def test_the_role_trusts_who_knows_the_external_id_and_the_one_subject_of_the_issuer() -> None:
    role = account(external_id="spotlane-acme", federation=FEDERATION).one("Role")
    management, issuer = json.loads(role["assumeRolePolicy"])["Statement"]
    assert management["Condition"] == {"StringEquals": {"sts:ExternalId": "spotlane-acme"}}
    assert issuer["Principal"] == {"Federated": ISSUER}
    assert issuer["Condition"] == {"StringEquals": {"token.example.com:aud": "sts.amazonaws.com", "token.example.com:sub": "automation"}}


def test_the_stacks_of_the_account_present_the_external_id() -> None:
    (provider,) = [args.inputs for args in region_of().resources if args.typ == "pulumi:providers:aws"]
    (role,) = json.loads(provider["assumeRoles"])
    assert (role["externalId"], provider["allowedAccountIds"]) == ("spotlane-acme", json.dumps([ACCOUNT]))


def test_a_budget_watches_the_account_and_tells_of_eighty_and_of_a_hundred_per_cent() -> None:
    budget = account(existing_account_id=ACCOUNT, budget_usd_per_month=200.0, alert_emails=["ops@example.com"]).one("Budget")
    assert (budget["limitAmount"], budget["costFilters"]) == ("200.00", [{"name": "LinkedAccount", "values": [ACCOUNT]}])
    told = [(one["notificationType"], one["threshold"], one["subscriberEmailAddresses"]) for one in budget["notifications"]]
    assert told == [("ACTUAL", 80, ["ops@example.com"]), ("ACTUAL", 100, ["ops@example.com"]), ("FORECASTED", 100, ["ops@example.com"])]
    assert account().inputs("Budget") == []


@pytest.mark.parametrize(
    ("aws", "fault"),
    [
        ({"email": "a@b.c", "oidcProviderUrl": "https://x"}, "oidcProviderUrl and oidcSubject together"),
        ({"existingAccountId": "12"}, "aws.existingAccountId"),
        ({"email": "a@b.c", "oidcProviderUrl": "https://x", "oidcSubject": "repo:*"}, "aws.oidcSubject"),
    ],
)
def test_wrong_settings_are_named(aws: dict[str, Any], fault: str) -> None:
    with pytest.raises(SettingsError, match=fault):
        load_settings("tenant.acme", {"boundary": EU, "aws": aws})


def test_more_addresses_than_a_budget_tells_are_refused_before_anything_is_declared() -> None:
    document = {"boundary": EU, "aws": CLOUDS["aws"], "budgetUsdPerMonth": 5, "alertEmails": [f"{number}@example.com" for number in range(11)]}
    with pytest.raises(SettingsError, match="a budget of AWS's tells 10 at most, 11 are given"):
        declared(lambda: tenant_stack.declare(parse_stack_name("tenant.acme"), load_settings("tenant.acme", document)), "tenant.acme")


# Region


def test_machines_reach_https_and_the_tunnels_ends_and_nothing_else() -> None:
    rules = {(rule["ipProtocol"], rule["fromPort"], rule["toPort"], rule["cidrIpv4"]) for rule in region_of().inputs("SecurityGroupEgressRule")}
    tunnel = {(protocol, 7844, 7844, block) for protocol in ("tcp", "udp") for block in network.TUNNEL_RANGES}
    assert rules == {("tcp", 443, 443, "0.0.0.0/0")} | tunnel


def test_the_default_group_admits_nothing_and_storage_is_reached_privately() -> None:
    run = region_of()
    assert (run.one("DefaultSecurityGroup")["ingress"], run.one("DefaultSecurityGroup")["egress"]) == ([], [])
    endpoint = run.one("VpcEndpoint")
    assert (endpoint["serviceName"], endpoint["vpcEndpointType"], endpoint["routeTableIds"]) == (
        "com.amazonaws.eu-west-1.s3",
        "Gateway",
        ["network-private-routes-id"],
    )


def test_the_accounts_defaults_are_on_and_stay_on_after_a_destroy() -> None:
    run = region_of()
    assert run.one("EncryptionByDefault")["enabled"] is True
    assert run.one("InstanceMetadataDefaults") == {"httpTokens": "required", "httpPutResponseHopLimit": 1}
    block = run.one("AccountPublicAccessBlock")
    assert all(value is True for name, value in block.items() if name != "accountId")


def test_flows_are_logged_by_a_role_that_only_writes_them_unless_the_setting_says_no() -> None:
    run = region_of()
    (log,) = [one for one in run.inputs("FlowLog") if one]
    group = run.one("LogGroup")
    assert (log["trafficType"], group["retentionInDays"]) == ("ALL", 90)
    (statement,) = json.loads(run.one("RolePolicy")["policy"])["Statement"]
    assert statement["Action"] == ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    assert all(resource.startswith("arn:aws:logs:eu-west-1:222222222222:log-group:/spotlane/flows/eu-west-1") for resource in statement["Resource"])
    assert region_of(flowLogs=False).inputs("FlowLog") == []


def test_a_customers_key_rotates_and_only_ec2_of_the_account_and_region_encrypts_with_it() -> None:
    run = region_of(diskKey="customer")
    key = run.one("Key")
    statements = {one["Sid"]: one for one in json.loads(key["policy"])["Statement"]}
    assert (key["enableKeyRotation"], key["deletionWindowInDays"]) == (True, disk_key.DELETE_AFTER_DAYS)
    assert statements["Disks"]["Condition"]["StringEquals"] == {"kms:CallerAccount": ACCOUNT, "kms:ViaService": "ec2.eu-west-1.amazonaws.com"}
    assert run.outputs["disk_key_id"] == "arn:aws:kms:eu-west-1:222222222222:key/1"
    assert region_of().inputs("Key") == []


@pytest.mark.parametrize(("name", "zones", "fault"), [("eu-west-9", ["eu-west-9a"], "region: aws has no region"), ("eu-west-1", ["eu-west-1z"], "no zone")])
def test_a_region_or_zone_that_aws_has_not_is_refused_before_anything_is_declared(name: str, zones: list[str], fault: str) -> None:
    stack = f"region.acme.aws.{name}"
    with pytest.raises(SettingsError, match=fault):
        region.declare(parse_stack_name(stack), load_settings(stack, {"cidr": "10.16.0.0/16", "zones": zones}))


# Machine


def test_a_spot_machine_is_spot_by_its_template_and_an_on_demand_one_is_not() -> None:
    template = machine(max_usd_per_hour=0.05).one("LaunchTemplate")
    assert template["instanceMarketOptions"]["marketType"] == "spot"
    assert template["instanceMarketOptions"]["spotOptions"]["maxPrice"] == "0.050000"
    assert "instanceMarketOptions" not in machine(capacity_type="on-demand").one("LaunchTemplate")


def test_a_machine_has_a_public_address_only_where_it_asks_for_one() -> None:
    closed, open_ = machine(), machine(public_address=True)
    assert "networkInterfaces" not in closed.one("LaunchTemplate") and closed.one("Instance")["subnetId"] == "subnet"
    (interface,) = open_.one("LaunchTemplate")["networkInterfaces"]
    assert (interface["associatePublicIpAddress"], interface["subnetId"], interface["securityGroups"]) == ("true", "subnet", ["group"])
    assert "subnetId" not in open_.one("Instance")


def test_the_disk_is_encrypted_by_the_customers_key_where_there_is_one() -> None:
    (ours,) = machine().one("LaunchTemplate")["blockDeviceMappings"]
    (theirs,) = machine(disk_key_id="arn:key").one("LaunchTemplate")["blockDeviceMappings"]
    assert (ours["ebs"]["encrypted"], "kmsKeyId" in ours["ebs"], theirs["ebs"]["kmsKeyId"]) == ("true", False, "arn:key")


def test_everything_of_a_machine_carries_its_tags() -> None:
    template = machine().one("LaunchTemplate")
    assert {one["resourceType"] for one in template["tagSpecifications"]} == {"instance", "volume", "network-interface"}
    assert all(one["tags"]["cost-center"] == "42" for one in template["tagSpecifications"])


def test_classification_and_cost_centre_of_the_settings_become_tags() -> None:
    whole = {**document("aws"), "classification": "confidential", "costCenter": "42"}
    run = declared(lambda: placement.declare(parse_stack_name(STACK), load_settings(STACK, whole)), STACK, REGIONS)
    assert {"classification": "confidential", "cost-center": "42"}.items() <= run.one("Instance")["tags"].items()


def test_a_machine_with_gpus_gets_the_image_with_their_driver_and_room_for_it() -> None:
    template = machine(instance_type="g5.xlarge", arch="x86_64").one("LaunchTemplate")
    assert "nvidia-driver-gpu" in template["imageId"]
    assert template["blockDeviceMappings"][0]["ebs"]["volumeSize"] == offering.GPU_DISK_GIB


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"arch": "x86_64"}, "arch: m7g.large is an arm64 machine"),
        ({"instanceType": "mac2.metal", "arch": "x86_64"}, "AWS sells no spot mac2.metal"),
        ({"zone": "eu-west-1z"}, "zone: eu-west-1 has no zone 'eu-west-1z'"),
        ({"region": "eu-west-9", "zone": "eu-west-9a"}, "region: aws has no region 'eu-west-9'"),
    ],
)
def test_a_machine_that_cannot_be_is_refused_before_anything_is_declared(change: dict[str, str], fault: str) -> None:
    whole = {**document("aws"), **change}
    with pytest.raises(SettingsError, match=re.escape(fault)):
        placement.declare(parse_stack_name(STACK), load_settings(STACK, whole))


def test_a_types_name_tells_what_the_catalogue_says_of_it() -> None:
    wrong = [one.name for one in CATALOG.machines("aws") if offering.architecture(one.name) != one.arch or offering.has_gpu(one.name) != bool(one.gpu)]
    assert wrong == []
