"""How a relay's successor takes over: its name leads to it once it answers, and the one before it stays for as long as anybody may still be led there.

Both are hooks of the record, which the engine waits for: what a machine is replaced by stands beside it, and it goes when the program has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

ATTEMPT_SECONDS = 2.0
"""How long one attempt may take."""
PAUSE_SECONDS = 1.0

Connect = Callable[[str, int], Awaitable[bool]]
"""Whether a connection to a host's port is taken."""
Sleep = Callable[[float], Awaitable[None]]


class RelayUnreachable(pulumi.RunError):
    """A relay doesn't take connections; its name doesn't lead to it. ``silent`` are the ports."""

    exits_quietly = True

    def __init__(self, address: str, silent: Sequence[int], seconds: float) -> None:
        self.address, self.silent, self.seconds = address, tuple(silent), seconds
        ports = ", ".join(str(port) for port in silent)
        super().__init__(
            f"the relay at {address} took no connection on {ports} within {seconds:g} s, its name leads where it led: look at the machine's console; "
            "`watchers` must hold the network that this program runs in; change the settings (another `generation` makes another machine) and run again"
        )


async def takes_connections(host: str, port: int) -> bool:
    """Whether a TCP connection is taken; what becomes of it doesn't matter: a relay that trusts Spectrum only resets everybody else's."""
    try:
        async with asyncio.timeout(ATTEMPT_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


@dataclass(frozen=True)
class Handover:
    """What is waited for around a change of a relay's address record."""

    ports: Sequence[int]
    watched: bool
    """Whether the relay's firewall lets this program in, so that it can see whether the relay answers."""
    answer_seconds: float
    """How long a new machine may take until it answers; where nobody can see that, how long after its start it counts as up."""
    handover_seconds: float
    """How long the machine before stays."""
    connect: Connect = takes_connections
    sleep: Sleep = asyncio.sleep

    def hooks(self) -> pulumi.ResourceHookBinding:
        """For the record; to be called within a program."""
        answers, stays = pulumi.ResourceHook("relay-answers", self.successor_answers), pulumi.ResourceHook("predecessor-stays", self.predecessor_stays)
        return pulumi.ResourceHookBinding(before_create=[answers], before_update=[answers], after_update=[stays])

    async def successor_answers(self, args: pulumi.ResourceHookArgs) -> None:
        """Before the record leads elsewhere. Raises :class:`RelayUnreachable`, and the record stays."""
        if _content(args.old_inputs) == _content(args.new_inputs):
            return
        address, waited, silent = _content(args.new_inputs), 0.0, list(self.ports)
        if not self.watched:
            pulumi.log.warn(f"nobody sees whether the relay at {address} answers (`watchers` of its settings); it counts as up in {self.answer_seconds:g} s")
            await self.sleep(self.answer_seconds)
            return
        while silent := [port for port in silent if not await self.connect(address, port)]:
            if waited >= self.answer_seconds:
                raise RelayUnreachable(address, silent, waited)
            await self.sleep(PAUSE_SECONDS)
            waited += PAUSE_SECONDS

    async def predecessor_stays(self, args: pulumi.ResourceHookArgs) -> None:
        """After the record leads elsewhere."""
        if (before := _content(args.old_inputs)) != _content(args.new_inputs):
            pulumi.log.info(f"the relay at {before} stays for {self.handover_seconds:g} s, in which Spectrum lets go of its address")
            await self.sleep(self.handover_seconds)


def _content(inputs: Mapping[str, Any] | None) -> str:
    return str((inputs or {}).get("content"))
