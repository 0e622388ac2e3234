from __future__ import annotations

import base64
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
    served.control("POST", "/market/events", {"kind": "outage", "cloud": "aws", "region": REGION, "zone": ZONE, "duration_seconds": 5.0})

    with pytest.raises(botocore.exceptions.ClientError) as refusal:
        ec2.run_instances(MinCount=1, MaxCount=1, LaunchTemplate=wanted)

    assert refusal.value.response["Error"]["Code"] == "InsufficientInstanceCapacity"
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500


def test_what_is_deleted_is_no_longer_counted(served: Served) -> None:
    ec2 = tenant(served, "counted")
    vpc = ec2.create_vpc(CidrBlock="10.2.0.0/16")["Vpc"]["VpcId"]
    assert vpc in [one["id"] for one in served.control("GET", "/resources")["resources"]]

    ec2.delete_vpc(VpcId=vpc)

    assert vpc not in [one["id"] for one in served.control("GET", "/resources")["resources"]]
