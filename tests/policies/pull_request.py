"""A pull request that moves a workload to a forbidden region, opens a port and drops encryption; previewed by the real engine."""

from __future__ import annotations

from typing import Any

BOUNDARY: dict[str, Any] = {
    "name": "acme-eu",
    "residency": {"regimes": ["gdpr"]},
    "encryption": {"disks": True},
    "network": {"publicAddresses": "none", "openIngress": False},
    "spotOnly": True,
    "exemptions": [
        {"rule": "network", "resource": "legacy-*", "owner": "ops@acme.example", "reason": "until the old VPN is gone", "expires": "2099-12-31"},
        {"rule": "spot", "resource": "web", "owner": "ops@acme.example", "reason": "was a launch", "expires": "2026-01-31"},
    ],
}

PROGRAM = """
import pulumi
from pulumi.runtime.rpc import UNKNOWN

def declare(kind, name, **props):
    pulumi.ComponentResource(kind, name, props).register_outputs(props)

declare(
    "aws:ec2/instance:Instance", "web", region={region!r}, instanceType="m7g.large", subnetId="subnet-1", instanceMarketOptions={{"marketType": "spot"}},
    rootBlockDevice={{"encrypted": {encrypted}}}, userData=pulumi.Output.secret("hunter2"), tags={{"tenant": "acme", "Name": "web"}},
)
declare("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "ingress", region="eu-west-1", cidrIpv4={cidr!r}, fromPort=22, toPort=22)
declare("aws:ec2/instance:Instance", "old", region="eu-west-1", instanceType="m7g.large", subnetId="subnet-1", associatePublicIpAddress=True,
    instanceMarketOptions={{"marketType": {market}}}, rootBlockDevice={{"encrypted": True}}, tags={{"tenant": "acme", "Name": "legacy-old"}})
"""

BEFORE = PROGRAM.format(region="eu-west-1", encrypted=True, cidr="10.0.0.0/8", market='"spot"')
AFTER = PROGRAM.format(region="us-east-1", encrypted=False, cidr="0.0.0.0/0", market="UNKNOWN if pulumi.runtime.is_dry_run() else 'spot'")

PRICES: dict[str, Any] = {
    "marketNow": "2026-11-24T12:00:00Z",
    "quotes": [
        {"offer": {"cloud": "aws", "region": region, "zone": f"{region}a", "instanceType": "m7g.large"}, "spotUsdPerHour": spot, "onDemandUsdPerHour": "0.09",
         "source": "test", "observedAt": "2026-11-24T12:00:00Z"}
        for region, spot in (("eu-west-1", "0.04"), ("us-east-1", "0.02"))
    ],
}  # fmt: skip
