"""``savings``: what a policy of placement pays over recorded prices, in per cent of on-demand at home, side by side with rivals and with the clairvoyant.

One instance of each machine type, windows of 90 days every 30 days. A move carries 20 GB at its path's egress price and pays both machines for 15 minutes.
*Ours* is the engine of the daemon (:func:`domain.placement.plan`), called at every recorded moment with what was known then and nothing later.
The *clairvoyant* knows the whole window and pays the same for a move: the least total by dynamic programming over all pools.
A pool that isn't sold any more has taken its machine back: who is there moves, and who chose once pays on demand there until it is sold again.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.recorded import Recording, Series
from benchmarks.report import Result
from domain.catalog import OfferRef
from domain.offers import Floats, Offer, Offers
from domain.placement import Current, Demand, Deploy, Move, Problem, Settings, Stay, Trigger, Volatility, plan
from domain.placement.volatility import MEASURED, measure
from domain.prices import Quote, Unknown
from domain.workload import PlacementRules, Requirements

NEEDS_DATA = True
SAMPLES = 1
HOME = "us-east-1"
TYPES = "m5.xlarge,m6i.2xlarge,c5.2xlarge,c6i.4xlarge,r5.xlarge,g4dn.xlarge,p3.2xlarge"
"""The seven for which the notes on these markets give examples: general, compute and memory machines of several sizes, and two with GPUs."""
STATE_GB = 20.0
INSIDE, BETWEEN = 0.02, 0.09
OVERLAP_HOURS = 0.25
WINDOW_DAYS, STEP_DAYS = 90, 30
_EU = frozenset({"eu-central-1", "eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-3"})
"""AWS's regions in the European Union; London isn't, Zurich isn't sold in the recording."""
_DAY = 24.0
_HISTORY_HOURS = 90 * _DAY
_SERIES = 0.9
"""A scope begins when that share of the pools that are usually sold is there: before, regions are still being added to the recording."""


def options(parser: argparse.ArgumentParser) -> None:
    """The benchmark's own options."""
    parser.add_argument("--data", type=Path, required=True, help="directory of recorded prices (spot_history.parquet, snapshots.parquet, catalog.parquet)")
    parser.add_argument("--types", default=TYPES, help="AWS machine types, comma-separated; one instance of each")
    parser.add_argument("--scopes", default=",".join(SCOPES), help="of " + ", ".join(SCOPES))


@dataclass(frozen=True, slots=True)
class FlatTariffs:
    """Egress prices of the benchmark: one inside a cloud, one between clouds."""

    def internet(self, cloud: str, region: str) -> float:
        return BETWEEN

    def transfer(self, origin: tuple[str, str, str], target: tuple[str, str, str]) -> float:
        return 0.0 if origin == target else INSIDE if origin[0] == target[0] else BETWEEN


@dataclass(frozen=True)
class Scope:
    """Which pools may be used."""

    clouds: tuple[str, ...]
    allows: Callable[[OfferRef], bool]


SCOPES: dict[str, Scope] = {
    "aws_all": Scope(("aws",), lambda ref: True),
    "aws_eu": Scope(("aws",), lambda ref: ref.region in _EU),
    "aws_us_east_1": Scope(("aws",), lambda ref: ref.region == HOME),
    "all_clouds": Scope(("aws", "azure", "gcp"), lambda ref: True),
}


@dataclass(frozen=True)
class Window:
    """One type's prices over one window; ``weights`` are the hours that each moment's prices hold."""

    start: float
    hours: Floats
    weights: Floats
    spot: Floats
    on_demand: Floats
    clouds: tuple[str, ...]
    home: float
    """USD on demand at home."""


@dataclass(frozen=True)
class Paid:
    """USD over a window, and how many moves."""

    usd: float
    moves: int


def carry(source: str, target: str) -> float:
    """USD for the state's way between two clouds' pools."""
    return STATE_GB * (INSIDE if source == target else BETWEEN)


def once(window: Window) -> Paid:
    """The cheapest at the beginning, kept."""
    at = int(np.nanargmin(window.spot[0]))
    prices = np.where(np.isnan(window.spot[:, at]), window.on_demand[:, at], window.spot[:, at])
    return Paid(float((np.where(np.isnan(prices), np.nanmax(window.on_demand[:, at]), prices) * window.weights).sum()), 0)


