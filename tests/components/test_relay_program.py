"""The relay as a program: its settings, where it listens, what it says of itself."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import components.relay as relay_package
from components.relay.settings import SettingsError, load
from components.relay.status import metrics, unready
from components.relay.status import serve as serve_status
from tests.components.relay_stage import DOCUMENT, LABEL, ask, echo, run, stage, until


def test_its_status_names_what_it_waits_for_and_its_figures() -> None:
    async def test() -> None:
        async with stage() as on:
            assert unready(on.relay) == [LABEL]
            status = await serve_status(on.relay, ("127.0.0.1", 0), on.clock)
            port = status.sockets[0].getsockname()[1]

            async def get(path: bytes) -> bytes:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"GET " + path + b" HTTP/1.1\r\n\r\n")
                return await reader.read()

            assert (await get(b"/healthz")).startswith(b"HTTP/1.1 503 ")
            on.edge.point(await on.machine("1"))
            await on.told()
            assert await on.said(b"a") == b"1:a"
            await until(lambda: not on.relay.connections)
            assert (await get(b"/healthz")).startswith(b"HTTP/1.1 200 ")
            figures = dict(line.rsplit(" ", 1) for line in metrics(on.relay, on.clock()).splitlines())
            of = f'{{workload="{LABEL}"'
            assert figures[f"spotlane_relay_joined_total{of}}}"] == "1"
            assert figures[f'spotlane_relay_ended_total{of},why="closed"}}'] == "1"
            assert figures[f"spotlane_relay_route_version{of}}}"] == "1"
            status.close()

    run(test)


def test_settings_tell_every_fault() -> None:
    workloads = [{"label": "x", "port": 1}, {"label": LABEL, "port": 5432}, {"label": "api-acme", "port": 5432}, {"label": LABEL, "port": "no"}]
    with pytest.raises(SettingsError) as caught:
        load(json.dumps({"edge": "tcp.example.com", "dial": "by-hand", "attempts": 0, "colour": "red", "trusted": ["all"], "workloads": workloads}))
    assert caught.value.faults == [
        "colour: is not a setting",
        "edge: the address of the tcp Worker is needed, as in https://tcp.example.com",
        "dial: tunnel or direct",
        "attempts: a number above 0 is expected",
        "trusted: 'all' does not appear to be an IPv4 or IPv6 network",
        "workloads[0].label: 'x' is no label",
        "workloads[3].port: a port is expected",
        "port 5432: data-acme, api-acme can't be told apart; give each a destination",
        "port 5432: without a PROXY header its workloads can't be told apart",
    ]


@pytest.mark.parametrize(
    ("host", "listen", "status"),
    [("127.0.0.1", "127.0.0.1", "127.0.0.1"), ("127.11.0.2", "127.11.0.2", "127.11.0.2"), ("0.0.0.0", "0.0.0.0", "127.0.0.1")],
)
def test_it_listens_where_its_environment_says_and_its_status_stays_on_the_loopback(host: str, listen: str, status: str) -> None:
    settings = load(json.dumps({"edge": "https://tcp.example.com", "workloads": []}), host)
    assert (settings.listen, settings.status[0]) == (listen, status)
    assert load(json.dumps({"edge": "https://tcp.example.com", "workloads": [], "listen": "192.0.2.1"}), host).listen == "192.0.2.1"


def test_without_a_word_on_it_a_relay_listens_on_the_loopback() -> None:
    assert load(json.dumps({"edge": "https://tcp.example.com", "workloads": []})).listen == "127.0.0.1"


def test_workloads_that_share_a_port_are_told_apart_by_what_the_client_connected_to() -> None:
    shared = [{"label": f"{name}-acme", "port": 5432, "proxyIn": "v2", "destination": f"198.51.100.{at}:5432"} for at, name in enumerate(("data", "more"))]
    settings = load(json.dumps({"edge": "https://tcp.example.com", "workloads": shared}))
    found = [settings.served(5432, ("198.51.100.1", 5432)), settings.served(5432, ("198.51.100.9", 5432)), settings.served(5432, None)]
    assert [one and one.label for one in found] == ["more-acme", None, None]


def test_new_settings_open_and_close_ports_and_leave_connections_alone() -> None:
    async def test() -> None:
        async with stage() as on:
            on.edge.point(await on.machine("1"))
            await on.told()
            reader, writer = await on.connect()
            assert await ask(reader, writer, b"a") == b"1:a"
            await on.relay.apply(replace(on.relay.settings, workloads=()))
            assert await ask(reader, writer, b"b") == b"1:b"
            assert on.relay.followers == {}
            writer.close()
            await until(lambda: not on.relay.connections)

    run(test)


def test_it_runs_as_a_program_on_the_standard_library_alone(tmp_path: Path) -> None:
    async def test() -> None:
        async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked = await reader.readuntil(b"\r\n\r\n")
            if b"after=3" not in asked:  # a follower of what stands is kept waiting
                target = {"placement": "acme_data_1", "origin": "127.0.0.1", "weight": 1, "healthy": True}
                body = json.dumps(DOCUMENT | {"targets": [target]}).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                writer.close()

        edge = await asyncio.start_server(answers, "127.0.0.1", 0)
        machine = await asyncio.start_server(echo, "127.0.0.1", 0)
        edge_port, machine_port = (server.sockets[0].getsockname()[1] for server in (edge, machine))
        with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
            port, status = one.getsockname()[1], other.getsockname()[1]
        shutil.copytree(Path(relay_package.__file__).parent, tmp_path / "relay", ignore=shutil.ignore_patterns("__pycache__"))
        workload = {"label": LABEL, "port": port, "servicePort": machine_port}
        settings = {"edge": f"http://127.0.0.1:{edge_port}", "listen": "127.0.0.1", "status": f"127.0.0.1:{status}", "dial": "direct", "workloads": [workload]}
        (tmp_path / "settings.json").write_text(json.dumps(settings))
        command = [sys.executable, "-S", "-E", "-m", "relay", "settings.json"]
        program = await asyncio.create_subprocess_exec(*command, cwd=tmp_path, stdout=asyncio.subprocess.PIPE)
        try:
            assert program.stdout is not None
            assert await program.stdout.readline() == b"spotlane-relay: 1 workloads\n"
            answer = b""
            while not answer:  # the route is on its way
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                answer = await ask(reader, writer, b"hello")
                writer.close()
            assert answer == b"hello"
            program.send_signal(signal.SIGTERM)
            assert await program.wait() == 0
        finally:
            if program.returncode is None:
                program.kill()
                await program.wait()
        edge.close()
        machine.close()

    run(test)
