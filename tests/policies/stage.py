"""A running proxy and the upstream behind it: over real sockets, with TLS, to a plain upstream on loopback."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

EU = {"name": "eu", "residency": {"regimes": ["gdpr"]}, "spotOnly": True}
SUBSCRIPTION = "0b1f6471-1bf0-4dda-aec3-111122223333"
AWS_ACCOUNT = "123456789012"
_STORES = ("*.r2.cloudflarestorage.com", "*.blob.core.windows.net", "*.vault.azure.net", "api.pulumi.com")
LONG_ANSWER = 32 * 1024 * 1024
"""How often ``{}`` stands in the upstream's answer to ``/long…``: 64 MiB."""


@dataclass
class Stage:
    """A running proxy and the upstream behind it."""

    home: Path
    port: int
    process: subprocess.Popen[str]
    seen: list[tuple[str, str, bytes]] = field(default_factory=list)

    def client(self, principal: str = "platform", key: str = "k-platform", http2: bool = False) -> httpx.Client:
        """An HTTP client through the proxy, trusting its CA."""
        context = ssl.create_default_context(cafile=str(self.home / "proxy" / "bundle.pem"))
        return httpx.Client(proxy=f"http://{principal}:{key}@127.0.0.1:{self.port}", verify=context, timeout=30, trust_env=False, http2=http2)

    def async_client(self) -> httpx.AsyncClient:
        """The platform's, over HTTP/2."""
        context = ssl.create_default_context(cafile=str(self.home / "proxy" / "bundle.pem"))
        return httpx.AsyncClient(proxy=f"http://platform:k-platform@127.0.0.1:{self.port}", verify=context, timeout=30, trust_env=False, http2=True)

    def entries(self) -> list[dict[str, Any]]:
        """The audit log."""
        return [json.loads(line) for line in (self.home / "proxy" / "audit.jsonl").read_text().splitlines()]


def start(home: Path, upstreams: Path, settings: Mapping[str, str] | None = None) -> tuple[subprocess.Popen[str], int]:
    environment = {**os.environ, "SPOTLANE_PROXY_UPSTREAMS": str(upstreams), **(settings or {})}
    process = subprocess.Popen(
        [sys.executable, "-m", "policies.proxy", "--home", str(home), "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline().strip().rpartition(":")[2])


@contextlib.contextmanager
def staged(tmp_path: Path, settings: Mapping[str, str] | None = None, elsewhere: Mapping[str, str] | None = None) -> Iterator[Stage]:
    """The proxy's process with tenants acme (EU, spot only) and globex (anywhere); ended when the block ends. ``settings`` are more of its environment,
    ``elsewhere`` upstreams by host that aren't the stage's own."""
    seen: list[tuple[str, str, bytes]] = []

    class Upstream(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            seen.append((self.command, self.headers["host"] + self.path, body))
            text = b"{}"
            if b"AssumeRole" in body:
                text = b"<AssumeRoleResponse><AccessKeyId>ASIATENANT</AccessKeyId></AssumeRoleResponse>"
            times = LONG_ANSWER if self.path.startswith("/long") else 1
            self.send_response(200)
            self.send_header("content-length", str(len(text) * times))
            self.end_headers()
            for _ in range(times // 1024 or 1):
                self.wfile.write(text * min(times, 1024))

        do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _answer

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    upstreams = tmp_path / "upstreams.json"
    own = dict.fromkeys(("*.amazonaws.com", "management.azure.com", "*.googleapis.com", "api.cloudflare.com"), url)
    upstreams.write_text(json.dumps(own | dict.fromkeys(_STORES, url) | dict(elsewhere or {})))
    tenants = tmp_path / "proxy" / "tenants"
    tenants.mkdir(parents=True)
    accounts = {"aws": [AWS_ACCOUNT], "azure": [SUBSCRIPTION], "gcp": ["acme-1"]}
    (tenants / "acme.json").write_text(
        json.dumps({"tenant": "acme", "boundary": EU, "accounts": accounts, "key_sha256": hashlib.sha256(b"k-acme").hexdigest()})
    )
    other = {"aws": ["210987654321"], "azure": [], "gcp": ["globex-1"]}
    (tenants / "globex.json").write_text(json.dumps({"tenant": "globex", "boundary": {"name": "any"}, "accounts": other}))
    (tmp_path / "proxy" / "principals.json").write_text(json.dumps({"platform": hashlib.sha256(b"k-platform").hexdigest()}))
    process, port = start(tmp_path, upstreams, settings)
    found = Stage(tmp_path, port, process, seen)
    yield found
    found.process.send_signal(signal.SIGTERM)
    assert found.process.wait(15) == 0
    server.shutdown()


def signed(region: str, key: str, service: str = "ec2", **changes: str) -> dict[str, str]:
    """Headers of a request that looks signed just now."""
    at = datetime.now(UTC)
    credential = f"Credential={key}/{at:%Y%m%d}/{region}/{service}/aws4_request, SignedHeaders=host, Signature={os.urandom(16).hex()}"
    return {"authorization": f"AWS4-HMAC-SHA256 {credential}", "x-amz-date": f"{at:%Y%m%dT%H%M%SZ}", **changes}


@contextlib.contextmanager
def tunnel(stage: Stage, host: str, sni: str | None = None, alpn: str | None = None) -> Iterator[ssl.SSLSocket]:
    """A TLS connection inside a CONNECT of the platform."""
    with socket.create_connection(("127.0.0.1", stage.port), timeout=10) as plain:
        plain.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\nProxy-Authorization: Basic cGxhdGZvcm06ay1wbGF0Zm9ybQ==\r\n\r\n".encode())
        assert plain.recv(4096).startswith(b"HTTP/1.1 200")
        context = ssl.create_default_context(cafile=str(stage.home / "proxy" / "ca.pem"))
        if alpn:
            context.set_alpn_protocols([alpn])
        with context.wrap_socket(plain, server_hostname=sni or host) as tls:
            yield tls


def raw(stage: Stage, host: str, request: bytes, sni: str | None = None) -> bytes:
    with tunnel(stage, host, sni) as tls:
        tls.sendall(request)
        return tls.recv(65536)
