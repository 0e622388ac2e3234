"""A machine's first boot and its agent: what they write, what they refuse, what they report."""

from __future__ import annotations

import base64
import gzip
import hashlib
import http.server
import io
import json
import re
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.machine import agent, boot
from components.machine.cloud_config import MachineDocument, render

GOLDEN = Path(__file__).parents[1] / "golden"
PLACES = {"aws": "eu-west-1", "azure": "westeurope", "gcp": "europe-west4"}
MACHINE = MachineDocument(
    placement="acme_web_3",
    cloud="gcp",
    region="europe-west4",
    artifact_url="https://api.example.com/v1/artifacts/a",
    artifact_digest="sha256:" + "0" * 64,
    command=["python3", "service.py", "--greeting", 'a "b" 100% $HOME'],
    incident_url="https://api.example.com/v1/incidents",
    placement_token="placement-token",
    tunnel_token="tunnel-token",
    origin_key="ab" * 32,
    env={"NAME": 'x "y" 5%'},
    http_port=8080,
    tcp_port=9000,
)
Answer = Callable[[str, dict[str, str]], tuple[int, bytes, dict[str, str]]]


class Server:
    """A loopback HTTP server that answers by a function and keeps what was posted."""

    def __init__(self, answer: Answer) -> None:
        self.posted: list[Any] = []
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body, headers = answer(self.path, {name.lower(): value for name, value in self.headers.items()})
                self._send(status, body, headers)

            def do_PUT(self) -> None:
                self._send(200, b"session", {})

            def do_POST(self) -> None:
                server.posted.append((self.headers["authorization"], json.loads(self.rfile.read(int(self.headers["content-length"])))))
                self._send(202, b"{}", {})

            def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in {**headers, "content-length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.address = f"127.0.0.1:{self.http.server_port}"


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], Server]]:
    servers: list[Server] = []

    def start(answer: Answer) -> Server:
        servers.append(Server(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.http.shutdown()
        server.http.server_close()


def archive(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for entry, content in entries:
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize("cloud", PLACES)
def test_the_user_data_is_the_golden_one_of_its_cloud(cloud: str) -> None:
    text = render(replace(MACHINE, cloud=cloud, region=PLACES[cloud]))
    for file in yaml.safe_load(text)["write_files"]:
        if file.get("encoding") == "gz+b64":
            name = Path(file["path"]).name
            assert gzip.decompress(base64.b64decode(file["content"])) == (Path(boot.__file__).parent / name).read_bytes()
            text = text.replace(file["content"], f"<{name}>")
    assert text == (GOLDEN / f"user_data.{cloud}.txt").read_text()


def test_the_same_machine_has_the_same_user_data() -> None:
    assert render(MACHINE) == render(MACHINE)


def test_the_workloads_unit_quotes_what_systemd_would_expand() -> None:
    unit = boot.workload_unit(MACHINE.as_json(), "/opt/spotlane/workload/0").splitlines()
    (start,) = [line for line in unit if line.startswith("ExecStart=")]
    assert start.endswith(' service.py --greeting "a \\"b\\" 100%% $$HOME"')
    assert 'Environment="NAME=x \\"y\\" 5%%"' in unit
    assert {"Environment=HOST=0.0.0.0", "Environment=PORT_HTTP=8080", "Environment=PORT_TCP=9000", "Environment=SPOTLANE_CLOUD=gcp"} <= set(unit)
    assert {"DynamicUser=yes", "NoNewPrivileges=yes", "ProtectSystem=strict", "TimeoutStopSec=10s"} <= set(unit)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd isn't installed")
@pytest.mark.parametrize(("name", "most"), [("workload", 2.5), ("agent", 2.5)])
def test_a_units_exposure_is_what_systemd_itself_calls_fine(tmp_path: Path, name: str, most: float) -> None:
    unit = tmp_path / f"spotlane-{name}.service"
    of_ours = boot.service_unit("agent", "/usr/bin/python3 /opt/spotlane/agent.py", "StateDirectory=spotlane-agent")
    unit.write_text(boot.workload_unit(MACHINE.as_json(), "/opt/spotlane/workload/0") if name == "workload" else of_ours)
    judged = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)], capture_output=True, text=True, check=False)
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", judged.stdout)
    if found is None:
        pytest.skip(f"systemd-analyze judges no files here: {judged.stderr.strip()[:200]}")
    assert float(found[1]) <= most, judged.stdout
    assert "Unknown key" not in judged.stderr


def test_the_key_of_the_edges_signature_stands_where_only_root_reads_it() -> None:
    document = MACHINE.as_json()
    assert "EnvironmentFile=/etc/spotlane/workload.env" in boot.workload_unit(document, "/opt/spotlane/workload/0").splitlines()
    assert "ab" * 32 not in boot.workload_unit(document, "/opt/spotlane/workload/0")
    assert boot.workload_secrets(document) == f"SPOTLANE_ORIGIN_KEY={'ab' * 32}\n"
    assert boot.workload_secrets({**document, "originKey": ""}) == ""
    assert "ab" * 32 not in repr(MACHINE)


