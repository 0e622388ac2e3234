"""The clouds as one served process on ports of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config

from localcloud.hosts.process import processes_of
from localcloud.state import LocalState, MarketSettings
from tests.ports import free_base


class Served:
    """``python -m localcloud.serve`` on a state directory; ``arm`` and ``google`` call as the providers do, by ``Host``."""

    def __init__(self, home: Path) -> None:
        self.state = LocalState(home=home, port_base=free_base(), market=MarketSettings(speed=1.0))
        self.state.save()
        self.client = httpx.Client(timeout=30)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.state.home / "log").open("ab") as log:
            command = [sys.executable, "-m", "localcloud.serve", "--home", str(self.state.home), "--without-providers"]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        self.until(lambda: self._healthy())

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(timeout=15)

    def until(self, holds: Callable[[], bool], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, (self.state.home / "log").read_text()[-3000:]
            time.sleep(0.03)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        return self.client.request(method, self.state.url("control") + path, json=body).json()

    def arm(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return self._call("management.azure.com", method, path, body, {"api-version": "2024-07-01"}, headers)

    def google(self, host: str, method: str, path: str, body: Any = None) -> httpx.Response:
        return self._call(f"{host}.googleapis.com", method, path, body, {})

    def aws(self, service: str, region: str, **credentials: str) -> Any:
        chosen = {"aws_access_key_id": "LOCAL", "aws_secret_access_key": "local"} | credentials
        config = Config(retries={"max_attempts": 0})
        return boto3.client(service, region_name=region, endpoint_url=self.state.url("clouds"), config=config, **chosen)  # type: ignore[call-overload]  # the service is a variable

    def machine(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(one for one in self.control("GET", "/hosts") if one["name"] == name)
        return found

    def _call(self, host: str, method: str, path: str, body: Any, query: dict[str, str], headers: Mapping[str, str] | None = None) -> httpx.Response:
        sent = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        return self.client.request(method, self.state.url("clouds") + path, json=body, headers={"host": host} | sent, params=query)

    def _healthy(self) -> bool:
        try:
            return bool(self.control("GET", "/healthz")["parts"]["aws"] == "ok")
        except httpx.HTTPError:
            return False

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.stop()
        self.client.close()
        for folder in self.state.hosts.iterdir():
            for pid in processes_of(str(folder)):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    one = Served(tmp_path_factory.mktemp("clouds"))
    one.start()
    yield one
    one.close()
