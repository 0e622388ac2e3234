"""Requests over a real socket: what a server sees of them, and what comes of its answers and of its silence."""

from __future__ import annotations

import asyncio
import gzip
import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from spotlane.aio import AsyncHttp
from spotlane.exchange import Answer, Http, TransportError


class Server(http.server.ThreadingHTTPServer):
    """Answers with what it was asked, and as its path's first part says."""

    def __init__(self) -> None:
        self.connections: set[Any] = set()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.server.connections.add(self.client_address)
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        seen = {
            "path": self.path,
            "method": self.command,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": body.decode(),
            "accept": self.headers.get_all("accept"),
        }
        told = json.dumps(seen).encode()
        headers: dict[str, str] = {}
        if self.path.startswith("/slow"):
            time.sleep(0.5)
        if self.path.startswith("/gone"):
            self.close_connection = True
            self.connection.close()
            return
        if self.path.startswith("/packed"):
            told, headers = gzip.compress(told), {"content-encoding": "gzip"}
        if self.path.startswith("/broken"):
            headers = {"content-encoding": "gzip"}
        if self.path.startswith("/lines"):
            told = "eins\r\nzwei ü\n\ndrei".encode()
        self.send_response(302 if self.path.startswith("/moved") else 200)
        for name, value in {**headers, "location": "/elsewhere", "content-length": str(len(told))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(told)

    do_POST = do_PUT = do_DELETE = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


def ask(*request: Any, **options: Any) -> Answer:
    with closing(Http(5.0)) as http:
        return http.request(*request, **options)


def test_a_name_under_localhost_is_loopback_and_keeps_its_host_header(server: Server) -> None:
    seen = ask("GET", f"http://api.spotlane.localhost:{server.server_port}/v1").json()
    assert seen["headers"]["host"] == f"api.spotlane.localhost:{server.server_port}"


def test_what_a_path_or_a_parameter_cant_hold_is_escaped_once(server: Server) -> None:
    seen = ask("GET", f"{server.url}/workloads/a b%20c%/ü?x=1", params={"q": "a b&c"}).json()
    assert seen["path"] == "/workloads/a%20b%20c%25/%C3%BC?x=1&q=a%20b%26c"


def test_json_goes_as_json_and_nothing_as_nothing(server: Server) -> None:
    seen = ask("POST", f"{server.url}/x", json={"name": "ü"}).json()
    assert (seen["body"], seen["headers"]["content-type"]) == ('{"name":"ü"}', "application/json")
    seen = ask("POST", f"{server.url}/x").json()
    assert (seen["headers"]["content-length"], "content-type" in seen["headers"]) == ("0", False)
    assert "content-length" not in ask("GET", f"{server.url}/x").json()["headers"]


def test_a_given_header_stands_and_the_programs_name_beside_it(server: Server) -> None:
    seen = ask("PUT", f"{server.url}/x", content=b"abc", headers={"Content-Type": "application/octet-stream", "Accept": "text/plain"}).json()
    headers = seen["headers"]
    assert seen["accept"] == ["text/plain"]
    assert (headers["content-type"], headers["content-length"], headers["user-agent"].split("/")[0]) == ("application/octet-stream", "3", "spotlane")


def test_a_packed_answer_is_unpacked_and_a_broken_one_is_no_answer(server: Server) -> None:
    assert ask("GET", f"{server.url}/packed").json()["path"] == "/packed"
    with pytest.raises(TransportError, match="can't be unpacked"):
        ask("GET", f"{server.url}/broken")


def test_a_redirect_is_an_answer(server: Server) -> None:
    answer = ask("GET", f"{server.url}/moved")
    assert (answer.status_code, answer.is_success, answer.headers["location"], answer.asked) == (302, False, "/elsewhere", "GET /moved")


def test_a_connection_is_kept(server: Server) -> None:
    with closing(Http(5.0)) as http:
        for _ in range(3):
            http.get(f"{server.url}/x")
    assert len(server.connections) == 1


@pytest.mark.parametrize(
    ("path", "said"),
    [("/slow", "timed out"), ("/gone", "disconnected")],
)
def test_silence_and_a_closed_connection_are_no_answer(server: Server, path: str, said: str) -> None:
    with pytest.raises(TransportError, match=said), closing(Http(5.0)) as http:
        http.get(server.url + path, timeout=0.1)


@pytest.mark.parametrize("url", ["api.example.com/v1", "http://a..b/", "http://127.0.0.1:port/", "http://127.0.0.1:9/", "ftp://127.0.0.1/"])
def test_an_address_that_is_none_is_no_answer(url: str) -> None:
    with pytest.raises(TransportError):
        ask("GET", url)


def test_a_stream_is_read_line_by_line_in_both_clients(server: Server) -> None:
    async def read() -> list[str]:
        http = AsyncHttp(5.0)
        async with http.stream("GET", f"{server.url}/lines") as answer:
            found = [line async for line in answer.lines()]
        await http.aclose()
        return found

    with closing(Http(5.0)) as http, http.stream("GET", f"{server.url}/lines") as answer:
        assert list(answer.lines()) == asyncio.run(read()) == ["eins", "zwei ü", "", "drei"]


def test_the_environments_proxy_is_not_asked(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert ask("GET", f"{server.url}/x").status_code == 200