def follow(window: Window, chosen: Callable[[int, int, float], int]) -> Paid:
    """What ``chosen(moment, present pool, hours since it came) -> pool`` pays; a pool that is gone is left for the cheapest."""
    at = int(np.nanargmin(window.spot[0]))
    paid, moves, since = 0.0, 0, window.hours[0]
    for moment in range(len(window.hours)):
        gone = bool(np.isnan(window.spot[moment, at]))
        target = int(np.nanargmin(window.spot[moment])) if gone else chosen(moment, at, float(window.hours[moment] - since))
        if target != at:
            paid += carry(window.clouds[at], window.clouds[target]) + (0.0 if gone else OVERLAP_HOURS * window.spot[moment, at])
            at, moves, since = target, moves + 1, window.hours[moment]
        paid += window.spot[moment, at] * window.weights[moment]
    return Paid(float(paid), moves)


def greedy(window: Window) -> Paid:
    """Always the cheapest, whatever a move costs."""
    return follow(window, lambda moment, at, _: int(np.nanargmin(window.spot[moment])))


def threshold(window: Window) -> Paid:
    """The cheapest where it is 10 % cheaper and the present one was kept for 24 h."""

    def chosen(moment: int, at: int, stayed: float) -> int:
        best = int(np.nanargmin(window.spot[moment]))
        return best if window.spot[moment, best] < 0.9 * window.spot[moment, at] and stayed >= _DAY else at

    return follow(window, chosen)


def clairvoyant(window: Window) -> Paid:
    """The least that anybody could have paid who knew the window's prices; of equals the way with fewer moves."""
    clouds = np.array(window.clouds)
    names = sorted(set(window.clouds))
    prices = np.where(np.isnan(window.spot), np.inf, window.spot)
    least, moves = prices[0] * window.weights[0], np.zeros(prices.shape[1], dtype=np.int64)
    for moment in range(1, len(prices)):
        leaving = least + OVERLAP_HOURS * np.where(np.isinf(prices[moment]), 0.0, prices[moment])
        exits = {name: int(np.flatnonzero(clouds == name)[np.argmin(leaving[clouds == name])]) for name in names}
        anyone = min(exits.values(), key=lambda at: float(leaving[at]))
        for name in names:
            rows = np.flatnonzero(clouds == name)
            source = min((exits[name], anyone), key=lambda at, here=name: float(leaving[at]) + carry(str(clouds[at]), here))  # type: ignore[misc]  # bound now
            arriving = float(leaving[source]) + carry(str(clouds[source]), name)
            better = arriving < least[rows]
            moves_there = moves[source] + 1
            least[rows] = np.where(better, arriving, least[rows])
            moves[rows] = np.where(better, moves_there, moves[rows])
        least = least + prices[moment] * window.weights[moment]
    at = int(np.argmin(least))
    return Paid(float(least[at]), int(moves[at]))


