"""A tenant brought up by plain Pulumi becomes known to the inline proxy; what makes no tenant changes nothing."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from policies.proxy import admit
from policies.proxy.books import Books

OUTPUTS: dict[str, Any] = {
    "boundary": {"name": "acme-eu", "residency": {"regimes": ["gdpr"]}},
    "boundary_digest": "sha256:0",
    "aws_account_id": "123456789012",
    "gcp_project_id": "spotlane-acme",
}


def run(monkeypatch: pytest.MonkeyPatch, home: Path, text: str, tenant: str = "acme") -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    return admit.main([tenant, "--home", str(home)])


def test_the_proxy_knows_the_tenant_and_whose_the_accounts_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, tmp_path, json.dumps(OUTPUTS)) == 0
    books = Books(tmp_path / "proxy")
    owner = books.owner("aws", "123456789012")
    assert owner is not None and owner.name == "acme" and owner.boundary is not None
    assert owner.boundary.allowed("aws") and "us-east-1" not in owner.boundary.allowed("aws")
    assert books.owner("gcp", "spotlane-acme") == owner
    assert not books.claimed("azure", "spotlane-acme")


def test_a_key_that_the_tenant_has_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "proxy" / "tenants" / "acme.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"tenant": "acme", "key_sha256": "sha256:abc"}))
    assert run(monkeypatch, tmp_path, json.dumps(OUTPUTS)) == 0
    assert json.loads(file.read_text())["key_sha256"] == "sha256:abc"


@pytest.mark.parametrize(
    ("text", "tenant", "said"),
    [
        ("", "acme", "no JSON"),
        ("{}", "acme", "no boundary"),
        (json.dumps({**OUTPUTS, "boundary": {"name": "x", "residency": {"regimes": ["gpdr"]}}}), "acme", "boundary.residency"),
        (json.dumps({"boundary": OUTPUTS["boundary"]}), "acme", "no account"),
        (json.dumps(OUTPUTS), "acme-eu", "no tenant id"),
    ],
)
def test_what_makes_no_tenant_is_one_clear_line_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str, tenant: str, said: str
) -> None:
    assert run(monkeypatch, tmp_path, text, tenant) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and said in error
    assert not (tmp_path / "proxy").exists()


def test_an_account_of_another_tenants_is_refused_and_stays_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, tmp_path, json.dumps(OUTPUTS)) == 0
    assert run(monkeypatch, tmp_path, json.dumps(OUTPUTS), "globex") == 2
    assert "aws 123456789012 is tenant acme's already" in capsys.readouterr().err
    owner = Books(tmp_path / "proxy").owner("aws", "123456789012")
    assert owner is not None and owner.name == "acme"
