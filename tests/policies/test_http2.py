"""HTTP/2 towards clients: the same decisions as over HTTP/1.1, and nothing of what could become another request on the way to the upstream is passed on."""

from __future__ import annotations

import asyncio
import json
import resource
import ssl
from collections.abc import Iterator
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import httpx
import pytest

from policies.proxy.http2 import RESETS
from tests.policies.attempts import ARM, GCE, GROUP
from tests.policies.stage import Stage, staged, tunnel

BODY = json.dumps({"location": "westeurope"}).encode()
GOOD = [(":method", "PUT"), (":scheme", "https"), (":authority", ARM), (":path", f"{GROUP}?api-version=2024-11-01"), ("content-type", "application/json")]
Headers = list[tuple[str, str]]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("http2")) as found:
        yield found


@pytest.fixture(autouse=True)
def _forgotten(stage: Stage) -> None:
    stage.seen.clear()


def changed(**pseudo: str | None) -> Headers:
    """The good head with pseudo headers changed or (None) left out."""
    return [(name, pseudo.get(name[1:], value) or "") for name, value in GOOD if pseudo.get(name[1:], value) is not None]


class Client:
    """A client that sends whatever header list it is told to."""

    def __init__(self, tls: ssl.SSLSocket) -> None:
        self.tls = tls
        self.http = h2.connection.H2Connection(
            h2.config.H2Configuration(header_encoding="latin-1", validate_outbound_headers=False, normalize_outbound_headers=False)
        )
        self.http.initiate_connection()

    def ask(self, headers: Headers, body: bytes = BODY) -> tuple[str, dict[str, str], bytes]:
        """Status ("" where the stream or the connection was ended without one), headers and body of the answer."""
        number = self.http.get_next_available_stream_id()
        self.http.send_headers(number, headers, end_stream=not body)
        if body:
            self.http.send_data(number, body, end_stream=True)
        answered: dict[str, str] = {}
        text = b""
        try:
            self.tls.sendall(self.http.data_to_send())
            while True:
                data = self.tls.recv(65536)
                if not data:
                    break
                for event in self.http.receive_data(data):
                    if isinstance(event, h2.events.ResponseReceived):
                        answered = {str(name): str(value) for name, value in event.headers}
                    elif isinstance(event, h2.events.DataReceived):
                        text += event.data
                    elif isinstance(event, h2.events.StreamEnded | h2.events.StreamReset | h2.events.ConnectionTerminated):
                        return answered.get(":status", ""), answered, text
                self.tls.sendall(self.http.data_to_send())
        except (OSError, h2.exceptions.ProtocolError):
            pass
        return answered.get(":status", ""), answered, text


def test_the_good_head_from_which_the_attempts_differ_is_passed_on(stage: Stage) -> None:
    with tunnel(stage, ARM, alpn="h2") as tls:
        assert tls.selected_alpn_protocol() == "h2"
        client = Client(tls)
        assert [client.ask(GOOD)[0] for _ in range(3)] == ["200", "200", "200"]
    assert [(method, body) for method, _, body in stage.seen] == [("PUT", BODY)] * 3


def test_a_refusal_has_the_clouds_own_form_and_both_versions_leave_the_same_record(stage: Stage) -> None:
    url = f"https://{ARM}{GROUP}?api-version=2024-11-01"
    answers = []
    for http2 in (False, True):
        with stage.client(http2=http2) as client:
            answers.append(client.put(url, json={"location": "eastus"}))
    assert [answer.http_version for answer in answers] == ["HTTP/1.1", "HTTP/2"]
    assert answers[0].status_code == answers[1].status_code == 403
    assert answers[0].json() == answers[1].json()
    assert answers[1].json()["error"]["code"] == "RequestDisallowedByPolicy"
    first, second = ({key: value for key, value in entry.items() if key not in {"seq", "prev", "hash", "at"}} for entry in stage.entries()[-2:])
    assert first == second
    assert stage.seen == []


