"""The pack reports what a resource's inputs break, and never a value."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi_policy.proxy import UnknownValueError

from tests.policies.resources import AWS_INSTANCE, AZURE_MACHINE, GCP_INSTANCE, STRICT, UNKNOWN, changed, judged

Resource = tuple[str, dict[str, Any]]


@pytest.mark.parametrize("resource", [AWS_INSTANCE, AZURE_MACHINE, GCP_INSTANCE])
def test_spot_machines_inside_the_boundary_pass(resource: Resource) -> None:
    assert judged(resource) == []


@pytest.mark.parametrize(
    ("resource", "rule"),
    [
        (changed(AWS_INSTANCE, region="us-east-1"), "residency"),
        (changed(AWS_INSTANCE, availabilityZone="us-east-1a"), "residency"),
        (changed(AWS_INSTANCE, region=None), "residency"),
        (changed(AWS_INSTANCE, region="cn-north-1"), "cloud"),
        (changed(AWS_INSTANCE, instanceMarketOptions=None), "spot"),
        (changed(AWS_INSTANCE, associatePublicIpAddress=True), "network"),
        (changed(AWS_INSTANCE, rootBlockDevice=None), "encryption"),
        (changed(AWS_INSTANCE, metadataOptions={"httpTokens": "optional"}), "instance-metadata"),
        (changed(AWS_INSTANCE, tags={}), "tags"),
        (changed(AWS_INSTANCE, iamInstanceProfile="arn:aws:iam::210987654321:instance-profile/other"), "account"),
        (changed(AZURE_MACHINE, location="East US"), "residency"),
        (changed(AZURE_MACHINE, priority="Regular"), "spot"),
        (changed(GCP_INSTANCE, zone="us-central1-a"), "residency"),
        (changed(GCP_INSTANCE, scheduling=None), "spot"),
        (changed(GCP_INSTANCE, networkInterfaces=[{"accessConfigs": [{}]}]), "network"),
        (("aws:ec2/securityGroup:SecurityGroup", {"region": "eu-west-1", "ingress": [{"cidrBlocks": ["0.0.0.0/0"]}], "tags": {"tenant": "a"}}), "network"),
        (("gcp:compute/firewall:Firewall", {"allows": [{"protocol": "tcp"}], "sourceRanges": ["0.0.0.0/0"]}), "network"),
        (("docker:index/container:Container", {"image": "x"}), "cloud"),
    ],
)
def test_one_fault_is_reported_by_its_rule(resource: Resource, rule: str) -> None:
    messages = judged(resource, accounts={"aws": ["123456789012"]})
    assert [message[: message.index("]") + 1] for message in messages] == [f"[{rule}]"]


DATABASE: Resource = (
    "aws:rds/instance:Instance",
    {"region": "eu-west-1", "instanceClass": "db.m5.large", "storageEncrypted": True, "publiclyAccessible": False, "tags": {"tenant": "acme"}},
)
CONFIGURATION: Resource = (
    "aws:ec2/launchConfiguration:LaunchConfiguration",
    {"region": "eu-west-1", "spotPrice": "0.05", "metadataOptions": {"httpTokens": "required"}, "rootBlockDevice": {"encrypted": True}},
)
GROUP: Resource = ("aws:autoscaling/group:Group", {"region": "eu-west-1", "maxSize": 3, "launchTemplate": {"id": "lt-1"}})
FLEET: Resource = (
    "aws:ec2/spotFleetRequest:SpotFleetRequest",
    {"region": "eu-west-1", "launchSpecifications": [{"rootBlockDevices": [{"encrypted": True}], "associatePublicIpAddress": False}]},
)
BALANCER: Resource = ("aws:lb/loadBalancer:LoadBalancer", {"region": "eu-west-1", "internal": True})
SCALE_SET: Resource = (
    "azure-native:compute:VirtualMachineScaleSet",
    {"location": "westeurope", "virtualMachineProfile": {"priority": "Spot", "storageProfile": {"osDisk": {"createOption": "FromImage"}}}},
)
PUBLIC = {"networkInterfaceConfigurations": [{"ipConfigurations": [{"publicIPAddressConfiguration": {"name": "p"}}]}]}
AGENTS: Resource = ("azure-native:containerservice:AgentPool", {"location": "westeurope", "scaleSetPriority": "Spot"})
COPY: Resource = ("gcp:compute/instanceFromTemplate:InstanceFromTemplate", {"zone": "europe-west1-b", "sourceInstanceTemplate": "t"})
NODES: Resource = ("gcp:container/nodePool:NodePool", {"location": "europe-west1", "nodeConfig": {"spot": True}})
RULE: Resource = ("gcp:compute/forwardingRule:ForwardingRule", {"region": "europe-west1", "loadBalancingScheme": "INTERNAL"})
MIXED = {"onDemandBaseCapacity": 0, "onDemandPercentageAboveBaseCapacity": 0}


@pytest.mark.parametrize(
    "resource",
    [
        DATABASE,
        CONFIGURATION,
        GROUP,
        FLEET,
        BALANCER,
        SCALE_SET,
        AGENTS,
        COPY,
        NODES,
        RULE,
        changed(GROUP, mixedInstancesPolicy={"instancesDistribution": MIXED}),
    ],
)
def test_what_keeps_to_the_boundary_by_other_services_passes(resource: Resource) -> None:
    assert judged(resource) == []


@pytest.mark.parametrize(
    ("resource", "rule"),
    [
        (changed(DATABASE, storageEncrypted=None), "encryption"),
        (changed(DATABASE, publiclyAccessible=True), "network"),
        (changed(CONFIGURATION, spotPrice=None), "spot"),
        (changed(CONFIGURATION, associatePublicIpAddress=True), "network"),
        (changed(CONFIGURATION, metadataOptions=None), "instance-metadata"),
        (changed(CONFIGURATION, rootBlockDevice=None), "encryption"),
        (changed(GROUP, mixedInstancesPolicy={"instancesDistribution": {**MIXED, "onDemandBaseCapacity": 1}}), "spot"),
        (changed(GROUP, mixedInstancesPolicy={"instancesDistribution": {"onDemandBaseCapacity": 0}}), "spot"),
        (changed(FLEET, launchSpecifications=[{"associatePublicIpAddress": False}]), "encryption"),
        (changed(FLEET, launchSpecifications=[{"rootBlockDevices": [{"encrypted": True}], "associatePublicIpAddress": True}]), "network"),
        (changed(BALANCER, internal=None), "network"),
        (("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", {"region": "eu-west-1", "ingress": [{"ipv6CidrBlocks": ["::/0"]}]}), "network"),
        (changed(SCALE_SET, virtualMachineProfile={**SCALE_SET[1]["virtualMachineProfile"], "priority": "Regular"}), "spot"),
        (changed(SCALE_SET, virtualMachineProfile={**SCALE_SET[1]["virtualMachineProfile"], "networkProfile": PUBLIC}), "network"),
        (changed(AGENTS, scaleSetPriority=None), "spot"),
        (changed(AGENTS, enableNodePublicIP=True), "network"),
        (changed(COPY, scheduling={"provisioningModel": "STANDARD"}), "spot"),
        (changed(COPY, networkInterfaces=[{"accessConfigs": [{}]}]), "network"),
        (changed(NODES, nodeConfig={}), "spot"),
        (changed(RULE, loadBalancingScheme=None), "network"),
        (
            ("azure-native:network:LoadBalancer", {"location": "westeurope", "frontendIPConfigurations": [{"publicIPAddress": {"id": "p"}}]}),
            "network",
        ),
        (("aws:ec2/defaultSubnet:DefaultSubnet", {"region": "eu-west-1", "mapPublicIpOnLaunch": True}), "network"),
    ],
)
def test_one_fault_by_another_service_is_reported_by_its_rule(resource: Resource, rule: str) -> None:
    messages = judged(resource)
    assert [message[: message.index("]") + 1] for message in messages] == [f"[{rule}]"]


def test_a_replica_is_encrypted_as_its_source_is() -> None:
    assert judged(changed(DATABASE, storageEncrypted=None, replicateSourceDb="db-1")) == []


def test_the_providers_region_counts_where_the_resource_has_none() -> None:
    assert judged(changed(AWS_INSTANCE, region=None), provider={"region": "eu-west-3"}) == []
    assert "us-west-2" in judged(changed(AWS_INSTANCE, region=None), provider={"region": "us-west-2"})[0]


def test_a_message_holds_no_property_value() -> None:
    messages = judged(changed(AWS_INSTANCE, region="us-east-1", keyName="hunter2", userData="hunter2", tags={"password": "hunter2"}))
    assert len(messages) == 2
    assert "hunter2" not in "".join(messages)


def test_what_is_unknown_until_apply_is_left_to_the_update() -> None:
    with pytest.raises(UnknownValueError) as raised:
        judged(changed(AWS_INSTANCE, instanceMarketOptions={"marketType": UNKNOWN}))
    assert raised.value.message == "string value at .instanceMarketOptions.marketType can't be known during preview"


def test_an_unknown_user_data_hinders_nothing() -> None:
    assert judged(changed(AWS_INSTANCE, userDataBase64=UNKNOWN, subnetId=UNKNOWN)) == []


def test_a_stack_of_another_tenant_is_refused() -> None:
    assert judged(AWS_INSTANCE, stack="placement.globex.web.1") == [
        "[boundary] aws:ec2/instance:Instance 'web': the pack's config holds the boundary of tenant 'acme', the stack is of tenant 'globex'"
    ]


def test_the_edge_holds_nothing_of_a_tenants_clouds() -> None:
    assert judged(("cloudflare:index/workersScript:WorkersScript", {"accountId": "a"}), stack="edge") == []
    assert judged(AWS_INSTANCE, stack="edge")[0].startswith("[account]")


def test_a_boundary_with_faults_refuses_with_their_paths() -> None:
    assert "residency.regimes[0]" in judged(AWS_INSTANCE, document={**STRICT, "residency": {"regimes": ["moon"]}})[0]
