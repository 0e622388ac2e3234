"""mitmproxy with the very rule of the inline proxy: the same decoder, boundary and books judge each request; allowed ones go to the benchmark's upstream.

Run by ``mitmdump -s`` in an environment of its own. Set up as safely as it can be: no raw TCP, no upstream connection before the verdict.
"""

import os
from datetime import UTC, datetime
from pathlib import Path

from mitmproxy import http  # only in mitmproxy's own environment

from policies.proxy.books import Books
from policies.proxy.hosts import classify
from policies.proxy.judge import judge
from policies.proxy.request import ApiRequest, Refused

BOOKS = Books(Path(os.environ["BENCH_PROXY_HOME"]) / "proxy")
PORT = int(os.environ["BENCH_UPSTREAM_PORT"])


def request(flow: http.HTTPFlow) -> None:
    """Denies first, then clears."""
    flow.response = http.Response.make(403, b"denied")
    asked = flow.request
    path, _, query = asked.path.partition("?")
    headers = {name.lower(): value for name, value in asked.headers.items()}
    host = classify(asked.pretty_host)
    try:
        one = ApiRequest(asked.method, asked.pretty_host, path, query, headers, asked.raw_content or b"")
        allowed = host is not None and judge(one, host, "platform", BOOKS, datetime.now(UTC)).allowed
    except Refused:
        return
    if allowed:
        flow.response = None
        asked.scheme, asked.host, asked.port = "http", "127.0.0.1", PORT
