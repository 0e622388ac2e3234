"""``placement``: CPU time of a decision over the whole catalogue, and whether it is the true optimum (against a scan in plain Python)."""

from __future__ import annotations

import random
import resource
import time
from datetime import UTC, datetime

from benchmarks.report import Result
from domain.catalog import CATALOG
from domain.offers import Offers
from domain.placement.engine import plan
from domain.placement.plan import Demand, Deploy, Problem
from domain.prices import Quote
from domain.workload import PlacementRules, Requirements

SAMPLES = 1000
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_CHECKED = 200


def run(samples: int) -> Result:
    """First placements of ``samples`` workloads over every offer of the catalogue, prices drawn from a fixed seed."""
    draw = random.Random(7)
    quotes = [Quote(offer, draw.uniform(0.005, 0.5), draw.uniform(0.5, 1.5), "benchmark", _NOW) for offer in CATALOG.offers()]
    offers = Offers.quoted(quotes)
    demands = tuple(
        Demand(f"w{number}-t", Requirements(draw.choice([1, 2, 4, 8]), draw.choice([2.0, 4.0, 8.0, 16.0])), PlacementRules(), lambda cloud, region: None)
        for number in range(samples)
    )
    begun = time.process_time()
    verdicts = plan(Problem(_NOW, offers, demands)).verdicts
    seconds = time.process_time() - begun
    wrong = 0
    for demand, verdict in list(zip(demands, verdicts, strict=True))[:_CHECKED]:
        fitting = [offer for offer in offers if demand.needs.fits(offer.machine)]
        cheapest = min(fitting, key=lambda offer: (offer.quote.spot, offer.ref))
        wrong += not (isinstance(verdict, Deploy) and verdict.offer == cheapest.ref)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    claims = {"ms_per_task": seconds * 1000 / samples, "peak_gib": peak, "suboptimal_choices": wrong, "tasks": samples, "offers": len(offers)}
    return Result("placement", claims, samples, {"seed": 7, "checked_by_scan": min(_CHECKED, samples)})
