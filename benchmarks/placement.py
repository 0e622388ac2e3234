"""``placement``: what a decision costs over a whole market, and whether it is the true optimum.

Tasks are workloads drawn from a fixed seed: their shapes, boundaries (real ones), egress, state, caps; six in ten run somewhere already, and have a regret.
Half of the offers have a placement score, and some were refused or had of late. Every verdict is compared with an optimum computed apart from the engine: one
scan over all offers, from the definitions, without groups or shared work.
"""

from __future__ import annotations

import argparse
import math
import random
import resource
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import Result
from domain import network
from domain.boundary.compiled import compile as compiled
from domain.boundary.model import load
from domain.catalog import CATALOG, Machine, OfferRef
from domain.offers import Offer, Offers, RegionPredicate
from domain.placement import Current, Demand, Deploy, Move, NoOffer, Problem, Reason, Regret, Settings, Verdict, plan
from domain.placement.capacity import Record
from domain.prices import Quote, Unknown
from domain.told import Grade, Score
from domain.workload import PlacementRules, Requirements

SAMPLES = 1
_SEED = 7
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_SETTINGS = Settings()
_BOUNDARIES: tuple[dict[str, Any], ...] = (
    {"name": "anywhere"},
    {"name": "gdpr", "residency": {"regimes": ["gdpr"]}},
    {"name": "us", "residency": {"regimes": ["us"]}},
    {"name": "two-clouds", "clouds": ["aws", "gcp"]},
)
_NEEDS = tuple(Requirements(vcpu, memory) for vcpu in (1, 2, 4, 8, 16) for memory in (2.0, 8.0, 32.0))


def options(parser: argparse.ArgumentParser) -> None:
    """The benchmark's own options."""
    parser.add_argument("--offers", type=Path, help="parquet of offers with vcpu, memory_gib, arch, spot_usd_h, on_demand_usd_h; default: the catalogue")
    parser.add_argument("--tasks", default="1,100,10000", help="numbers of workloads, comma-separated")


def run(samples: int, options: argparse.Namespace) -> Result:
    """Each number of tasks ``samples`` times, the least CPU time counted; the optimum is checked for every task of the largest case."""
    offers = catalogue() if options.offers is None else of_file(options.offers)
    counts = sorted({int(text) for text in options.tasks.split(",")})
    drawn, answered = draw(offers, counts[-1]), answers(offers)
    others: dict[str, float] = {}
    verdicts: tuple[Verdict, ...] = ()
    ms_per_task = 0.0
    for count in counts:
        cpu, wall = float("inf"), float("inf")
        for _ in range(samples):
            fresh = Offers.of(offers)  # nothing is kept from the case before
            begun = (time.process_time(), time.perf_counter())
            verdicts = plan(Problem(_NOW, fresh, drawn[:count], _SETTINGS, answered=answered)).verdicts
            cpu, wall = min(cpu, time.process_time() - begun[0]), min(wall, time.perf_counter() - begun[1])
        ms_per_task = cpu * 1000 / count
        others |= {f"cpu_ms_per_task_of_{count}": ms_per_task, f"wall_ms_per_task_of_{count}": wall * 1000 / count}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    scan = _Scan(offers, answered)
    wrong = sum(not scan.agrees(demand, verdict) for demand, verdict in zip(drawn, verdicts, strict=True))
    for kind in ("Deploy", "Move", "Stay", "NoOffer"):
        others[f"verdicts_{kind}"] = sum(type(one).__name__ == kind for one in verdicts)
    claims = {"ms_per_task": ms_per_task, "peak_gib": peak, "suboptimal_choices": wrong, "tasks": counts[-1], "offers": len(offers)}
    setting = {"seed": _SEED, "offers": "catalogue" if options.offers is None else options.offers.name, "checked": len(drawn)}
    return Result("placement", claims, samples, setting, others)


def catalogue() -> tuple[Offer, ...]:
    """Every offer of the embedded catalogue, prices drawn from the seed."""
    dice = random.Random(_SEED)
    return scored(
        Offer(ref, CATALOG.machine(ref.cloud, ref.instance_type), Quote(ref, dice.uniform(0.005, 0.5), dice.uniform(0.5, 1.5), "benchmark", _NOW))
        for ref in CATALOG.offers()
    )


