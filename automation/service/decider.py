"""Estate and quotes as the engine's demands, and its verdicts: on spot, and on demand where the owner asks for that. Carries nothing out.

What it remembers, of refusals, interruptions and prices, is learnt again from the edge after a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from automation.feeds.collection import Collection
from automation.service import fleets, standbys
from automation.service.answers import answers
from automation.service.boundaries import Boundaries, refusal_of
from automation.service.estate import Estate
from automation.service.exclusions import Exclusions
from automation.service.fleets import Fleet
from automation.service.history import QuoteHistory
from automation.service.restlessness import Restlessness
from automation.service.spend import Months, Spend
from automation.service.standbys import Capacity, Role
from automation.service.translation import demand, offer_from_wire
from domain.boundary.compiled import CompiledBoundary
from domain.catalog import Catalog, OfferRef
from domain.offers import Offer, Offers, RegionPredicate
from domain.placement import fallback
from domain.placement.capacity import remembered
from domain.placement.domains import learn
from domain.placement.engine import plan
from domain.placement.plan import Demand, Deploy, Move, NoOffer, Problem, Reason, Settings, Trigger, Verdict, ZoneRef
from domain.placement.score import Market
from domain.placement.zones import cheapest_by_zone
from domain.prices import Quote, known
from domain.scores import PER_HOUR
from domain.told import Grade
from domain.workload import unmet
from spotlane import wire

_CALM = (Trigger.PRICE, Trigger.REDEPLOY, Trigger.RENEWAL)
"""What has no machine go at once."""


class Decider:
    """One for the service's life."""

    def __init__(self, collection: Collection, history: QuoteHistory, spend: Spend, price_limit_hours: float) -> None:
        self._collection = collection
        self._history = history
        self._spend = spend
        self._settings = Settings(price_limit=timedelta(hours=price_limit_hours))
        self._restlessness = Restlessness(history)
        self._boundaries = Boundaries()
        self._exclusions = Exclusions()
        self._on_demand_exclusions = Exclusions()
        """What was refused on demand says nothing of spot, and the other way about."""
        self._predicates: dict[tuple[str, str | None], RegionPredicate] = {}

    def learn(self, migrations: Iterable[wire.Migration], market_now: datetime) -> None:
        """What clouds refused, and when."""
        known = list(migrations)
        self._exclusions.learn((one for one in known if one.decision.capacity == "spot"), market_now)
        self._on_demand_exclusions.learn((one for one in known if one.decision.capacity == "on-demand"), market_now)

    def interrupted(self, offer: OfferRef, market_now: datetime) -> None:
        """A cloud takes a machine of this offer back: the offer rests for a while."""
        self._exclusions.interrupted(offer, market_now)

    def boundary(self, workload: wire.Workload, estate: Estate) -> CompiledBoundary:
        """The workload's, narrowed by its data class."""
        return self._boundaries.of(estate.tenants[workload.tenant], workload.spec.placement.data_class)

    def months(self, estate: Estate, market_now: datetime) -> Months:
        """Of all monthly caps; a tenant's is the smaller of its own and its boundary's."""
        asked = {
            name: [one for one in (tenant.budget_usd_per_month, self._boundaries.of(tenant, None).boundary.spend.usd_per_month) if one is not None]
            for name, tenant in estate.tenants.items()
        }
        caps = {name: min(both) for name, both in asked.items() if both}
        return self._spend.months(estate.workloads, caps, estate.migrations, self._collection.book.quotes, market_now)

    def _predicate(self, boundary: CompiledBoundary) -> RegionPredicate:
        """One object a boundary: placement asks each only once per region."""
        return self._predicates.setdefault((boundary.digest, boundary.data_class), refusal_of(boundary, lambda: datetime.now(UTC)))

    def fallen_back(
        self, estate: Estate, market_now: datetime, lacking: Sequence[tuple[wire.Workload, Verdict]], trigger: Callable[[wire.Workload], Trigger]
    ) -> list[tuple[Verdict, Capacity]]:
        """The verdicts on demand of those whose owners ask for that and whose boundaries allow it, where there are any; else what was found on spot."""
        asking = [one for one, _ in lacking if one.spec.placement.fallback == "on-demand" and not self.boundary(one, estate).boundary.spot_only]
        quotes = {quote.offer: quote for quote in self._collection.book.quotes()}
        verdicts = self.decide(estate, market_now, asking, trigger, capacity="on-demand") if asking else ()
        found: dict[str, tuple[Verdict, Capacity]] = {}
        for one, verdict in zip(asking, verdicts, strict=True):
            if isinstance(verdict, Deploy | Move):
                current = None if one.placement is None else quotes.get(offer_from_wire(one.placement.offer))
                found[one.id] = (fallback.told(verdict, quotes[verdict.offer], current), "on-demand")
        return [found.get(one.id, (verdict, "spot")) for one, verdict in lacking]

    def fleets_of(
        self,
        estate: Estate,
        market_now: datetime,
        workloads: Sequence[wire.Workload],
        placements: Callable[[], Iterable[wire.Placement]],
        going: wire.Placement | None = None,
    ) -> dict[str, Fleet]:
        """How many machines of which kind those hold that ask for an availability, by id. ``placements`` are all that ever served: zones are known by them.
        ``going`` is a machine that is being taken back."""
        asking = [one for one in workloads if one.spec.placement.availability is not None]
        if not asking:
            return {}
        served = list(placements())
        domains = learn(standbys.failures(estate.migrations))
        cold = fleets.cold_start_hours(served)
        seen = fleets.recalled(served, estate.migrations, market_now, fleets.goal_of(asking[0], cold), going)
        reference = self._collection.reference
        quotes = {quote.offer: quote for quote in self._collection.scores.applied(self._collection.book.quotes(), market_now)}
        sold = {
            "spot": Market(Problem(market_now, Offers.quoted(quotes.values(), catalog=reference.catalog), (), self._settings)),
            "on-demand": Market(Problem(market_now, Offers.quoted(fallback.on_demand(quotes.values()), catalog=reference.catalog), (), self._settings)),
        }
        excluded = {
            "spot": self._exclusions.at(market_now, list(quotes)),
            "pressed": self._exclusions.at(market_now, list(quotes), pressed=True),
            "on-demand": self._on_demand_exclusions.at(market_now, list(quotes)),
        }
        found = {}
        for one in asking:
            boundary = self.boundary(one, estate)

            def cheapest(capacity: Capacity, barred: str, one: wire.Workload = one, boundary: CompiledBoundary = boundary) -> Mapping[ZoneRef, Offer]:
                cap = boundary.boundary.spend.usd_per_hour
                asked = demand(one, self._predicate(boundary), moves_in_30_days=0, excluded=excluded[barred], cap_usd_per_hour=cap)
                return cheapest_by_zone(sold[capacity], asked)

            bridges = one.spec.placement.fallback == "on-demand" and not boundary.boundary.spot_only
            taken = standbys.apart(one, None, domains)
            dear = {zone: offer for zone, offer in cheapest("on-demand", "on-demand").items() if zone not in taken} if bridges else {}
            prices = fleets.usable(self._prices(one, cheapest("spot", "spot"), dear, quotes), one, domains)
            if not bridges and len(prices.spot) < one.spec.placement.replicas:
                prices = fleets.usable(self._prices(one, cheapest("spot", "pressed"), dear, quotes), one, domains)
            found[one.id] = fleets.chosen(one, prices, seen, market_now, fleets.goal_of(one, cold))
        return found

    def _prices(
        self, workload: wire.Workload, spot: Mapping[ZoneRef, Offer], on_demand: Mapping[ZoneRef, Offer], quotes: Mapping[OfferRef, Quote]
    ) -> fleets.Prices:
        """By zone: of the cheapest offer, or of the machine held there. What a cloud tells of interruptions is at least what its best grade stands for."""
        told = {zone: offer.quote for zone, offer in spot.items()}
        usd = {zone: float(paid) for zone, quote in told.items() if (paid := known(quote.spot)) is not None}
        for placed in fleets.serving(workload):
            offer = offer_from_wire(placed.offer)
            quote = quotes.get(offer)
            paid = None if quote is None else known(quote.spot)
            if placed.capacity == "spot":
                usd[offer[:3]] = placed.quote.spot_usd_per_hour or 0.0 if paid is None else paid
                if quote is not None:
                    told[offer[:3]] = quote
        least, usual = PER_HOUR[Grade.HIGH], self._settings.interruptions_when_unknown
        expected = {zone: max(least, usual if (rate := known(quote.interruptions_per_hour)) is None else rate) for zone, quote in told.items()}
        dear = [paid for offer in on_demand.values() if (paid := known(offer.quote.on_demand)) is not None]
        return fleets.Prices(usd, min(dear, default=None), expected)

    def on_demand_beside(self, estate: Estate, market_now: datetime, workload: wire.Workload) -> Verdict:
        """Another machine on demand, for the availability that is asked for."""
        [verdict] = self.decide(estate, market_now, [workload], lambda _: Trigger.PRICE, capacity="on-demand")
        if not isinstance(verdict, Deploy):
            return verdict
        quotes = {quote.offer: quote for quote in self._collection.book.quotes()}
        return fallback.told(verdict, quotes[verdict.offer], None, "on demand")

    def decide(
        self,
        estate: Estate,
        market_now: datetime,
        workloads: Sequence[wire.Workload],
        trigger: Callable[[wire.Workload], Trigger],
        requested: OfferRef | None = None,
        role: Role = "serving",
        alone: bool = False,
        capacity: Capacity = "spot",
        within: Mapping[str, Fleet] | None = None,
    ) -> tuple[Verdict, ...]:
        """A verdict a workload, for the machine that it is seen from: out of the failure domains of its others, but where it is to be ``alone``.
        A machine to come is looked for in the zones that its fleet asks for (``within``)."""
        scores = self._collection.scores
        quotes = scores.applied(self._collection.book.quotes(), market_now)
        months = self.months(estate, market_now)
        scarce = scores.scarce([quote.offer for quote in quotes], market_now) if capacity == "spot" else {}
        exclusions = self._exclusions if capacity == "spot" else self._on_demand_exclusions
        excluded = exclusions.at(market_now, [quote.offer for quote in quotes])
        regrets = self._history.regrets()
        domains = learn(standbys.failures(estate.migrations))
        saving = [one for one in estate.migrations if standbys.rescues(one)]
        whole = {one.id: one for one in estate.workloads}
        demands: list[Demand] = [
            demand(
                one,
                self._predicate(self.boundary(one, estate)),
                moves_in_30_days=estate.moves_in_30_days(one.id, role, market_now),
                excluded={**_elsewhere(one, trigger(one), quotes, within), **self._avoided(one, estate, trigger(one), excluded, scarce)}
                if requested is None
                else {},
                trigger=trigger(one),
                requested=requested,
                regret=None if one.placement is None else regrets.get(one.placement.id),
                cap_usd_per_hour=self.boundary(one, estate).boundary.spend.usd_per_hour,
                caps=months.caps(one),
                apart=frozenset() if alone else standbys.apart(whole[one.id], one.placement, domains, saving),
            )
            for one in workloads
        ]
        reference = self._collection.reference
        # A machine on demand is judged as if it ran nowhere: what it costs is no spot price, and it may go back to the very offer that it is of.
        bridges = {
            number: one.placement
            for number, one in enumerate(workloads)
            if capacity == "spot" and one.placement is not None and bridged(one) and requested is None and trigger(one) in _CALM
        }
        asked = [replace(one, current=None) if number in bridges else one for number, one in enumerate(demands)]
        offers = Offers.quoted(quotes if capacity == "spot" else fallback.on_demand(quotes), catalog=reference.catalog)
        known_answers = remembered(answers(estate.migrations), market_now) if capacity == "spot" else {}
        problem = Problem(market_now, offers, tuple(asked), self._settings, reference.tariffs, self._restlessness.at(market_now), known_answers)
        found = plan(problem).verdicts
        if capacity == "spot" and requested is None and (pressed := _pressed(workloads, found)):
            eased = exclusions.at(market_now, [quote.offer for quote in quotes], pressed=True)
            rested = excluded.keys() - eased.keys()
            asked = [_eased(one, rested) if number in pressed else one for number, one in enumerate(asked)]
            found = plan(replace(problem, demands=tuple(asked))).verdicts if rested else found
        found = tuple(_explained(verdict, one, reference.catalog) for verdict, one in zip(found, asked, strict=True))
        if not bridges:
            return found
        known_quotes = {quote.offer: quote for quote in quotes}
        return tuple(
            fallback.back(verdict, bridges[number].id, known_quotes.get(offer_from_wire(bridges[number].offer)), trigger(workloads[number]))
            if number in bridges
            else verdict
            for number, verdict in enumerate(found)
        )

    def _avoided(
        self, workload: wire.Workload, estate: Estate, trigger: Trigger, excluded: Mapping[OfferRef, str], scarce: Mapping[OfferRef, str]
    ) -> Mapping[OfferRef, str]:
        """What a workload isn't placed on now: also what has little capacity, where it would move by price and can as well stay."""
        placed = workload.placement
        if trigger is not Trigger.PRICE or placed is None or not scarce:
            return excluded
        own = offer_from_wire(placed.offer)
        if self._predicate(self.boundary(workload, estate))(own.cloud, own.region) is not None:
            return excluded
        return {**{offer: why for offer, why in scarce.items() if offer != own}, **excluded}


