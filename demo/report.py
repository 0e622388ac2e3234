"""The demo's report: for people as text, for programs as one JSON line. Every figure is counted from what happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from demo.scenario import Plot
from demo.tally import Tally
from spotlane import wire


@dataclass
class Account:
    """What is known at the end."""

    migrations: list[wire.Migration]
    placements: list[wire.Placement]
    allowed: Mapping[str, wire.BoundaryCheck]
    ledger: wire.Ledger
    audit: Mapping[str, int]
    plot: Plot
    tally: Tally
    leaked_resources: int = 0
    leaked_processes: int = 0
    seconds: float = 0.0
    first_url_seconds: float | None = None
    """From when the demo was asked for, setup included, to the first answer at a workload's address."""
    faults: list[str] = field(default_factory=list)

    @property
    def moves(self) -> list[wire.Migration]:
        """Completed moves from one machine to another."""
        return [one for one in self.migrations if one.from_placement is not None and one.kind != "terminate" and one.status == "succeeded"]

    @property
    def outside(self) -> list[str]:
        """Placements that ever stood outside their tenant's boundary."""
        return [one.id for one in self.placements if one.offer.region not in self.allowed[one.tenant].regions.get(one.offer.cloud, [])]

    def summary(self) -> dict[str, Any]:
        """The object of the last line."""
        tally, totals = self.tally, self.ledger.totals
        served = {one.id: one.offer.cloud for one in self.placements}
        clouds = sorted({cloud for move in self.moves for cloud in (served.get(move.id), served.get(move.from_placement or "")) if cloud})
        interruptions = [one for one in self.moves if one.kind == "interruption"]
        return {
            "moves": len(self.moves),
            "clouds": clouds,
            "interruptions": len(interruptions),
            "refused": len(self.plot.refusals),
            "http": {"requests": tally.http_requests, "failed": tally.http_failed},
            "websocket": {"messages": tally.ws_messages, "lost": tally.ws_lost},
            "tcp": {"connections": tally.tcp_connections, "failed": tally.tcp_failed},
            "outside_boundary": len(self.outside),
            "usd": {"paid": float(totals.paid_usd), "on_demand": float(totals.on_demand_usd), "stayed": float(totals.stayed_usd)},
            "leaked": {"resources": self.leaked_resources, "processes": self.leaked_processes},
            "seconds": round(self.seconds, 1),
            "first_url_seconds": None if self.first_url_seconds is None else round(self.first_url_seconds, 1),
        }


def show(account: Account, console: Console) -> None:
    """Prints the report for people."""
    console.rule("moves")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("workload", "kind", "from", "to", "USD/h", "was", "quote's age", "net saving USD"):
        table.add_column(column)
    where = {one.id: one.offer for one in account.placements}
    for move in sorted(account.moves, key=lambda one: one.started_at):
        evidence = move.decision.evidence
        source, target = where.get(move.from_placement or ""), move.decision.offer
        if evidence is None or target is None:
            continue
        table.add_row(
            move.workload,
            move.kind,
            "-" if source is None else f"{source.cloud}/{source.region}",
            f"{target.cloud}/{target.region}",
            f"{evidence.expected_usd_per_hour:.4f}",
            "-" if evidence.current_usd_per_hour is None else f"{evidence.current_usd_per_hour:.4f}",
            f"{evidence.quote_age_seconds / 60:.0f} min",
            "-" if evidence.net_saving_usd is None else f"{evidence.net_saving_usd:.2f}",
        )
    console.print(table)
    console.rule("refused")
    for refusal in account.plot.refusals:
        console.print(f"  {refusal}", markup=False)
    _traffic(account, console)
    totals = account.ledger.totals
    console.rule("ledger")
    console.print(
        f"{totals.hours:.0f} workload hours: paid {totals.paid_usd:.2f} USD; on-demand would have cost {totals.on_demand_usd:.2f}, "
        f"staying where they began {totals.stayed_usd:.2f}"
    )
    if account.first_url_seconds is not None:
        console.print(f"time to the first URL that answered: {account.first_url_seconds:.0f} s, setup included")
    console.print("cloud API calls: " + (", ".join(f"{count} {verdict}" for verdict, count in sorted(account.audit.items())) or "none"))
    for fault in account.faults:
        console.print(f"fault: {fault}", style="red", markup=False)


def _traffic(account: Account, console: Console) -> None:
    tally = account.tally
    console.rule("traffic")
    middle, high = tally.percentile(0.5), tally.percentile(0.99)
    console.print(
        f"http       {tally.http_requests} requests, {tally.http_failed} failed" + (f", p50 {middle:.0f} ms, p99 {high:.0f} ms" if middle and high else "")
    )
    console.print(f"websocket  {tally.ws_messages} messages, {tally.ws_lost} lost, {tally.ws_duplicated} duplicated")
    console.print(f"tcp        {tally.tcp_connections} connections, {tally.tcp_failed} failed")
    console.print("served by  " + ", ".join(f"{name} {count}" for name, count in sorted(tally.served_by.items())))
    for cause, count in tally.faults.most_common(8):
        console.print(f"  {count} x {cause}", style="red", markup=False)