def scored(offers: Iterable[Offer]) -> tuple[Offer, ...]:
    """The offers, half of them with a score drawn from the seed."""
    dice = random.Random(_SEED)
    grades = [None, None, None, *Grade]
    drawn = ((offer, dice.choice(grades)) for offer in offers)
    return tuple(
        offer if grade is None else replace(offer, quote=replace(offer.quote, score=Score(offer.ref, grade, grade.value, "benchmark", _NOW)))
        for offer, grade in drawn
    )


def answers(offers: tuple[Offer, ...]) -> dict[OfferRef, Record]:
    """What is remembered of one in twenty offers, from the seed."""
    dice = random.Random(_SEED)
    return {offer.ref: Record(dice.choice([0.0, 0.5, 2.0]), dice.choice([0.0, 1.0])) for offer in offers if dice.random() < 0.05}


def of_file(path: Path) -> tuple[Offer, ...]:
    """The offers of a parquet file. Rows that tell no shape can't be asked for, rows with a figure that can't be aren't believed: left out, and said."""
    import pyarrow.parquet as parquet  # only where a file is given

    wanted = ["cloud", "region", "zone", "instance_type", "vcpu", "memory_gib", "arch", "spot_usd_h", "on_demand_usd_h"]
    try:
        table = parquet.read_table(path)
    except (OSError, ValueError) as error:
        raise SystemExit(f"{path}: is no parquet file of offers ({error})") from error
    if missing := [name for name in wanted if name not in table.column_names]:
        raise SystemExit(f"{path}: there is no column {', '.join(missing)}; a file of offers has {', '.join(wanted)}")
    found: dict[OfferRef, Offer] = {}
    shapeless, wrong = 0, list[str]()
    for number, row in enumerate(table.select(wanted).to_pylist(), 1):
        figures = {name: row[name] for name in ("vcpu", "memory_gib", "spot_usd_h", "on_demand_usd_h") if row[name] is not None}
        if bad := [f"{name} is {figure}" for name, figure in figures.items() if not 0 < figure < math.inf]:
            wrong.append(f"row {number}, {row['instance_type']} in {row['region']}: {bad[0]}")
            continue
        if row["vcpu"] is None or row["memory_gib"] is None:
            shapeless += 1
            continue
        ref = OfferRef(row["cloud"], row["region"], row["zone"] or "-", row["instance_type"])
        arch = "arm64" if str(row["arch"]).startswith(("arm", "aarch")) else "x86_64"
        machine = Machine(row["cloud"], ref.instance_type, ref.instance_type.split(".")[0], int(row["vcpu"]), float(row["memory_gib"]), arch)  # type: ignore[arg-type]  # as read
        spot, listed = (Unknown() if row[name] is None else row[name] for name in ("spot_usd_h", "on_demand_usd_h"))
        found[ref] = Offer(ref, machine, Quote(ref, spot, listed, path.name, _NOW))
    for count, what in ((shapeless, "tell no shape"), (len(wrong), f"hold a figure that can't be (the first: {(wrong or [''])[0]})")):
        if count:
            sys.stderr.write(f"{path}: {count} rows {what}: left out\n")
    return scored(found.values())


def draw(offers: tuple[Offer, ...], count: int) -> tuple[Demand, ...]:
    """Workloads from the seed; the first of a longer series are those of a shorter one."""
    dice = random.Random(_SEED)
    boundaries = [_predicate(document) for document in _BOUNDARIES]
    ordered = sorted(offers, key=lambda one: one.ref)
    found = []
    for number in range(count):
        current = None
        if dice.random() < 0.6:
            regret = Regret(dice.choice([0.0, 1.0, 50.0]), 0.0, _NOW)
            current = Current(f"t_w{number}_1", dice.choice(ordered).ref, _NOW - timedelta(hours=dice.uniform(0, 200)), regret)
        rules = PlacementRules(
            max_usd_per_hour=dice.choice([None, None, None, 0.3]),
            egress_gib_per_hour=dice.choice([0.0, dice.uniform(0, 2)]),
            state_gib=dice.choice([0.0, dice.uniform(0, 100)]),
        )
        found.append(Demand(f"w{number}-t", dice.choice(_NEEDS), rules, dice.choice(boundaries), current))
    return tuple(found)


def _predicate(document: dict[str, Any]) -> RegionPredicate:
    boundary = compiled(load(document))
    return lambda cloud, region: None if boundary.allows(cloud, region) else "outside the boundary"


