"""The report as one HTML page: no script, nothing from elsewhere, light and dark, printable. Pure.

Each figure is a ``<data>`` element with its exact value and an id of section, subject and figure, as the rows name it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from html import escape

from spotlane.report import charts
from spotlane.report.charts import Series
from spotlane.report.figures import Report, Sums, each_day
from spotlane.report.style import CSS

_DASH = "–"


def html(report: Report) -> str:
    """The page."""
    sources = report.sources
    whose = sources.tenant or "all tenants"
    sections = (_head(report), _headline(report), _savings(report), _moves(report), _caps(report), _availability(report), _boundary(report), _audit(report))
    body = "\n".join(section for section in sections if section)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>Spotlane report, {escape(whose)}, {escape(sources.month)}</title>
<style>{CSS}</style>
</head>
<body>
<main>
{body}
{_signatures(report)}
</main>
</body>
</html>
"""


def _head(report: Report) -> str:
    sources = report.sources
    whose = escape(sources.tenant or "All tenants")
    over = sources.made_at >= sources.end
    part = "" if over else f" <b>The month isn't over: figures are those known by {sources.made_at:%Y-%m-%d %H:%M} UTC.</b>"
    return f"""<header>
<p class="brand">Spotlane</p>
<h1>{whose}, {sources.begin:%B %Y}</h1>
<p>What the month's machines cost, what else they would have cost at the prices in force then, and what backs that up.
Months are calendar months in UTC.{part}</p>
</header>"""


def _headline(report: Report) -> str:
    total = report.total
    tiles = [
        ("Paid, USD", _usd("total", "", "paid", total.paid), f"for {_number('total', '', 'hours', total.hours, 1)} machine hours"),
        (
            "Saved against on-demand, USD",
            _usd("total", "", "saved", total.saved),
            f"{_share(total.saved_share)} of {_usd('total', '', 'on_demand', total.on_demand)}",
        ),
        ("Saved against staying, USD", _usd("total", "", "saved_stayed", total.saved_stayed), f"of {_usd('total', '', 'stayed', total.stayed)}"),
        ("Available", _share(report.available, 3, "total--available"), "of the time that workloads were due"),
        ("Outside the boundary", _hours(report), "machine hours"),
    ]
    cells = "".join(f"<div><dt>{name}</dt><dd>{value}</dd><small>{note}</small></div>" for name, value, note in tiles)
    unknown = ""
    if total.unknown_hours:
        hours = _number("total", "", "unknown_hours", total.unknown_hours, 2)
        unknown = f'<p class="warn">The price of {hours} h is unknown. They are in no sum and in no saving.</p>'
    return f'<dl class="tiles">{cells}</dl>{unknown}'


def _hours(report: Report) -> str:
    outside = report.outside_hours
    if outside is None:
        return '<span class="unknown">not checked</span>'
    return _number("total", "", "outside_boundary", outside, 1, "bad" if outside else "good")


def _savings(report: Report) -> str:
    if not report.days:
        return '<section><h2>Cost and savings</h2><p class="empty">The ledger holds no hour of this month.</p></section>'
    days = each_day(report.sources.begin, report.sources.end)
    labels = [day[8:].lstrip("0") for day in days]

    def values(figure: str) -> list[float | None]:
        return [float(getattr(report.days[day], figure)) if day in report.days else None for day in days]

    drawn = [Series("On-demand", "other", values("on_demand")), Series("Staying", "stay", values("stayed")), Series("Paid", "paid", values("paid"))]
    legend = "".join(f'<span class="key {one.style}">{one.name}</span>' for one in (drawn[2], drawn[1], drawn[0]))
    chart = charts.lines("USD a day: paid, staying where workloads began, on-demand", labels, drawn)
    widest = sorted(report.workloads.items(), key=lambda item: (-item[1].on_demand, item[0]))
    shown = [(name, float(one.paid), float(one.on_demand)) for name, one in widest[:20]]
    more = f'<p class="note">The 20 of {len(widest)} workloads that on-demand would have cost the most for.</p>' if len(widest) > 20 else ""
    rows = [
        (
            escape(name),
            *(_usd("workload", name, figure, getattr(one, figure)) for figure in ("paid", "on_demand", "stayed", "saved", "saved_stayed")),
            _share(one.saved_share),
            _number("workload", name, "hours", one.hours, 1) + _unknown(one.unknown_hours),
        )
        for name, one in report.workloads.items()
    ]
    rows.append(("All", *_totals(report.total)))
    header = ("Workload", "Paid USD", "On-demand USD", "Staying USD", "Saved USD", "Saved against staying USD", "Saved", "Hours")
    return f"""<section>
<h2>Cost and savings</h2>
<figure><figcaption>USD a day <span class="keys">{legend}</span></figcaption>{chart}</figure>
<figure><figcaption>Paid, of what on-demand would have cost, USD</figcaption>{charts.bars("Paid of on-demand by workload, USD", shown)}{more}</figure>
{_table(header, rows, last=True)}
<p class="note">On-demand is the on-demand price of the machine on which a workload began, staying its spot price:
what who placed once and never moved would have paid. Prices are those in force at each hour's beginning. Hours of which a figure is
unknown are in no saving.</p>
</section>"""


