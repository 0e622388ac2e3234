"""A local machine's journal: what is kept of its units' output, and what ``journalctl`` prints of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from localcloud.hosts import journalctl, journald


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def printed(here: Path, capsys: pytest.CaptureFixture[str], *options: str) -> list[dict[str, Any]]:
    assert journalctl.main(["--machine", str(here), "--output=json", *options]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_lines_are_a_units_when_they_end_and_bytes_that_are_no_text_stay_bytes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = journald.Journal()
    journal.output(5, "a.service", b"one\ntw")
    journal.output(6, "b.service", b"\xff\n")
    journal.output(5, "a.service", b"o\nlast")
    journal.output(5, "a.service", b"")
    journal.say("a.service", "a.service: main process exited")

    found = printed(here, capsys)
    assert [(one["_SYSTEMD_UNIT"], one["MESSAGE"]) for one in found[:4]] == [
        ("a.service", "one"),
        ("b.service", [255]),
        ("a.service", "two"),
        ("a.service", "last"),
    ]
    assert (found[4]["_SYSTEMD_UNIT"], found[4]["UNIT"]) == ("init.scope", "a.service")
    assert [one["MESSAGE"] for one in printed(here, capsys, "--unit=a", "--after-cursor=3")] == ["last", "a.service: main process exited"]


def test_a_journal_is_bounded_and_its_numbers_go_on_over_files_and_starts(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journald, "FILE_BYTES", 1000)
    for start in range(2):
        journal = journald.Journal()
        for number in range(40):
            journal.output(5, "a.service", f"{start} {number}\n".encode())

    found = printed(here, capsys)
    assert [int(one["__CURSOR"]) for one in found] == list(range(81 - len(found), 81))
    assert 10 < len(found) < 40
    assert sum(path.stat().st_size for path in here.rglob("*.jsonl")) < 2400


def test_what_isnt_played_is_refused_by_name(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert journalctl.main(["--machine", str(here), "--since=today"]) == 1
    assert "'--since=today' isn't played" in capsys.readouterr().err
