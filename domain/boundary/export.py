"""The boundary in the clouds' own words: an AWS service control policy, Azure's allowed locations, Google's resource locations.

They are the second lock behind the pack and the proxy, set by the tenant's stack; they say where, not how.
"""

from __future__ import annotations

import json
from typing import Any

from domain.boundary.compiled import CompiledBoundary

# Services without a region of their own, served from us-east-1: the list of AWS's sample "Deny access to AWS based on the requested Region"
# (Organizations user guide), as far as the platform's accounts use them.
GLOBAL_AWS_ACTIONS: tuple[str, ...] = (
    "account:*",
    "aws-portal:*",
    "budgets:*",
    "ce:*",
    "cloudfront:*",
    "cur:*",
    "globalaccelerator:*",
    "health:*",
    "iam:*",
    "organizations:*",
    "pricing:*",
    "route53:*",
    "shield:*",
    "sts:*",
    "support:*",
    "tag:*",
    "trustedadvisor:*",
)

SCP_LIMIT_CHARACTERS = 5120
"""Quota of AWS Organizations for one service control policy."""


def service_control_policy(boundary: CompiledBoundary) -> dict[str, Any]:
    """The SCP document that denies every region but the allowed ones. With no allowed region it denies everything regional."""
    allowed = list(boundary.allowed("aws"))
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "OutsideBoundary",
                "Effect": "Deny",
                "NotAction": list(GLOBAL_AWS_ACTIONS),
                "Resource": "*",
                **({"Condition": {"StringNotEquals": {"aws:RequestedRegion": allowed}}} if allowed else {}),
            }
        ],
    }


def service_control_policy_json(boundary: CompiledBoundary) -> str:
    """The SCP as compact JSON, as Organizations counts it."""
    return json.dumps(service_control_policy(boundary), separators=(",", ":"))


def azure_allowed_locations(boundary: CompiledBoundary) -> list[str]:
    """``listOfAllowedLocations`` of Azure's built-in policy "Allowed locations" (definition e56962a6-4747-49cd-b67b-bf8b01975c4c)."""
    return list(boundary.allowed("azure"))


def gcp_resource_locations(boundary: CompiledBoundary) -> list[str]:
    """``allowedValues`` of the constraint ``constraints/gcp.resourceLocations``. Single regions as ``in:<region>-locations`` value groups, which also cover
    their zones. Empty: deny all."""
    return [f"in:{region}-locations" for region in boundary.allowed("gcp")]
