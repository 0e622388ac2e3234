"""The demo's stage: the local cloud and the edge, put up and taken down through Spotlane's own commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

_BENEATH_THE_EDGE = "edge,proxy,languagehost,localcloud"
"""The processes of the local cloud that the edge's stack needs."""


class StageError(Exception):
    """A command that the demo needs failed; the text is that command's own message."""

    def __init__(self, command: str, code: int, text: str) -> None:
        self.code = code
        super().__init__(f"{command} failed: {text}" if text else f"{command} failed with exit code {code}")


@dataclass
class Stage:
    """One state directory, its ports, and the environment of everything that runs on it."""

    root: Path
    home: Path
    port_base: int
    market: Mapping[str, str]
    tick_seconds: float
    environ: dict[str, str] = field(default_factory=dict)
    ours: bool = False
    """Whether this stage has begun to start the local cloud, and so is to take it down."""

    def up(self) -> None:
        """Starts the local cloud anew. Raises :class:`StageError`, also where one that was kept still runs: its traffic isn't ours to end."""
        if (self.home / "local.json").exists():
            if self.running():
                raise StageError("the demo", 2, f"one that was kept still runs; take it down with `spotlane local down --home {self.home} --purge`")
            self.down(purge=True)
        self.ours = True
        self.environ = {**os.environ, "SPOTLANE_HOME": str(self.home), "SPOTLANE_TICK_SECONDS": str(self.tick_seconds), "SPOTLANE_PAUSED": "true"}
        self._run([*self._up, "--only", _BENEATH_THE_EDGE])
        printed = self._run(["-m", "localcloud", "env", "--home", str(self.home), "--json"])
        self.environ |= json.loads(printed.splitlines()[-1])

    def deploy_edge(self) -> dict[str, Any]:
        """``pulumi up`` of the edge's stack, while the rest of the local cloud starts; its result. Raises :class:`StageError`."""
        with ThreadPoolExecutor(1) as pool:
            rest = pool.submit(self._run, self._up)
            printed = self._run(["-m", "automation", "--json", "edge", "up"])
            rest.result()
        result: dict[str, Any] = json.loads(printed.splitlines()[-1])
        return result

    @property
    def _up(self) -> list[str]:
        flags = [text for name, value in self.market.items() for text in (f"--{name}", value)]
        return ["-m", "localcloud", "up", "--home", str(self.home), "--port-base", str(self.port_base), "--json", *flags]

    def destroy_edge(self) -> None:
        """``pulumi destroy`` of the edge's stack."""
        self._run(["-m", "automation", "--json", "edge", "destroy"])

    def down(self, *, purge: bool) -> None:
        """Stops every process of the local cloud; with ``purge`` its state goes too."""
        self._run(["-m", "localcloud", "down", "--home", str(self.home), *(["--purge"] if purge else [])])

    def status(self) -> dict[str, Any]:
        """The local cloud's status."""
        found: dict[str, Any] = json.loads(self._run(["-m", "localcloud", "status", "--home", str(self.home), "--json"], accept=(0, 1, 3)).splitlines()[-1])
        return found

    def running(self) -> int:
        """Processes of the local cloud, its machines among them."""
        status = self.status()
        return sum(1 for one in status["processes"] if one["pid"] is not None) + int(status["machines"])

    def control(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """A call of the local cloud's control API. Raises :class:`StageError`."""
        url = self.environ["SPOTLANE_CONTROL_URL"] + path
        try:
            answer = httpx.request(method, url, json=body, timeout=15, trust_env=False)
        except httpx.TransportError as error:
            raise StageError(f"{method} {url}", 1, type(error).__name__) from error
        if not answer.is_success:
            raise StageError(f"{method} {url}", answer.status_code, answer.text[:300])
        return answer.json()

    def audit(self) -> dict[str, int]:
        """Entries of the inline proxy's audit log, by verdict."""
        counts: dict[str, int] = {}
        path = self.home / "proxy" / "audit.jsonl"
        if path.exists():
            with path.open() as log:
                for line in log:
                    try:
                        verdict = str(json.loads(line).get("verdict"))
                    except ValueError:
                        continue
                    counts[verdict] = counts.get(verdict, 0) + 1
        return counts

    def _run(self, arguments: list[str], accept: tuple[int, ...] = (0,)) -> str:
        done = subprocess.run([sys.executable, *arguments], cwd=self.root, env=self.environ or None, capture_output=True, text=True, check=False)
        if done.returncode not in accept:
            text = done.stderr.strip() or done.stdout.strip()
            raise StageError(" ".join(arguments[:3]), done.returncode, "\n".join(text.splitlines()[-8:]))
        return done.stdout
