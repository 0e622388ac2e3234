from __future__ import annotations

import base64
import gzip
from pathlib import Path

import pytest

from localcloud.hosts.cloudinit import UserDataError, boot_plan
from localcloud.hosts.rebase import Rebase
from localcloud.hosts.services import Paths, Services
from localcloud.hosts.units import UnitError, parse_unit

CONFIG = """#cloud-config
write_files:
- path: /etc/app.conf
  permissions: "0600"
  encoding: gz+b64
  content: {content}
runcmd:
- [echo, "a b"]
- echo $HOME
packages: [curl]
"""


def test_user_data_is_read_through_base64_and_gzip() -> None:
    text = CONFIG.format(content=base64.b64encode(gzip.compress(b"secret")).decode())

    plan = boot_plan(base64.b64encode(gzip.compress(text.encode())))

    (file,) = plan.files
    assert (file.path, file.content, file.mode) == ("/etc/app.conf", b"secret", 0o600)
    assert plan.commands == ["echo 'a b'", "echo $HOME"]
    assert plan.ignored == ["packages"]


def test_user_data_that_is_nothing_known_is_named() -> None:
    with pytest.raises(UserDataError, match="expected #cloud-config"):
        boot_plan(b"hello world!")


@pytest.mark.parametrize(
    ("given", "rebased"),
    [
        ('SETTINGS = "/etc/app.json"', 'SETTINGS = "/m/root/etc/app.json"'),
        ("PATH=/opt/x:/usr/bin", "PATH=/m/root/opt/x:/usr/bin"),
        ("https://example.com/etc/x", "https://example.com/etc/x"),
        ("/usr/bin/systemctl start a", "/m/bin/systemctl start a"),
        ("/etc/ssl/certs/ca.pem /etc/sslx", "/etc/ssl/certs/ca.pem /m/root/etc/sslx"),
        ("${PREFIX}/var/lib", "${PREFIX}/var/lib"),
    ],
)
def test_paths_of_the_machine_are_rebased_and_others_are_left(given: str, rebased: str) -> None:
    assert Rebase(Path("/m/root"), Path("/m/bin"), ("systemctl",)).text(given) == rebased


def test_a_unit_is_read_as_systemd_reads_it() -> None:
    text = '[Service]\nEnvironment="A=x \\"y\\" 100%%" B=2\nExecStart=-/bin/sh -c "echo $$HOME ${B}"\nRestartSec=1min 500ms\n'

    unit = parse_unit("a.service", text, {"PATH": "/bin"})

    assert unit.environment == {"PATH": "/bin", "A": 'x "y" 100%', "B": "2"}
    assert unit.start[0].argv == ["/bin/sh", "-c", "echo $HOME 2"]
    assert unit.start[0].may_fail
    assert unit.restart_seconds == 60.5


@pytest.mark.parametrize(("line", "told"), [("", True), ("IPAddressDeny=169.254.169.254 fd00:ec2::254\n", False)])
def test_a_unit_that_may_not_ask_the_metadata_service_is_not_told_where_it_is(tmp_path: Path, line: str, told: bool) -> None:
    (tmp_path / "a.service").write_text(f"[Service]\nExecStart=/bin/true\n{line}")
    environment = {"PATH": "/bin", "HOST": "127.11.0.2", "HOME": "/", "GCE_METADATA_HOST": "127.13.0.2:1338", "GCE_METADATA_ROOT": "127.13.0.2:1338"}
    started: list[dict[str, str]] = []
    said: list[str] = []
    paths = Paths(str(tmp_path), environment, lambda path: path)
    services = Services(paths, lambda argv, own, folder, unit: started.append(dict(own)) or 1, said.append)  # type: ignore[func-returns-value]  # a pid

    services.call("start", ["a.service"], False, 0.0, lambda code, output: None)

    assert ("GCE_METADATA_HOST" in started[0], "GCE_METADATA_ROOT" in started[0]) == (told, told)
    assert said == ([] if told else ["a.service: IPAddressDeny= is left aside; the unit isn't told where the metadata service is"])
    assert "GCE_METADATA_HOST" in environment


def test_a_unit_without_a_command_is_refused_with_its_name() -> None:
    with pytest.raises(UnitError, match=r"a\.service: needs exactly one ExecStart"):
        parse_unit("a.service", "[Service]\n", {})
