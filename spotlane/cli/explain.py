"""``spotlane explain WORKLOAD``: why it runs where it runs, what else there was, and what would have to change for it to move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from spotlane import wire
from spotlane.cli import output
from spotlane.cli.session import automation, edge, reported
from spotlane.client import Client
from spotlane.errors import ApiProblem


def register(cli: typer.Typer) -> None:
    """Adds the verb of this module."""
    cli.command("explain")(explain)


@dataclass(frozen=True)
class Explained:
    """What is known of one workload: ``came`` is the migration that brought it where it is, ``now`` the daemon's verdict by the prices of now, ``others``
    and ``standby`` those on the machines that serve beside the first, and on the one that stands by."""

    workload: wire.Workload
    came: wire.Migration | None
    now: wire.PlanItem | None
    standby: wire.PlanItem | None = None
    others: Sequence[wire.PlanItem] = ()


@reported
def explain(
    workload: Annotated[str, typer.Argument(help="<workload>-<tenant>, as `spotlane workload ls` names it.")],
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Why a workload runs where it runs, which offers lost and why, and what would have to change for it to move. Changes nothing."""
    client = edge()
    found = client.workload(workload)
    plan = automation(client).plan(workload=workload)
    items = [one for one in plan.items if one.workload == workload]
    serving = [one for one in items if one.role == "serving"]
    standby = next((one for one in items if one.role == "standby"), None)
    told = Explained(found, _brought(client, found), next(iter(serving), None), standby, serving[1:])
    if json:
        parts = {"workload": told.workload, "came": told.came, "now": told.now, "standby": told.standby}
        shown = {name: None if part is None else part.model_dump(mode="json", by_alias=True) for name, part in parts.items()}
        output.document(shown | {"others": [one.model_dump(mode="json", by_alias=True) for one in told.others]})
        return
    for line in sentences(told):
        output.say(line)
    rows = [(_offer(one.offer), output.usd(one.usd_per_hour), one.reason, one.detail) for one in others(told)]
    output.table(("OTHER OFFERS", "USD/h", "LOST BY", "WHY"), rows, "no other offer was looked at")
    if lost := fallen(told):
        output.say(lost)


def others(told: Explained) -> list[wire.Alternative]:
    """The offers that lost, the best of each region first, then one of each reason."""
    if told.now is None:
        return []
    return told.now.evidence.alternatives if told.now.evidence is not None else told.now.alternatives


def fallen(told: Explained) -> str:
    """How many of all offers fell to what; nothing where nobody counted."""
    if told.now is None:
        return ""
    counts = told.now.evidence.counts if told.now.evidence is not None else told.now.counts
    lost = [f"{number} {reason}" for reason, number in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if reason != "usable"]
    return f"Of {sum(counts.values())} offers {counts.get('usable', 0)} may be used; the others: {', '.join(lost)}." if lost else ""


def sentences(told: Explained) -> list[str]:
    """The story in lines, without the table of other offers."""
    return [*_of_serving(told), *_of_holding(told), *_of_others(told), *_of_standby(told)]


def _of_holding(told: Explained) -> list[str]:
    """How many machines are held for the availability asked for, what else there was, and what is expected of the zones."""
    holding = None if told.now is None else told.now.holding
    if holding is None:
        return []
    lines = [f"Availability: {holding.detail}."]
    for other in holding.others:
        cost = f"{other.usd_per_hour:.4f} USD/h, and shortages would be worth {other.risk_usd_per_hour:.4f} USD/h"
        lines.append(f"  Not {other.spot} on spot and {other.on_demand} on demand: {cost}.")
    for zone in holding.zones:
        held = f"{zone.held} held" if zone.held else "asked for one"
        lines.append(f"  {zone.cloud}/{zone.region}/{zone.zone}, {held}: {zone.losses_per_hour:.5f} losses per machine and hour expected.")
    return lines


def _of_others(told: Explained) -> list[str]:
    """The machines that serve beside the first, what is planned for them, and for one that is to come."""
    held = {one.id: one for one in told.workload.further if one.state is wire.PlacementState.SERVING}
    planned = {one.placement: one for one in told.others}
    lines = [f"{name} serves too, on {_offer(one.offer)}" + (f": {_verdict(planned[name])}." if name in planned else ".") for name, one in held.items()]
    return lines + [f"Another machine is wanted: {_verdict(one)}." for one in told.others if one.placement is None]


def _verdict(item: wire.PlanItem) -> str:
    return f"{item.verdict.replace('_', ' ')}, for {item.reason}"


def _of_standby(told: Explained) -> list[str]:
    """The machines that stand by, what is planned for them, and what is planned where there is none yet."""
    held = [one for one in told.workload.further if one.state is wire.PlacementState.STANDBY]
    lines = [f"{one.id} stands by on {_offer(one.offer)}: it takes over where the first goes or fails." for one in held]
    if told.standby is not None:
        lines.append(f"Standby now: {_verdict(told.standby)}.")
        if (evidence := told.standby.evidence) is not None and told.standby.verdict != "retire":
            best = f"{_offer(evidence.quote.offer)} at {_rate(evidence)}"
            lines.append(f"  Best of {evidence.offers_considered} offers, {evidence.counts.get('peer', 0)} of them where the first may fail too: {best}.")
    return lines


