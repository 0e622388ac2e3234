"""Machines aren't exposed: public addresses, firewalls open to or from the internet."""

from __future__ import annotations

from collections.abc import Iterator

from domain.boundary.call import Call
from domain.boundary.compiled import CompiledBoundary
from domain.boundary.finding import Finding
from domain.boundary.rules.traits import judge_trait

RULE = "network"


def judge_network(boundary: CompiledBoundary, call: Call) -> Iterator[Finding]:
    """Refuses public addresses (relays keep theirs where the boundary says ``relay``) and ingress from anywhere; egress to anywhere."""
    wants = boundary.boundary.network
    if wants.public_addresses == "none" or (wants.public_addresses == "relay" and not _is_relay(call)):
        yield from judge_trait(
            call, "public-address", wanted=False, rule=RULE, severity="high", fault="gets a public address", mend="Reach the machine through its tunnel."
        )
    if not wants.open_ingress:
        yield from judge_trait(
            call, "open-ingress", wanted=False, rule=RULE, severity="high", fault="admits the whole internet", mend="Name the sources, or leave ingress closed."
        )
    if not wants.open_egress:
        yield from judge_trait(
            call, "open-egress", wanted=False, rule=RULE, severity="medium", fault="lets machines reach the whole internet", mend="Name the destinations."
        )


def _is_relay(call: Call) -> bool:
    return any(name == "relay" or name.startswith("relay-") for name in call.names)
