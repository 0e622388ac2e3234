"""Malformed, ambiguous and slow requests at the edge's address, byte by byte: what Cloudflare's network lets pass to no Worker."""

from __future__ import annotations

import socket
import time

import pytest

from tests.localcloud.edge.conftest import ZONE, EdgeHost

ECHO = """
export default { fetch: async (request) => Response.json({ host: new URL(request.url).host, headers: [...request.headers], body: await request.text() }) };
"""
HOST = f"app.{ZONE}"


def talk(edge: EdgeHost, *parts: bytes, seconds: float = 15.0) -> bytes:
    """Everything that is answered until the edge closes the connection."""
    answer = b""
    with socket.create_connection(("127.0.0.1", edge.edge_port), timeout=seconds) as connection:
        for part in parts:
            connection.sendall(part)
        while more := connection.recv(65536):
            answer += more
    return answer


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def head(*lines: str) -> bytes:
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")


@pytest.fixture
def echo(edge: EdgeHost) -> EdgeHost:
    assert edge.upload("echo", ECHO).status_code == 200
    edge.route(f"app.{ZONE}/*", "echo")
    return edge


def test_what_is_ambiguous_or_malformed_is_refused(echo: EdgeHost) -> None:
    smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    cases = {
        "length and chunks": head("POST / HTTP/1.1", f"Host: {HOST}", "Content-Length: 5", "Transfer-Encoding: chunked") + smuggled.encode(),
        "two lengths": head("POST / HTTP/1.1", f"Host: {HOST}", "Content-Length: 5", "Content-Length: 6") + b"abcdef",
        "a list of lengths": head("POST / HTTP/1.1", f"Host: {HOST}", "Content-Length: 5, 5") + b"abcde",
        "a length with a sign": head("POST / HTTP/1.1", f"Host: {HOST}", "Content-Length: +5") + b"abcde",
        "chunks that aren't the last coding": head("POST / HTTP/1.1", f"Host: {HOST}", "Transfer-Encoding: chunked, identity") + smuggled.encode(),
        "a space before the colon": head("POST / HTTP/1.1", f"Host: {HOST}", "Transfer-Encoding : chunked") + smuggled.encode(),
        "a chunk of no size": head("POST / HTTP/1.1", f"Host: {HOST}", "Transfer-Encoding: chunked") + b"zz\r\n\r\n",
        "a bare line feed in a value": head("GET / HTTP/1.1", f"Host: {HOST}", "X-A: 1\nX-B: 2\r\rX-C: 3"),
        "a zero byte": head("GET / HTTP/1.1", f"Host: {HOST}", "X-A: 1\0"),
        "two hosts": head("GET / HTTP/1.1", f"Host: {HOST}", "Host: evil.test"),
        "no host": head("GET / HTTP/1.1"),
        "an absolute target": head("GET http://evil.test/ HTTP/1.1", f"Host: {HOST}"),
        "an absolute target of ours": head(f"GET http://{HOST}/ HTTP/1.1", "Host: evil.test"),
        "an authority": head("GET evil.test:443 HTTP/1.1", f"Host: {HOST}"),
        "no method of HTTP": head("G@T / HTTP/1.1", f"Host: {HOST}"),
        "no version of HTTP": head("GET / HTTP/9.9", f"Host: {HOST}"),
    }
    answers = {name: talk(echo, request) for name, request in cases.items()}
    assert {name: status(answer) for name, answer in answers.items()} == dict.fromkeys(cases, 400)
    assert all(answer.count(b"HTTP/1.1") == 1 for answer in answers.values())


def test_a_folded_header_reaches_no_worker_as_two(echo: EdgeHost) -> None:
    answer = talk(echo, head("GET / HTTP/1.1", f"Host: {HOST}", "X-A: 1\r\n X-B: 2"))
    assert status(answer) == 400 or b'"x-b"' not in answer


def test_who_waits_for_100_is_told_to_go_on(echo: EdgeHost) -> None:
    answer = talk(echo, head("POST / HTTP/1.1", f"Host: {HOST}", "Content-Length: 5", "Expect: 100-continue"), b"hello")
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")
    assert b'"body":"hello"' in answer


def test_headers_that_are_too_large_are_refused_with_431(echo: EdgeHost) -> None:
    assert status(talk(echo, head("GET / HTTP/1.1", f"Host: {HOST}", "X-A: " + "a" * 70_000))) == 431


def test_a_host_is_known_in_any_case_and_without_its_port_and_only_as_itself(echo: EdgeHost) -> None:
    for host in (HOST.upper(), f"{HOST}:8443"):
        assert status(talk(echo, head("GET / HTTP/1.1", f"Host: {host}"))) == 200
    for host in (f"{HOST}.", f"{HOST}.evil.test", f"evil.test/{HOST}", f"evil.test@{HOST}", "äpp." + ZONE):
        assert status(talk(echo, head("GET / HTTP/1.1", f"Host: {host}", f"X-Forwarded-Host: {HOST}"))) != 200


def test_a_head_that_doesnt_end_is_given_up_and_others_are_served_meanwhile(echo: EdgeHost) -> None:
    with socket.create_connection(("127.0.0.1", echo.edge_port), timeout=20) as slow:
        slow.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n".encode())
        begun, answer = time.monotonic(), b""
        assert status(talk(echo, head("GET / HTTP/1.1", f"Host: {HOST}"))) == 200
        while more := slow.recv(65536):
            answer += more
    assert status(answer) == 408
    assert time.monotonic() - begun < 20
