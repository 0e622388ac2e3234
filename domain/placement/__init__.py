"""Placement: a problem in, a plan with its evidence out."""

from domain.placement.engine import plan
from domain.placement.plan import (
    Alternative,
    Current,
    Demand,
    Deploy,
    Evidence,
    Hurdle,
    Move,
    MoveCost,
    NoOffer,
    PlacementPlan,
    Problem,
    Reason,
    Settings,
    Stay,
    Trigger,
    Verdict,
)
from domain.placement.switching import Regret
from domain.placement.volatility import Volatility

__all__ = [
    "Alternative",
    "Current",
    "Demand",
    "Deploy",
    "Evidence",
    "Hurdle",
    "Move",
    "MoveCost",
    "NoOffer",
    "PlacementPlan",
    "Problem",
    "Reason",
    "Regret",
    "Settings",
    "Stay",
    "Trigger",
    "Verdict",
    "Volatility",
    "plan",
]