def test_many_requests_at_once_are_judged_each_by_itself(stage: Stage) -> None:
    async def one(client: httpx.AsyncClient, number: int) -> int:
        place = "westeurope" if number % 2 else "eastus"
        return (await client.put(f"https://{ARM}{GROUP}-{number}?api-version=2024-11-01", json={"location": place})).status_code

    async def all_at_once() -> list[int]:
        # One thread: httpcore's threaded client writes several streams' headers through one HPACK encoder without a lock.
        async with stage.async_client() as client:
            return await asyncio.gather(*(one(client, number) for number in range(60)))

    assert asyncio.run(all_at_once()) == [403, 200] * 30
    assert len(stage.seen) == 30


ATTEMPTS: dict[str, Headers] = {
    "authority of another host": changed(authority="management.azure.com.evil.example"),
    "authority of another cloud": changed(authority=GCE),
    "authority with user info": changed(authority=f"x@{ARM}"),
    "authority on another port": changed(authority=f"{ARM}:8443"),
    "no authority": changed(authority=None),
    "no authority but a host": [*changed(authority=None), ("host", ARM)],
    "host beside another authority": [*GOOD, ("host", GCE)],
    "host twice": [*GOOD, ("host", ARM), ("host", GCE)],
    "no scheme": changed(scheme=None),
    "plain scheme": changed(scheme="http"),
    "scheme that hides a host": changed(scheme=f"https://{GCE}/?"),
    "no path": changed(path=None),
    "empty path": changed(path=""),
    "absolute path": changed(path=f"https://{ARM}{GROUP}"),
    "asterisk": changed(path="*", method="OPTIONS"),
    "path that ends the line": changed(path=f"{GROUP} HTTP/1.1\r\nHost: {ARM}\r\n\r\nGET /"),
    "path with a space": changed(path=f"{GROUP}?a=1 HTTP/1.1"),
    "path with a fragment": changed(path=f"{GROUP}#x"),
    "path with a byte beyond ASCII": changed(path=f"{GROUP}/\xe4"),
    "path twice": [*GOOD[:4], (":path", "/x"), *GOOD[4:]],
    "method twice": [*GOOD[:4], (":method", "DELETE"), *GOOD[4:]],
    "method that ends the line": changed(method="GET / HTTP/1.1\r\nX: y\r\n\r\nPUT"),
    "no method": changed(method=None),
    "trace": changed(method="TRACE"),
    "connect": [(":method", "CONNECT"), (":authority", f"{ARM}:443")],
    "extended connect": [(":method", "CONNECT"), (":protocol", "websocket"), *GOOD[1:]],
    "an unknown pseudo header": [*GOOD[:4], (":evil", "x"), *GOOD[4:]],
    "a status in a request": [*GOOD[:4], (":status", "200"), *GOOD[4:]],
    "pseudo header behind a header": [*GOOD[:3], ("a", "b"), *GOOD[3:]],
    "transfer-encoding": [*GOOD, ("transfer-encoding", "chunked")],
    "transfer-encoding in a value": [*GOOD, ("x", "y\r\ntransfer-encoding: chunked")],
    "a second request in a value": [*GOOD, ("x", f"y\r\n\r\nDELETE {GROUP} HTTP/1.1\r\nHost: {ARM}\r\n\r\n")],
    "a line feed alone": [*GOOD, ("x", "y\nz: 1")],
    "a zero byte": [*GOOD, ("x", "y\0")],
    "a header's name that ends the line": [*GOOD, ("x\r\ny", "z")],
    "a header's name with a colon": [*GOOD, ("transfer-encoding: chunked\r\nx", "z")],
    "a header's name with a space": [*GOOD, ("content-length ", "1")],
    "an upper-case name": [*GOOD, ("Content-Encoding", "gzip")],
    "an empty name": [*GOOD, ("", "x")],
    "connection": [*GOOD, ("connection", "close")],
    "connection that names another header": [*GOOD, ("connection", "content-length")],
    "keep-alive": [*GOOD, ("keep-alive", "1")],
    "proxy-connection": [*GOOD, ("proxy-connection", "keep-alive")],
    "upgrade to plain HTTP/2": [*GOOD, ("upgrade", "h2c"), ("http2-settings", "AAMAAABkAAQAAP__")],
    "http2-settings alone": [*GOOD, ("http2-settings", "AAMAAABkAAQAAP__")],
    "te that isn't trailers": [*GOOD, ("te", "gzip")],
    "a shorter length": [*GOOD, ("content-length", "3")],
    "a longer length": [*GOOD, ("content-length", "300")],
    "two lengths": [*GOOD, ("content-length", str(len(BODY))), ("content-length", "3")],
    "a length that is no number": [*GOOD, ("content-length", "+25")],
    "a length as a list": [*GOOD, ("content-length", f"{len(BODY)}, {len(BODY)}")],
    "compressed": [*GOOD, ("content-encoding", "gzip")],
    "another method by a header": [*GOOD, ("x-http-method-override", "DELETE")],
    "another path by a header": [*GOOD, ("x-original-url", "/")],
    "grpc": [*GOOD[:4], ("content-type", "application/grpc"), ("te", "trailers")],
    "grpc-web": [*GOOD[:4], ("content-type", "application/grpc-web+proto")],
}