class Ours:
    """The daemon's engine over a series: one problem a moment, one demand for each window that is open."""

    rules = PlacementRules(state_gib=STATE_GB)
    settings = Settings(overlap_hours=OVERLAP_HOURS, alternatives=0)

    def __init__(self, series: Series, needs: Requirements) -> None:
        self._series = series
        self._needs = needs
        self._volatility: tuple[float, Volatility] | None = None

    def pay(self, windows: list[Window]) -> list[Paid]:
        """What each window costs."""
        series = self._series
        paid, moves = [0.0] * len(windows), [0] * len(windows)
        places: list[Current | None] = [None] * len(windows)
        if not windows:
            return []
        for moment in range(*series.between(windows[0].start, windows[-1].hours[-1] + 1e-9).indices(len(series.hours))):
            hour = float(series.hours[moment])
            now = datetime.fromtimestamp(hour * 3600, UTC)
            open_now = [number for number, one in enumerate(windows) if one.hours[0] <= hour <= one.hours[-1]]
            if not open_now:
                continue
            offers = self._offers(moment, now)
            demands = tuple(self._demand(number, places[number], offers) for number in open_now)
            verdicts = plan(Problem(now, offers, demands, self.settings, FlatTariffs(), self._restlessness(hour))).verdicts
            for number, verdict in zip(open_now, verdicts, strict=True):
                window, held = windows[number], places[number]
                if isinstance(verdict, Move) and held is not None:
                    left = offers.get(held.offer)
                    spot = 0.0 if left is None or isinstance(left.quote.spot, Unknown) else left.quote.spot
                    paid[number] += carry(held.offer.cloud, verdict.offer.cloud) + OVERLAP_HOURS * spot
                    moves[number] += 1
                if isinstance(verdict, Deploy | Move):
                    places[number] = Current(f"t_w{number}_{moves[number]}", verdict.offer, now)
                elif isinstance(verdict, Stay) and held is not None and verdict.evidence is not None and verdict.evidence.hurdle is not None:
                    places[number] = Current(held.placement, held.offer, held.since, verdict.evidence.hurdle.regret)
                place = places[number]
                assert place is not None, "a market that sells something places everything"
                at = offers.columns.positions[place.offer]
                paid[number] += float(offers.columns.spot[at]) * float(window.weights[int(np.searchsorted(window.hours, hour))])
        return [Paid(*pair) for pair in zip(paid, moves, strict=True)]

    def _demand(self, number: int, current: Current | None, offers: Offers) -> Demand:
        gone = current is not None and current.offer not in offers.columns.positions
        trigger = Trigger.INTERRUPTION if gone else Trigger.PRICE
        return Demand(f"w{number}-t", self._needs, self.rules, _anywhere, current, trigger=trigger)

    def _offers(self, moment: int, now: datetime) -> Offers:
        spots, listed = self._series.spot[moment], self._series.on_demand[moment]
        sold = np.flatnonzero(~np.isnan(spots))
        return Offers.of(
            Offer(
                self._series.pools[at],
                self._series.machines[at],
                Quote(self._series.pools[at], float(spots[at]), float(listed[at]) if listed[at] > 0 else Unknown(), "recorded", now),
            )
            for at in sold
        )

    def _restlessness(self, hour: float) -> Volatility:
        """Measured once a week over the 90 days before, which is what the clouds' own histories go back."""
        if self._volatility is None or hour - self._volatility[0] >= 168.0:
            rows = self._series.between(hour - _HISTORY_HOURS, hour)
            found = dict(MEASURED.by_cloud)
            for cloud in {ref.cloud for ref in self._series.pools}:
                columns = [at for at, ref in enumerate(self._series.pools) if ref.cloud == cloud]
                told = measure(self._series.hours[rows], self._series.spot[rows][:, columns])
                if told is not None:
                    found[cloud] = told
            self._volatility = (hour, Volatility(found))
        return self._volatility[1]


def _anywhere(cloud: str, region: str) -> str | None:
    return None


POLICIES: dict[str, Callable[[Window], Paid]] = {"once": once, "greedy": greedy, "threshold_10_24h": threshold, "clairvoyant": clairvoyant}


def run(samples: int, options: argparse.Namespace) -> Result:
    """Every policy over every window; a window's figure is that of all types together."""
    recording = Recording(options.data)
    types = options.types.split(",")
    claims: dict[str, float] = {}
    others: dict[str, float] = {}
    setting: dict[str, object] = {"types": len(types), "home": HOME, "window_days": WINDOW_DAYS, "step_days": STEP_DAYS, "move_gb": STATE_GB}
    for name in options.scopes.split(","):
        if name not in SCOPES:
            raise SystemExit(f"there is no scope {name!r}; --scopes takes {', '.join(SCOPES)}")
        paid, home, counted = _scope(recording, SCOPES[name], types)
        share = {policy: figures.sum(axis=0) / home.sum(axis=0) for policy, (figures, _) in paid.items()}
        single = {policy: figures / home for policy, (figures, _) in paid.items()}
        for policy, (_, moves) in paid.items():
            others[f"{name}_{policy}_paid_percent"] = 100 * float(single[policy].mean())
            others[f"{name}_{policy}_moves_per_30d"] = float(moves.mean()) * STEP_DAYS / WINDOW_DAYS
        claims[f"{name}_paid_percent"] = 100 * float(single["ours"].mean())
        claims[f"{name}_gap_to_clairvoyant_percent"] = 100 * float(single["ours"].mean() / single["clairvoyant"].mean() - 1)
        claims[f"{name}_moves_per_30d"] = others[f"{name}_ours_moves_per_30d"]
        claims[f"{name}_worst_window_vs_once_percent"] = 100 * float((share["ours"] / share["once"] - 1).max())
        others[f"{name}_worst_single_type_vs_once_percent"] = 100 * float((single["ours"] / single["once"] - 1).max())
        others[f"{name}_on_demand_paid_percent"] = 100.0
        setting[f"{name}_windows"] = counted
    return Result("savings", claims, samples, setting, others)


