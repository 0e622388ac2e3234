"""Names of TCP addresses: DNS where there is no resolver, the host map's answer where there is one, a clear error for what it doesn't know."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from spotlane.errors import Unreachable
from spotlane.resolve import Resolver


@pytest.fixture
def resolver_url() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            host = parse_qs(urlsplit(self.path).query)["host"][0]
            body = json.dumps({"address": "127.20.0.2", "port": 9100} if host.startswith("tcp-web-acme.") else {}).encode()
            self.send_response(200 if body != b"{}" else 404)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/resolve"
    server.shutdown()
    server.server_close()


def test_without_a_resolver_names_are_left_to_dns() -> None:
    with Resolver({}) as names:
        assert names.address("tcp-web-acme.workloads.example.com", 5432) == ("tcp-web-acme.workloads.example.com", 5432)


def test_the_host_map_says_where_a_name_is(resolver_url: str) -> None:
    with Resolver({"SPOTLANE_RESOLVER_URL": resolver_url}) as names:
        assert names.address("tcp-web-acme.workloads.spotlane.localhost", 9000) == ("127.20.0.2", 9100)


def test_an_unknown_name_is_an_error_that_says_what_to_do(resolver_url: str) -> None:
    with Resolver({"SPOTLANE_RESOLVER_URL": resolver_url}) as names, pytest.raises(Unreachable, match="spotlane workload show"):
        names.address("tcp-gone-acme.workloads.spotlane.localhost", 9000)
