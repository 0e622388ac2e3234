"""A test of one's own code against a platform in memory; pytest finds the fixtures by itself where `spotlane` is installed."""

from __future__ import annotations

from spotlane import wire
from spotlane.client import Client
from spotlane.testing import FakePlatform

SPEC = wire.WorkloadSpec.model_validate(
    {"artifact": {"digest": "sha256:" + "0" * 64, "sizeBytes": 1}, "command": ["python3", "service.py"], "ports": {"http": 8080}}
)


def test_a_cheaper_region_is_taken(spotlane_client: Client, spotlane_platform: FakePlatform) -> None:
    tenant = wire.Tenant(id="acme", boundary={}, boundary_digest="sha256:" + "0" * 64)
    spotlane_client.put_tenant(tenant)
    spotlane_client.put_workload("web-acme", SPEC)
    spotlane_platform.market.price("aws/eu-west-1/eu-west-1a/m5.large", 0.005)
    spotlane_platform.tick()
    placed = spotlane_client.workload("web-acme").placement
    assert placed is not None and placed.offer.region == "eu-west-1"
