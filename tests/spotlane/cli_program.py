"""The command line as tests run it: in this process, at a width, against a platform in memory that has something to show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from spotlane import wire
from spotlane.cli import main, page
from spotlane.testing import FakePlatform, Served
from spotlane.testing.platform import digest

PROGRAM = page.program(main.cli)
BOUNDARY = {"name": "acme-eu", "residency": {"regimes": ["gdpr"]}}
SPEC = {"artifact": {"digest": "sha256:" + "0" * 64, "sizeBytes": 1}, "command": ["python3", "service.py"], "ports": {"http": 8080, "tcp": 9000}}
GCP = "gcp/europe-west4/europe-west4-a/e2-standard-2"


@dataclass
class Shell:
    """A terminal of a width."""

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    code: int = 0
    error: str = ""

    def run(self, *arguments: str, columns: int = 80) -> str:
        """What the command prints on standard output; its exit code and errors stay in :attr:`code` and :attr:`error`."""
        self.monkeypatch.setenv("COLUMNS", str(columns))
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            PROGRAM(list(arguments), prog_name="spotlane")
        self.code = int(ended.value.code or 0)
        printed = self.capsys.readouterr()
        self.error = printed.err
        return printed.out


@pytest.fixture
def shell(spotlane_environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """A shell in an empty folder, whose environment names the platform."""
    for name in ("NO_COLOR", "FORCE_COLOR", "SPOTLANE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    return Shell(monkeypatch, capsys)


@pytest.fixture
def furnished(spotlane_served: Served, shell: Shell) -> Shell:
    """The shell of a platform with a tenant, two workloads, a month's beginning in the ledger, a move that is due, a run and a key."""
    platform: FakePlatform = spotlane_served.platform
    platform.tenants["acme"] = wire.Tenant(id="acme", display_name="Acme", boundary=BOUNDARY, boundary_digest=digest(BOUNDARY), budget_usd_per_month=100.0)
    platform.allow("acme", "aws/eu-west-1", "azure/westeurope", "gcp/europe-west4")
    spec = wire.WorkloadSpec.model_validate(SPEC)
    platform.declare("web-acme", spec)
    platform.advance(24)
    platform.market.price(GCP, 0.04)
    platform.tick()
    platform.advance(6)
    platform.declare("api-acme", spec)
    platform.market.price(GCP, 0.0121)
    platform.run(wire.RunRequest(idempotency_key="one", stack=wire.StackRef(kind="tenant", tenant="acme"), operation="up"))
    platform.new_key("acme", wire.KeyRequest(name="pipeline", scopes=["tenant:deploy"]))
    (Path.cwd() / "tenant.yaml").write_text(
        "apiVersion: spotlane/v1\nkind: Tenant\nmetadata: {name: acme, displayName: Acme}\nspec: {boundary: {name: acme-eu, residency: {regimes: [gdpr]}}}\n"
    )
    service = Path.cwd() / "service"
    service.mkdir()
    (service / "service.py").write_text("print('served')\n")
    (Path.cwd() / "workload.yaml").write_text(
        "apiVersion: spotlane/v1\nkind: Workload\nmetadata: {name: shop, tenant: acme}\n"
        "spec: {artifact: {path: service}, command: [python3, service.py], ports: {http: 8080}}\n"
    )
    return shell
