"""Placement: a problem in, a plan with its evidence out."""

from domain.placement.engine import plan
from domain.placement.plan import (
    Alternative,
    Current,
    Demand,
    Deploy,
    Evidence,
    Move,
    NoOffer,
    PlacementPlan,
    Problem,
    Reason,
    Settings,
    Stay,
    Trigger,
    Verdict,
)

__all__ = [
    "Alternative",
    "Current",
    "Demand",
    "Deploy",
    "Evidence",
    "Move",
    "NoOffer",
    "PlacementPlan",
    "Problem",
    "Reason",
    "Settings",
    "Stay",
    "Trigger",
    "Verdict",
    "plan",
]
