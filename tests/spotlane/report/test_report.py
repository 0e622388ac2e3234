"""The month's report: its page and its rows show the ledger's own figures, and nothing unknown as 0."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from spotlane import wire
from spotlane.cli import report as command
from spotlane.cli import spend
from spotlane.cli.main import cli
from spotlane.errors import ApiProblem, Unreachable
from spotlane.report import charts, page, rows
from spotlane.report.figures import availability, report
from tests.spotlane.report.month import BEGIN, DIGEST, END, event, events, head, hours, move, sources


class Page(HTMLParser):
    """What a page holds: figures by id, texts by tag, addresses that it would load, and whether its tags are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.figures: dict[str, Decimal] = {}
        self.attributes: list[tuple[str, str]] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag == "data" and given.get("id"):
            assert given["id"] not in self.figures, f"{given['id']} stands twice"
            self.figures[str(given["id"])] = Decimal(str(given["value"]))
        if tag not in ("meta", "line", "rect", "circle", "polyline"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def known(hours: list[wire.LedgerHour], *figures: str) -> list[tuple[Decimal, ...]]:
    """The figures of hours that have all of them."""
    found = [tuple(getattr(one, figure) for figure in figures) for one in hours]
    return [row for row in found if None not in row]


def test_the_pages_sums_equal_the_ledgers() -> None:
    shown = Page(page.html(report(sources()))).figures
    month = hours()
    assert shown["total--paid"] == sum(paid for (paid,) in known(month, "paid_usd"))
    assert shown["total--on_demand"] == sum(listed for (listed,) in known(month, "on_demand_usd"))
    assert shown["total--saved"] == sum(listed - paid for listed, paid in known(month, "on_demand_usd", "paid_usd"))
    assert shown["total--saved_stayed"] == sum(stayed - paid for stayed, paid in known(month, "stayed_usd", "paid_usd"))
    unknown = sum(one.paid_usd is None for one in month)
    assert unknown > 0 and shown["total--unknown_hours"] == unknown
    for name in ("web-acme", "jobs-acme", "shop-globex"):
        own = [one for one in month if one.workload == name]
        assert shown[f"workload-{name}-paid"] == sum(paid for (paid,) in known(own, "paid_usd"))
        assert shown[f"workload-{name}-hours"] == 744


def test_each_move_has_proven_what_the_machine_that_was_left_would_have_cost_more() -> None:
    found = report(sources())
    shown = Page(page.html(found)).figures
    for migration in ("acme_web_2", "acme_web_3", "acme_jobs_2", "globex_shop_2", "globex_shop_3"):
        own = [one for one in hours() if one.placement == migration]
        assert shown[f"move-{migration}-proven"] == sum(before - paid for before, paid in known(own, "before_usd", "paid_usd"))
    assert shown["total--proven_by_moves"] == shown["move-acme_web_2-proven"] + shown["move-acme_jobs_2-proven"]
    assert [(one.migration, one.kind) for one in found.moves] == [
        ("acme_jobs_2", "move"),
        ("acme_web_2", "move"),
        ("acme_web_3", "interruption"),
        ("globex_shop_2", "requested"),
        ("globex_shop_3", "unknown"),
    ]


def test_a_move_without_an_hour_of_two_known_prices_has_proven_nothing_that_is_known() -> None:
    blind = [one.model_copy(update={"before_usd": None}) if one.placement == "acme_web_2" else one for one in hours()]
    found = report(sources(hours=blind))
    [web] = [one for one in found.moves if one.migration == "acme_web_2"]
    assert (web.proven, web.hours, web.unproven_hours) == (None, 300, 300)
    assert "move-acme_web_2-proven" not in Page(page.html(found)).figures
    assert ("move", "acme_web_2", "proven", "", "USD") in list(rows.rows(found))


def test_the_rows_hold_every_figure_of_the_page() -> None:
    found = report(sources())
    given = {f"{section}-{subject}-{figure}": value for section, subject, figure, value, _ in rows.rows(found)}
    shown = Page(page.html(found)).figures
    assert len(shown) > 40
    assert {name: Decimal(given[name]) for name in shown} == shown
    assert rows.text(found).splitlines()[0] == "section,subject,figure,value,unit"


def test_the_page_loads_nothing_runs_nothing_and_is_well_formed() -> None:
    shown = Page(page.html(report(sources())))
    assert shown.open == []
    assert "script" not in shown.tags and "link" not in shown.tags and "img" not in shown.tags
    assert [value for name, value in shown.attributes if name in ("src", "href", "srcset", "style") and "width" not in value] == []
    assert not re.search(r"https?://|@import|url\(", page.html(report(sources())))
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in shown.attributes


def test_names_from_outside_are_shown_and_never_markup() -> None:
    odd = [one.model_copy(update={"workload": '<b>"&'}) for one in hours()]
    shown = Page(page.html(report(sources(hours=odd))))
    assert "b" not in shown.tags
    assert '<b>"&' in shown.text


def test_an_interruption_and_what_comes_before_the_first_run_are_told_apart() -> None:
    found = {one.workload: one for one in report(sources()).availability}
    assert set(found) == {"web-acme", "jobs-acme"}
    assert (found["web-acme"].due_seconds, found["web-acme"].served_seconds) == (744 * 3600, 744 * 3600 - 900)
    assert found["jobs-acme"].share == 1.0


@pytest.mark.parametrize(
    ("changes", "due", "served"),
    [
        ([event(1, "RUNNING", 10)], 734, 734),
        ([event(1, "RUNNING", -5), event(2, "UNHEALTHY", -1), event(3, "RUNNING", 2)], 744, 742),
        ([event(1, "RUNNING", 0), event(2, "STOPPING", 100), event(3, "TERMINATED", 101)], 100, 100),
        ([event(1, "RUNNING", 0), event(2, "TERMINATED", 10), event(3, "PENDING", 20), event(4, "RUNNING", 24)], 730, 730),
        ([event(1, "RUNNING", 700), event(2, "FAILED", 740), event(3, "RUNNING", 900)], 44, 40),
    ],
)
def test_what_is_due_ends_with_a_stop_and_begins_again_with_the_next_run(changes: list[wire.WorkloadEvent], due: float, served: float) -> None:
    found = availability("web-acme", changes, BEGIN, END)
    assert found is not None
    assert (found.due_seconds, found.served_seconds) == (due * 3600, served * 3600)


def test_without_events_availability_is_not_measured_and_not_whole() -> None:
    assert availability("web-acme", [], BEGIN, END) is None
    found = report(sources(events=[]))
    assert found.available is None
    assert "Not measured" in Page(page.html(found)).text


def test_hours_outside_the_boundary_are_named_by_place() -> None:
    found = report(sources())
    acme, globex = found.compliance
    assert (acme.outside, acme.decisions, acme.decisions_under_present) == ({}, 2, 1)
    assert (globex.inside, globex.outside, globex.digest) == (500, {"azure/eastus": 244}, DIGEST)
    shown = Page(page.html(found))
    assert (shown.figures["total--outside_boundary"], "azure/eastus 244.0 h" in shown.text) == (244, True)


def test_a_boundary_that_could_not_be_asked_for_is_not_a_kept_one() -> None:
    found = report(sources(boundaries={"acme": None, "globex": None}))
    assert found.outside_hours is None
    assert "not checked" in Page(page.html(found)).text
    assert ("total", "", "outside_boundary", "", "h") in list(rows.rows(found))


def test_the_last_anchor_of_the_month_stands_for_each_chain() -> None:
    found = report(sources())
    assert found.anchors is not None
    assert [(one.point, one.count, one.seq, one.hash) for one in found.anchors] == [("api", 3, 129, "1d" * 32)]
    hidden = report(sources(anchors=None))
    assert hidden.anchors is None
    assert "this key may not see them" in Page(page.html(hidden)).text


def test_an_empty_month_says_so_and_divides_by_nothing() -> None:
    found = report(sources(hours=[], moves=[], events=[], caps=[], alerts=[], anchors=[]))
    shown = Page(page.html(found))
    assert (found.total.saved_share, shown.figures["total--paid"]) == (None, 0)
    assert "The ledger holds no hour of this month." in shown.text


def test_a_month_that_goes_on_says_by_when_its_figures_are() -> None:
    early = replace(sources(), made_at=BEGIN + timedelta(days=9))
    assert "The month isn't over: figures are those known by 2026-03-10 00:00 UTC." in Page(page.html(report(early))).text
    assert "isn't over" not in Page(page.html(report(sources()))).text


def test_a_chart_leaves_a_gap_where_a_value_is_not_known_and_scales_to_the_largest() -> None:
    drawn = charts.lines("t", ["1", "2", "3", "4"], [charts.Series("a", "paid", [1.0, None, 3.0, 4.0])])
    assert (drawn.count("<circle"), drawn.count("<polyline")) == (1, 1)
    assert ">4.00</text>" in drawn
    assert ">1.00</text>" in charts.lines("t", ["1"], [charts.Series("a", "paid", [None])])


class Edge:
    """The API's calls of the report."""

    def __init__(self) -> None:
        self.anchors_refused = False

    def ledger_hours(self, *_: Any, month: str | None = None) -> list[wire.LedgerHour]:
        other = hours(days=1)[0].model_copy(update={"hour": END})
        return [other, *hours()]

    def tenants(self) -> list[wire.Tenant]:
        return [wire.Tenant(id=name, boundary={}, boundary_digest=DIGEST) for name in ("acme", "globex")]

    def ledger_moves(self, *_: Any) -> list[wire.LedgerMove]:
        return [move("acme_web_2", "move"), move("acme_old_9", "move")]

    def migrations(self) -> list[Any]:
        return []

    def all_events(self, *_: Any) -> list[wire.WorkloadEvent]:
        return events()[::-1]

    def alerts(self, *_: Any, month: str) -> list[Any]:
        assert month == "2026-03"
        return []

    def audit_heads(self) -> list[wire.AuditHead]:
        if self.anchors_refused:
            raise ApiProblem(wire.Problem(type="https://spotlane.dev/problems/forbidden", title="no", status=403, detail=""))
        return [head(3, BEGIN)]


@pytest.fixture
def edge(monkeypatch: pytest.MonkeyPatch) -> Edge:
    given = Edge()
    monkeypatch.setattr(command, "edge", lambda: given)
    monkeypatch.setattr(spend, "edge", lambda: given)
    away = SimpleNamespace(check_boundary=_away, spend=_away)
    monkeypatch.setattr(command, "automation", lambda client: away)
    return given


def _away(*_: Any) -> Any:
    raise Unreachable("automation service", "http://a", "refused", "start it")


def test_the_command_writes_both_files_and_says_what_it_could_not_ask(edge: Edge, tmp_path: Path) -> None:
    edge.anchors_refused = True
    shown = CliRunner().invoke(cli, ["report", "--month", "2026-03", "--out", str(tmp_path / "new"), "--json"])
    assert shown.exit_code == 0, shown.output
    told = json.loads(shown.stdout)
    assert [Path(one).name for one in told["files"]] == ["spotlane-2026-03.html", "spotlane-2026-03.csv"]
    assert told["outsideBoundaryHours"] is None
    written = Page(Path(told["files"][0]).read_text())
    assert str(written.figures["total--paid"]) == told["paidUsd"]
    assert "this key may not see them" in written.text


def test_the_ledgers_digest_is_that_of_what_the_ledger_command_prints(edge: Edge, tmp_path: Path) -> None:
    told = json.loads(CliRunner().invoke(cli, ["report", "--month", "2026-03", "--out", str(tmp_path), "--json"]).stdout)
    printed = CliRunner().invoke(cli, ["ledger", "--format", "csv", "--month", "2026-03"]).stdout_bytes
    assert hashlib.sha256(printed).hexdigest() == told["ledgerSha256"]


def test_a_month_that_is_none_and_a_folder_that_cant_be_written_are_refused_with_what_to_do(edge: Edge, tmp_path: Path) -> None:
    refused = CliRunner().invoke(cli, ["report", "--month", "2026-3"])
    assert (refused.exit_code, "YYYY-MM" in refused.output) == (2, True)
    (tmp_path / "file").write_text("")
    blocked = CliRunner().invoke(cli, ["report", "--month", "2026-03", "--out", str(tmp_path / "file")])
    assert (blocked.exit_code, "name another folder" in blocked.output) == (2, True)