def _totals(total: Sums) -> tuple[str, ...]:
    amounts = [f"{getattr(total, figure):,.2f}" for figure in ("paid", "on_demand", "stayed", "saved", "saved_stayed")]
    return (*amounts, _share(total.saved_share), f"{total.hours:,.1f}")


def _moves(report: Report) -> str:
    rows = [
        (
            escape(move.migration),
            escape(move.kind),
            _DASH if move.at is None else f'<span class="whole">{move.at:%d %b %H:%M}</span>',
            escape(move.from_offer),
            escape(move.to_offer),
            _DASH if move.expected is None else f"{move.expected:+.2f}",
            _DASH if move.move_cost is None else _usd("move", move.migration, "move_cost", Decimal(str(move.move_cost)), 4),
            _DASH if move.proven is None else _usd("move", move.migration, "proven", move.proven, 4),
            _number("move", move.migration, "hours", move.hours, 1) + _unknown(move.unproven_hours),
        )
        for move in report.moves
    ]
    if not rows:
        return '<section><h2>Moves</h2><p class="empty">No machine that a move brought served in this month.</p></section>'
    header = ("Move", "Kind", "At (UTC)", "From", "To", "Expected USD", "Cost of the move USD", "Proven USD", "Hours")
    return f"""<section>
<h2>Moves</h2>
<p>Moves by price have proven {_usd("total", "", "proven_by_moves", report.proven)} USD in this month.</p>
{_table(header, rows)}
<p class="note">Proven: over the hours that the new machine served in the month, what the machine that was left would have cost
at the prices of then, less what was paid. Expected is the decision's net saving over its horizon. A move after an interruption or a
failed probe had no choice of staying; it is listed and not counted.</p>
</section>"""


def _caps(report: Report) -> str:
    sources = report.sources
    if not sources.caps and not sources.alerts:
        return ""
    rows = []
    for cap in sources.caps:
        used = min(cap.paid_usd / cap.cap_usd, 1.0)
        meter = f'<span class="meter" role="img" aria-label="{used:.0%} used"><i style="width:{used:.1%}"></i></span>'
        rows.append(
            (
                escape(cap.owner),
                f"{cap.cap_usd:,.2f}",
                f"{cap.paid_usd:,.2f}",
                f"{cap.projected_usd:,.2f}",
                f"{meter} {cap.paid_usd / cap.cap_usd:.0%}",
                cap.standing,
            )
        )
    told = "".join(f"<li>{escape(one.owner)}: {one.percent} % on {one.market_at:%Y-%m-%d %H:%M} UTC, {one.paid_usd:,.2f} paid</li>" for one in sources.alerts)
    table = _table(("Cap of", "Cap USD", "Paid USD", "Projected USD", "Used", "Standing"), rows) if rows else ""
    return f"<section><h2>Monthly caps</h2>{table}{f'<h3>Alerts</h3><ul>{told}</ul>' if told else ''}</section>"


def _availability(report: Report) -> str:
    if not report.availability:
        return '<section><h2>Availability</h2><p class="empty">Not measured: no workload was due in this month by the wall clock.</p></section>'
    rows = [
        (
            escape(one.workload),
            _share(one.share, 3),
            f"{one.due_seconds / 3600:,.1f}",
            _number("availability", one.workload, "served", one.served_seconds, 0),
            f"{one.due_seconds - one.served_seconds:,.0f}",
        )
        for one in report.availability
    ]
    return f"""<section>
<h2>Availability</h2>
{_table(("Workload", "Available", "Due h", "Served s", "Not served s"), rows)}
<p class="note">By the states in which the Health Monitor held each workload, on the wall clock: RUNNING and MIGRATING are served,
everything else from its first RUNNING until it is stopped isn't, an interruption's whole notice included.</p>
</section>"""