@pytest.mark.parametrize("name", ["../outside", "/outside"])
def test_an_artifact_that_reaches_outside_leaves_nothing_there(tmp_path: Path, name: str) -> None:
    file = tmp_path / "a.tar.gz"
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "../../outside"
    file.write_bytes(archive((link, b""), (tarfile.TarInfo(name), b"x")))
    with pytest.raises(boot.BootError, match="artifact"):
        boot.unpack(str(file), str(tmp_path / "workload" / "digest"))
    assert list((tmp_path / "workload").iterdir()) == []
    assert not (tmp_path / "outside").exists()


def test_an_artifact_of_another_digest_is_refused(tmp_path: Path, serve: Callable[[Answer], Server]) -> None:
    server = serve(lambda path, headers: (200, b"not it", {}))
    with pytest.raises(boot.BootError, match=hashlib.sha256(b"not it").hexdigest()):
        boot.fetch(f"http://{server.address}/a", {}, str(tmp_path / "a"), "0" * 64)


def test_an_artifact_is_fetched_with_the_token_once_its_source_is_there(tmp_path: Path, serve: Callable[[Answer], Server]) -> None:
    seen: list[str] = []

    def answer(path: str, headers: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
        seen.append(headers["authorization"])
        return (503, b"", {}) if len(seen) == 1 else (200, b"it", {})

    server = serve(answer)
    boot.fetch(f"http://{server.address}/a", {"Authorization": "Bearer t"}, str(tmp_path / "a"), hashlib.sha256(b"it").hexdigest())
    assert (tmp_path / "a").read_bytes() == b"it"
    assert seen == ["Bearer t", "Bearer t"]


def test_a_redirect_does_not_carry_the_token_elsewhere(tmp_path: Path, serve: Callable[[Answer], Server]) -> None:
    other = serve(lambda path, headers: (200, headers.get("authorization", "none").encode(), {}))
    server = serve(lambda path, headers: (302, b"", {"location": f"http://{other.address}/b"}))
    boot.fetch(f"http://{server.address}/a", {"Authorization": "Bearer t"}, str(tmp_path / "a"), hashlib.sha256(b"none").hexdigest())


def test_aws_tells_of_interruption_and_rebalance(serve: Callable[[Answer], Server], monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "/latest/meta-data/spot/instance-action": b'{"action": "terminate", "time": "2026-11-24T08:00:00Z"}',
        "/latest/meta-data/events/recommendations/rebalance": b'{"noticeTime": "2026-11-24T07:50:00Z"}',
    }
    server = serve(lambda path, headers: (200, values[path], {}) if headers.get("x-aws-ec2-metadata-token") == "session" and path in values else (404, b"", {}))
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://{server.address}/")
    found = [(notice.kind, notice.deadline) for notice in agent.Aws().notices()]
    assert found == [("interruption", "2026-11-24T08:00:00Z"), ("rebalance", None)]


def test_azure_tells_of_preemption_only(serve: Callable[[Answer], Server], monkeypatch: pytest.MonkeyPatch) -> None:
    events = [
        {"EventId": "e1", "EventType": "Preempt", "NotBefore": "Tue, 24 Nov 2026 08:00:30 GMT", "Description": ""},
        {"EventId": "e2", "EventType": "Freeze", "NotBefore": ""},
    ]
    server = serve(lambda path, headers: (200, json.dumps({"Events": events}).encode(), {}) if headers.get("metadata") == "true" else (400, b"", {}))
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", f"http://{server.address}")
    assert [(notice.key, notice.kind, notice.deadline) for notice in agent.Azure().notices()] == [("e1", "interruption", "2026-11-24T08:00:30Z")]


def test_gcp_waits_for_the_change_and_gives_thirty_seconds(serve: Callable[[Answer], Server], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(path: str, headers: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
        asked.append(path)
        return 200, b"FALSE" if len(asked) == 1 else b"TRUE", {"etag": f"tag{len(asked)}"}

    monkeypatch.setenv("GCE_METADATA_HOST", serve(answer).address)
    monkeypatch.setattr(agent.time, "sleep", lambda seconds: None)
    watched = agent.Gcp()
    assert watched.notices() == []
    (notice,) = watched.notices()
    assert (notice.kind, asked[1].endswith("wait_for_change=true&timeout_sec=60&last_etag=tag1")) == ("interruption", True)


def test_a_notice_is_posted_once_even_by_a_restarted_agent(tmp_path: Path, serve: Callable[[Answer], Server]) -> None:
    server = serve(lambda path, headers: (404, b"", {}))
    settings = {**MACHINE.as_json(), "incidentUrl": f"http://{server.address}/incidents"}
    notice = agent.Notice("interruption x", "interruption", "2026-11-24T08:00:00Z", "it goes")
    for _ in ("agent", "agent restarted"):
        reports = agent.Reports(settings, str(tmp_path))
        assert reports.post(notice)
        assert reports.post(notice)
    document = {"placement": "acme_web_3", "kind": "interruption", "deadline": "2026-11-24T08:00:00Z", "detail": "it goes"}
    assert server.posted == [("Bearer placement-token", document)]


def test_a_notice_that_did_not_arrive_is_kept_for_the_next_try(tmp_path: Path) -> None:
    settings = {**MACHINE.as_json(), "incidentUrl": "http://127.0.0.1:9/incidents"}
    reports = agent.Reports(settings, str(tmp_path))
    assert reports.post(agent.Notice("k", "interruption", None, "")) is False
    assert reports.reported == []
