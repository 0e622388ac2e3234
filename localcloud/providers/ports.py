"""What the protocol servicer asks of a cloud: a :class:`Cloud` makes a :class:`Connection` of a provider's config, which has a handler a resource type."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from localcloud.providers.faults import Cancelled, TimedOut
from localcloud.providers.values import Props


@dataclass(frozen=True)
class ProviderSettings:
    """``proxy_url`` is the inline proxy (every call goes through it), ``ca_file`` its CA, ``home`` the state directory.

    With an empty ``proxy_url``, ``upstreams`` says where a host's calls go: ``{"ec2.*": "http://127.0.0.1:5000", "*": …}``; a host without one fails.
    """

    home: Path
    proxy_url: str
    ca_file: Path
    upstreams: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """One operation under way. ``token`` is the same when an interrupted creation is tried again; ``deadline`` is on the monotonic clock, in seconds."""

    urn: str
    token: str
    deadline: float
    cancelled: threading.Event
    resumed: bool = False

    def check(self) -> None:
        """Raises :class:`Cancelled` or :class:`TimedOut` where it is time to stop."""
        if self.cancelled.is_set():
            raise Cancelled("cancelled by the engine")
        if time.monotonic() > self.deadline:
            raise TimedOut("the resource's timeout passed; set a longer custom_timeouts if the cloud needs it")

    def poll(self, done: Callable[[], bool], first: float = 0.02, longest: float = 2.0) -> None:
        """Returns when ``done()`` says so; asks again after ``first`` seconds, then less and less often."""
        pause = first
        while not done():
            self.check()
            self.cancelled.wait(pause)
            pause = min(pause * 1.6, longest)


@dataclass(frozen=True)
class Made:
    """An object of a cloud: its Pulumi id and its state, under the schema's names."""

    id: str
    outputs: Props


class Handler(Protocol):
    """One resource type over one connection. All raise :class:`~localcloud.providers.faults.CloudFault`."""

    @property
    def fields(self) -> frozenset[str] | None:
        """The inputs that it carries to the cloud's API; None for all."""

    def create(self, call: Call, inputs: Props) -> Made:
        """Makes the object and waits until it is usable."""

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        """The object as it is now, None if it is gone. ``known`` is its last state (empty at an import)."""

    def update(self, call: Call, id: str, known: Props, old: Props, new: Props) -> Props:
        """Changes the object from inputs ``old`` to ``new``; returns its state."""

    def delete(self, call: Call, id: str, known: Props) -> None:
        """Removes the object; one that is gone already is no error."""


class Connection(Protocol):
    """A configured provider."""

    def prepare(self, token: str, inputs: Props) -> Props:
        """The inputs with the provider's own defaults (default tags)."""

    def places(self, token: str, inputs: Props) -> Props:
        """Where the resource would stand: the effective region, project and zone, for those that its type has."""

    def handler(self, token: str) -> Handler | None:
        """The handler of a resource type, None if this cloud has none."""

    def invoke(self, token: str, arguments: Props) -> Props:
        """A function's result. Raises :class:`~localcloud.providers.faults.Unsupported` for one that this cloud doesn't have."""


class Cloud(Protocol):
    """One provider package."""

    @property
    def package(self) -> str:
        """Its name, such as ``azure-native``."""

    @property
    def types(self) -> frozenset[str]:
        """The resource types that it can make."""

    def connect(self, config: Props) -> Connection:
        """A connection with a provider's config."""
