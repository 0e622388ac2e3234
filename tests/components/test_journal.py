"""A machine's lines on their way to the edge: what is told, what never leaves, and that nothing is told twice or held up."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.machine import boot, journal
from spotlane import wire
from tests.components.loopback import Answered, Loopback

TOKEN = "placement-token-of-acme"
SETTINGS = {"placement": "acme_web_3", "placementToken": TOKEN, "tunnelToken": "tunnel-token", "originKey": ""}
AT = "1766000000123456"


class Edge(Loopback):
    """Takes batches in as the edge does, checks them by the wire model, and answers with ``refusals`` first."""

    def __init__(self) -> None:
        self.batches: list[wire.LogBatch] = []
        self.refusals: list[tuple[int, dict[str, str]]] = []
        super().__init__(lambda path, headers: (405, b"", {}), self._take)
        self.url = f"http://{self.address}/v1/logs"

    def _take(self, headers: dict[str, str], body: bytes) -> Answered:
        batch = wire.LogBatch.model_validate_json(body)
        status, more = self.refusals.pop(0) if self.refusals else (200, {})
        if status == 200:
            assert headers["authorization"] == f"Bearer {TOKEN}"
            self.batches.append(batch)
        return status, json.dumps({"next": batch.first + len(batch.lines)}).encode(), more

    @property
    def told(self) -> list[tuple[int, str, str]]:
        return [(batch.first + place, line.unit, line.message) for batch in self.batches for place, line in enumerate(batch.lines)]


@pytest.fixture
def edge() -> Iterator[Edge]:
    one = Edge()
    yield one
    one.close()


def teller(edge: Edge, tmp_path: Path) -> journal.Teller:
    return journal.Teller({**SETTINGS, "logUrl": edge.url}, str(tmp_path))


def entry(message: object, unit: str = "spotlane-workload.service", cursor: str = "c", **more: object) -> bytes:
    return json.dumps({"__CURSOR": cursor, "__REALTIME_TIMESTAMP": AT, "_SYSTEMD_UNIT": unit, "MESSAGE": message, **more}).encode()


def test_lines_of_the_service_the_agent_the_tunnel_and_our_boot_are_told_and_no_others(edge: Edge, tmp_path: Path) -> None:
    one = teller(edge, tmp_path)
    one.read(
        [
            entry("spotlane-boot: fetching", "cloud-final.service"),
            entry("password of another script", "cloud-final.service"),
            entry("hello"),
            entry("a.service: Main process exited", "init.scope", UNIT="spotlane-workload.service"),
            entry("says that it is another", UNIT="cloudflared.service"),
            entry("says it twice", UNIT=["a.service", "b.service"]),
            entry("session opened", "ssh.service"),
            b"not JSON\n",
            entry("watching", "spotlane-agent.service"),
            entry("connected", "cloudflared.service"),
        ]
    )
    assert one.tell() == journal.EVERY_SECONDS
    assert edge.told == [
        (1, "agent", "spotlane-boot: fetching"),
        (2, "workload", "hello"),
        (3, "workload", "a.service: Main process exited"),
        (4, "workload", "says that it is another"),
        (5, "workload", "says it twice"),
        (6, "agent", "watching"),
        (7, "tunnel", "connected"),
    ]
    assert edge.batches[0].lines[0].at.isoformat() == "2025-12-17T19:33:20.123000+00:00"


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (f"token={TOKEN}!", "token=***!"),
        (f"token={TOKEN[:8]}\x1b[1m{TOKEN[8:]}!", "token=***!"),
        ("origin key is empty", "origin key is empty"),
        (list(b"caf\xc3\xa9 \xff"), "café \ufffd"),
        ("\x1b[31mred\x1b[0m\tcell\x00", "red\tcell\ufffd"),
        (None, ""),
        (["one", "two"], "one two"),
        ("x" * 5000, "x" * 2048),
        ("x" * 2040 + TOKEN, "x" * 2040 + "***"),
        ("\ud800", "\ufffd"),
    ],
)
def test_a_line_is_told_as_text_without_secrets_colours_and_control_characters(edge: Edge, tmp_path: Path, message: object, told: str) -> None:
    assert journal.clean(message, teller(edge, tmp_path).secrets) == told


def test_a_secret_that_holds_another_is_masked_as_a_whole() -> None:
    assert journal.clean("a tunnel-token-of-acme", ["token-of-acme", "tunnel-token-of-acme"]) == "a ***"


def test_a_batch_holds_so_many_lines_and_so_many_bytes(edge: Edge, tmp_path: Path) -> None:
    one = teller(edge, tmp_path)
    one.read(entry("short") for _ in range(250))
    assert one.tell() == 0.0  # the next at once
    one.read([])
    assert one.tell() == journal.EVERY_SECONDS
    assert [(batch.first, len(batch.lines)) for batch in edge.batches] == [(1, 200), (201, 50)]

    long = [journal.Line(number, "c", {"at": "t", "unit": "workload", "message": "\U0001f600" * 2048}) for number in range(20)]
    assert len(journal.batch(long)) == 5
    assert len(json.dumps([line.entry for line in journal.batch(long)], ensure_ascii=False).encode()) < journal.BYTES


def test_what_was_told_isnt_told_again_by_the_next_start(edge: Edge, tmp_path: Path) -> None:
    first = teller(edge, tmp_path)
    assert [word for word in first.command() if "cursor" in word] == []
    first.read([entry("one", cursor="s=1"), entry("two", cursor="s=2")])
    first.tell()

    second = teller(edge, tmp_path)
    assert "--after-cursor=s=2" in second.command()
    second.read([entry("three", cursor="s=3")])
    second.tell()

    assert edge.told == [(1, "workload", "one"), (2, "workload", "two"), (3, "workload", "three")]


def test_an_answer_that_got_lost_has_the_same_lines_told_under_the_same_numbers(edge: Edge, tmp_path: Path) -> None:
    lines = [entry("one", cursor="s=1"), entry("two", cursor="s=2")]
    edge.refusals = [(502, {})]
    first = teller(edge, tmp_path)
    first.read(lines)
    with pytest.raises(OSError, match="answered 502"):
        first.tell()

    second = teller(edge, tmp_path)
    second.read(lines)
    second.tell()
    assert edge.told == [(1, "workload", "one"), (2, "workload", "two")]


def test_while_the_edge_is_away_the_oldest_lines_give_way_and_their_numbers_stay_empty(edge: Edge, tmp_path: Path) -> None:
    one = teller(edge, tmp_path)
    one.read(entry(f"line {number}") for number in range(1, journal.WAITING + 31))
    one.tell()
    assert edge.told[0] == (31, "workload", "line 31")


@pytest.mark.parametrize(
    ("status", "headers", "pause"), [(429, {"retry-after": "7"}, 7.0), (429, {"retry-after": "9000"}, 60.0), (409, {}, None), (403, {}, None)]
)
def test_the_edge_is_obeyed_when_it_asks_to_wait_or_wants_no_more(
    edge: Edge, tmp_path: Path, status: int, headers: dict[str, str], pause: float | None
) -> None:
    edge.refusals = [(status, headers)]
    one = teller(edge, tmp_path)
    one.read([entry("hello")])
    assert one.tell() == pause
    assert len(one.waiting) == 1


def test_a_batch_that_is_refused_for_what_it_holds_doesnt_hold_up_the_next(edge: Edge, tmp_path: Path) -> None:
    edge.refusals = [(413, {})]
    one = teller(edge, tmp_path)
    one.read(entry("x") for _ in range(journal.LINES + 1))
    one.tell()
    one.tell()
    assert edge.told == [(201, "workload", "x")]


def test_the_program_follows_the_journal_tells_its_lines_and_ends_when_it_is_told_to(edge: Edge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tmp_path / "machine.json"
    settings.write_text(json.dumps({**SETTINGS, "logUrl": edge.url}))
    fake = tmp_path / "journalctl"
    fake.write_text(f"#!/bin/sh\nprintf '%s\\n' '{entry('hello').decode()}'\nexec sleep 30\n")
    fake.chmod(0o755)
    monkeypatch.setattr(journal, "SETTINGS", str(settings))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(journal, "EVERY_SECONDS", 0.02)
    stops: list[Any] = []
    monkeypatch.setattr("signal.signal", lambda number, handler: stops.append(handler))

    codes: list[int] = []
    program = threading.Thread(target=lambda: codes.append(journal.main()))
    program.start()
    deadline = time.monotonic() + 60
    while not edge.told:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    stops[0](15, None)
    program.join(60)

    assert (codes, edge.told) == ([0], [(1, "workload", "hello")])


def test_a_journal_that_ends_has_the_program_started_again(edge: Edge, tmp_path: Path) -> None:
    one = teller(edge, tmp_path)
    reads = threading.Thread(target=one.read, args=([entry("last words")],))
    reads.start()
    reads.join()
    assert journal.run(one, threading.Event(), reads) == 1
    assert edge.told == [(1, "workload", "last words")]


def test_the_unit_starts_before_the_services_may_not_reach_metadata_and_stays_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(boot, "UNITS", str(tmp_path))
    monkeypatch.setattr("subprocess.run", lambda command, check: ran.append(command))
    boot.tell(SETTINGS)
    unit = (tmp_path / "spotlane-journal.service").read_text().splitlines()
    assert ran == [["systemctl", "daemon-reload"], ["systemctl", "enable", "--now", "spotlane-journal.service"]]
    assert "Before=spotlane-workload.service cloudflared.service spotlane-agent.service" in unit
    assert {boot.NO_METADATA, "CapabilityBoundingSet=", "StateDirectory=spotlane-journal", "KillMode=mixed"} <= set(unit)
    assert [line for line in unit if line.startswith("Restart=")][-1] == "Restart=on-failure"
