"""Builders of passing resources as the engine shows them to a pack; a test changes one field."""

from __future__ import annotations

import copy
import json
from datetime import datetime
from typing import Any

from pulumi_policy import PolicyCustomTimeouts, PolicyProviderResource, PolicyResourceOptions, ResourceValidationArgs
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, unknown_checking_proxy

from policies.packs.policies import judge_resource

UNKNOWN = UNKNOWN_STRING_VALUE

STRICT = {
    "name": "strict-eu",
    "residency": {"regimes": ["gdpr"]},
    "spotOnly": True,
    "encryption": {"disks": True},
    "network": {"publicAddresses": "none", "openIngress": False, "instanceMetadataV2": True},
    "requiredTags": ["tenant"],
}

AWS_INSTANCE = (
    "aws:ec2/instance:Instance",
    {
        "region": "eu-west-1",
        "instanceType": "m5.large",
        "instanceMarketOptions": {"marketType": "spot"},
        "associatePublicIpAddress": False,
        "metadataOptions": {"httpTokens": "required"},
        "rootBlockDevice": {"encrypted": True},
        "userDataBase64": "aHVudGVyMg==",
        "tags": {"tenant": "acme"},
    },
)
AZURE_MACHINE = (
    "azure-native:compute:VirtualMachine",
    {
        "location": "westeurope",
        "priority": "Spot",
        "storageProfile": {"osDisk": {"createOption": "FromImage", "managedDisk": {"storageAccountType": "Premium_LRS"}}},
        "tags": {"tenant": "acme"},
    },
)
GCP_INSTANCE = (
    "gcp:compute/instance:Instance",
    {
        "zone": "europe-west1-b",
        "scheduling": {"provisioningModel": "SPOT", "preemptible": True},
        "bootDisk": {"initializeParams": {"image": "projects/debian-cloud/global/images/family/debian-12"}},
        "networkInterfaces": [{"subnetwork": "https://www.googleapis.com/compute/v1/projects/acme-1/regions/europe-west1/subnetworks/a"}],
        "labels": {"tenant": "acme"},
    },
)


def changed(resource: tuple[str, dict[str, Any]], **fields: Any) -> tuple[str, dict[str, Any]]:
    """The resource with fields set, or left out where the value is None."""
    kind, inputs = resource
    inputs = {**copy.deepcopy(inputs), **fields}
    return kind, {key: value for key, value in inputs.items() if value is not None}


def judged(
    resource: tuple[str, dict[str, Any]],
    stack: str = "placement.acme.web.1",
    document: dict[str, Any] | None = None,
    provider: dict[str, Any] | None = None,
    now: datetime | None = None,
    pack: str = "boundary",
    **config: Any,
) -> list[str]:
    """What the boundary policy reports of the resource."""
    kind, inputs = resource
    messages: list[str] = []

    def report(message: str, urn: str | None = None) -> None:
        messages.append(message)

    args = ResourceValidationArgs(
        resource_type=kind,
        props=unknown_checking_proxy(inputs),
        urn=f"urn:pulumi:{stack}::spotlane::{kind}::web",
        name="web",
        opts=PolicyResourceOptions(False, [], None, [], PolicyCustomTimeouts(0, 0, 0), [], None),
        provider=PolicyProviderResource(f"pulumi:providers:{kind.split(':')[0]}", unknown_checking_proxy(provider), "urn", "p") if provider else None,
        config=json.loads(json.dumps({"boundary": document or STRICT, "tenant": "acme", **config})),
    )
    judge_resource(args, report, now, pack)
    return messages
