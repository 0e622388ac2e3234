"""The five processes: how each is started, what it listens on, what it waits for, how much memory it may take."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from localcloud.state import EndpointName, LocalState

PROJECT = Path(__file__).resolve().parents[2]

_PRELOAD = "cloudflare,aws,azure-native,gcp"
"""In the order in which a new local cloud needs them: the edge comes first."""

ProcessName = Literal["edge", "proxy", "languagehost", "localcloud", "automation"]


@dataclass(frozen=True)
class ProcessSpec:
    """One process. ``healthz`` is the endpoint whose ``GET /healthz`` must answer 2xx; the others of ``listens`` must accept connections.

    ``memory_mib`` is the ceiling of the proportional set size of the process and its children: beyond it the process is started anew.
    """

    name: ProcessName
    listens: tuple[EndpointName, ...]
    healthz: EndpointName | None
    after: tuple[ProcessName, ...]
    memory_mib: int
    start_seconds: float

    def command(self, state: LocalState) -> list[str]:
        """Its program with arguments."""
        home = ["--home", str(state.home)]
        python = [sys.executable, "-m"]
        return {
            "edge": ["node", str(PROJECT / "localcloud/edge/host.mjs"), *home],
            "proxy": [*python, "policies.proxy", *home],
            "languagehost": [*python, "languagehost", "--port", str(state.port("languagehost")), "--preload", _PRELOAD],
            "localcloud": [*python, "localcloud", "serve", *home],
            "automation": [*python, "automation", *home],
        }[self.name]


PROCESSES: tuple[ProcessSpec, ...] = (
    ProcessSpec("edge", ("edge", "cloudflare_api"), "cloudflare_api", (), memory_mib=2048, start_seconds=60),
    ProcessSpec("proxy", ("proxy",), "proxy", (), memory_mib=512, start_seconds=60),
    # Four SDKs take 330 MiB once; a run adds what it writes to, 50 MiB or so.
    ProcessSpec("languagehost", ("languagehost",), None, (), memory_mib=2048, start_seconds=60),
    ProcessSpec(
        "localcloud",
        ("provider_aws", "provider_azure_native", "provider_gcp", "provider_cloudflare", "clouds", "control"),
        "control",
        ("edge", "proxy"),
        memory_mib=2048,
        start_seconds=90,
    ),
    ProcessSpec("automation", ("automation",), "automation", ("edge", "proxy", "localcloud"), memory_mib=1536, start_seconds=90),
)
"""In the order of their start; they are stopped in the opposite one."""

BY_NAME: dict[str, ProcessSpec] = {spec.name: spec for spec in PROCESSES}


class UnknownProcess(ValueError):
    """``--only`` or ``logs`` names no process."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"{name!r} is no process of the local cloud; there are {', '.join(BY_NAME)}")


def chosen(only: str | None) -> tuple[ProcessSpec, ...]:
    """The processes of a comma-separated list, in starting order; all for None. Raises :class:`UnknownProcess`."""
    if not only:
        return PROCESSES
    names = {name.strip() for name in only.split(",") if name.strip()}
    for name in sorted(names):
        if name not in BY_NAME:
            raise UnknownProcess(name)
    return tuple(spec for spec in PROCESSES if spec.name in names)
