"""Where the proxy can't judge or can't record, nothing is forwarded."""

from __future__ import annotations

import resource
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.policies.stage import SUBSCRIPTION, Stage, staged, start

URL = f"https://management.azure.com/subscriptions/{SUBSCRIPTION}/resourceGroups/web?api-version=2024-11-01"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as found:
        with found.client() as client:
            assert client.put(URL, json={"location": "westeurope"}).status_code == 200
        found.seen.clear()
        yield found


def refused(stage: Stage) -> int:
    """The status of a call that the boundary allows; nothing of it reached the upstream."""
    with stage.client() as client:
        status = client.put(URL, json={"location": "westeurope"}).status_code
    assert stage.seen == []
    return status


def test_a_full_disk_under_the_audit_log(stage: Stage) -> None:
    log = stage.home / "proxy" / "audit.jsonl"
    size = log.stat().st_size
    resource.prlimit(stage.process.pid, resource.RLIMIT_FSIZE, (size + 10, resource.RLIM_INFINITY))
    assert refused(stage) == 503
    assert log.stat().st_size == size
    resource.prlimit(stage.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    with stage.client() as client:
        assert client.put(URL, json={"location": "westeurope"}).status_code == 200


def test_an_audit_log_that_is_taken_away(stage: Stage) -> None:
    (stage.home / "proxy" / "audit.jsonl").rename(stage.home / "elsewhere")
    limit = time.monotonic() + 60
    with stage.client() as client:
        while (status := client.put(URL, json={"location": "westeurope"}).status_code) != 503 and time.monotonic() < limit:
            time.sleep(0.05)
    stage.seen.clear()
    assert status == 503
    assert refused(stage) == 503
    shutil.copy(stage.home / "elsewhere", stage.home / "proxy" / "audit.jsonl")


@pytest.mark.parametrize(
    "harm", [b"", b"{", b"[]", b"null", b'{"boundary": {"nam": 1}}', b'{"boundary": {"name": "b"}, "digest": "sha256:0", "accounts": {"azure": ["%s"]}}']
)
def test_a_tenants_file_that_cant_be_read(stage: Stage, harm: bytes) -> None:
    (stage.home / "proxy" / "tenants" / "acme.json").write_bytes(harm.replace(b"%s", SUBSCRIPTION.encode()))
    assert refused(stage) == 403


def test_no_tenants_at_all(stage: Stage) -> None:
    shutil.rmtree(stage.home / "proxy" / "tenants")
    assert refused(stage) == 403


@pytest.mark.parametrize("harm", ["{", "[]", "null"])
def test_upstreams_that_cant_be_read(stage: Stage, harm: str) -> None:
    (stage.home / "upstreams.json").write_text(harm)
    assert refused(stage) == 403


def test_principals_that_cant_be_read(stage: Stage) -> None:
    (stage.home / "proxy" / "principals.json").write_text("{")
    with pytest.raises(httpx.ProxyError, match="407"):
        refused(stage)
    assert stage.seen == []


def test_a_proxy_that_was_killed(stage: Stage) -> None:
    stage.process.kill()
    stage.process.wait()
    with pytest.raises(httpx.ConnectError):
        refused(stage)
    assert stage.seen == []
    before = stage.entries()
    stage.process, stage.port = start(stage.home, stage.home / "upstreams.json")
    with stage.client() as client:
        assert client.put(URL, json={"location": "eastus"}).status_code == 403
    assert stage.entries()[:-1] == before
