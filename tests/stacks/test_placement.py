"""A placement: a spot machine without a way in, its boot and its tunnel; secrets stay secret."""

from __future__ import annotations

import base64
import json
from typing import Any

import pulumi
import pytest
import yaml

from stacks.placement import declare
from stacks.settings import SettingsError, load_settings, parse_stack_name
from tests.components.declared import Declared, declared, secret

STACK = "placement.acme.web.3"
REGIONS: dict[str, dict[str, Any]] = {
    "region.acme.aws.eu-west-1": {
        "account_id": "222222222222",
        "role_arn": "arn:aws:iam::222222222222:role/spotlane-automation",
        "subnet_ids": {"eu-west-1a": "subnet-a", "eu-west-1b": "subnet-b"},
        "security_group_id": "sg-1",
        "instance_profile_name": "spotlane-workload-eu-west-1",
    },
    "region.acme.azure.westeurope": {
        "subscription_id": "sub-1",
        "resource_group_name": "spotlane-westeurope",
        "subnet_id": "/subscriptions/sub-1/subnet",
        "identity_id": "/subscriptions/sub-1/identity",
    },
    "region.acme.gcp.europe-west4": {
        "project_id": "spotlane-acme",
        "automation_email": "spotlane-automation@spotlane-acme.iam.gserviceaccount.com",
        "subnetwork_id": "projects/spotlane-acme/subnet",
        "service_account": "wl@acme",
    },
}
OFFERS = {
    "aws": ("eu-west-1", "eu-west-1b", "m7g.large", "arm64"),
    "azure": ("westeurope", "-", "Standard_D2s_v5", "x86_64"),
    "gcp": ("europe-west4", "europe-west4-a", "n2-standard-2", "x86_64"),
}


def document(cloud: str, **machine: Any) -> dict[str, Any]:
    region, zone, instance_type, arch = OFFERS[cloud]
    return {
        "cloud": cloud,
        "region": region,
        "zone": zone,
        "instanceType": instance_type,
        "arch": arch,
        "maxUsdPerHour": 0.05,
        "zoneName": "example.com",
        "cloudflareZoneId": "zone",
        "cloudflareAccountId": "account",
        "tags": {"team": "Web"},
        "machine": {
            "artifactUrl": "https://api.example.com/v1/artifacts/a",
            "artifactDigest": "sha256:" + "0" * 64,
            "command": ["python3", "service.py"],
            "httpPort": 8080,
            "tcpPort": 9000,
            "incidentUrl": "https://api.example.com/v1/incidents",
            "logUrl": "https://api.example.com/v1/logs",
            "placementToken": "placement-token",
            **machine,
        },
    }


def placed(cloud: str) -> Declared:
    return declared(lambda: declare(parse_stack_name(STACK), load_settings(STACK, document(cloud))), STACK, REGIONS)


