"""The fake platform on loopback, by HTTP."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel

from spotlane import wire
from spotlane.client import AutomationClient, Client
from spotlane.testing.platform import KEY, FakePlatform
from spotlane.testing.routes import AUTOMATION, answer


@dataclass(frozen=True)
class Served:
    """Where a served platform is reached."""

    platform: FakePlatform
    url: str

    @property
    def environment(self) -> dict[str, str]:
        """By which the clients and the command line find it."""
        return {"SPOTLANE_API_URL": f"{self.url}/v1", "SPOTLANE_AUTOMATION_URL": f"{self.url}{AUTOMATION}", "SPOTLANE_API_KEY": KEY}

    def client(self) -> Client:
        """A client of its edge API."""
        return Client.from_env(self.environment)

    def automation(self) -> AutomationClient:
        """A client of its automation service."""
        return AutomationClient.from_env(self.client(), self.environment)


@contextmanager
def serve(platform: FakePlatform | None = None) -> Iterator[Served]:
    """Serves a platform on a free port of 127.0.0.1 until the block is left."""
    served = FakePlatform() if platform is None else platform
    server = _Server(("127.0.0.1", 0), _handler(served))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield Served(served, f"http://127.0.0.1:{server.server_address[1]}")
    finally:
        served.closed.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


def _handler(platform: FakePlatform) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, document = answer(platform, self.command, parts.path, dict(parse_qsl(parts.query)), headers, body)
            if parts.path == "/v1/changes" and isinstance(document, list):
                self._follow(dict(parse_qsl(parts.query)), headers)
            elif parts.path.endswith("/events") and isinstance(document, list):
                self._send(status, "text/event-stream", _stream(document, int(headers.get("last-event-id") or 0)))
            else:
                kind = "application/problem+json" if status >= 400 else "application/json"
                self._send(status, kind, b"" if document is None else _bytes(document))

        do_GET = do_PUT = do_POST = do_DELETE = _serve

        def _send(self, status: int, kind: str, content: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            if status != 204:
                self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _follow(self, query: dict[str, str], headers: dict[str, str]) -> None:
            """Tells what changes until the client goes, or the platform does."""
            self.close_connection = True
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            newest = len(platform.changes)
            last = int(headers.get("last-event-id", newest))
            beginning = wire.Change(seq=newest, kind="everything", subject="", at=platform.market.now)
            told = [] if "last-event-id" in headers else [beginning]
            with contextlib.suppress(OSError):
                while not platform.closed.is_set():
                    for one in told:
                        self.wfile.write(f"id: {one.seq}\ndata: {one.model_dump_json(by_alias=True)}\n\n".encode())
                    last = max([last, *(one.seq for one in told)])
                    self.wfile.write(f"id: {last}\n\n".encode())
                    platform.closed.wait(0.02)
                    told = [one for one in platform.changes[last:] if query.get("tenant") in (None, one.tenant)]

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing: a test's output is its own."""

    return Handler


def _bytes(document: Any) -> bytes:
    return (document.model_dump_json(by_alias=True) if isinstance(document, BaseModel) else json.dumps(document)).encode()


def _stream(events: list[dict[str, Any]], after: int) -> bytes:
    told = [f"id: {number}\ndata: {json.dumps(event)}\n\n" for number, event in enumerate(events, 1) if number > after]
    return ("".join(told) + "event: end\ndata: {}\n\n").encode()
