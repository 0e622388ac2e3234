"""The supervisor's parts without a process."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from pathlib import Path

import pytest

from localcloud.state import LocalState, LocalStateFault, MarketSettings
from localcloud.supervisor import kernel
from localcloud.supervisor.catalog import PROCESSES, UnknownProcess, chosen
from localcloud.supervisor.environment import client_environment, make_secrets, program_path, upstreams
from localcloud.supervisor.records import ProcessRecord, Records
from localcloud.supervisor.watch import backoff_seconds


def test_local_json_gives_back_what_was_saved(tmp_path: Path) -> None:
    state = LocalState(tmp_path, 9000, market=MarketSettings(seed=7, speed=3600.0)).with_environment({"A": "b"})
    state.save()
    assert LocalState.load(tmp_path) == state
    assert json.loads(state.local_json.read_text())["endpoints"]["provider_gcp"] == "grpc://127.0.0.1:9006"
    assert state.local_json.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["{", '{"version": 1}', '{"version": 2}', "[]"])
def test_a_broken_local_json_says_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / "local.json").write_text(text)
    with pytest.raises(LocalStateFault, match="spotlane local"):
        LocalState.load(tmp_path)


def test_secrets_are_made_once_and_the_proxy_knows_only_the_hash(tmp_path: Path) -> None:
    state = LocalState(tmp_path)
    key = make_secrets(state)
    assert make_secrets(state) == key
    assert json.loads((state.proxy / "principals.json").read_text()) == {"platform": hashlib.sha256(key.encode()).hexdigest()}
    for path in (state.passphrase, state.platform_key, state.proxy / "platform.key"):
        assert path.stat().st_mode & 0o777 == 0o600


def test_every_cloud_has_an_upstream_and_cloudflare_is_the_edges(tmp_path: Path) -> None:
    found = upstreams(LocalState(tmp_path, 9000))
    assert found.pop("api.cloudflare.com") == "http://127.0.0.1:9010"
    assert set(found.values()) == {"http://127.0.0.1:9008"}
    assert {"*.amazonaws.com", "management.azure.com", "prices.azure.com", "*.googleapis.com"} <= set(found)


def test_lowercase_proxy_variables_never_come_without_the_loopback_exception(tmp_path: Path) -> None:
    environment = client_environment(LocalState(tmp_path), "key", "/engine/pulumi")
    for name in ("NO_PROXY", "no_proxy"):
        assert "127.0.0.1" in environment[name].split(",")


def test_our_language_host_comes_last_and_only_where_there_is_no_official_one(tmp_path: Path) -> None:
    engine = tmp_path / "engine"
    engine.mkdir()
    without = program_path(str(engine / "pulumi"), "/usr/bin:/bin").split(":")
    assert without[0] == str(engine) and without[-1].endswith("languagehost/bin")
    official = engine / "pulumi-language-python"
    official.write_text("#!/bin/sh\n")
    official.chmod(0o755)
    assert not any(folder.endswith("languagehost/bin") for folder in program_path(str(engine / "pulumi"), "/usr/bin:/bin").split(":"))


def test_a_part_is_chosen_in_starting_order() -> None:
    assert [spec.name for spec in chosen("automation,edge")] == ["edge", "automation"]
    assert chosen(None) == PROCESSES
    with pytest.raises(UnknownProcess, match="'edg'"):
        chosen("edge,edg")


def test_every_process_starts_after_those_that_it_waits_for() -> None:
    names = [spec.name for spec in PROCESSES]
    for spec in PROCESSES:
        assert all(names.index(earlier) < names.index(spec.name) for earlier in spec.after)


def test_backoff_doubles_to_half_a_minute() -> None:
    assert [backoff_seconds(restarts) for restarts in (1, 2, 3, 7, 100)] == [0.5, 1.0, 2.0, 30.0, 30.0]


def test_a_record_of_a_later_process_with_the_same_pid_is_not_alive(tmp_path: Path) -> None:
    records = Records(tmp_path)
    start_time = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    records.write(ProcessRecord("edge", os.getpid(), start_time, 0.0))
    records.write(ProcessRecord("proxy", os.getpid(), start_time - 1, 0.0))
    edge, proxy = records.read("edge"), records.read("proxy")
    assert edge is not None and edge.alive
    assert proxy is not None and not proxy.alive


def test_the_holder_of_a_port_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not kernel.port_free(port)
        holder = kernel.holder_of(port)
        assert holder is not None and holder.pid == os.getpid()
    assert kernel.port_free(port)
