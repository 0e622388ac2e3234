"""``spotlane plan --boundary``: a changed boundary's price, told in lines."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from spotlane import wire
from spotlane.cli import moves
from spotlane.cli.main import cli
from spotlane.cli.whatif import boundary_of, footer, rows
from spotlane.errors import InvalidDocument

NOW = datetime(2026, 1, 10, tzinfo=UTC)
GERMAN = wire.OfferRef(cloud="aws", region="eu-central-1", zone="eu-central-1a", instance_type="m5.large")


def course(usd: float, unplaced: float = 0) -> wire.CourseCost:
    return wire.CourseCost(usd=usd, machine_usd=usd, egress_usd=0, moves_usd=0, usd_per_hour=usd / 100, hours=100, unplaced_hours=unplaced, moves=1)


def item(**changed: Any) -> wire.WhatIfItem:
    place = {name: wire.Place(offer=GERMAN, usd_per_hour=usd) for name, usd in (("now_free", 0.02), ("now_present", 0.04), ("now_changed", 0.05))}
    known = {"workload": "web-acme", "leaves": True, **place, "free": course(2), "present": course(4), "changed": course(5.5)}
    return wire.WhatIfItem(**(known | changed))


def found(*items: wire.WhatIfItem) -> wire.WhatIf:
    digests = {"present_digest": "sha256:" + "1" * 64, "changed_digest": "sha256:" + "2" * 64}
    return wire.WhatIf(market_now=NOW, begin=NOW - timedelta(days=7), end=NOW, step_hours=2, items=list(items), **digests)


def test_a_workload_is_priced_under_both_boundaries_and_without_one() -> None:
    assert rows(found(item())) == [
        ("web-acme", "0.0400", "0.0500", "0.0200", "4.00", "5.50", "2.00", "0", "+0.0100 USD/h in aws/eu-central-1; leaves its place")
    ]


def test_the_sum_leaves_out_what_was_not_placed_all_the_time() -> None:
    lost = item(workload="jobs-acme", now_changed=wire.Place(offer=None, usd_per_hour=None), changed=course(1, unplaced=80), leaves=False)
    assert footer(found(item(), lost))[1:] == [
        "the changed boundary (sha256:222222222222) would have cost +1.50 USD over it",
        "1 of 2 workloads are in no sum: for some hours nothing inside a boundary served them",
        "would have to leave at once: web-acme",
    ]
    assert rows(found(lost))[0][-2:] == ("80", "nothing inside the changed boundary serves it")


def test_a_tenant_files_boundary_is_taken_out_of_it_and_anything_else_is_refused(tmp_path: Path) -> None:
    plain, whole, wrong = (tmp_path / name for name in ("b.yaml", "t.yaml", "w.yaml"))
    plain.write_text("{name: acme, residency: {countries: [DE]}}")
    whole.write_text("{apiVersion: spotlane/v1, kind: Tenant, metadata: {name: acme}, spec: {boundary: {name: acme}}}")
    wrong.write_text("- a list")
    assert (boundary_of(plain)["residency"], boundary_of(whole)) == ({"countries": ["DE"]}, {"name": "acme"})
    for path, fault in ((wrong, "holds no boundary"), (tmp_path / "none.yaml", "can't be read")):
        with pytest.raises(InvalidDocument, match=r"\.yaml") as refused:
            boundary_of(path)
        assert fault in str(refused.value.faults[0])


def test_the_command_asks_for_the_workloads_tenant_and_refuses_to_guess_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[wire.WhatIfRequest] = []
    service = SimpleNamespace(what_if=lambda request: asked.append(request) or found(item()))
    monkeypatch.setattr(moves, "edge", lambda: None)
    monkeypatch.setattr(moves, "automation", lambda client: service)
    (tmp_path / "b.yaml").write_text("{name: acme}")
    given = ["plan", "--boundary", str(tmp_path / "b.yaml")]
    shown = CliRunner().invoke(cli, [*given, "web-acme", "--days", "3", "--json"])
    assert json.loads(shown.stdout)["items"][0]["workload"] == "web-acme"
    assert (asked[0].tenant, asked[0].workload, asked[0].days) == ("acme", "web-acme", 3)
    assert CliRunner().invoke(cli, [*given, "--tenant", "acme"]).exit_code == 0
    refused = CliRunner().invoke(cli, given)
    assert (refused.exit_code, "name the tenant" in " ".join(refused.output.split())) == (2, True)
