"""The recipe for a stack whose engine died: what it had in hand is looked up in the clouds and taken over, so that the run can go on from there."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import structlog

from automation.runs import pending, states
from automation.runs.pending import PendingCreate

ROUNDS = (0.0, 5.0)
"""Seconds before each look. A call that the dead engine had sent can take effect after its death, and EC2 tells of new tags late ("eventual consistency",
EC2 developer guide): what isn't there is looked for once more."""

_log = structlog.get_logger("spotlane.recovery")


@dataclass(frozen=True)
class Found:
    """A resource that a pending create may have made; ``remove`` takes it down, where one knows how to."""

    id: str
    remove: Callable[[], None] | None = None


class Clouds(Protocol):
    """Looks for what can't be named."""

    def look(self, stack: str, creates: Sequence[PendingCreate], held: frozenset[str]) -> Mapping[str, Sequence[Found]]:
        """By URN, what the clouds hold that ``creates`` of ``stack`` may have made, without what its state holds (``held``, ids in lower case)."""
        ...


class Repairs(Protocol):
    """The engine's part (:class:`automation.runs.engine.Engine`)."""

    def end(self, journal: Path) -> None:
        """Ends the dead run's engine, should it still live."""
        ...

    def deployment(self, stack: str) -> dict[str, Any] | None:
        """The stack's state as ``pulumi stack export`` gives it."""
        ...

    def unlock(self, stack: str) -> None:
        """Takes away the dead engine's lock."""
        ...

    def restore(self, stack: str, deployment: Mapping[str, Any]) -> None:
        """Puts ``deployment`` into the stack's place."""
        ...

    def ask(self, stack: str) -> None:
        """Takes the clouds' answers into the state; nothing is pending afterwards."""
        ...

    def repaired(self, stack: str) -> None:
        """Notes that nothing of an interruption is left."""
        ...


class NoClouds:
    """Where there is no account to look into: what can be named is still asked for by its id."""

    def look(self, stack: str, creates: Sequence[PendingCreate], held: frozenset[str]) -> Mapping[str, Sequence[Found]]:
        return {}


class Recovery:
    """Cancel, export, look up each pending create, take over what is there and remove what is there twice, refresh. Then the run goes on."""

    def __init__(self, engine: Repairs, clouds: Clouds, rounds: Sequence[float] = ROUNDS, sleep: Callable[[float], None] = time.sleep) -> None:
        self._engine, self._clouds, self._rounds, self._sleep = engine, clouds, rounds, sleep

    def recover(self, stack: str, journal: Path) -> None:
        """Brings ``stack`` into a state that every operation can go on from; again from the start where it was itself interrupted.

        Raises :class:`automation.errors.EngineFailed` where the state or the clouds can't be read: then nothing pending is forgotten.
        """
        self._engine.end(journal)
        state = self._engine.deployment(stack)
        if state is not None:
            self._engine.unlock(stack)
            waiting = pending.creates(state)
            if not waiting:
                self._engine.ask(stack)
            for pause in self._rounds:
                if not waiting:
                    break
                self._sleep(pause)
                waiting = self._take_over(stack, state, waiting)
                state = self._engine.deployment(stack) or state
                left = [{"type": "creating", "resource": one.resource} for one in waiting]
                state = {**state, "deployment": {**state["deployment"], "pending_operations": left}}
            for one in waiting:
                _log.warning("a pending create came to nothing, or can't be told from others; the sweep looks for it", stack=stack, type=one.type, urn=one.urn)
        self._engine.repaired(stack)

    def _take_over(self, stack: str, state: Mapping[str, Any], waiting: Sequence[PendingCreate]) -> list[PendingCreate]:
        """One look; those that weren't found."""
        named = {one.urn: id for one in waiting if (id := one.named_id()) is not None}
        found = self._clouds.look(stack, [one for one in waiting if one.urn not in named], states.ids(state))
        drawn = {urn: ones[0].id for urn, ones in found.items() if ones}
        for urn, ones in found.items():
            for surplus in ones[1:]:
                _log.warning("made twice; one is removed", stack=stack, urn=urn, id=surplus.id)
                if surplus.remove is not None:
                    surplus.remove()
        self._engine.restore(stack, pending.adopted(state, named | drawn))
        self._engine.ask(stack)
        held = states.urns(self._engine.deployment(stack) or {})
        for one in waiting:
            if one.urn in held:
                _log.info("a pending create was found and taken over", stack=stack, type=one.type, id=(named | drawn)[one.urn])
        return [one for one in waiting if one.urn not in held]
