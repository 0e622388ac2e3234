"""What AWS's record needs no more, told from a replay: sessions that are over, and the user data of machines that are gone.

A call's ids come from its own seed, but addresses come from what was made before it (a subnet gives them in order): a machine's launch stays in the record
though the machine is gone, only without its user data, which is nearly all of its size.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, urlencode

from localcloud.clouds.aws.record import Call
from localcloud.clouds.exchange import HttpAnswer, HttpRequest

_INSTANCE = re.compile(rb"<instanceId>(i-[0-9a-f]+)</instanceId>")


@dataclass
class Compaction:
    """Filled by a replay, entry by entry."""

    dropped: list[int] = field(default_factory=list)
    """Numbers of the entries that no replay needs."""
    _launches: list[tuple[Call, list[str]]] = field(default_factory=list)

    def over(self, call: Call) -> None:
        """``call`` had no effect that is left."""
        self.dropped.append(call.seq)

    def launched(self, call: Call, answer: HttpAnswer) -> None:
        """``call`` launched the instances that ``answer`` names."""
        if answer.status < 400 and b"UserData=" in call.request.body:
            self._launches.append((call, [one.decode() for one in dict.fromkeys(_INSTANCE.findall(answer.body))]))

    def shrunk(self, gone: Callable[[str], bool]) -> dict[int, HttpRequest]:
        """Launches by number, without user data, of which every instance is ``gone`` for good."""
        return {call.seq: without_user_data(call.request) for call, instances in self._launches if instances and all(gone(one) for one in instances)}


def without_user_data(request: HttpRequest) -> HttpRequest:
    """``request`` of EC2's query protocol, but for the user data; all else, client token included, stays as it was."""
    kept = [(name, value) for name, value in parse_qsl(request.body.decode(), keep_blank_values=True) if name != "UserData"]
    return replace(request, body=urlencode(kept).encode())