@dataclass
class _Scan:
    """The optimum by definition: the total of each offer over the horizon, and the least of what passes every test."""

    offers: tuple[Offer, ...]
    answered: dict[OfferRef, Record]
    _allowed: dict[tuple[int, str, str], bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.at = {offer.ref: row for row, offer in enumerate(self.offers)}
        self.vcpu = np.array([one.machine.vcpu for one in self.offers])
        self.memory = np.array([one.machine.memory_gib for one in self.offers])
        self.x86 = np.array([one.machine.arch == "x86_64" for one in self.offers])
        self.spot = np.array([np.nan if isinstance(one.quote.spot, Unknown) else one.quote.spot for one in self.offers])
        rates = [one.quote.interruptions_per_hour for one in self.offers]
        self.rate = np.array([_SETTINGS.interruptions_when_unknown if isinstance(rate, Unknown) else rate for rate in rates])
        had = {None: 0.55, Grade.HIGH: 0.85, Grade.MEDIUM: 0.55, Grade.LOW: 0.2}
        self.odds = np.zeros(len(self.offers))
        for row, one in enumerate(self.offers):
            record = self.answered.get(one.ref, Record())
            refused = (1 - had[one.quote.score and one.quote.score.grade] + record.refused) / (1 + record.refused + record.launched)
            self.odds[row] = refused / (1 - refused)
        self.internet = np.array([network.tariff(*one.ref[:2]).internet for one in self.offers])

    @cached_property
    def zones(self) -> list[tuple[tuple[str, str, str], np.ndarray[Any, Any]]]:
        """Each zone with its rows."""
        by_zone: dict[tuple[str, str, str], list[int]] = {}
        for row, offer in enumerate(self.offers):
            by_zone.setdefault(offer.ref[:3], []).append(row)
        return [(zone, np.array(rows)) for zone, rows in by_zone.items()]

    def agrees(self, demand: Demand, verdict: Verdict) -> bool:
        """Whether the verdict names an offer whose total is the least there is (or says rightly that there is none, or that staying costs no more)."""
        rules, current = demand.rules, demand.current
        expected = self.spot + rules.egress_gib_per_hour * self.internet
        expected = expected + self.rate * (rules.state_gib * self.internet + _SETTINGS.overlap_hours * self.spot)
        usable = (self.vcpu >= demand.needs.vcpu) & (self.memory >= demand.needs.memory_gib) & self.x86 & ~np.isnan(self.spot)
        if rules.max_usd_per_hour is not None:
            usable &= ~(self.spot > rules.max_usd_per_hour)
        for zone, rows in self.zones:
            key = (id(demand.boundary), *zone[:2])
            if key not in self._allowed:
                self._allowed[key] = demand.boundary(*zone[:2]) is None
            if not self._allowed[key]:
                usable[rows] = False
        horizon, move, stays = _SETTINGS.reign_hours, np.zeros(len(self.offers)), None
        least_spot = float(np.where(usable, self.spot, np.inf).min())
        meanwhile = 100 * least_spot
        if current is not None:
            here = self.at[current.offer]
            usable[here] = False
            meanwhile = least_spot if np.isnan(self.spot[here]) else float(self.spot[here])
            if not np.isnan(self.spot[here]):
                if self.rate[here] > 0:
                    horizon = min(horizon, 1 / self.rate[here])
                stays = horizon * expected[here]
                move += _SETTINGS.overlap_hours * expected[here]
            if rules.state_gib:
                for zone, rows in self.zones:
                    move[rows] += rules.state_gib * network.transfer(current.offer[:3], zone)
        if np.isfinite(meanwhile):
            move = move + 30 / 3600 * meanwhile * self.odds
        totals = np.where(usable, horizon * expected + move, np.inf)
        least = float(totals.min())
        if isinstance(verdict, NoOffer):
            return least == float("inf")
        if isinstance(verdict, Deploy | Move):
            return bool(totals[self.at[verdict.offer]] <= least * (1 + 1e-12))
        if verdict.reason is Reason.UNKNOWN_PRICE:
            return stays is None
        if verdict.reason is Reason.CHEAPEST:
            return stays is not None and stays <= least * (1 + 1e-12)
        assert verdict.evidence is not None, "a stay by a gate has evidence"
        return bool(totals[self.at[verdict.evidence.alternatives[0].offer]] <= least * (1 + 1e-12))
