"""Machines are spot machines."""

from __future__ import annotations

from collections.abc import Iterator

from domain.boundary.call import Call
from domain.boundary.compiled import CompiledBoundary
from domain.boundary.finding import Finding
from domain.boundary.rules.traits import judge_trait

RULE = "spot"


def judge_spot(boundary: CompiledBoundary, call: Call) -> Iterator[Finding]:
    """Refuses on-demand machines where the boundary is spot only."""
    if boundary.boundary.spot_only:
        yield from judge_trait(
            call,
            "spot",
            wanted=True,
            rule=RULE,
            severity="high",
            fault="is an on-demand machine",
            mend="Ask for spot capacity (AWS instanceMarketOptions, Azure priority Spot, GCP provisioningModel SPOT).",
        )
