"""The fake platform's market: a small book of offers, and which of them a workload would take. Pure but for the book, which tests change."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from spotlane import wire

BEGIN = datetime(2026, 3, 10, 8, tzinfo=UTC)
HORIZON_HOURS = 720.0
_MOVE_COST_USD = 0.05
_LEAST_SHARE = 0.1
"""Of the present cost: what a move must save."""
_OFFERS = (
    ("aws/eu-west-1/eu-west-1a/m5.large", 0.0345, 0.107),
    ("aws/us-east-1/us-east-1a/m5.large", 0.0301, 0.096),
    ("azure/westeurope/1/Standard_D2s_v5", 0.0289, 0.115),
    ("azure/eastus/1/Standard_D2s_v5", 0.0240, 0.096),
    ("gcp/europe-west4/europe-west4-a/e2-standard-2", 0.0221, 0.0738),
    ("gcp/us-central1/us-central1-a/e2-standard-2", 0.0201, 0.0670),
)
"""Invented for tests: offer, spot and on-demand in USD/h."""


def offer_of(name: str) -> wire.OfferRef:
    """An offer from ``<cloud>/<region>/<zone>/<instance type>``."""
    cloud, region, zone, kind = name.split("/")
    return wire.OfferRef.model_validate({"cloud": cloud, "region": region, "zone": zone, "instanceType": kind})


def name_of(offer: wire.OfferRef) -> str:
    """The reverse of :func:`offer_of`."""
    return f"{offer.cloud}/{offer.region}/{offer.zone}/{offer.instance_type}"


@dataclass
class Market:
    """Prices by offer, at ``now`` on the market's clock."""

    now: datetime = BEGIN
    quotes: dict[str, wire.Quote] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, spot, listed in _OFFERS:
            quote = {"spot_usd_per_hour": spot, "on_demand_usd_per_hour": listed, "source": "test", "observed_at": self.now}
            self.quotes.setdefault(name, wire.Quote.model_validate({"offer": offer_of(name), **quote}))

    def price(self, offer: str, spot_usd_per_hour: float | None) -> None:
        """Sets an offer's spot price; None takes it from the market."""
        self.quotes[offer] = self.quotes[offer].model_copy(update={"spot_usd_per_hour": spot_usd_per_hour, "observed_at": self.now})

    def tell(self, quotes: list[wire.Quote]) -> None:
        """Takes over what a feed saw."""
        self.quotes |= {name_of(one.offer): one for one in quotes}

    def ranked(self, rules: wire.PlacementRules, regions: frozenset[str] | None) -> list[wire.Quote]:
        """What the rules and ``regions`` (``<cloud>/<region>``; None for all) allow, cheapest first."""

        def allowed(quote: wire.Quote) -> bool:
            offer, spot = quote.offer, quote.spot_usd_per_hour
            return (
                spot is not None
                and (rules.clouds is None or offer.cloud in rules.clouds)
                and (rules.regions is None or offer.region in rules.regions)
                and (rules.max_usd_per_hour is None or spot <= rules.max_usd_per_hour)
                and (regions is None or f"{offer.cloud}/{offer.region}" in regions)
            )

        return sorted((one for one in self.quotes.values() if allowed(one)), key=lambda one: (one.spot_usd_per_hour or 0.0, name_of(one.offer)))

    def evidence(self, ranked: list[wire.Quote], chosen: wire.Quote, current: wire.Quote | None) -> wire.Evidence:
        """Why ``chosen`` was taken, or would be."""
        then, now = chosen.spot_usd_per_hour or 0.0, current.spot_usd_per_hour if current else None
        saving = None if now is None else round((now - then) * HORIZON_HOURS - _MOVE_COST_USD, 4)
        others = [
            wire.Alternative(offer=one.offer, usd_per_hour=spot, reason="dearer", detail=f"{spot - then:+.4f} USD/h")
            for one in ranked
            if one.offer != chosen.offer and (spot := one.spot_usd_per_hour) is not None
        ]
        return wire.Evidence(
            market_now=self.now,
            quote=chosen,
            quote_age_seconds=(self.now - chosen.observed_at).total_seconds(),
            current_quote=current,
            expected_usd_per_hour=then,
            current_usd_per_hour=now,
            move_cost_usd=_MOVE_COST_USD,
            horizon_hours=HORIZON_HOURS,
            net_saving_usd=saving,
            net_saving_share=None if saving is None or not now else round(saving / (now * HORIZON_HOURS), 4),
            offers_considered=len(self.quotes),
            alternatives=others,
        )


def worth_it(evidence: wire.Evidence) -> bool:
    """Whether a move saves enough: a tenth of what staying costs."""
    return evidence.net_saving_share is not None and evidence.net_saving_share >= _LEAST_SHARE