def boot_settings(user_data: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(yaml.safe_load(user_data)["write_files"][0]["content"])
    return found


@pytest.mark.parametrize("cloud", ["aws", "azure", "gcp"])
def test_the_outputs_name_the_origin_the_machine_and_the_offer(cloud: str) -> None:
    outputs = placed(cloud).outputs
    region, zone, instance_type, _ = OFFERS[cloud]
    assert outputs["origin"] == "https://web-acme-3.origins.example.com"
    assert outputs["tcp_origin"] == "tcp-web-acme-3.origins.example.com"
    assert outputs["offer"] == f"{cloud}/{region}/{zone}/{instance_type}"
    assert outputs["private_ip"].startswith("10.")
    assert outputs["machine_id"]


def test_an_aws_machine_is_an_encrypted_spot_instance_in_the_zones_subnet() -> None:
    run = placed("aws")
    template, instance = run.one("LaunchTemplate"), run.one("Instance")
    spot_options = {"spotInstanceType": "one-time", "instanceInterruptionBehavior": "terminate", "maxPrice": "0.050000"}
    assert template["instanceMarketOptions"] == {"marketType": "spot", "spotOptions": spot_options}
    assert template["metadataOptions"]["httpTokens"] == "required"
    assert template["blockDeviceMappings"][0]["ebs"]["encrypted"] == "true"
    assert template["imageId"] == "resolve:ssm:/aws/service/canonical/ubuntu/server/24.04/stable/current/arm64/hvm/ebs-gp3/ami-id"
    assert instance["subnetId"] == "subnet-b"
    assert instance["launchTemplate"]["version"] == "1"
    tags = {"tenant": "acme", "workload": "web", "placement": "acme_web_3", "managed-by": "spotlane", "team": "Web", "Name": "web-acme-3"}
    assert instance["tags"] == tags
    (provider,) = [args.inputs for args in run.resources if args.typ == "pulumi:providers:aws"]
    assert json.loads(provider["assumeRoles"])[0]["roleArn"] == "arn:aws:iam::222222222222:role/spotlane-automation"


def test_an_azure_machine_is_evicted_by_deletion_and_has_no_public_address() -> None:
    run = placed("azure")
    machine, interface = run.one("VirtualMachine"), run.one("NetworkInterface")
    assert (machine["priority"], machine["evictionPolicy"], machine["billingProfile"]) == ("Spot", "Delete", {"maxPrice": 0.05})
    assert "zones" not in machine
    assert secret(machine["osProfile"])["linuxConfiguration"]["disablePasswordAuthentication"] is True
    assert "publicIPAddress" not in interface["ipConfigurations"][0]


def test_a_gcp_machine_is_spot_and_deleted_when_preempted() -> None:
    machine = placed("gcp").one("Instance")
    assert machine["scheduling"] == {
        "provisioningModel": "SPOT",
        "preemptible": True,
        "automaticRestart": False,
        "onHostMaintenance": "TERMINATE",
        "instanceTerminationAction": "DELETE",
    }
    assert "accessConfigs" not in machine["networkInterfaces"][0]
    assert machine["labels"]["team"] == "web"


@pytest.mark.parametrize("cloud", ["aws", "azure", "gcp"])
def test_the_user_data_carries_both_tokens_and_travels_as_a_secret(cloud: str) -> None:
    run = placed(cloud)
    if cloud == "aws":
        user_data = base64.b64decode(secret(run.one("LaunchTemplate")["userData"])).decode()
    elif cloud == "azure":
        user_data = base64.b64decode(secret(run.one("VirtualMachine")["osProfile"])["customData"]).decode()
    else:
        user_data = secret(run.one("Instance")["metadata"])["user-data"]
    settings = boot_settings(user_data)
    assert (settings["placementToken"], settings["tunnelToken"]) == ("placement-token", "tunnel-token")
    assert (settings["placement"], settings["cloud"], settings["httpPort"]) == ("acme_web_3", cloud, 8080)
    assert settings["logUrl"] == "https://api.example.com/v1/logs"


def test_the_tunnel_leads_http_and_tcp_names_to_the_services_ports() -> None:
    run = placed("aws")
    assert run.one("ZeroTrustTunnelCloudflaredConfig")["config"]["ingresses"] == [
        {"hostname": "web-acme-3.origins.example.com", "service": "http://localhost:8080"},
        {"hostname": "tcp-web-acme-3.origins.example.com", "service": "tcp://localhost:9000"},
        {"service": "http_status:404"},
    ]
    assert {record["name"]: record["content"] for record in run.inputs("DnsRecord")} == {
        "web-acme-3.origins.example.com": "origin-tunnel-id.cfargotunnel.com",
        "tcp-web-acme-3.origins.example.com": "origin-tunnel-id.cfargotunnel.com",
    }


def test_a_zone_without_a_subnet_is_named_with_those_that_have_one() -> None:
    asked = document("aws") | {"zone": "eu-west-1c"}
    with pytest.raises(pulumi.RunError, match=r"'eu-west-1c' among its subnet_ids \(eu-west-1a, eu-west-1b\)"):
        declared(lambda: declare(parse_stack_name(STACK), load_settings(STACK, asked)), STACK, REGIONS)


def test_settings_that_outgrow_user_data_are_refused_before_anything_is_declared() -> None:
    asked = document("aws", env={"BIG": "x" * 20_000})
    with pytest.raises(SettingsError, match="put long values"):
        declare(parse_stack_name(STACK), load_settings(STACK, asked))


@pytest.mark.parametrize(("cloud", "machine", "tags"), [("aws", "LaunchTemplate", "tags"), ("azure", "VirtualMachine", "tags"), ("gcp", "Instance", "labels")])
def test_a_machine_that_is_bought_on_demand_says_so_by_a_tag_that_no_spot_machine_has(cloud: str, machine: str, tags: str) -> None:
    bought = document(cloud) | {"capacityType": "on-demand", "maxUsdPerHour": None}
    run = declared(lambda: declare(parse_stack_name(STACK), load_settings(STACK, bought)), STACK, REGIONS)
    assert ("on-demand" in run.one(machine)[tags], "on-demand" in placed(cloud).one(machine)[tags]) == (True, False)
