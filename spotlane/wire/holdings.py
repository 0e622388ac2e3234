"""How many machines of which kind a workload holds for the availability that it asks for, and why, as it travels."""

from __future__ import annotations

from spotlane.wire.base import Cloud, Wire


class HoldingOption(Wire):
    """A way to hold the target: so many machines of each kind, in USD/h their price and what falling short with them is worth."""

    spot: int
    on_demand: int
    usd_per_hour: float
    risk_usd_per_hour: float


class ZoneRate(Wire):
    """How many of the workload's spot machines a zone holds, and the losses per hour and machine that are expected of it by what was seen and told."""

    cloud: Cloud
    region: str
    zone: str
    held: int
    losses_per_hour: float


class Holding(Wire):
    """The least of prices and of what shortages are worth: an hour short of ``replicas`` is worth ``1 / (1 - availability)`` hours of a spot machine.

    ``chosen`` stands against ``others``, the best first. ``zones`` are those held and those where a machine is asked for now. ``detail`` says what is done.
    """

    availability: float
    replicas: int
    chosen: HoldingOption
    others: list[HoldingOption]
    zones: list[ZoneRate]
    detail: str
