"""Disks are encrypted, by the customer's keys where the boundary asks for it."""

from __future__ import annotations

from collections.abc import Iterator

from domain.boundary.call import Call
from domain.boundary.compiled import CompiledBoundary
from domain.boundary.finding import Finding
from domain.boundary.rules.traits import judge_trait

RULE = "encryption"


def judge_encryption(boundary: CompiledBoundary, call: Call) -> Iterator[Finding]:
    """Refuses disks in clear, and disks under the cloud's own keys where customer keys are asked for."""
    wants = boundary.boundary.encryption
    if wants.disks or wants.customer_keys:
        yield from judge_trait(
            call,
            "disk-encrypted",
            wanted=True,
            rule=RULE,
            severity="high",
            fault="has a disk that isn't encrypted",
            mend="Encrypt every disk, the root disk too.",
        )
    if wants.customer_keys:
        yield from judge_trait(
            call, "customer-key", wanted=True, rule=RULE, severity="high", fault="has a disk under the cloud's own key", mend="Name a customer-managed key."
        )
