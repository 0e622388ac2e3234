"""Placement, policy pack and inline proxy are of one mind about every region of every cloud."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from domain.boundary.compiled import compile
from domain.boundary.model import CLOUDS, load
from domain.boundary.regions import regions
from policies.proxy.books import Books
from policies.proxy.hosts import classify
from policies.proxy.judge import judge
from policies.proxy.request import ApiRequest
from tests.policies.resources import judged

NOW = datetime(2026, 11, 24, tzinfo=UTC)
SUBSCRIPTION = "0b1f6471-1bf0-4dda-aec3-111122223333"
BOUNDARIES: list[dict[str, Any]] = [
    {"name": "eu", "residency": {"regimes": ["gdpr"]}},
    {"name": "us", "residency": {"countries": ["US"]}},
    {"name": "anywhere", "partitions": ["aws", "aws-us-gov", "aws-cn", "aws-eusc", "AzureCloud", "AzureUSGovernment", "AzureChinaCloud", "google"]},
]
PLACES = [*regions(), ("aws", "us-iso-east-1"), ("azure", "eastus2euap"), ("gcp", "us-east7")]

PULUMI: dict[str, tuple[str, str]] = {
    "aws": ("aws:ec2/subnet:Subnet", "region"),
    "azure": ("azure-native:network:VirtualNetwork", "location"),
    "gcp": ("gcp:compute/subnetwork:Subnetwork", "region"),
}


def _books(tmp_path: Path, document: dict[str, Any]) -> Books:
    tenants = tmp_path / "tenants"
    tenants.mkdir()
    accounts = {"aws": ["123456789012"], "azure": [SUBSCRIPTION], "gcp": ["acme-1"]}
    (tenants / "acme.json").write_text(json.dumps({"tenant": "acme", "boundary": document, "accounts": accounts}))
    books = Books(tmp_path)
    books.learn_session("ASIATENANT", "123456789012")
    return books


def _request(cloud: str, region: str) -> ApiRequest:
    """The API call that makes a network in the region."""
    if cloud == "aws":
        headers = {
            "authorization": f"AWS4-HMAC-SHA256 Credential=ASIATENANT/20261124/{region}/ec2/aws4_request, SignedHeaders=host, Signature=0",
            "content-type": "application/x-www-form-urlencoded",
        }
        form = urlencode({"Action": "CreateSubnet", "VpcId": "vpc-1", "CidrBlock": "10.0.0.0/24"})
        return ApiRequest("POST", f"ec2.{region}.amazonaws.com", "/", "", headers, form.encode())
    if cloud == "azure":
        path = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/web/providers/Microsoft.Network/virtualNetworks/web"
        return ApiRequest("PUT", "management.azure.com", path, "api-version=2024-05-01", {}, json.dumps({"location": region, "properties": {}}).encode())
    path = f"/compute/v1/projects/acme-1/regions/{region}/subnetworks"
    return ApiRequest("POST", "compute.googleapis.com", path, "", {}, b'{"name": "web", "ipCidrRange": "10.0.0.0/24"}')


@pytest.mark.parametrize("document", BOUNDARIES, ids=lambda document: str(document["name"]))
def test_placement_pack_and_proxy_agree_on_every_region(tmp_path: Path, document: dict[str, Any]) -> None:
    compiled = compile(load(document))
    books = _books(tmp_path, document)
    verdicts: dict[tuple[str, str], tuple[bool, bool, bool]] = {}
    for cloud, region in PLACES:
        kind, field = PULUMI[cloud]
        request = _request(cloud, region)
        host = classify(request.host)
        assert host is not None
        verdicts[cloud, region] = (
            compiled.allows(cloud, region),
            judged((kind, {field: region}), document=document) == [],
            judge(request, host, "platform", books, NOW).allowed,
        )
    assert {place: verdict for place, verdict in verdicts.items() if len(set(verdict)) > 1} == {}
    assert sum(placement for placement, _, _ in verdicts.values()) == {"eu": 32, "us": 22, "anywhere": 150}[str(document["name"])]
    assert all(any(verdict[0] for place, verdict in verdicts.items() if place[0] == cloud) for cloud in CLOUDS)
