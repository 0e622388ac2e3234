"""The programs' digest: what declares or judges stacks changes it, anything else doesn't."""

from __future__ import annotations

from pathlib import Path

import pytest

from automation.service.programs import digest_of


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("stacks/__main__.py", "components/aws/network.py", "domain/catalog.py", "policies/packs/boundary.py", "automation/http/app.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.mark.parametrize("name", ["stacks/__main__.py", "components/aws/network.py", "domain/catalog.py", "policies/packs/boundary.py"])
def test_a_change_of_what_declares_or_judges_is_another_program(root: Path, name: str) -> None:
    before = digest_of(root)
    (root / name).write_text("changed")
    assert digest_of(root) != before


def test_a_renamed_source_is_another_program(root: Path) -> None:
    before = digest_of(root)
    (root / "domain/catalog.py").rename(root / "domain/catalogue.py")
    assert digest_of(root) != before


@pytest.mark.parametrize("name", ["automation/http/app.py", "components/edge/workers/dist/api.json", "stacks/config/Pulumi.edge.yaml", "domain/notes.md"])
def test_anything_else_leaves_it_as_it_was(root: Path, name: str) -> None:
    before = digest_of(root)
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text("changed")
    assert digest_of(root) == before