def _of_serving(told: Explained) -> list[str]:
    placed, one = told.workload.placement, told.workload
    lines = [f"{one.id} is {one.state}" + (f" on {_offer(placed.offer)}" if placed is not None else ", and nothing serves it")]
    if told.came is not None:
        lines.append(f"It came here by {told.came.kind} {told.came.id}: {told.came.decision.reason}.")
        if (then := told.came.decision.evidence) is not None:
            lines.append(f"  {then.offers_considered} offers were considered by the prices of {_moment(then)}; this one was expected at {_rate(then)}.")
    if told.now is None:
        return [*lines, "The daemon has no verdict on it now: it moves already, or it isn't to run."]
    lines.append(f"Now: {told.now.verdict.replace('_', ' ')}, for {told.now.reason}.")
    evidence = told.now.evidence
    if evidence is None:
        return [*lines, *_what_to_do(told.now)]
    best = f"{_offer(evidence.quote.offer)} at {_rate(evidence)}{_made_of(evidence)}"
    lines.append(f"  Best of {evidence.offers_considered} offers by the prices of {_moment(evidence)}: {best}.")
    if (score := evidence.quote.placement_score) is not None:
        lines.append(f"  Its cloud says of the capacity there: {score.says}, {score.grade} ({score.source}, {score.observed_at:%Y-%m-%d %H:%M}).")
    if (asking := evidence.asking) is not None:
        lines.append(
            f"  It is refused {asking.chance:.0%} of the times for want of capacity (of late refused {asking.refused:.1f}, had {asking.launched:.1f} times); "
            f"until another is asked that costs {asking.refusal_usd:.4f} USD, {asking.expected_usd:.4f} to be expected."
        )
    if evidence.current_usd_per_hour is not None:
        lines.append(
            f"  Staying costs {evidence.current_usd_per_hour:.4f} USD/h, moving {evidence.move_cost_usd:.4f} USD once{_move_of(evidence)}{_saving(evidence)}."
        )
    if (hurdle := evidence.hurdle) is not None:
        lines.append(
            f"  A move by price needs a gap of {hurdle.least_gap_usd_per_hour:.4f} USD/h (it is {hurdle.gap_usd_per_hour:.4f}) and a regret of "
            f"{hurdle.least_regret_usd:.2f} USD (it is {hurdle.regret_usd:.2f}){_wait(hurdle)}."
        )
    return [*lines, *(_cap(one) for one in evidence.caps)]


def _brought(client: Client, workload: wire.Workload) -> wire.Migration | None:
    if workload.placement is None:
        return None
    placed = workload.placement
    try:
        came = client.migration(placed.id)
        if came.decision.role == "standby":
            return next((one for one in client.migrations(workload.id) if one.decision.promote == placed.id), came)
        return came
    except ApiProblem as problem:
        if problem.problem.status == 404:
            return None
        raise


def _made_of(evidence: wire.Evidence) -> str:
    parts = evidence.parts
    if parts is None:
        return ""
    return f" (spot {parts.spot_usd_per_hour:.4f}, egress {parts.egress_usd_per_hour:.4f}, interruption risk {parts.risk_usd_per_hour:.4f})"


def _move_of(evidence: wire.Evidence) -> str:
    """What the move's cost is made of, where there is one."""
    parts = evidence.parts
    if parts is None or not evidence.move_cost_usd:
        return ""
    return f" (state {parts.carry_usd:.4f}, both machines for a while {parts.overlap_usd:.4f})"


def _cap(one: wire.SpendCap) -> str:
    amounts = f"{one.paid_usd:.2f} paid, {one.projected_usd:.2f} projected, {one.standing.replace('-', ' ')}"
    return f"  The cap of {one.owner} is {one.cap_usd:.2f} USD in {one.month}: {amounts}."


MENDS = {
    "over-month-cap": "Raise the cap, wait for the next month, or need a smaller machine.",
    "over-cap": "Raise maxUsdPerHour, or wait for lower prices.",
    "outside-boundary": "Only the boundary's owner can admit more regions; `spotlane plan --boundary FILE` says what that would save.",
    "outside-rules": "Name more clouds or regions in the workload's placement rules.",
    "too-small": "Need fewer vCPUs or less memory, or another architecture.",
    "unknown-price": "Prices come with the daemon's next cycle; `spotlane prices feeds` says how the feeds do.",
    "stale-price": "Prices come with the daemon's next cycle; `spotlane prices feeds` says how the feeds do.",
    "no-capacity": "It is tried again by itself; more clouds or regions give it more to try.",
    "excluded": "It is tried again by itself; more clouds or regions give it more to try.",
}
"""The next step, by the reason that left no offer."""


def _what_to_do(item: wire.PlanItem) -> list[str]:
    """The next step where nothing may be used."""
    mend = MENDS.get(item.reason.partition(":")[0])
    return [f"  {mend}"] if item.verdict == "no_offer" and mend is not None else []


def _saving(evidence: wire.Evidence) -> str:
    if evidence.net_saving_usd is None:
        return ""
    return f": net {evidence.net_saving_usd:+.2f} USD in {evidence.horizon_hours:.0f} h"


def _wait(hurdle: wire.Hurdle) -> str:
    if hurdle.gap_usd_per_hour < hurdle.least_gap_usd_per_hour:
        return "; the gap is too narrow"
    return f"; {hurdle.dwell_left_hours:.1f} h more at this gap" if hurdle.dwell_left_hours > 0 else "; both are reached"


def _rate(evidence: wire.Evidence) -> str:
    return f"{evidence.expected_usd_per_hour:.4f} USD/h"


def _moment(evidence: wire.Evidence) -> str:
    return f"{evidence.market_now:%Y-%m-%d %H:%M} UTC"


def _offer(offer: wire.OfferRef) -> str:
    return f"{offer.cloud}/{offer.region}/{offer.zone} {offer.instance_type}"
