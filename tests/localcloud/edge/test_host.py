"""The edge host from outside: deployments over the Cloudflare API, requests at the edge's address."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from components.relay.proxy_protocol import Ends, encode
from components.relay.streams import Dialer, Unreachable
from tests.localcloud.edge.conftest import ACCOUNT, ZONE, ZONE_ID, EdgeHost
from tests.ports import free_port

COUNTER = """
import { DurableObject } from "cloudflare:workers";
export class Counter extends DurableObject {
  async next() { const n = ((await this.ctx.storage.get("n")) ?? 0) + 1; await this.ctx.storage.put("n", n); return n; }
}
export default { fetch: async (request, env) => Response.json({ n: await env.COUNTERS.get(env.COUNTERS.idFromName("one")).next(), version: VERSION }) };
"""
FRONT = """
export default { fetch: (request, env) => {
  const { pathname } = new URL(request.url);
  if (pathname === "/socket") {
    const [client, server] = Object.values(new WebSocketPair());
    server.accept();
    server.addEventListener("message", ({ data }) => server.send(`echo ${data}`));
    return new Response(null, { status: 101, webSocket: client });
  }
  if (pathname === "/stream") {
    const { readable, writable } = new TransformStream();
    const writer = writable.getWriter();
    setInterval(() => writer.write(new TextEncoder().encode(": beat\\n")).catch(() => undefined), 50);
    return new Response(readable, { headers: { "content-type": "text/event-stream" } });
  }
  if (pathname.startsWith("/to/")) return fetch(`http://${pathname.slice(4)}/where?from=worker`, request);
  return env.BACK.fetch(request);
} };
"""
SQLITE = {"new_tag": "v1", "new_sqlite_classes": ["Counter"]}
COUNTERS = {"type": "durable_object_namespace", "name": "COUNTERS", "class_name": "Counter"}


def deploy(edge: EdgeHost, version: int = 1) -> None:
    """Two scripts: `front` at app.<zone>, which calls `back` with its Durable Object."""
    answer = edge.upload("back", COUNTER.replace("VERSION", str(version)), migrations=SQLITE, bindings=[COUNTERS])
    assert answer.status_code == 200, answer.text
    if version == 1:
        assert edge.upload("front", FRONT, bindings=[{"type": "service", "name": "BACK", "service": "back"}]).status_code == 200
        edge.route(f"app.{ZONE}/*", "front")


@contextmanager
def origin(address: str) -> Iterator[int]:
    """An HTTP origin on a loopback address that says what it was asked."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"{address} {self.path} {self.headers['x-forwarded-host']}".encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = http.server.ThreadingHTTPServer((address, free_port()), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def test_reload_under_load_drops_no_request_and_closes_websockets_with_1012(edge: EdgeHost) -> None:
    deploy(edge)
    statuses: list[int] = []
    versions: set[int] = set()
    stop = threading.Event()

    def load() -> None:
        with httpx.Client(timeout=20, trust_env=False, verify=False) as client:
            while not stop.is_set():
                answer = client.get(f"http://127.0.0.1:{edge.edge_port}/", headers={"host": f"app.{ZONE}"})
                statuses.append(answer.status_code)
                versions.add(answer.json()["version"])

    threads = [threading.Thread(target=load, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    raw = socket.create_connection(("127.0.0.1", edge.edge_port))
    with connect(f"ws://app.{ZONE}:{edge.edge_port}/socket", sock=raw) as socket_:
        socket_.send("a")
        assert socket_.recv(timeout=5) == "echo a"
        for version in (2, 3):
            deploy(edge, version)
        code = None
        try:
            socket_.recv(timeout=5)
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd else None
    time.sleep(0.2)
    stop.set()
    for thread in threads:
        thread.join()
    assert code == 1012
    assert set(statuses) == {200}
    assert len(statuses) > 50
    assert 3 in versions


def test_a_reload_ends_streams_and_waits_for_none(edge: EdgeHost) -> None:
    edge.end()
    edge.start("--drain-ms", "20000")
    deploy(edge)
    with (
        httpx.Client(timeout=30, trust_env=False) as client,
        client.stream("GET", f"http://127.0.0.1:{edge.edge_port}/stream", headers={"host": f"app.{ZONE}"}) as answer,
    ):
        parts = answer.iter_bytes()
        assert next(parts).startswith(b": beat")
        begun = time.monotonic()
        deploy(edge, 2)
        took = time.monotonic() - begun
        with contextlib.suppress(httpx.RemoteProtocolError):
            assert set("".join(part.decode() for part in parts)) <= set(": beat\n")
    assert took < 20
    assert edge.get(f"app.{ZONE}").json()["version"] == 2


def test_state_survives_kill_and_workerd_dies_with_the_host(edge: EdgeHost) -> None:
    deploy(edge)
    assert edge.get(f"app.{ZONE}").json()["n"] == 1
    children = Path(f"/proc/{edge.process.pid}/task/{edge.process.pid}/children").read_text().split() if edge.process else []
    workerd = [int(pid) for pid in children if b"workerd" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert workerd
    edge.end(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}/exe").exists() for pid in workerd) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in workerd if Path(f"/proc/{pid}/exe").exists()]
    edge.start()
    assert edge.get(f"app.{ZONE}").json() == {"n": 2, "version": 1}


def test_killed_workerd_is_started_again_for_the_next_request(edge: EdgeHost) -> None:
    deploy(edge)
    assert edge.process
    children = Path(f"/proc/{edge.process.pid}/task/{edge.process.pid}/children").read_text().split()
    for pid in children:
        if b"workerd" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(int(pid), signal.SIGKILL)
    time.sleep(0.3)
    assert edge.get(f"app.{ZONE}").status_code == 200


def test_owner_of_a_workflow_is_given_its_cron_after_a_restart(edge: EdgeHost) -> None:
    source = """
import { DurableObject, WorkflowEntrypoint } from "cloudflare:workers";
export class Log extends DurableObject {
  async add(cron) { await this.ctx.storage.put("crons", [...(await this.all()), cron]); }
  async all() { return (await this.ctx.storage.get("crons")) ?? []; }
}
export class Move extends WorkflowEntrypoint { async run() {} }
const log = (env) => env.LOGS.get(env.LOGS.idFromName("one"));
export default { fetch: async (_, env) => Response.json(await log(env).all()), scheduled: (event, env) => log(env).add(event.cron) };
"""
    bindings = [
        {"type": "durable_object_namespace", "name": "LOGS", "class_name": "Log"},
        {"type": "workflow", "name": "MOVES", "workflow_name": "move", "class_name": "Move"},
    ]
    assert edge.upload("control", source, bindings=bindings, migrations={"new_tag": "v1", "new_sqlite_classes": ["Log"]}).status_code == 200
    edge.ask("PUT", f"/accounts/{ACCOUNT}/workflows/move", json={"class_name": "Move", "script_name": "control"})
    edge.ask("PUT", f"/accounts/{ACCOUNT}/workers/scripts/control/schedules", json=[{"cron": "0 0 1 1 *"}])
    edge.route(f"control.{ZONE}/*", "control")
    assert edge.get(f"control.{ZONE}").json() == []
    edge.end(signal.SIGKILL)
    edge.start()
    deadline = time.monotonic() + 60
    while not (crons := edge.get(f"control.{ZONE}").json()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert crons == ["0 0 1 1 *"]


def test_refuses_bindings_to_what_is_not_there(edge: EdgeHost) -> None:
    def code(**metadata: object) -> int:
        answer = edge.upload("front", "export default {};", **metadata)
        assert answer.status_code == 400, answer.text
        return int(answer.json()["errors"][0]["code"])

    assert code(bindings=[{"type": "service", "name": "BACK", "service": "back"}]) == 10143
    assert code(bindings=[{**COUNTERS, "script_name": "back"}]) == 10061
    assert code(bindings=[{"type": "kv_namespace", "name": "KV", "namespace_id": "0" * 32}]) == 10041
    assert code(bindings=[{"type": "d1", "name": "DB", "id": "0" * 32}]) == 10181
    assert code(migrations=SQLITE) == 10070
    assert edge.upload("front", "export default {").json()["errors"][0]["code"] == 10021
    assert edge.api.get(f"/accounts/{ACCOUNT}/workers/scripts/front/settings").json()["errors"][0]["code"] == 10007
    assert edge.api.get("/zones", headers={"authorization": ""}).status_code == 400


def test_worker_reaches_an_origin_through_its_tunnel(edge: EdgeHost) -> None:
    deploy(edge)
    name = f"web-acme-1.origins.{ZONE}"
    assert edge.get(f"app.{ZONE}", f"/to/{name}").status_code == 530
    with origin("127.0.0.2") as port:
        tunnel = edge.tunnel(name, f"http://localhost:{port}")
        answer = edge.get(f"app.{ZONE}", f"/to/{name}")
        assert (answer.status_code, answer.text) == (530, "error code: 1033")
        assert edge.control.post("/tunnels/connect", json={"token": "bm9uZQ==", "address": "127.0.0.2"}).status_code == 401
        assert edge.connect(tunnel, "127.0.0.2") == 200
        assert edge.control.get("/resolve", params={"host": name}).json() == {"address": "127.0.0.2", "port": port, "protocol": "http"}
        answer = edge.get(f"app.{ZONE}", f"/to/{name}")
        assert (answer.status_code, answer.text) == (200, f"127.0.0.2 /where?from=worker {name}")
    assert edge.get(f"app.{ZONE}", f"/to/{name}").status_code == 502
    with origin("127.0.0.1") as port:
        assert edge.get(f"app.{ZONE}", f"/to/127.0.0.1:{port}").status_code == 200


def test_websocket_reaches_an_origin_through_its_tunnel(edge: EdgeHost) -> None:
    deploy(edge)
    name = f"web-acme-1.origins.{ZONE}"

    def echo(connection: ServerConnection) -> None:
        for message in connection:
            connection.send(message)

    with serve(echo, "127.0.0.5", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert edge.connect(edge.tunnel(name, f"http://localhost:{server.socket.getsockname()[1]}"), "127.0.0.5") == 200
        raw = socket.create_connection(("127.0.0.1", edge.edge_port))
        with connect(f"ws://app.{ZONE}:{edge.edge_port}/to/{name}", sock=raw, max_size=None) as client:
            for message in ("a", "b" * 300_000):
                client.send(message)
                assert client.recv(timeout=5) == message
        server.shutdown()


@contextmanager
def _echoes(edge: EdgeHost, label: str, count: int) -> Iterator[tuple[list[str], list[socket.socket]]]:
    """TCP services of so many generations behind their tunnels, each echoing after its address: 127.0.0.3 is the first. Their connectors stay connected."""
    names = [f"tcp-{label}-{generation}.origins.{ZONE}" for generation in range(1, count + 1)]
    servers = [socket.create_server((f"127.0.0.{3 + at}", 0)) for at in range(count)]
    tunnels = [edge.tunnel(name, f"tcp://localhost:{server.getsockname()[1]}") for name, server in zip(names, servers, strict=True)]
    ended = threading.Event()

    def connected() -> None:
        with httpx.Client(base_url=edge.control.base_url, timeout=10) as control:
            while not ended.wait(1.0):
                for tunnel, server in zip(tunnels, servers, strict=True):
                    control.post("/tunnels/connect", json={"token": tunnel["token"], "address": server.getsockname()[0]})

    for tunnel, server in zip(tunnels, servers, strict=True):
        address = server.getsockname()[0]
        threading.Thread(target=_serve, args=(server, address.encode()), daemon=True).start()
        assert edge.connect(tunnel, address) == 200
    heartbeat = threading.Thread(target=connected, daemon=True)
    heartbeat.start()
    try:
        yield names, servers
    finally:
        ended.set()
        heartbeat.join()
        for server in servers:
            server.close()


def _application(edge: EdgeHost, label: str, **changes: object) -> tuple[str, tuple[str, int]]:
    """A Spectrum application before the relay; its id and where it listens."""
    port, host = free_port(), f"tcp-{label}.workloads.{ZONE}"
    application = {"protocol": f"tcp/{port}", "dns": {"type": "CNAME", "name": host}, "origin_dns": {"name": f"relay.{ZONE}"}, "origin_port": port}
    created = edge.ask("POST", f"/zones/{ZONE_ID}/spectrum/apps", json=application | changes)
    listener = edge.control.get("/resolve", params={"host": host}).json()
    assert listener == {"address": listener["address"], "port": port}
    assert listener["address"].startswith("127.20.")
    return created["id"], (listener["address"], port)


def test_spectrum_follows_the_route_for_new_connections_and_ends_open_ones_when_their_drain_ends(edge: EdgeHost) -> None:
    with _echoes(edge, "echo-acme", 2) as (names, _):
        _point(edge, 1, names[0])
        edge.route(f"tcp.{ZONE}/*", "tcp")
        identity, listener = _application(edge, "echo-acme")
        with socket.create_connection(listener, timeout=5) as first:
            assert _said(first, b"1") == b"127.0.0.3 1"
            _point(edge, 2, names[1], drain_seconds=4.0)
            deadline = time.monotonic() + 3
            answer = b""
            while answer != b"127.0.0.4 2" and time.monotonic() < deadline:
                with socket.create_connection(listener, timeout=5) as second:
                    answer = _said(second, b"2")
            assert answer == b"127.0.0.4 2"
            assert _said(first, b"3") == b"127.0.0.3 3"
            first.settimeout(10)
            assert first.recv(1024) == b""
        with socket.create_connection(listener, timeout=5) as third:
            assert _said(third, b"4") == b"127.0.0.4 4"
        edge.ask("DELETE", f"/zones/{ZONE_ID}/spectrum/apps/{identity}")
        assert edge.control.get("/resolve", params={"host": f"tcp-echo-acme.workloads.{ZONE}"}).status_code == 404


def test_spectrum_refuses_what_no_healthy_machine_serves(edge: EdgeHost) -> None:
    with _echoes(edge, "sick-acme", 1) as (names, _):
        _point(edge, 1, names[0], healthy=False)
        edge.route(f"tcp.{ZONE}/*", "tcp")
        _, listener = _application(edge, "sick-acme")
        with socket.create_connection(listener, timeout=5) as refused, contextlib.suppress(ConnectionResetError):
            assert _said(refused, b"1") == b""


def test_worker_reaches_a_tcp_service_through_its_tunnel_by_a_websocket(edge: EdgeHost) -> None:
    source = """
export default { fetch: async (request) => {
  const host = new URL(request.url).searchParams.get("host");
  const { status, webSocket } = await fetch(`http://${host}/`, { headers: { upgrade: "websocket" } });
  if (!webSocket) return Response.json([status]);
  const said = new Promise((resolve) => webSocket.addEventListener("message", ({ data }) => resolve(new TextDecoder().decode(data))));
  webSocket.binaryType = "arraybuffer";
  webSocket.accept();
  webSocket.send(new TextEncoder().encode("hello"));
  const answer = [status, await said];
  webSocket.close(1000);
  return Response.json(answer);
} };
"""
    assert edge.upload("front", source).status_code == 200
    edge.route(f"app.{ZONE}/*", "front")
    with _echoes(edge, "ws-acme", 1) as (names, servers):
        assert edge.get(f"app.{ZONE}", f"/?host={names[0]}").json() == [101, "127.0.0.3 hello"]
        servers[0].shutdown(socket.SHUT_RDWR)  # a thread waits in accept(): closing alone would let one more in
        assert edge.get(f"app.{ZONE}", f"/?host={names[0]}").json() == [502]


def test_a_relay_reaches_a_tcp_service_through_its_tunnel_at_the_edges_address(edge: EdgeHost) -> None:
    async def echoed(name: str, size: int) -> bytes:
        stream = await Dialer("tunnel", 5.0, {}, tls=False, port=edge.edge_port).dial(name, 0)
        try:
            await stream.write(b"x" * size)
            back = b""
            while len(back) < size and (data := await stream.read()):
                back += data
            await stream.end()
            while data := await stream.read():
                back += data
            return back
        finally:
            stream.close()

    with _echoes(edge, "dialled-acme", 1) as (names, servers):
        assert asyncio.run(echoed(names[0], 5)) == b"127.0.0.3 xxxxx"
        assert edge.get(names[0], "/").status_code == 502  # HTTP isn't spoken there
        servers[0].shutdown(socket.SHUT_RDWR)  # a thread waits in accept(): closing alone would let one more in
        with pytest.raises(Unreachable, match="the tunnel answered 502"):
            asyncio.run(echoed(names[0], 5))
        with pytest.raises(Unreachable, match="the tunnel answered 530"):
            asyncio.run(echoed(f"tcp-gone-acme-1.origins.{ZONE}", 5))


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_spectrum_names_the_client_to_a_service_that_expects_the_proxy_protocol(edge: EdgeHost, version: Literal["v1", "v2"]) -> None:
    with _echoes(edge, "who-acme", 1) as (names, servers):
        _point(edge, 1, names[0], proxy_protocol=version)
        edge.route(f"tcp.{ZONE}/*", "tcp")
        _, listener = _application(edge, "who-acme", proxy_protocol=version)
        port = servers[0].getsockname()[1]
        straight = {"origin_direct": [f"tcp://127.0.0.3:{port}"], "proxy_protocol": version}
        _, direct = _application(edge, "direct-acme", **straight)
        for at in (listener, direct):
            with socket.create_connection(at, timeout=5) as client:
                client.sendall(b"hello")
                header = encode(version, Ends(client.getsockname(), at))
                expected = b"127.0.0.3 " + header + b"hello"
                got = b""
                while len(got.replace(b"127.0.0.3 ", b"")) < len(header) + 5:
                    got += client.recv(1024)
                assert got.replace(b"127.0.0.3 ", b"") == expected.replace(b"127.0.0.3 ", b"")
        refused = edge.api.post(
            f"/zones/{ZONE_ID}/spectrum/apps", json={"protocol": "tcp/1", "dns": {"name": f"x.{ZONE}"}, **straight, "proxy_protocol": "simple"}
        )
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, 11_007)


def test_stores_are_reached_over_the_api_and_from_the_worker(edge: EdgeHost) -> None:
    namespace = edge.ask("POST", f"/accounts/{ACCOUNT}/storage/kv/namespaces", json={"title": "routes"})["id"]
    database = edge.ask("POST", f"/accounts/{ACCOUNT}/d1/database", json={"name": "spotlane"})["uuid"]
    sql = "create table t (x text); insert into t values ('a;b')"
    edge.ask("POST", f"/accounts/{ACCOUNT}/d1/database/{database}/query", json={"sql": sql})
    assert edge.api.put(f"/accounts/{ACCOUNT}/storage/kv/namespaces/{namespace}/values/k", content="v").status_code == 200
    source = "export default { fetch: async (_, env) => Response.json([await env.KV.get('k'), await env.DB.prepare('select x from t').first('x')]) };"
    bindings = [{"type": "kv_namespace", "name": "KV", "namespace_id": namespace}, {"type": "d1", "name": "DB", "database_id": database}]
    assert edge.upload("store", source, bindings=bindings).status_code == 200
    edge.route(f"store.{ZONE}/*", "store")
    assert edge.get(f"store.{ZONE}").json() == ["v", "a;b"]
    assert edge.api.delete(f"/accounts/{ACCOUNT}/d1/database/{database}").status_code == 400
    edge.ask("DELETE", f"/accounts/{ACCOUNT}/workers/scripts/store")
    assert edge.api.delete(f"/accounts/{ACCOUNT}/d1/database/{database}").status_code == 200


def _point(edge: EdgeHost, version: int, name: str, drain_seconds: float = 5.0, **target: object) -> None:
    """Has the tcp Worker answer that ``name`` serves."""
    machine = {"placement": name, "origin": name, "weight": 1, "healthy": target.get("healthy", True), "proxyProtocol": target.get("proxy_protocol", "off")}
    route = {"version": version, "targets": [machine], "drainSeconds": drain_seconds}
    assert edge.upload("tcp", f"export default {{ fetch: () => Response.json({json.dumps(route)}) }};").status_code == 200


def _serve(server: socket.socket, greeting: bytes) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_echo, args=(connection, greeting), daemon=True).start()


def _echo(connection: socket.socket, greeting: bytes) -> None:
    with connection:
        while data := connection.recv(1024):
            connection.sendall(greeting + b" " + data)


def _said(connection: socket.socket, text: bytes) -> bytes:
    connection.sendall(text)
    return connection.recv(1024)
