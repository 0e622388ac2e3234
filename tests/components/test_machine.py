"""A machine's first boot and its agent: what they write, what they refuse, what they report."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import socket
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.machine import agent, boot, container
from components.machine.cloud_config import LIMIT_BYTES, MachineDocument, bundle, lean, render
from tests.components.loopback import Answer, Answered, Loopback

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
IMAGE = replace(MACHINE, artifact_url="", artifact_digest="", image="ghcr.io/acme/web@sha256:" + "0" * 64, command=["--greeting", "100% $HOME"])


class Server(Loopback):
    """Answers by a function and keeps what was posted."""

    def __init__(self, answer: Answer) -> None:
        self.posted: list[Any] = []
        super().__init__(answer, self._take)

    def _take(self, headers: dict[str, str], body: bytes) -> Answered:
        self.posted.append((headers["authorization"], json.loads(body)))
        return 202, b"{}", {}


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], Server]]:
    servers: list[Server] = []

    def start(answer: Answer) -> Server:
        servers.append(Server(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def archive(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for entry, content in entries:
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize("cloud", PLACES)
def test_the_user_data_is_the_golden_one_of_its_cloud(cloud: str) -> None:
    assert _named(render(replace(MACHINE, cloud=cloud, region=PLACES[cloud]))) == (GOLDEN / f"user_data.{cloud}.txt").read_text()


@pytest.mark.parametrize("cloud", PLACES)
def test_the_user_data_of_an_image_is_the_golden_one_of_its_cloud_and_leaves_room_for_settings(cloud: str) -> None:
    text = render(replace(IMAGE, cloud=cloud, region=PLACES[cloud]))
    assert _named(text) == (GOLDEN / f"user_data.image.{cloud}.txt").read_text()
    assert len(text.encode()) < LIMIT_BYTES - 2048


@pytest.mark.parametrize("machine", [MACHINE, IMAGE], ids=["artifact", "image"])
def test_a_machine_whose_lines_are_told_carries_the_program_for_it_and_leaves_room_for_settings(machine: MachineDocument) -> None:
    text = render(replace(machine, log_url="https://api.example.com/v1/logs"))
    assert len(text.encode()) < LIMIT_BYTES - 2048
    assert _apart(text) == {**_apart(render(machine)), "journal": _lean("journal")}
    assert [json.loads(yaml.safe_load(render(one))["write_files"][0]["content"]).get("logUrl") for one in (replace(machine, log_url="https://a"), machine)] == [
        "https://a",
        None,
    ]


def test_the_programs_come_apart_as_they_were_packed(tmp_path: Path) -> None:
    [apart, last] = yaml.safe_load(render(IMAGE).replace("/opt/spotlane", str(tmp_path)))["runcmd"]
    (tmp_path / "programs").write_bytes(bundle(["boot", "agent", "container"]))
    subprocess.run(apart, check=True)
    assert {path.stem: path.read_text() for path in tmp_path.glob("*.py")} == {name: _lean(name) for name in ("boot", "agent", "container")}
    assert last == ["/usr/bin/python3", f"{tmp_path}/boot.py"]


def _lean(name: str) -> str:
    return "".join(line for line in lean((Path(boot.__file__).parent / f"{name}.py").read_text()).splitlines(keepends=True) if line.strip())


def _apart(user_data: str) -> dict[str, str]:
    """The programs in user data, by name."""
    [packed] = [file["content"] for file in yaml.safe_load(user_data)["write_files"] if file.get("encoding") == "gz+b64"]
    _, *parts = re.split(r"(?m)^#: (.+)\n", gzip.decompress(base64.b64decode(packed)).decode())
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _named(text: str) -> str:
    """The user data with its packed programs as their names, once they are known to be those programs."""
    [packed] = [file["content"] for file in yaml.safe_load(text)["write_files"] if file.get("encoding") == "gz+b64"]
    found = _apart(text)
    assert found == {name: _lean(name) for name in found}
    return text.replace(packed, f"<{' '.join(f'{name}.py' for name in found)}>")


def test_an_images_unit_runs_it_by_digest_without_powers_and_is_the_golden_one() -> None:
    assert boot.image_unit(IMAGE.as_json()) == (GOLDEN / "workload.image.service").read_text()


def test_a_low_port_is_opened_to_the_containers_own_users() -> None:
    unit = boot.image_unit({**IMAGE.as_json(), "httpPort": 80}).splitlines()
    assert "ExecStartPre=/usr/sbin/sysctl -q -w net.ipv4.ip_unprivileged_port_start=80" in unit


def podman(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = folder / "podman"
    program.write_text("#!/bin/sh\n" + script)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_an_image_is_pulled_again_until_its_registry_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    podman(tmp_path, monkeypatch, f'echo "$@" >> {tmp_path}/calls; [ $(wc -l < {tmp_path}/calls) -gt 1 ] || {{ echo "no route" >&2; exit 125; }}\n')
    monkeypatch.setattr(container.time, "sleep", lambda seconds: None)
    said: list[str] = []
    container.prepare(IMAGE.image, 60.0, said.append)
    assert (tmp_path / "calls").read_text().splitlines() == [f"pull --quiet {IMAGE.image}"] * 2
    assert said == [f"{IMAGE.image}: no route; again in 1 s"]


@pytest.mark.parametrize(("seconds", "code"), [(0.0, 125), (60.0, 126)])
def test_an_image_that_cant_be_pulled_ends_the_boot_with_podmans_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, code: int) -> None:
    podman(tmp_path, monkeypatch, f"echo first >&2; echo 'manifest unknown' >&2; exit {code}\n")
    with pytest.raises(OSError, match=r"^ghcr.io/acme/web@sha256:0+: podman: manifest unknown$"):
        container.prepare(IMAGE.image, seconds, lambda line: None)


def test_podman_comes_from_ubuntus_signed_archive_by_https_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt = tmp_path / "apt-get"
    apt.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\nprintf "#!/bin/sh\\n" > {tmp_path}/podman; chmod +x {tmp_path}/podman\n')
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.setattr(container, "PACKAGES", str(tmp_path / "packages.list"))
    container.install()
    assert [line.split()[-1] for line in (tmp_path / "calls").read_text().splitlines()] == ["update", "crun"]
    sources = (tmp_path / "packages.list").read_text().splitlines()
    assert [line.split()[1:3] for line in sources] == [[f"[signed-by={container.KEYRING}]", container.ARCHIVES[os.uname().machine]]] * 3


def test_a_service_is_ready_once_each_of_its_ports_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as one, socket.socket() as late:
        late.bind(("127.0.0.1", 0))
        waits: list[float] = []

        def sleep(seconds: float) -> None:
            waits.append(seconds)
            late.listen()

        monkeypatch.setattr(boot.time, "sleep", sleep)
        boot.ready([one.getsockname()[1], late.getsockname()[1]])
    assert waits == [0.05]


def test_a_units_start_ends_when_its_ports_answer() -> None:
    for unit in (boot.workload_unit(MACHINE.as_json(), "/opt/spotlane/workload/0"), boot.image_unit(IMAGE.as_json())):
        assert "ExecStartPost=/usr/bin/python3 /opt/spotlane/boot.py ready 8080 9000" in unit.splitlines()


def test_a_program_travels_without_what_only_its_readers_need() -> None:
    source = '"""Module."""\nX = ["a",  # why\n"b"]\n"""Of X."""\n\ndef f() -> str:\n    """Of f,\n    whole."""\n    # why\n    return "# kept"\n'
    assert lean(source) == '""\nX = ["a",\n"b"]\n""\n\ndef f() -> str:\n    ""\n\n    return "# kept"\n'


def test_the_same_machine_has_the_same_user_data() -> None:
    assert render(MACHINE) == render(MACHINE)


def test_the_workloads_unit_quotes_what_systemd_would_expand() -> None:
    unit = boot.workload_unit(MACHINE.as_json(), "/opt/spotlane/workload/0").splitlines()
    (start,) = [line for line in unit if line.startswith("ExecStart=")]
    assert start.endswith(' service.py --greeting "a \\"b\\" 100%% $$HOME"')
    assert 'Environment="NAME=x \\"y\\" 5%%"' in unit
    assert {"Environment=HOST=0.0.0.0", "Environment=PORT_HTTP=8080", "Environment=PORT_TCP=9000", "Environment=SPOTLANE_CLOUD=gcp"} <= set(unit)
    assert {"DynamicUser=yes", "NoNewPrivileges=yes", "ProtectSystem=strict", "TimeoutStopSec=10s"} <= set(unit)


@pytest.mark.parametrize("unit", [lambda document: boot.workload_unit(document, "/opt/spotlane/workload/0"), boot.image_unit], ids=["artifact", "image"])
def test_a_workload_reaches_the_metadata_service_only_where_its_file_asks_for_the_clouds_identity(unit: Callable[[Any], str]) -> None:
    document = IMAGE.as_json() | MACHINE.as_json()
    denied = "IPAddressDeny=169.254.169.254 fd00:ec2::254 fd20:ce::254"
    assert denied in unit(document).splitlines()
    asking = unit({**document, "image": IMAGE.image, "cloudIdentity": True})
    assert "IPAddressDeny" not in asking
    assert "--dns" not in asking


def test_a_container_that_can_not_ask_googles_name_server_asks_the_machines_own() -> None:
    (start,) = [line for line in boot.image_unit(IMAGE.as_json()).splitlines() if line.startswith("ExecStart=")]
    assert " --network=host --dns=127.0.0.53 " in start


def test_the_agent_reaches_the_metadata_service() -> None:
    assert "IPAddressDeny" not in boot.service_unit("agent", "/usr/bin/python3 /opt/spotlane/agent.py", "StateDirectory=spotlane-agent")


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
