"""What is done to the market on purpose: repricings, outages, interruptions, feeds that fail or lag. All times are on the market's clock."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from domain.catalog import CATALOG, CLOUDS, OfferRef

Kind = Literal["repricing", "outage", "plenty", "interruption", "feed_outage", "feed_delay"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class EventError(ValueError):
    """The event can't be; ``faults`` lists every one."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("; ".join(faults))


@dataclass(frozen=True, slots=True)
class Event:
    """Something that holds from ``at`` for ``duration_seconds`` (None: for good); a part left out means all of them.

    repricing: spot prices times ``factor``. outage: no spot capacity. plenty: capacity at all times, but for outages and interruptions. interruption: running
    machines are taken back, and the pool gives out none for ``duration_seconds`` (an hour, unless told). feed_outage: the price API answers 503. feed_delay:
    it goes on answering as of ``at``.
    """

    kind: Kind
    cloud: str
    at: float
    region: str | None = None
    zone: str | None = None
    instance_type: str | None = None
    factor: float | None = None
    duration_seconds: float | None = None

    def holds(self, at: float) -> bool:
        """Whether the event is in force at that moment."""
        return self.at <= at and (self.duration_seconds is None or at < self.at + self.duration_seconds)

    def concerns(self, ref: OfferRef) -> bool:
        """Whether the offer or pool is meant. A pool that is priced by region is meant by any of its zones."""
        return (
            ref.cloud == self.cloud
            and self.region in (None, ref.region)
            and (self.zone is None or ref.zone in (self.zone, "-"))
            and (self.instance_type in (None, ref.instance_type) or self._same_family(ref))
        )

    def _same_family(self, ref: OfferRef) -> bool:
        """Google prices cores and memory of a family: a repricing of one of its types is one of all of them."""
        if self.kind != "repricing" or self.cloud != "gcp" or self.instance_type is None:
            return False
        return CATALOG.machine("gcp", self.instance_type).family == CATALOG.machine("gcp", ref.instance_type).family

    def answers_for(self, cloud: str, region: str | None) -> bool:
        """Whether the price API of the region (None: of all regions in one answer) is meant."""
        return cloud == self.cloud and (self.region is None or self.region == region)

    def document(self) -> dict[str, Any]:
        """The event as JSON, its moment in RFC 3339."""
        return {**asdict(self), "at": datetime.fromtimestamp(self.at, UTC).isoformat()}


_INTERRUPTED_FOR = 3600.0


def event(document: dict[str, Any], at: float) -> Event:
    """The event that ``document`` describes (docs/architecture.md, "Local control API"), from ``at`` on. Raises :class:`EventError` with every fault."""
    known = {"kind", "cloud", "region", "zone", "instance_type", "factor", "duration_seconds"}
    faults = [f"{name}: no such field; use {', '.join(sorted(known))}" for name in sorted(set(document) - known)]
    kind, cloud = document.get("kind"), document.get("cloud")
    if kind not in KINDS:
        faults.append(f"kind: {kind!r} is none of {', '.join(KINDS)}")
    if cloud not in CLOUDS:
        faults.append(f"cloud: {cloud!r} is none of {', '.join(CLOUDS)}")
    region, zone, instance_type = (document.get(name) for name in ("region", "zone", "instance_type"))
    if cloud in CLOUDS:
        if region is not None and not CATALOG.has_region(cloud, region):
            faults.append(f"region: {cloud} has no region {region!r} in the catalogue")
        elif zone is not None and (region is None or zone not in CATALOG.region(cloud, region).zones):
            faults.append(f"zone: {zone!r} is no zone of region {region!r}")
        if instance_type is not None and not CATALOG.has_machine(cloud, instance_type):
            faults.append(f"instance_type: {cloud} has no machine type {instance_type!r} in the catalogue")
    factor, duration = document.get("factor"), document.get("duration_seconds")
    if kind == "repricing" and not (isinstance(factor, int | float) and factor > 0):
        faults.append("factor: a repricing needs a number above 0")
    if duration is not None and not (isinstance(duration, int | float) and duration > 0):
        faults.append("duration_seconds: must be a number above 0, in market seconds")
    if faults:
        raise EventError(faults)
    if kind == "interruption" and duration is None:
        duration = _INTERRUPTED_FOR
    return Event(
        kind=kind,  # type: ignore[arg-type]  # one of KINDS, or a fault above
        cloud=str(cloud),
        at=at,
        region=region,
        zone=zone,
        instance_type=instance_type,
        factor=None if factor is None else float(factor),
        duration_seconds=None if duration is None else float(duration),
    )


def from_document(document: dict[str, Any]) -> Event:
    """The event that :meth:`Event.document` wrote."""
    return Event(**{**document, "at": datetime.fromisoformat(document["at"]).timestamp()})