@pytest.mark.parametrize("name", ATTEMPTS)
def test_what_could_become_another_request_is_refused_and_recorded(stage: Stage, name: str) -> None:
    before = len(stage.entries())
    with tunnel(stage, ARM, alpn="h2") as tls:
        status, _, _ = Client(tls).ask(ATTEMPTS[name])
    assert stage.seen == []
    # gRPC tells a refusal by a code of its own under status 200; all else by the status, or by ending the connection.
    assert status in ({"200"} if name.startswith("grpc") else {"", "400", "403"})
    entries = stage.entries()[before:]
    assert [(entry["verdict"], entry["rule"]) for entry in entries] == [("deny", "request")]
    assert entries[0]["why"]


def test_a_grpc_client_reads_permission_denied(stage: Stage) -> None:
    with tunnel(stage, ARM, alpn="h2") as tls:
        status, headers, body = Client(tls).ask(ATTEMPTS["grpc"])
    assert (status, headers["grpc-status"], body) == ("200", "7", b"")
    assert headers["grpc-message"].startswith(f"the gRPC method {GROUP} is none of those")


@pytest.mark.parametrize(
    ("alpn", "sent"),
    [
        ("h2", f"GET {GROUP}?api-version=2024-11-01 HTTP/1.1\r\nHost: {ARM}\r\n\r\n".encode()),
        ("http/1.1", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"),
        ("h2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x05\x01\x05\x00\x00\x00\x01\xff\xff\xff\xff\xff"),
        ("h2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00" + b"\x00\x00\x01\x00\x00\x00\x00\x00\x09x"),
    ],
    ids=["HTTP/1.1 after h2", "h2 after HTTP/1.1", "broken HPACK", "data on a stream that isn't open"],
)
def test_another_protocol_than_the_one_agreed_on_is_refused_and_recorded(stage: Stage, alpn: str, sent: bytes) -> None:
    before = len(stage.entries())
    with tunnel(stage, ARM, alpn=alpn) as tls:
        tls.sendall(sent)
        while tls.recv(65536):
            pass
    assert stage.seen == []
    assert [entry["rule"] for entry in stage.entries()[before:]] == ["request"]


def test_requests_that_are_taken_back_again_and_again_end_the_connection(stage: Stage) -> None:
    with tunnel(stage, ARM, alpn="h2") as tls:
        client = Client(tls)
        sent = 0
        try:
            while sent < RESETS * 4:
                number = client.http.get_next_available_stream_id()
                client.http.send_headers(number, GOOD)
                client.http.reset_stream(number)
                tls.sendall(client.http.data_to_send())
                sent += 1
        except OSError:
            pass
        tls.settimeout(10)
        try:
            while tls.recv(65536):
                pass
        except (ConnectionError, ssl.SSLError):
            pass
    assert sent >= RESETS
    assert stage.entries()[-1]["why"] == f"more than {RESETS} requests were taken back"
    assert stage.seen == []


def test_a_full_disk_refuses_over_http2_too(tmp_path: Path) -> None:
    with staged(tmp_path) as own:
        with tunnel(own, ARM, alpn="h2") as tls:
            assert Client(tls).ask(GOOD)[0] == "200"
        own.seen.clear()
        size = (own.home / "proxy" / "audit.jsonl").stat().st_size
        resource.prlimit(own.process.pid, resource.RLIMIT_FSIZE, (size + 10, resource.RLIM_INFINITY))
        with tunnel(own, ARM, alpn="h2") as tls:
            assert Client(tls).ask(GOOD)[0] == "503"
        assert own.seen == []
        resource.prlimit(own.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