def _scope(recording: Recording, scope: Scope, types: list[str]) -> tuple[dict[str, tuple[Floats, Floats]], Floats, int]:
    """By policy what each type (row) paid in each window (column) and how often it moved; on-demand at home; the number of windows."""
    axis = recording.moments["aws"]
    paid: dict[str, list[list[Paid]]] = {policy: [] for policy in [*POLICIES, "ours"]}
    home: list[list[float]] = []
    drawn: list[tuple[Series, Requirements, Floats]] = []
    begins = []
    for name in types:
        asked = recording.machines["aws", name]
        machines = [asked] if scope.clouds == ("aws",) else recording.like(name, scope.clouds)
        whole = recording.series(machines, axis)
        begins += [_begin(whole, recording, cloud) for cloud in scope.clouds if any(ref.cloud == cloud for ref in whole.pools)]
        at_home = [at for at, ref in enumerate(whole.pools) if ref.region == HOME and ref.instance_type == name]
        if not at_home:
            raise SystemExit(f"the recording has no price of {name} in {HOME}, by which on-demand at home is reckoned; leave it out of --types")
        needs = Requirements(asked.vcpu, asked.memory_gib, asked.arch, asked.gpu, asked.gpu_type)
        drawn.append((whole.only(scope.allows), needs, _filled(np.nanmin(np.column_stack([whole.on_demand[:, at_home]]), axis=1))))
    starts = _starts(max(begins), axis)
    for series, needs, listed in drawn:
        windows = [_window(series, start, listed) for start in starts]
        home.append([one.home for one in windows])
        for policy, pays in POLICIES.items():
            paid[policy].append([pays(one) for one in windows])
        paid["ours"].append(Ours(series, needs).pay(windows))
    figures = {
        policy: (np.array([[one.usd for one in row] for row in rows]), np.array([[one.moves for one in row] for row in rows], dtype=np.float64))
        for policy, rows in paid.items()
    }
    return figures, np.array(home), len(starts)


def _begin(series: Series, recording: Recording, cloud: str) -> float:
    """From when a cloud's recording is whole: a series of few dates from its first, a longer one once its regions are all there."""
    columns = [at for at, ref in enumerate(series.pools) if ref.cloud == cloud]
    if len(recording.moments[cloud]) < 10:
        return float(recording.moments[cloud][0])
    sold = (~np.isnan(series.spot[:, columns])).mean(axis=1)
    return float(series.hours[int(np.argmax(sold >= _SERIES * np.median(sold[sold > 0])))])


def _starts(begin: float, axis: Floats) -> list[float]:
    """The windows' first hours: from the first midnight, as long as the recording covers the whole window."""
    start, found = np.ceil(begin / _DAY) * _DAY, []
    while start + WINDOW_DAYS * _DAY <= axis[-1] + _DAY:
        found.append(float(start))
        start += STEP_DAYS * _DAY
    if not found:
        raise SystemExit(f"the recording covers {(axis[-1] - begin) / _DAY:.0f} days of this scope; a window needs {WINDOW_DAYS}")
    return found


def _window(series: Series, start: float, listed: Floats) -> Window:
    rows = series.between(start, start + WINDOW_DAYS * _DAY)
    hours = series.hours[rows]
    weights = np.diff(np.append(hours, start + WINDOW_DAYS * _DAY))
    clouds = tuple(ref.cloud for ref in series.pools)
    return Window(start, hours, weights, series.spot[rows], series.on_demand[rows], clouds, float((listed[rows] * weights).sum()))


def _filled(prices: Floats) -> Floats:
    """Gaps closed by the last known, before the first by the first."""
    known = np.flatnonzero(~np.isnan(prices))
    at = np.searchsorted(known, np.arange(len(prices)), side="right") - 1
    return np.asarray(prices[known[np.maximum(at, 0)]])
