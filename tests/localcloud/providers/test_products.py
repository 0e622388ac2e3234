"""The product's own components on the local clouds: what they declare is made, a refresh finds no drift, nothing is left."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pulumi
import pulumi_aws as aws
import pulumi_azure_native as azure
import pulumi_gcp as gcp
import pytest
from pulumi.automation import CommandError

from components.aws import account_defaults
from components.aws import identity as aws_identity
from components.aws import network as aws_network
from components.aws import spot as aws_spot
from components.azure import identity as azure_identity
from components.azure import network as azure_network
from components.azure import spot as azure_spot
from components.gcp import disk_key as gcp_disk_key
from components.gcp import identity as gcp_identity
from components.gcp import network as gcp_network
from components.gcp import spot as gcp_spot
from components.tenant import aws as aws_tenant
from components.tenant import azure as azure_tenant
from components.tenant import gcp as gcp_tenant
from localcloud.clouds.exchange import HttpRequest
from localcloud.clouds.gcp.permissions import account_of, required
from localcloud.providers.rest import Answer, Rest
from tests.localcloud.clouds.conftest import Served
from tests.localcloud.providers.conftest import Stage

PROJECT = "spotlane-acme-1"
BOOT = "#!/bin/sh\nsleep 1000\n"


_ELSEWHERE = {"StringNotEquals": {"aws:RequestedRegion": "eu-west-1"}}
_GLOBAL = ["iam:*", "sts:*", "s3:*", "organizations:*"]
DENY = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "NotAction": _GLOBAL, "Resource": "*", "Condition": _ELSEWHERE}]})


def in_aws() -> None:
    management = pulumi.ResourceOptions(provider=aws.Provider("management", region="eu-west-1"))
    tenant = aws_tenant.TenantAccount("tenant", aws_tenant.TenantAccountArgs("acme", "eu-west-1", DENY, email="acme@example.com"), management)
    role = aws.ProviderAssumeRoleArgs(role_arn=tenant.role_arn, session_name="test")
    here = pulumi.ResourceOptions(provider=aws.Provider("aws", region="eu-west-1", assume_roles=[role], allowed_account_ids=[tenant.account_id]))
    account_defaults.AccountDefaults("defaults", tenant.account_id, here)
    network = aws_network.Network("network", aws_network.NetworkArgs("10.16.0.0/16", ["eu-west-1a"], "eu-west-1"), here)
    identity = aws_identity.WorkloadIdentity("identity", aws_identity.WorkloadIdentityArgs("eu-west-1"), here)
    subnet, group, profile = network.subnet_ids["eu-west-1a"], network.security_group_id, identity.instance_profile_name
    machine = aws_spot.SpotMachine("machine", aws_spot.SpotMachineArgs("web-acme-1", "m7g.large", "arm64", subnet, group, profile, BOOT), here)
    pulumi.export("ip", machine.private_ip)


def in_azure() -> None:
    tenant = azure_tenant.TenantSubscription("tenant", azure_tenant.TenantSubscriptionArgs("acme", ["westeurope"], billing_scope="/billing/1"))
    here = pulumi.ResourceOptions(provider=azure.Provider("azure", subscription_id=tenant.subscription_id, location="westeurope"))
    network = azure_network.Network("network", azure_network.NetworkArgs("westeurope", "10.32.0.0/16"), here)
    group = network.resource_group_name
    identity = azure_identity.WorkloadIdentity("identity", azure_identity.WorkloadIdentityArgs(group, "westeurope"), here)
    args = azure_spot.SpotMachineArgs("web-acme-1", group, "westeurope", "-", "Standard_D2s_v5", "x86_64", network.subnet_id, identity.identity_id, BOOT)
    machine = azure_spot.SpotMachine("machine", args, here)
    pulumi.export("ip", machine.private_ip)


def in_gcp() -> None:
    args = gcp_tenant.TenantProjectArgs(
        "acme",
        ["in:europe-west4-locations"],
        project_id=PROJECT,
        billing_account="0-0-0",
        customer_keys=True,
        federation=gcp_tenant.Federation("https://issuer.example.com", "automation"),
        automation_principal="serviceAccount:automation@platform.iam.gserviceaccount.com",
        budget_usd_per_month=99.5,
        alert_emails=["ops@example.com"],
        tags={"tenant": "acme"},
    )
    tenant = gcp_tenant.TenantProject("tenant", args)
    acting = gcp.Provider("gcp", project=tenant.project_id, region="europe-west4", impersonate_service_account=tenant.automation_email)
    here = pulumi.ResourceOptions(provider=acting)
    network = gcp_network.Network("network", gcp_network.NetworkArgs("europe-west4", "10.48.0.0/16"), here)
    identity = gcp_identity.WorkloadIdentity("identity", gcp_identity.WorkloadIdentityArgs("europe-west4"), here)
    key = gcp_disk_key.DiskKey("key", gcp_disk_key.DiskKeyArgs("europe-west4", tenant.project_number, {"tenant": "acme"}), here)
    spot = gcp_spot.SpotMachineArgs(
        "web-acme-1", "europe-west4-a", "n2-standard-2", "x86_64", network.subnetwork_id, identity.email, BOOT, {"tenant": "acme"}, disk_key_id=key.key_id
    )
    machine = gcp_spot.SpotMachine("machine", spot, here)
    pulumi.export("ip", machine.private_ip)


BEYOND_A_LIFE = {
    *("compute.zones.get", "compute.disks.get"),  # the real provider reads them before and after it makes an instance
    *("compute.subnetworks.useExternalIp",),  # only with a public address
    *("compute.networks.update", "compute.firewalls.update", "compute.subnetworks.update", "iam.serviceAccounts.update"),  # only when settings change
    *("compute.subnetworks.expandIpCidrRange", "compute.subnetworks.setPrivateIpGoogleAccess"),
}


def test_the_automation_role_is_what_the_stacks_calls_need(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    needed: set[str] = set()
    answered = Rest.call

    def recording(self: Rest, method: str, url: str, headers: Mapping[str, str] | None = None, **body: Any) -> Answer:
        target = httpx.URL(url)
        sent = HttpRequest(method, target.host, target.path, headers=headers or {}, body=json.dumps(body.get("json")).encode() if body.get("json") else b"")
        if account_of(sent):
            needed.update(required(sent))
        return answered(self, method, url, headers, **body)

    monkeypatch.setattr(Rest, "call", recording)
    stack = stage.stack(in_gcp)
    stack.up()
    stack.destroy()
    assert needed == set(gcp_tenant.STACK_PERMISSIONS) - BEYOND_A_LIFE


def test_a_new_project_is_left_without_the_network_that_google_makes_in_it(stage: Stage, served: Served) -> None:
    stack = stage.stack(in_gcp)
    stack.up()
    networks = served.google("compute", "GET", f"/compute/v1/projects/{PROJECT}/global/networks").json()["items"]
    assert [one["name"] for one in networks] == ["spotlane-europe-west4"]
    assert not [
        one["name"] for one in served.google("compute", "GET", f"/compute/v1/projects/{PROJECT}/global/firewalls").json()["items"] if "allow" in one["name"]
    ]
    stack.destroy()


@pytest.mark.parametrize(("program", "cloud"), [(in_aws, "aws"), (in_azure, "azure"), (in_gcp, "gcp")], ids=["aws", "azure", "gcp"])
def test_a_tenant_with_a_network_and_a_spot_machine_lives_and_goes(program: Callable[[], None], cloud: str, stage: Stage, served: Served) -> None:
    stack = stage.stack(program)
    stack.up()
    [machine] = [one for one in served.control("GET", "/hosts") if one["cloud"] == cloud and one["state"] == "running"]
    stack.refresh()
    assert set(stack.up().summary.resource_changes or {}) == {"same"}
    stack.destroy()
    assert [one["id"] for one in served.control("GET", "/hosts") if one["id"] == machine["id"] and one["state"] == "running"] == []


@pytest.mark.parametrize(
    ("program", "code"),
    [
        (in_aws, "MaxSpotInstanceCountExceeded"),
        (in_azure, "AllocationFailed"),
        pytest.param(in_azure, "SkuNotAvailable", marks=pytest.mark.soak),  # refused by the same call, only sooner
        (in_gcp, "ZONE_RESOURCE_POOL_EXHAUSTED"),
    ],
)
def test_a_refused_machine_leaves_nothing_behind_its_stack(program: Callable[[], None], code: str, stage: Stage, served: Served) -> None:
    def there() -> set[str]:
        """Machines, and what bears the machine's name."""
        named = {one["id"] for one in served.control("GET", "/resources")["resources"] if "web-acme-1" in one["id"]}
        return named | {one["id"] for one in served.control("GET", "/hosts") if one["state"] == "running"}

    before = there()
    number = served.control("POST", "/faults", {"code": code, "count": 1})["id"]
    stack = stage.stack(program)
    try:
        with pytest.raises(CommandError, match=code):
            stack.up()
        [met] = [one["met"] for one in served.control("GET", "/faults") if one["id"] == number]
    finally:
        served.control("DELETE", f"/faults/{number}")
    stack.destroy()
    assert met == 1
    assert there() - before == set()


def test_a_used_up_quota_of_calls_per_minute_is_waited_out(stage: Stage, served: Served) -> None:
    number = served.control("POST", "/faults", {"code": "rateLimitExceeded", "count": 2})["id"]
    stack = stage.stack(in_gcp)
    stack.up()
    [met] = [one["met"] for one in served.control("GET", "/faults") if one["id"] == number]
    stack.destroy()
    assert met == 2
