"""``spotlane prices``: what people see of the feeds, and that its verbs are reached."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from spotlane import wire
from spotlane.cli import prices
from spotlane.cli.main import cli

AT = datetime(2026, 3, 10, 8, tzinfo=UTC)
FAULT = wire.FeedFault(region="eu-west-1", reason="timeout", detail="no answer", first_at=AT, last_at=AT, times=2)
FEEDS = wire.Feeds(
    market_now=AT,
    feeds=[
        wire.FeedStatus(cloud="aws", observed_at=AT, answered_at=AT, fresh=7, stale=2, doubtful=1, faults=[FAULT]),
        wire.FeedStatus(cloud="gcp", observed_at=None, answered_at=None, fresh=0, stale=0, doubtful=0, faults=[]),
    ],
    held_back=[wire.HeldBack(offer="aws/eu-west-1/eu-west-1a/m5.large", reason="jump", detail="more", first_at=AT, last_at=AT, times=3)],
)


def test_a_feeds_faults_its_quotes_by_state_and_what_is_held_back_are_shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    prices.show(FEEDS)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["aws", "2026-03-10", "08:00:00", "2026-03-10", "08:00:00", "7", "2", "1", "eu-west-1:", "timeout", "(no", "answer)"]
    assert lines[2].split() == ["gcp", "never", "-", "0", "0", "0", "-"]
    assert lines[-1].split() == ["aws/eu-west-1/eu-west-1a/m5.large", "jump", "more", "2026-03-10", "08:00:00", "3"]


def test_nothing_held_back_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    prices.show(FEEDS.model_copy(update={"held_back": []}))
    assert capsys.readouterr().out.splitlines()[-1] == "nothing was held back"


def test_recording_takes_its_own_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    become: list[list[str]] = []
    monkeypatch.setattr(prices, "become", lambda module, arguments, _: become.append([module, *arguments]))
    for arguments in (["seen.parquet", "--every", "60"], []):
        assert CliRunner().invoke(cli, ["prices", "record", *arguments]).exit_code == 0
    assert become == [["automation.feeds", "record", "seen.parquet", "--every", "60"], ["automation.feeds", "record", "--help"]]