def _boundary(report: Report) -> str:
    rows = []
    for one in report.compliance:
        outside = sum(one.outside.values())
        places = ", ".join(f"{escape(place)} {hours:.1f} h" for place, hours in sorted(one.outside.items()))
        verdict = (
            '<span class="unknown">not checked</span>'
            if one.inside is None
            else f'<span class="bad">{places}</span>'
            if outside
            else '<span class="good">none</span>'
        )
        inside = _DASH if one.inside is None else _number("boundary", one.tenant, "inside", one.inside, 1)
        digest = _DASH if one.digest is None else f"<code>{escape(one.digest)}</code>"
        rows.append((escape(one.tenant), inside, verdict, f"{one.decisions_under_present} of {one.decisions}", digest))
    if not rows:
        return ""
    return f"""<section>
<h2>Boundary</h2>
{_table(("Tenant", "Hours inside", "Hours outside", "Decisions under it", "Boundary"), rows)}
<p class="note">Where the month's machines ran, under the boundary as it stands now. Decisions of the month's placements that name another
digest were taken under an earlier version of it. What a data class asks for besides is enforced at placement, and in the policies' own records.</p>
</section>"""


def _audit(report: Report) -> str:
    digest = f"<p>The month's ledger, SHA-256: <code>{report.ledger_digest}</code></p>"
    tenant = f" --tenant {report.sources.tenant}" if report.sources.tenant else ""
    ledger = f"<code>spotlane ledger --format csv --month {report.sources.month}{tenant} | sha256sum</code>"
    check = f'<p class="note">Check: {ledger}, and <code>spotlane audit verify</code> for the chains.</p>'
    if report.anchors is None:
        table = '<p class="unknown">The anchors of the audit log are the platform\'s: this key may not see them.</p>'
    elif not report.anchors:
        table = '<p class="empty">No head of the audit log was anchored in this month.</p>'
    else:
        rows = [
            (escape(one.point), escape(one.member), str(one.count), f"{one.seq:,}", f"{one.at:%Y-%m-%d %H:%M:%S}", f"<code>{escape(one.hash)}</code>")
            for one in report.anchors
        ]
        table = _table(("Enforcer", "Machine", "Anchors", "Last record", "At (UTC)", "Its hash"), rows)
    return f"<section><h2>Audit</h2>{digest}{table}{check}</section>"


def _signatures(report: Report) -> str:
    boxes = "".join(f"<div><span></span>{who}</div>" for who in ("Prepared by, date", "Reviewed by, date"))
    made = f"Made {report.sources.made_at:%Y-%m-%d %H:%M} UTC by <code>spotlane report --month {escape(report.sources.month)}</code>."
    return f'<footer><div class="sign">{boxes}</div><p class="note">{made}</p></footer>'


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], *, last: bool = False) -> str:
    given = list(rows)
    numeric = [all(_is_number(row[column]) for row in given) for column in range(len(header))]
    sides = ['class="n"' if one else "" for one in numeric]
    head = "".join(f'<th scope="col" {side}>{name}</th>' for name, side in zip(header, sides, strict=True))
    body = "".join(
        f"<tr{' class=total' if last and number == len(given) - 1 else ''}>"
        + "".join(f"<td {side}>{cell}</td>" for cell, side in zip(row, sides, strict=True))
        + "</tr>"
        for number, row in enumerate(given)
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _unknown(hours: float) -> str:
    return f' <span class="unknown">({hours:.1f} unknown)</span>' if hours else ""


def _is_number(cell: str) -> bool:
    return cell == _DASH or cell.startswith("<data") or cell.replace(",", "").replace(".", "").lstrip("+-").removesuffix(" %").isdigit()


def _usd(section: str, subject: str, figure: str, value: Decimal, digits: int = 2) -> str:
    return f'<data id="{_id(section, subject, figure)}" value="{value:.6f}">{value:,.{digits}f}</data>'


def _number(section: str, subject: str, figure: str, value: float, digits: int, style: str = "") -> str:
    classes = f' class="{style}"' if style else ""
    return f'<data id="{_id(section, subject, figure)}"{classes} value="{value:.6f}">{value:,.{digits}f}</data>'


def _share(value: float | None, digits: int = 0, name: str = "") -> str:
    if value is None:
        return _DASH
    shown = f"{100 * value:.{digits}f} %"
    return f'<data id="{name}" value="{value:.6f}">{shown}</data>' if name else shown


def _id(section: str, subject: str, figure: str) -> str:
    return escape(f"{section}-{subject}-{figure}", quote=True)
