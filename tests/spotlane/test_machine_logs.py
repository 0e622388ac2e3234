"""A machine's lines, as the SDK and ``spotlane logs --machine`` read and follow them: each once, over a move, with what was lost."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator

import pytest

from spotlane import aio, client, wire
from spotlane.errors import ApiProblem
from spotlane.testing import FakePlatform, Served
from spotlane.testing.platform import Refused
from tests.spotlane.cli_program import GCP, SPEC, Shell, furnished, shell
from tests.spotlane.test_aio import with_clients

__all__ = ["furnished", "shell"]
MOVED = "acme_web_3"


@pytest.fixture
def platform(furnished: Shell, spotlane_served: Served) -> FakePlatform:
    """The furnished platform, whose web-acme asks for lines; its machine is acme_web_2, and a move to acme_web_3 is due."""
    spotlane_served.platform.declare("web-acme", wire.WorkloadSpec.model_validate(SPEC | {"logs": True}))
    return spotlane_served.platform


def meanwhile(monkeypatch: pytest.MonkeyPatch, *steps: Callable[[], object]) -> None:
    """Has a step happen in place of each pause between two looks; at the last one somebody presses Ctrl-C."""
    coming, real = iter(steps), time.sleep

    def sleep(seconds: float) -> None:
        if seconds != client._LINES_SECONDS:
            real(seconds)
        elif (step := next(coming, None)) is None:
            raise KeyboardInterrupt
        else:
            step()

    monkeypatch.setattr(time, "sleep", sleep)


def moves(platform: FakePlatform) -> None:
    """The last word of the machine that goes, the move, the first of the one that comes."""
    platform.log("acme_web_2", "two, the last")
    platform.market.price(GCP, 0.001)
    platform.tick()
    platform.log(MOVED, "the first of the next", "its second")


def followed(lines: Iterator[wire.LogLine]) -> list[tuple[str, int, str]]:
    """What comes until Ctrl-C."""
    seen = []
    with pytest.raises(KeyboardInterrupt):
        seen.extend((one.placement, one.number, one.message) for one in lines)
    return seen


def test_the_last_lines_are_read_or_those_after_a_number_with_what_was_lost(platform: FakePlatform, spotlane_served: Served) -> None:
    platform.log("acme_web_2", "one", "two")
    platform.log("acme_web_2", "five", unit="agent", lost=2)
    edge = spotlane_served.client()
    last = edge.machine_logs("web-acme", limit=2)
    assert ([one.message for one in last.lines], last.next, last.lost, last.placement, last.told) == (["two", "five"], 5, 2, "acme_web_2", True)
    assert [(one.number, one.unit) for one in edge.machine_logs("web-acme", after=1, limit=1).lines] == [(2, "workload")]
    assert edge.machine_logs("web-acme", placement="acme_web_1").lines == []
    with pytest.raises(ApiProblem, match="acme_web_9"):
        edge.machine_logs("web-acme", placement="acme_web_9")
    with pytest.raises(ApiProblem, match="limit"):
        edge.machine_logs("web-acme", limit=1001)
    assert not edge.machine_logs("api-acme").told
    with pytest.raises(Refused):
        platform.log("acme_api_1", "unasked")


def test_who_follows_a_workload_goes_with_it_to_its_next_machine_and_misses_nothing(
    platform: FakePlatform, spotlane_served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.log("acme_web_2", "one")
    meanwhile(monkeypatch, lambda: moves(platform), lambda: platform.log(MOVED, "its third"), lambda: None)
    assert followed(spotlane_served.client().follow_machine_logs("web-acme")) == [
        ("acme_web_2", 1, "one"),
        ("acme_web_2", 2, "two, the last"),
        (MOVED, 1, "the first of the next"),
        (MOVED, 2, "its second"),
        (MOVED, 3, "its third"),
    ]


def test_who_follows_a_machine_stays_with_it_and_begins_where_an_answer_ended(
    platform: FakePlatform, spotlane_served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.log("acme_web_2", "one")
    edge = spotlane_served.client()
    seen = edge.machine_logs("web-acme")
    meanwhile(monkeypatch, lambda: moves(platform), lambda: None)
    assert followed(edge.follow_machine_logs("web-acme", placement="acme_web_2", since=seen)) == [("acme_web_2", 2, "two, the last")]


def test_a_workload_without_a_machine_is_waited_for_and_its_first_line_is_seen(
    platform: FakePlatform, spotlane_served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.paused = True
    spec = wire.WorkloadSpec.model_validate(SPEC | {"logs": True})
    platform.declare("late-acme", spec)

    def placed() -> None:
        platform.paused = False
        platform.tick()
        platform.log("acme_late_1", *(str(number) for number in range(1, 301)))

    meanwhile(monkeypatch, placed, lambda: None)
    assert [number for _, number, _ in followed(spotlane_served.client().follow_machine_logs("late-acme"))] == list(range(1, 301))


def test_the_asynchronous_client_follows_alike(platform: FakePlatform, spotlane_served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aio, "_LINES_SECONDS", 0.0)
    platform.log("acme_web_2", "one")

    async def follow(edge: aio.AsyncClient, automation: aio.AsyncAutomationClient) -> list[str]:
        seen: list[str] = []
        async for one in edge.follow_machine_logs("web-acme"):
            seen.append(one.message)
            if one.message == "one":
                await asyncio.to_thread(moves, platform)
            if one.message == "its second":
                return seen
        raise AssertionError("it doesn't end by itself")

    assert with_clients(spotlane_served, follow) == ["one", "two, the last", "the first of the next", "its second"]


@pytest.mark.parametrize("columns", [80, 120])
def test_the_command_prints_a_line_a_line_and_never_steers_the_terminal(columns: int, platform: FakePlatform, furnished: Shell) -> None:
    platform.log("acme_web_2", "listens on 8080")
    platform.log("acme_web_2", "\x1b[2Jgone\rx\t[red]é\u202e", unit="agent", lost=3)
    platform.log("acme_web_2", "x" * 150, unit="tunnel")
    assert furnished.run("logs", "web-acme", "--machine", columns=columns).splitlines() == [
        "2026-03-11 14:00:00  workload  listens on 8080",
        "2026-03-11 14:00:00  agent     \\x1b[2Jgone\\rx\t[red]é\\u202e",
        "2026-03-11 14:00:00  tunnel    " + "x" * 150,
    ]
    assert (furnished.code, furnished.error) == (0, "acme_web_2:\n  (3 lines lost)\n")
    told = [json.loads(line) for line in furnished.run("logs", "web-acme", "--machine", "--json", "--tail", "1").splitlines()]
    assert [(one["placement"], one["number"], one["unit"]) for one in told] == [("acme_web_2", 6, "tunnel")]
    assert furnished.error == ""


def test_as_many_lines_are_printed_as_are_asked_for_also_more_than_come_at_once(platform: FakePlatform, furnished: Shell) -> None:
    platform.log("acme_web_2", *(str(number) for number in range(1, 1201)))
    numbers = {tail: [line.split()[-1] for line in furnished.run("logs", "web-acme", "--machine", *tail).splitlines()] for tail in ((), ("--tail", "1100"))}
    assert numbers == {(): [str(one) for one in range(1001, 1201)], ("--tail", "1100"): [str(one) for one in range(101, 1201)]}
    assert furnished.run("logs", "web-acme", "--machine", "--tail", "0") == ""


def test_the_command_follows_over_a_move_and_ends_with_ctrl_c(platform: FakePlatform, furnished: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    platform.log("acme_web_2", "one")
    meanwhile(monkeypatch, lambda: moves(platform), lambda: None)
    told = furnished.run("logs", "web-acme", "--machine", "--follow", "--tail", "0")
    assert [line.split("workload  ")[1] for line in told.splitlines()] == ["two, the last", "the first of the next", "its second"]
    assert furnished.error.split("interrupted")[0] == f"acme_web_2:\n{MOVED}:\n"
    assert (furnished.code, "what the platform has accepted goes on" in furnished.error.replace("\n", " ")) == (130, True)


def test_a_workload_whose_file_asks_for_no_lines_is_told_how_to(furnished: Shell) -> None:
    sentence = "the machines of web-acme tell no lines; put `logs: true` into its file and apply it: `spotlane workload apply -f FILE`"
    assert (furnished.run("logs", "web-acme", "--machine", columns=200), furnished.code) == (sentence + "\n", 0)
    for more in ("--json", "--follow"):
        assert (furnished.run("logs", "web-acme", "--machine", more, columns=200), furnished.error) == ("", sentence + "\n")


def test_silence_is_said_and_a_machine_that_is_not_there_is_told_with_the_one_that_was_meant(platform: FakePlatform, furnished: Shell) -> None:
    assert furnished.run("logs", "web-acme", "--machine") == "no lines of acme_web_2 are kept; they are for a day\n"
    platform.remove("web-acme")
    assert furnished.run("logs", "web-acme", "--machine") == "web-acme has no machine, and no lines are kept\n"
    furnished.run("logs", "web-acme", "--machine", "--placement", "acme_wep_2")
    assert (furnished.code, furnished.error) == (2, "error: No such thing: acme_wep_2\n  next: did you mean 'acme_web_2'?\n")
    furnished.run("logs", "wep-acme", "--machine")
    assert (furnished.code, "did you mean 'web-acme'?" in furnished.error) == (2, True)
    furnished.run("logs", "web-acme", "--placement", "acme_web_2")
    assert (furnished.code, "say --machine, too" in furnished.error) == (2, True)
