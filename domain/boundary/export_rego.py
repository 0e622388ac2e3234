"""The boundary for other engines: as Rego over our normalised call, and as Kivera rules (Rego over the request, by provider).

They say where, and what of machines a request shows; placement, pack and proxy stay what decides. Written for Rego of both generations (no ``if``, no ``in``).
"""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

from domain.boundary.compiled import CompiledBoundary
from domain.boundary.export import GLOBAL_AWS_ACTIONS

_KIVERA_CONTROLS = {"residency": ["GDPR Art. 44", "NIST AC-4"], "spot": [], "network": ["CIS 5.2"]}


def rego(boundary: CompiledBoundary) -> str:
    """Package ``spotlane.boundary``: ``deny`` is the set of rules that refuse ``input``.

    That is a call as ``domain.boundary.call.Call`` in JSON, with ``now`` (RFC 3339, UTC).
    """
    document = boundary.boundary
    lines = [
        "package spotlane.boundary",
        "",
        f"# {document.name} version {document.version}, {boundary.digest}",
        f"digest = {json.dumps(boundary.digest)}",
        "",
        f"regions = {json.dumps({cloud: dict.fromkeys(boundary.allowed(cloud), True) for cloud in document.clouds}, indent=2)}",
        "",
        f"opened = {json.dumps(_opened(boundary), indent=2)}",
        "",
        "default allow = false",
        "",
        "allow { count(deny) == 0 }",
        "",
        'judged { input.access == "write" }',
        'judged { input.access == "read"; not input.resource }',
        "",
        'deny["cloud"] { judged; not regions[input.cloud] }',
        'deny["residency"] { judged; region := input.regions[_].value; not inside(region) }',
        'deny["residency"] { input.access == "write"; input.scope == "regional"; count(input.regions) == 0 }',
        "",
        "inside(region) { regions[input.cloud][region] }",
        'inside(region) { opened[concat("/", [input.cloud, region])] >= input.now }',
        "",
    ]
    for rule, trait, wanted in _traits(boundary):
        lines.append(
            f'deny[{json.dumps(rule)}] {{ input.access == "write"; some i; input.traits[i].name == {json.dumps(trait)}; input.traits[i].holds != {wanted} }}'
        )
    for tag in document.required_tags:
        lines.append(f'deny["tags"] {{ input.access == "write"; is_array(input.tags); not tagged({json.dumps(tag.lower())}) }}')
    if document.required_tags:
        lines += ["", "tagged(key) { some i; tag := input.tags[i]; lower(tag) == key }"]
    return "\n".join(lines) + "\n"


def _traits(boundary: CompiledBoundary) -> list[tuple[str, str, str]]:
    document = boundary.boundary
    asked = [
        (document.encryption.disks or document.encryption.customer_keys, "encryption", "disk-encrypted", "true"),
        (document.encryption.customer_keys, "encryption", "customer-key", "true"),
        (document.network.public_addresses == "none", "network", "public-address", "false"),
        (not document.network.open_ingress, "network", "open-ingress", "false"),
        (not document.network.open_egress, "network", "open-egress", "false"),
        (document.spot_only, "spot", "spot", "true"),
        (document.network.instance_metadata_v2, "instance-metadata", "instance-metadata-v2", "true"),
    ]
    return [(rule, trait, wanted) for asks, rule, trait, wanted in asked if asks]


def _opened(boundary: CompiledBoundary) -> dict[str, str]:
    """Regions that exemptions open, each with its last end."""
    return {
        f"{cloud}/{name}": f"{max(one.expires for one in exemptions).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        for (cloud, name), exemptions in sorted(boundary.exemptions.items())
    }


def kivera_rules(boundary: CompiledBoundary) -> list[dict[str, Any]]:
    """Kivera rules, one a provider: ``valid`` holds where the request's place is inside. Their input is ``{Host, Path, Qs, Body, Headers}``."""
    found: list[dict[str, Any]] = []
    services = sorted({action.partition(":")[0] for action in GLOBAL_AWS_ACTIONS})
    for cloud, provider, body in (("aws", "aws", _kivera_aws(services)), ("azure", "azure", _kivera_azure()), ("gcp", "gcp", _kivera_gcp())):
        allowed = f"allowed = {json.dumps(dict.fromkeys(boundary.allowed(cloud), True))}"
        found.append(
            {
                "provider": provider,
                "service": "*",
                "actions": ["*"],
                "policy": "\n".join([f"# {boundary.boundary.name} {boundary.digest}", allowed, "", "default valid = false", "", *body]) + "\n",
                "enforce": True,
                "log-request-body": False,
                "tags": [f"boundary:{boundary.boundary.name}", f"digest:{boundary.digest.removeprefix('sha256:')[:12]}"],
                "compliance-mappings": _KIVERA_CONTROLS["residency"],
            }
        )
    return found


def _kivera_aws(services: list[str]) -> list[str]:
    return [
        f"global = {json.dumps(dict.fromkeys(services, True))}",
        'labels = split(input.Host, ".")',
        'valid { count(labels) >= 4; labels[count(labels) - 2] == "amazonaws"; allowed[labels[count(labels) - 3]] }',
        "valid { global[labels[0]] }",
    ]


def _kivera_azure() -> list[str]:
    return [
        'valid { input.Host == "management.azure.com"; place := replace(lower(input.Body.location), " ", ""); allowed[place] }',
        'valid { input.Host == "management.azure.com"; not input.Body.location }',
    ]


def _kivera_gcp() -> list[str]:
    return [
        'parts = split(input.Path, "/")',
        'valid { endswith(input.Host, "googleapis.com"); not placed }',
        'valid { endswith(input.Host, "googleapis.com"); placed; not outside }',
        'placed { parts[_] == "zones" }',
        'placed { parts[_] == "regions" }',
        'outside { some i; parts[i] == "regions"; not allowed[parts[i + 1]] }',
        'outside { some i; parts[i] == "zones"; not allowed[substring(parts[i + 1], 0, count(parts[i + 1]) - 2)] }',
    ]
