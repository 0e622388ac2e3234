from __future__ import annotations

import base64
import json
from typing import Any

import botocore.exceptions
import pytest

from tests.localcloud.clouds.conftest import Served

REGION, ZONE, TYPE = "eu-west-1", "eu-west-1b", "m5.large"
PARAMETER = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"


def tenant(served: Served, name: str) -> Any:
    """EC2 in a new account, reached by its organization role."""
    created = served.aws("organizations", "us-east-1").create_account(Email=f"{name}@example.com", AccountName=name)
    account = created["CreateAccountStatus"]["AccountId"]
    role = f"arn:aws:iam::{account}:role/OrganizationAccountAccessRole"
    got = served.aws("sts", "us-east-1").assume_role(RoleArn=role, RoleSessionName="spotlane")["Credentials"]
    keys = {"aws_access_key_id": got["AccessKeyId"], "aws_secret_access_key": got["SecretAccessKey"], "aws_session_token": got["SessionToken"]}
    return served.aws("ec2", REGION, **keys)


def template(ec2: Any, **spot: str) -> dict[str, str]:
    """A launch template for one spot machine in a network of its own."""
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.1.0/24", AvailabilityZone=ZONE)["Subnet"]["SubnetId"]
    data = {
        "ImageId": PARAMETER,
        "InstanceType": TYPE,
        "UserData": base64.b64encode(b"#!/bin/sh\nsleep 1000\n").decode(),
        "InstanceMarketOptions": {"MarketType": "spot", "SpotOptions": spot},
        "NetworkInterfaces": [{"DeviceIndex": 0, "SubnetId": subnet}],
    }
    name = f"t-{vpc}"
    made = ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)["LaunchTemplate"]
    return {"LaunchTemplateId": made["LaunchTemplateId"], "Version": "$Latest"}


def described(ec2: Any, instance: str) -> dict[str, Any]:
    found: dict[str, Any] = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    return found


def test_a_kill_keeps_every_id_account_and_machine(served: Served) -> None:
    ec2 = tenant(served, "kept")
    run = ec2.run_instances(MinCount=1, MaxCount=1, LaunchTemplate=template(ec2))["Instances"][0]
    before = described(ec2, run["InstanceId"])
    pid = next(one["pid"] for one in served.control("GET", "/hosts") if one["id"] == run["InstanceId"])

    served.kill()
    served.start()

    assert described(ec2, run["InstanceId"]) == before
    assert before["SpotInstanceRequestId"] == run["SpotInstanceRequestId"]
    assert before["InstanceLifecycle"] == "spot"
    assert next(one["pid"] for one in served.control("GET", "/hosts") if one["id"] == run["InstanceId"]) == pid


def test_an_interrupted_instance_shows_why_it_ended(served: Served) -> None:
    ec2 = tenant(served, "interrupted")
    instance = ec2.run_instances(MinCount=1, MaxCount=1, LaunchTemplate=template(ec2))["Instances"][0]["InstanceId"]

    served.control("POST", f"/hosts/{instance}/interrupt", {"notice_seconds": 0.1})
    served.until(lambda: described(ec2, instance)["State"]["Name"] == "terminated")

    assert described(ec2, instance)["StateReason"]["Code"] == "Server.SpotInstanceTermination"


def test_a_bid_below_the_market_is_refused_as_ec2_refuses_it(served: Served) -> None:
    ec2 = tenant(served, "stingy")

    with pytest.raises(botocore.exceptions.ClientError) as refusal:
        ec2.run_instances(MinCount=1, MaxCount=1, LaunchTemplate=template(ec2, MaxPrice="0.0001"))

    assert refusal.value.response["Error"]["Code"] == "SpotMaxPriceTooLow"


def test_a_pool_without_capacity_is_refused_as_ec2_refuses_it(served: Served) -> None:
    ec2 = tenant(served, "waiting")
    wanted = template(ec2)
    outage = {"kind": "outage", "cloud": "aws", "region": REGION, "zone": ZONE, "instance_type": TYPE, "duration_seconds": 5.0}
    served.control("POST", "/market/events", outage)

    with pytest.raises(botocore.exceptions.ClientError) as refusal:
        ec2.run_instances(MinCount=1, MaxCount=1, LaunchTemplate=wanted)

    assert refusal.value.response["Error"]["Code"] == "InsufficientInstanceCapacity"
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500


def test_a_service_control_policy_denies_the_regions_that_it_leaves_out(served: Served) -> None:
    ec2 = tenant(served, "bound")
    organization = served.aws("organizations", "us-east-1")
    account = next(one["Id"] for one in organization.list_accounts()["Accounts"] if one["Name"] == "bound")
    only_frankfurt = {
        "Effect": "Deny",
        "NotAction": ["iam:*", "sts:*"],
        "Resource": "*",
        "Condition": {"StringNotEquals": {"aws:RequestedRegion": "eu-central-1"}},
    }
    content = json.dumps({"Version": "2012-10-17", "Statement": [only_frankfurt]})
    created = organization.create_policy(Content=content, Description="", Name="boundary", Type="SERVICE_CONTROL_POLICY")
    organization.attach_policy(PolicyId=created["Policy"]["PolicySummary"]["Id"], TargetId=account)

    with pytest.raises(botocore.exceptions.ClientError) as refusal:
        ec2.create_vpc(CidrBlock="10.3.0.0/16")

    assert refusal.value.response["Error"]["Code"] == "UnauthorizedOperation"


def test_a_private_network_with_all_its_parts_leaves_nothing_when_it_is_deleted(served: Served) -> None:
    ec2 = tenant(served, "network")
    vpc = ec2.create_vpc(CidrBlock="10.2.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.2.1.0/24", AvailabilityZone=ZONE)["Subnet"]["SubnetId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    nat = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)["NatGateway"]["NatGatewayId"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
    association = ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)["AssociationId"]
    service = f"com.amazonaws.{REGION}.s3"
    endpoint = ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=service, RouteTableIds=[table])["VpcEndpoint"]["VpcEndpointId"]
    group = ec2.create_security_group(GroupName="egress", Description="egress", VpcId=vpc)["GroupId"]
    made = {one["kind"] for one in left(served, vpc)}
    assert made >= {"vpc", "subnet", "internet-gateway", "elastic-ip", "nat-gateway", "route-table", "vpc-endpoint", "security-group"}

    ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
    ec2.disassociate_route_table(AssociationId=association)
    ec2.delete_route_table(RouteTableId=table)
    ec2.delete_nat_gateway(NatGatewayId=nat)
    ec2.release_address(AllocationId=address)
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    ec2.delete_internet_gateway(InternetGatewayId=gateway)
    ec2.delete_security_group(GroupId=group)
    ec2.delete_subnet(SubnetId=subnet)
    account = left(served, vpc)[0]["account"]
    ec2.delete_vpc(VpcId=vpc)

    assert [one for one in served.control("GET", "/resources")["resources"] if one["account"] == account] == []


def left(served: Served, vpc: str) -> list[dict[str, Any]]:
    """What lives in the account of ``vpc``."""
    found: list[dict[str, Any]] = served.control("GET", "/resources")["resources"]
    account = next(one["account"] for one in found if one["id"] == vpc)
    return [one for one in found if one["account"] == account]
