"""Machines aren't exposed: public addresses, firewalls open to the internet."""

from __future__ import annotations

from collections.abc import Iterator

from domain.boundary.call import Call
from domain.boundary.compiled import CompiledBoundary
from domain.boundary.finding import Finding
from domain.boundary.rules.traits import judge_trait

RULE = "network"


def judge_network(boundary: CompiledBoundary, call: Call) -> Iterator[Finding]:
    """Refuses public addresses (relays keep theirs where the boundary says ``relay``) and ingress from anywhere."""
    wants = boundary.boundary.network
    if wants.public_addresses == "none" or (wants.public_addresses == "relay" and "relay" not in call.resource):
        yield from judge_trait(
            call, "public-address", wanted=False, rule=RULE, severity="high", fault="gets a public address", mend="Reach the machine through its tunnel."
        )
    if not wants.open_ingress:
        yield from judge_trait(
            call, "open-ingress", wanted=False, rule=RULE, severity="high", fault="admits the whole internet", mend="Name the sources, or leave ingress closed."
        )
