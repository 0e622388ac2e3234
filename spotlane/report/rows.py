"""The report's figures as rows: section, subject, figure, value, unit. Pure; an unknown value is empty."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from spotlane.report.figures import Report, Sums

HEADER = ("section", "subject", "figure", "value", "unit")
Row = tuple[str, str, str, str, str]


def text(report: Report) -> str:
    """The rows as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(rows(report))
    return out.getvalue()


def rows(report: Report) -> Iterator[Row]:
    """Every figure of the page."""
    sources = report.sources
    yield "report", sources.tenant or "", "month", sources.month, ""
    yield "report", sources.tenant or "", "made_at", f"{sources.made_at:%Y-%m-%dT%H:%M:%SZ}", ""
    yield "report", sources.tenant or "", "ledger_sha256", report.ledger_digest, ""
    yield from _sums("total", "", report.total)
    yield "total", "", "proven_by_moves", f"{report.proven:.6f}", "USD"
    yield "total", "", "available", _figure(report.available), "share"
    yield "total", "", "outside_boundary", _figure(report.outside_hours), "h"
    for section, subjects in (("day", report.days), ("workload", report.workloads)):
        for subject, sums in subjects.items():
            yield from _sums(section, subject, sums)
    for move in report.moves:
        yield "move", move.migration, "kind", move.kind, ""
        yield "move", move.migration, "from", move.from_offer, ""
        yield "move", move.migration, "to", move.to_offer, ""
        yield "move", move.migration, "expected", _figure(move.expected), "USD"
        yield "move", move.migration, "move_cost", _figure(move.move_cost), "USD"
        yield "move", move.migration, "proven", "" if move.proven is None else f"{move.proven:.6f}", "USD"
        yield "move", move.migration, "hours", _figure(move.hours), "h"
        yield "move", move.migration, "unproven_hours", _figure(move.unproven_hours), "h"
    for one in report.availability:
        yield "availability", one.workload, "due", _figure(one.due_seconds), "s"
        yield "availability", one.workload, "served", _figure(one.served_seconds), "s"
    for tenant in report.compliance:
        yield "boundary", tenant.tenant, "digest", tenant.digest or "", ""
        yield "boundary", tenant.tenant, "inside", _figure(tenant.inside), "h"
        yield from (("boundary", tenant.tenant, f"outside {place}", _figure(hours), "h") for place, hours in tenant.outside.items())
        yield "boundary", tenant.tenant, "decisions", str(tenant.decisions), ""
        yield "boundary", tenant.tenant, "decisions_under_present", str(tenant.decisions_under_present), ""
    for cap in sources.caps:
        yield "cap", cap.owner, "cap", _figure(cap.cap_usd), "USD"
        yield "cap", cap.owner, "paid", _figure(cap.paid_usd), "USD"
        yield "cap", cap.owner, "projected", _figure(cap.projected_usd), "USD"
    for alert in sources.alerts:
        yield "alert", alert.owner, f"{alert.percent} %", f"{alert.market_at:%Y-%m-%dT%H:%M:%SZ}", ""
    for anchor in report.anchors or ():
        yield "anchor", f"{anchor.point}@{anchor.member}", str(anchor.seq), anchor.hash, "sha256"


def _sums(section: str, subject: str, sums: Sums) -> Iterator[Row]:
    for figure in ("paid", "on_demand", "stayed", "saved", "saved_stayed"):
        yield section, subject, figure, f"{getattr(sums, figure):.6f}", "USD"
    yield section, subject, "hours", _figure(sums.hours), "h"
    yield section, subject, "unknown_hours", _figure(sums.unknown_hours), "h"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"
