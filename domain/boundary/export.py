"""The boundary in the clouds' own words: an AWS service control policy, Azure's allowed locations, Google's resource locations.

They are the second lock behind the pack and the proxy, set by the tenant's stack; they say where, not how.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
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
    """The SCP document that denies every region but the allowed ones. With no allowed region it denies everything regional.

    A region that an exemption from residency opens closes by itself at its end (``aws:CurrentTime``).
    """
    reprieves = _reprieves(boundary, "aws")
    allowed = sorted({*boundary.allowed("aws"), *reprieves})
    statements = [_denied("OutsideBoundary", {"StringNotEquals": {"aws:RequestedRegion": allowed}} if allowed else {})]
    for end in sorted(set(reprieves.values())):
        ended = sorted(region for region, expires in reprieves.items() if expires == end)
        after = {"StringEquals": {"aws:RequestedRegion": ended}, "DateGreaterThan": {"aws:CurrentTime": f"{end.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"}}
        statements.append(_denied(f"ExemptionEnded{len(statements)}", after))
    return {"Version": "2012-10-17", "Statement": statements}


def _denied(sid: str, condition: dict[str, Any]) -> dict[str, Any]:
    statement: dict[str, Any] = {"Sid": sid, "Effect": "Deny", "NotAction": list(GLOBAL_AWS_ACTIONS), "Resource": "*"}
    return statement | ({"Condition": condition} if condition else {})


def _reprieves(boundary: CompiledBoundary, cloud: str) -> dict[str, datetime]:
    """The regions that only exemptions open, each with the last end."""
    return {
        name: max(one.expires for one in exemptions)
        for (of, name), exemptions in boundary.exemptions.items()
        if of == cloud and (refusal := boundary.refusal(of, name)) is not None and refusal.rule == "residency"
    }


def service_control_policy_json(boundary: CompiledBoundary) -> str:
    """The SCP as compact JSON, as Organizations counts it."""
    return json.dumps(service_control_policy(boundary), separators=(",", ":"))


def azure_allowed_locations(boundary: CompiledBoundary) -> list[str]:
    """``listOfAllowedLocations`` of Azure's built-in policy "Allowed locations" (definition e56962a6-4747-49cd-b67b-bf8b01975c4c).

    Azure's and Google's lists know no date: a region that an exemption opens stays in them until the document drops it. Pack and proxy close it in time.
    """
    return sorted({*boundary.allowed("azure"), *_reprieves(boundary, "azure")})


def gcp_resource_locations(boundary: CompiledBoundary) -> list[str]:
    """``allowedValues`` of the constraint ``constraints/gcp.resourceLocations``. Single regions as ``in:<region>-locations`` value groups, which also cover
    their zones. Empty: deny all."""
    return [f"in:{region}-locations" for region in sorted({*boundary.allowed("gcp"), *_reprieves(boundary, "gcp")})]
