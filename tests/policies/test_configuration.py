"""Hygiene of single settings: each case is a resource as it should be and the one change that a rule reports."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi_policy.proxy import UnknownValueError

from policies.packs.catalogue import rules_of
from policies.packs.configuration import JUDGES
from tests.policies.resources import UNKNOWN, judged

BLOCK = {"blockPublicAcls": True, "blockPublicPolicy": True, "ignorePublicAcls": True, "restrictPublicBuckets": True, "region": "eu-west-1"}
ACCOUNT = {"location": "westeurope", "allowBlobPublicAccess": False, "minimumTlsVersion": "TLS1_2", "enableHttpsTrafficOnly": True}
GCE = {"zone": "europe-west1-b", "labels": {"tenant": "acme"}}
INSTANCE = "gcp:compute/instance:Instance"
LOGIN = {"location": "westeurope", "tags": {"tenant": "acme"}, "priority": "Regular"}
MACHINE = "azure-native:compute:VirtualMachine"

Case = tuple[str, str, dict[str, Any], dict[str, Any], str]
CASES: list[Case] = [
    ("bucket-public", "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", BLOCK, {"blockPublicPolicy": False}, "blockPublicPolicy"),
    ("bucket-public", "aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock", BLOCK, {"ignorePublicAcls": None}, "ignorePublicAcls"),
    ("bucket-public", "azure-native:storage:StorageAccount", ACCOUNT, {"allowBlobPublicAccess": True}, "allowBlobPublicAccess"),
    ("bucket-public", "gcp:storage/bucket:Bucket", {"location": "EU", "publicAccessPrevention": "enforced"},
        {"publicAccessPrevention": "inherited"}, "publicAccessPrevention"),
    ("plain-transport", "azure-native:storage:StorageAccount", ACCOUNT, {"enableHttpsTrafficOnly": False}, "enableHttpsTrafficOnly"),
    ("plain-transport", "azure-native:storage:StorageAccount", ACCOUNT, {"minimumTlsVersion": "TLS1_0"}, "minimumTlsVersion"),
    ("plain-transport", "azure-native:storage:StorageAccount", ACCOUNT, {"minimumTlsVersion": None}, "minimumTlsVersion"),
    ("database-public", "aws:rds/instance:Instance", {"region": "eu-west-1"}, {"publiclyAccessible": True}, "publiclyAccessible"),
    ("database-public", "gcp:sql/databaseInstance:DatabaseInstance", {"settings": {"ipConfiguration": {"ipv4Enabled": False}}},
        {"settings": {}}, "settings.ipConfiguration.ipv4Enabled"),
    ("interactive-login", MACHINE, LOGIN, {"osProfile": {"linuxConfiguration": {"disablePasswordAuthentication": False}}},
        "osProfile.linuxConfiguration.disablePasswordAuthentication"),
    ("interactive-login", INSTANCE, GCE, {"metadata": {"serial-port-enable": "TRUE"}}, "metadata.serial-port-enable"),
    ("unshielded", INSTANCE, GCE | {"shieldedInstanceConfig": {"enableVtpm": True}}, {"shieldedInstanceConfig": {"enableVtpm": False}},
        "shieldedInstanceConfig.enableVtpm"),
    ("ip-forwarding", INSTANCE, GCE, {"canIpForward": True}, "canIpForward"),
    ("ip-forwarding", "azure-native:network:NetworkInterface", {"location": "westeurope"}, {"enableIPForwarding": True}, "enableIPForwarding"),
    ("ip-forwarding", "aws:ec2/networkInterface:NetworkInterface", {"region": "eu-west-1"}, {"sourceDestCheck": False}, "sourceDestCheck"),
    ("default-identity", INSTANCE, GCE | {"serviceAccount": {"email": "web@acme-1.iam.gserviceaccount.com"}},
        {"serviceAccount": {"email": "1-compute@developer.gserviceaccount.com"}}, "serviceAccount.email"),
    ("default-identity", INSTANCE, GCE, {"serviceAccount": {"scopes": ["cloud-platform"]}}, "serviceAccount.email"),
    ("key-rotation", "aws:kms/key:Key", {"region": "eu-west-1", "enableKeyRotation": True}, {"enableKeyRotation": None}, "enableKeyRotation"),
    ("key-rotation", "gcp:kms/cryptoKey:CryptoKey", {"rotationPeriod": "7776000s"}, {"rotationPeriod": None}, "rotationPeriod"),
    ("flow-logs", "gcp:compute/subnetwork:Subnetwork", {"region": "europe-west1", "logConfig": {}}, {"logConfig": None}, "logConfig"),
]  # fmt: skip


def rules(kind: str, inputs: dict[str, Any]) -> list[tuple[str, str]]:
    """Rule and path of each message of the pack."""
    messages = judged((kind, {key: value for key, value in inputs.items() if value is not None}), pack="hygiene")
    return [(message[1 : message.index("]")], message.rpartition("(")[2].rstrip(")") if message.endswith(")") else "") for message in messages]


@pytest.mark.parametrize(("rule", "kind", "good", "change", "path"), CASES, ids=[f"{case[0]} {number}" for number, case in enumerate(CASES)])
def test_one_change_is_reported_by_its_rule_and_path(rule: str, kind: str, good: dict[str, Any], change: dict[str, Any], path: str) -> None:
    assert not {found for found, _ in rules(kind, good)} & JUDGES.keys()
    assert [one for one in rules(kind, good | change) if one[0] in JUDGES] == [(rule, path)]


@pytest.mark.parametrize("kind", ["aws:iam/accessKey:AccessKey", "gcp:serviceaccount/key:Key"])
def test_a_credential_without_an_end_is_reported_by_being_there(kind: str) -> None:
    assert rules(kind, {"user": "u"}) == [("static-key", "")]


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        ("aws:kms/key:Key", {"customerMasterKeySpec": "RSA_2048", "keyUsage": "SIGN_VERIFY"}),
        ("gcp:kms/cryptoKey:CryptoKey", {"purpose": "ASYMMETRIC_SIGN"}),
        ("gcp:compute/subnetwork:Subnetwork", {"purpose": "REGIONAL_MANAGED_PROXY"}),
    ],
)
def test_what_the_cloud_can_not_do_is_not_asked_for(kind: str, inputs: dict[str, Any]) -> None:
    assert rules(kind, inputs) == []


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        ("azure-native:storage:StorageAccount", ACCOUNT | {"allowBlobPublicAccess": UNKNOWN}),
        ("gcp:storage/bucket:Bucket", {"publicAccessPrevention": UNKNOWN}),
        ("aws:rds/instance:Instance", {"publiclyAccessible": UNKNOWN}),
        (INSTANCE, GCE | {"metadata": {"serial-port-enable": UNKNOWN}}),
    ],
)
def test_what_is_unknown_until_apply_is_judged_there(kind: str, inputs: dict[str, Any]) -> None:
    with pytest.raises(UnknownValueError):
        rules(kind, inputs)


def test_every_rule_here_is_hygiene_and_has_a_case() -> None:
    assert JUDGES.keys() <= rules_of("hygiene")
    assert {case[0] for case in CASES} | {"static-key"} == JUDGES.keys()
