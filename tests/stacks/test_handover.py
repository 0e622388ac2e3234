"""A relay's successor: the name leads to it once it answers, and who came before it stays as long as anybody may be led there."""

from __future__ import annotations

import asyncio
from typing import Any

import pulumi
import pytest

from stacks.handover import Handover, RelayUnreachable


class World:
    """Ports that answer from their second on; sleeping is what lets time pass."""

    def __init__(self, **answers_from: float) -> None:
        self.now = 0.0
        self.asked: list[tuple[str, int]] = []
        self.answers_from = {int(port[1:]): at for port, at in answers_from.items()}

    async def connect(self, host: str, port: int) -> bool:
        self.asked.append((host, port))
        return self.now >= self.answers_from.get(port, float("inf"))

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def record(old: str | None, new: str) -> Any:
    return pulumi.ResourceHookArgs("urn", "id", "relay", "type", {"content": new}, {"content": old} if old is not None else None)


def carried_out(world: World, args: Any, *, watched: bool = True, answer_seconds: float = 30.0) -> None:
    """What the engine does around the record's change."""

    async def around() -> None:
        handover = Handover([5432, 5433], watched, answer_seconds, 660.0, world.connect, world.sleep)
        await handover.successor_answers(args)
        if args.old_inputs is not None:
            await handover.predecessor_stays(args)

    asyncio.run(around())


@pytest.fixture(autouse=True)
def _said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    for level in ("info", "warn"):
        monkeypatch.setattr(pulumi.log, level, said.append)
    return said


def test_a_successor_is_waited_for_until_every_port_answers_and_the_one_before_stays_for_the_handover() -> None:
    world = World(p5432=3.0, p5433=7.0)
    carried_out(world, record("203.0.113.1", "203.0.113.2"))
    assert world.now == 7.0 + 660.0
    assert {host for host, _ in world.asked} == {"203.0.113.2"}
    assert world.asked.count(("203.0.113.2", 5432)) == 4  # a port that has answered isn't asked again


def test_a_first_relay_is_waited_for_and_nobody_stays() -> None:
    world = World(p5432=2.0, p5433=2.0)
    carried_out(world, record(None, "203.0.113.2"))
    assert world.now == 2.0


def test_a_successor_that_does_not_answer_fails_the_record_and_names_its_ports() -> None:
    world = World(p5432=1.0)
    with pytest.raises(RelayUnreachable) as caught:
        carried_out(world, record("203.0.113.1", "203.0.113.2"))
    assert (caught.value.address, caught.value.silent, world.now) == ("203.0.113.2", (5433,), 30.0)
    assert "its name leads where it led" in str(caught.value)


def test_a_record_that_changes_otherwise_waits_for_nothing() -> None:
    world = World()
    carried_out(world, record("203.0.113.1", "203.0.113.1"))
    assert (world.now, world.asked) == (0.0, [])


def test_where_nobody_can_see_the_relay_it_gets_its_time_and_that_is_said(_said: list[str]) -> None:
    world = World()
    carried_out(world, record("203.0.113.1", "203.0.113.2"), watched=False, answer_seconds=120.0)
    assert (world.now, world.asked) == (120.0 + 660.0, [])
    assert _said[0].startswith("nobody sees whether the relay at 203.0.113.2 answers")
