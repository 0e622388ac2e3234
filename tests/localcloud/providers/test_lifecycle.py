"""A VPC and a subnet through their whole life, under a real engine."""

from __future__ import annotations

from collections.abc import Callable

import pulumi
import pulumi_aws as aws

from tests.localcloud.clouds.conftest import Served
from tests.localcloud.providers.conftest import Stage


def network(cidr: str = "10.16.0.0/16", subnet: str = "10.16.1.0/24", **tags: str) -> Callable[[], None]:
    """A program that declares a VPC and a subnet in Ireland."""

    def program() -> None:
        here = pulumi.ResourceOptions(provider=aws.Provider("aws", region="eu-west-1"))
        vpc = aws.ec2.Vpc("vpc", cidr_block=cidr, enable_dns_hostnames=True, tags=tags, opts=here)
        aws.ec2.Subnet("subnet", vpc_id=vpc.id, cidr_block=subnet, availability_zone="eu-west-1a", opts=here)

    return program


def test_an_update_makes_a_second_changes_nothing_and_a_destroy_leaves_nothing(stage: Stage, served: Served) -> None:
    stack = stage.stack(network(Name="one"))
    assert stack.up().summary.resource_changes == {"create": 4}
    assert stack.up().summary.resource_changes == {"same": 4}
    state = stage.resources(network())
    ec2 = served.aws("ec2", "eu-west-1")
    [found] = ec2.describe_subnets(SubnetIds=[state["subnet"]["id"]])["Subnets"]
    assert found["VpcId"] == state["vpc"]["id"]
    assert state["vpc"]["outputs"]["arn"] == f"arn:aws:ec2:eu-west-1:123456789012:vpc/{state['vpc']['id']}"
    stack.destroy()
    assert [vpc for vpc in ec2.describe_vpcs()["Vpcs"] if vpc["VpcId"] == state["vpc"]["id"]] == []


def test_drift_is_seen_by_a_refresh_and_mended_by_the_next_update(stage: Stage, served: Served) -> None:
    stack = stage.stack(network(Name="one"))
    stack.up()
    vpc = stage.resources(network())["vpc"]["id"]
    ec2 = served.aws("ec2", "eu-west-1")
    ec2.create_tags(Resources=[vpc], Tags=[{"Key": "Name", "Value": "changed by hand"}])
    assert stack.refresh().summary.resource_changes == {"same": 3, "update": 1}
    assert stage.resources(network())["vpc"]["inputs"]["tags"] == {"Name": "changed by hand"}
    assert stack.up().summary.resource_changes == {"same": 3, "update": 1}
    assert ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [vpc]}])["Tags"][0]["Value"] == "one"
    stack.destroy()


def test_a_subnet_gone_by_hand_is_made_again_after_a_refresh(stage: Stage, served: Served) -> None:
    stack = stage.stack(network())
    stack.up()
    served.aws("ec2", "eu-west-1").delete_subnet(SubnetId=stage.resources(network())["subnet"]["id"])
    assert stack.refresh().summary.resource_changes == {"same": 3, "delete": 1}
    assert stack.up().summary.resource_changes == {"same": 3, "create": 1}
    stack.destroy()


def test_another_address_range_replaces_the_vpc_and_with_it_the_subnet(stage: Stage) -> None:
    stack = stage.stack(network())
    stack.up()
    before = stage.resources(network())
    changed = network(cidr="10.17.0.0/16", subnet="10.17.1.0/24")
    assert stage.stack(changed).up().summary.resource_changes == {"same": 2, "replace": 2}
    after = stage.resources(changed)
    assert {name for name in ("vpc", "subnet") if before[name]["id"] != after[name]["id"]} == {"vpc", "subnet"}
    stage.stack(changed).destroy()


def test_a_vpc_made_by_hand_is_imported_as_it_is(stage: Stage, served: Served) -> None:
    vpc = served.aws("ec2", "eu-west-1").create_vpc(CidrBlock="10.99.0.0/16")["Vpc"]["VpcId"]

    def program() -> None:
        provider = aws.Provider("aws", region="eu-west-1")
        aws.ec2.Vpc("vpc", cidr_block="10.99.0.0/16", opts=pulumi.ResourceOptions(provider=provider, import_=vpc))

    stack = stage.stack(program)
    assert stack.up().summary.resource_changes == {"create": 2, "import": 1}
    assert stage.resources(program)["vpc"]["id"] == vpc
    stack.destroy()
