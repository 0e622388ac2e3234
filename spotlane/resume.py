"""Frames and bookkeeping of ``spotlane.resume.v1`` (docs/websocket-resume.md), without I/O.

A binary WebSocket message is a data frame: kind (1 byte, 1 text, 2 binary), sequence and acknowledgement (8 bytes each, big-endian), payload. A text one is a
control frame in JSON.
"""

from __future__ import annotations

import json
import struct
from collections import deque
from dataclasses import dataclass, field
from typing import Any

RESUME = "spotlane.resume.v1"
PING = '{"type":"ping"}'
REPLACED = 4900
NOT_RESUMABLE = 4901
PROTOCOL_FAULT = 4902

_HEADER = struct.Struct(">BQQ")
_TEXT, _BINARY = 1, 2


class BadFrame(ValueError):
    """A frame that the protocol doesn't know, or that can't follow the ones before."""


@dataclass(frozen=True)
class Limits:
    """What the gateway allows; it says so in its welcome."""

    message_bytes: int = 1024 * 1024
    window_messages: int = 0
    window_bytes: int = 0
    resume_seconds: float = 0.0
    ping_seconds: float = 20.0


@dataclass(frozen=True)
class End:
    """How a session ended: the code and the reason of its close frame."""

    code: int
    reason: str


@dataclass(frozen=True)
class _Sent:
    sequence: int
    text: bool
    body: bytes


@dataclass
class Session:
    """One session: what was sent and isn't settled, what was received, and what the next connection must say.

    The caller moves the bytes: :meth:`offered` before it connects, :meth:`heard` for each frame, :meth:`outgoing` for what is to be written.
    """

    token: str | None = None
    limits: Limits = field(default_factory=Limits)
    protocol: str | None = None
    end: End | None = None
    interruptions: int = 0
    """How often the machine's connection broke: answers to what it had taken may be missing."""
    _received: int = 0
    _consumed: int = 0
    _told: int = 0
    _unsettled: deque[_Sent] = field(default_factory=deque)
    _unsettled_bytes: int = 0
    _next: int = 1
    _out: int | None = None

    @property
    def welcomed(self) -> bool:
        """Whether the present connection may carry messages."""
        return self._out is not None

    @property
    def has_room(self) -> bool:
        """Whether the window takes another message."""
        return len(self._unsettled) < self.limits.window_messages and self._unsettled_bytes < self.limits.window_bytes

    @property
    def settled(self) -> bool:
        """Whether everything that was sent has been handed to a machine."""
        return not self._unsettled

    @property
    def unacknowledged(self) -> int:
        """Messages that were consumed and the gateway has not been told of."""
        return self._consumed - self._told

    def offered(self) -> list[str]:
        """Subprotocols to offer on a new connection, before the application's own."""
        self._out = None
        return [RESUME] if self.token is None else [RESUME, f"{RESUME}.{self.token}.{self._received}"]

    def put(self, message: str | bytes) -> None:
        """Takes a message for the machine. Raises ValueError for one that is too large."""
        body = message.encode() if isinstance(message, str) else bytes(message)
        if len(body) > self.limits.message_bytes:
            raise ValueError(f"a message of {len(body)} bytes is larger than {self.limits.message_bytes}; split it")
        self._unsettled.append(_Sent(self._next, isinstance(message, str), body))
        self._unsettled_bytes += len(body)
        self._next += 1

    def outgoing(self) -> bytes | None:
        """The next data frame for the present connection; None where it has carried everything."""
        if self._out is None or not self._unsettled or self._out >= self._unsettled[-1].sequence:
            return None
        sent = self._unsettled[max(0, self._out + 1 - self._unsettled[0].sequence)]
        self._out = sent.sequence
        self._told = self._consumed
        return _HEADER.pack(_TEXT if sent.text else _BINARY, sent.sequence, self._consumed) + sent.body

    def acknowledgement(self) -> str:
        """A control frame that says what was consumed."""
        self._told = self._consumed
        return json.dumps({"type": "ack", "received": self._consumed})

    def consumed(self) -> None:
        """The application has taken a message: room for another."""
        self._consumed += 1

    def heard(self, frame: str | bytes) -> str | bytes | None:
        """Takes a frame; the machine's message where it carries a new one. Raises :class:`BadFrame`."""
        if isinstance(frame, bytes):
            return self._data(frame)
        self._control(frame)
        return None

    def _data(self, frame: bytes) -> str | bytes | None:
        if len(frame) < _HEADER.size:
            raise BadFrame("a data frame is shorter than its header")
        kind, sequence, acknowledged = _HEADER.unpack_from(frame)
        if kind not in (_TEXT, _BINARY):
            raise BadFrame(f"kind {kind} of a data frame is not known")
        self._settle(acknowledged)
        if sequence <= self._received:
            return None
        if sequence > self._received + 1:
            raise BadFrame(f"message {sequence} came after {self._received}")
        self._received = sequence
        body = frame[_HEADER.size :]
        return body.decode() if kind == _TEXT else body

    def _control(self, text: str) -> None:
        try:
            frame: dict[str, Any] = json.loads(text)
        except ValueError as error:
            raise BadFrame("a control frame is not JSON") from error
        match frame.get("type"):
            case "welcome":
                limits = frame["limits"]
                self.token = frame["token"] or self.token
                self.protocol = frame["protocol"]
                self.limits = Limits(limits["messageBytes"], limits["windowMessages"], limits["windowBytes"], limits["resumeSeconds"], limits["pingSeconds"])
                self._settle(frame["received"])
                self._out = frame["received"]
            case "ack":
                self._settle(frame["received"])
            case "interrupted":
                self.interruptions += 1
            case "end":
                self.end = End(frame["code"], frame["reason"])

    def _settle(self, up_to: int) -> None:
        while self._unsettled and self._unsettled[0].sequence <= up_to:
            self._unsettled_bytes -= len(self._unsettled.popleft().body)
