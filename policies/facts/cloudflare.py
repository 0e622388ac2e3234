"""Cloudflare resources (``cloudflare:…``) as calls: they belong to the edge, which has no region of a cloud."""

from __future__ import annotations

from policies.facts.resource import Facts, Resource, known_text


def facts(resource: Resource) -> Facts:
    """What the boundary's rules need to know of the resource."""
    return Facts(scope="global", account=known_text(resource.inputs.get("accountId")))