def _pressed(workloads: Sequence[wire.Workload], verdicts: Sequence[Verdict]) -> frozenset[int]:
    """Those without an offer for want of capacity who take no machine on demand instead."""
    pairs = enumerate(zip(workloads, verdicts, strict=True))
    return frozenset(number for number, (one, verdict) in pairs if one.spec.placement.fallback == "none" and fallback.short(verdict))


def _eased(demand: Demand, rested: Set[OfferRef]) -> Demand:
    """The demand with these offers among the others again."""
    return replace(demand, excluded={offer: why for offer, why in demand.excluded.items() if offer not in rested})


def _elsewhere(workload: wire.Workload, trigger: Trigger, quotes: Iterable[Quote], within: Mapping[str, Fleet] | None) -> dict[OfferRef, str]:
    """The offers outside the zones that the fleet asks for, where it asks for one machine more, or for another in the place of one that goes, or that goes back
    from on demand."""
    calm = workload.placement is not None and trigger in _CALM and not bridged(workload)
    fleet = None if within is None or calm else within.get(workload.id)
    if fleet is None or not fleet.zones:
        return {}
    return {quote.offer: fleet.elsewhere for quote in quotes if quote.offer[:3] not in fleet.zones}


def _explained(verdict: Verdict, asked: Demand, catalog: Catalog) -> Verdict:
    """Of a workload without an offer what no price can mend, with its place in the declaration."""
    if not isinstance(verdict, NoOffer) or asked.requested is not None or not (faults := unmet(asked.needs, asked.rules, catalog)):
        return verdict
    reason = Reason.OUTSIDE_RULES if faults[0].startswith("placement.") else Reason.TOO_SMALL
    return replace(verdict, reason=reason, detail="; ".join(faults))


def bridged(workload: wire.Workload) -> bool:
    """Whether the machine that it is seen from was bought on demand."""
    return workload.placement is not None and workload.placement.capacity == "on-demand"
