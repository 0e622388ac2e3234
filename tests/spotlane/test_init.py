"""``spotlane init``: what it writes can be applied, and it overwrites nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from spotlane.cli import projects
from tests.spotlane.cli_program import Shell, shell

__all__ = ["shell"]
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("template", list(projects.Template))
def test_a_project_is_applied_as_it_is_and_is_valid_for_editors(template: projects.Template, shell: Shell) -> None:
    shell.run("init", "shop", "--template", template)
    assert shell.code == 0
    for kind in ("tenant", "workload"):
        text = Path(f"shop/{kind}.yaml").read_text()
        schema = json.loads((Path("shop") / text.splitlines()[0].partition("$schema=")[2]).read_text())
        assert [fault.message for fault in Draft202012Validator(schema).iter_errors(yaml.safe_load(text))] == []
    shell.run("tenant", "add", "-f", "shop/tenant.yaml")
    assert shell.code == 0, shell.error
    assert "shop-acme: RUNNING" in shell.run("workload", "apply", "-f", "shop/workload.yaml", "--wait")
    assert [row.split()[:2] for row in shell.run("plan").splitlines()[1:2]] == [["shop-acme", "stay"]]


@pytest.mark.parametrize("template", list(projects.Template))
def test_the_service_of_a_template_is_a_program(template: projects.Template) -> None:
    compile(projects.files(template, "shop", "acme")["service/service.py"], "service.py", "exec")


def test_what_is_there_stays_and_nothing_is_written_beside_it(shell: Shell) -> None:
    Path("shop").mkdir()
    Path("shop/workload.yaml").write_text("mine")
    shell.run("init", "shop")
    assert (shell.code, "workload.yaml: is there already; nothing was written" in shell.error.replace("\n", " ")) == (2, True)
    assert [(path.name, path.read_text()) for path in Path("shop").rglob("*")] == [("workload.yaml", "mine")]


def test_a_name_that_no_workload_can_have_is_refused_before_anything_is_written(shell: Shell) -> None:
    shell.run("init", "here", "--name", "My Shop", "--tenant", "a-b", columns=200)
    assert shell.code == 2 and "--name: 'My Shop'" in shell.error and "--tenant: 'a-b'" in shell.error
    assert not Path("here").exists()


def test_where_the_end_fails_nothing_is_left(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(projects.shutil, "copy2", full)
    shell.run("init", "shop")
    assert shell.code == 2 and "No space left on device" in shell.error
    assert not Path("shop").exists() and list(Path().glob(".spotlane-init-*")) == []


def test_a_schema_that_is_asked_for_by_a_wrong_name_is_suggested(shell: Shell) -> None:
    shell.run("schema", "workloads")
    assert (shell.code, "did you mean 'workload'?" in shell.error) == (2, True)


@pytest.mark.parametrize("kind", ["tenant", "workload"])
def test_the_published_schema_takes_the_example_and_names_a_field_that_is_misspelt(kind: str) -> None:
    schema = Draft202012Validator(json.loads((ROOT / "docs" / "schemas" / f"{kind}.schema.json").read_text()))
    document = yaml.safe_load((ROOT / "examples" / f"{kind}.yaml").read_text())
    assert [fault.message for fault in schema.iter_errors(document)] == []
    document["spec"]["portz"] = {}
    assert ["portz" in fault.message for fault in schema.iter_errors(document)] == [True]
