"""What the documents show is what the programs take: commands, files, boundaries, Python, variables."""

from __future__ import annotations

import ast
import configparser
import json
import re
import subprocess
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from automation.settings import AutomationSettings
from components.machine.boot import environment_of
from domain.boundary.model import load
from spotlane.manifest import load_tenant, load_workload, schemas
from tests.docs.commands import commands, fault, mentioned
from tests.docs.pages import ROOT, Fence, fences, pages, prose

READ = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in pages()}
BLOCKS = [(f"{name}:{fence.line}", fence) for name, text in READ.items() for fence in fences(text)]
SOURCES = (
    "audit",
    "automation",
    "clients",
    "components",
    "demo",
    "deploy",
    "domain",
    "languagehost",
    "localcloud",
    "policies",
    "provider",
    "spotlane",
    "stacks",
    "tools",
)


def of(*languages: str) -> list[Any]:
    return [pytest.param(fence, id=where) for where, fence in BLOCKS if fence.language in languages]


@pytest.mark.parametrize("fence", of("sh", "yaml"))
def test_the_commands_of_a_block_are_taken_by_their_programs(fence: Fence) -> None:
    text = (
        fence.text
        if fence.language == "sh"
        else "\n".join(line.strip().removeprefix("- ").removeprefix("run: ") for line in fence.text.splitlines() if "spotlane " in line)
    )
    faults = {" ".join(words): wrong for words in commands(text) if (wrong := fault(words, whole=True))}
    assert faults == {}


@pytest.mark.parametrize("name", READ)
def test_the_commands_that_a_page_mentions_are_there(name: str) -> None:
    faults = {" ".join(words): wrong for words in mentioned(prose(READ[name])) if (wrong := fault(words, whole=False))}
    assert faults == {}


def test_the_commands_that_messages_name_are_there() -> None:
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    faults = {}
    for name in listed:
        if not name.startswith("tests/"):
            for words in mentioned((ROOT / name).read_text(encoding="utf-8")):
                if wrong := fault([re.sub(r"\{[^}]*\}", "X", word) for word in words], whole=False):
                    faults[f"{name}: {' '.join(words)}"] = wrong
    assert faults == {}


def kind_of(document: Any, text: str) -> str:
    """What a YAML block is an example of."""
    if isinstance(document, dict):
        if document.get("kind") in ("Tenant", "Workload"):
            return str(document["kind"])
        for kind, keys in {"cases": {"boundary", "cases"}, "workflow": {"on", "jobs"}, "pulumi": {"name", "runtime", "resources"}}.items():
            # YAML reads GitHub's `on` as true.
            if keys <= {"on" if key is True else key for key in document}:
                return kind
    first = text.partition("\n")[0]
    if first in ("# boundary", "# workload file", "# tenant file"):
        return first.removeprefix("# ")
    if isinstance(document, dict) and all(isinstance(job, dict) and "script" in job for job in document.values()):
        return "pipeline"
    raise AssertionError("a YAML block of no kind that this test knows; begin it with '# boundary', '# workload file' or '# tenant file'")


@pytest.mark.parametrize("fence", of("yaml"))
def test_a_yaml_block_is_what_it_shows(fence: Fence, tmp_path: Path) -> None:
    document = yaml.safe_load(fence.text)
    kind, file = kind_of(document, fence.text), tmp_path / "file.yaml"
    whole = {"apiVersion": "spotlane/v1", "metadata": {"name": "web", "tenant": "acme"}}
    (tmp_path / "service").mkdir()
    (tmp_path / "service" / "service.py").write_text("")
    served = {"artifact": {"path": "service"}, "command": ["python3", "service.py"], "ports": {"http": 8080}, "resources": {"vcpu": 2, "memoryGib": 4}}
    match kind:
        case "boundary":
            assert load(document).name
        case "workload file":
            file.write_text(json.dumps({**whole, "kind": "Workload", "spec": {**served, **document["spec"]}}))
            assert load_workload(file).id == "web-acme"
        case "tenant file":
            spec = {"boundary": {"name": "b"}, **document["spec"]}
            file.write_text(json.dumps({"apiVersion": "spotlane/v1", "kind": "Tenant", "metadata": {"name": "acme"}, "spec": spec}))
            assert load_tenant(file).id == "acme"
        case "Tenant":
            file.write_text(fence.text)
            assert load_tenant(file).id
        case "cases":
            names = [case["name"] for case in document["cases"]]
            assert len(set(names)) == len(names) and all("expect" in case for case in document["cases"])
        case "pulumi":
            tokens = {one["type"] for one in document["resources"].values() if one["type"].startswith("spotlane:")}
            assert tokens <= json.loads((ROOT / "provider" / "schema.json").read_text())["resources"].keys()
        case _:
            assert kind in ("workflow", "pipeline")


def test_the_boundarys_cases_that_are_shown_pass(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    from policies.review.cases import run

    (text,) = [fence.text for _, fence in BLOCKS if fence.language == "yaml" and "cases:" in fence.text]
    (tmp_path / "acme.yaml").write_text("name: acme-eu\nresidency: {regimes: [gdpr]}\nspotOnly: true\n")
    (tmp_path / "cases.yaml").write_text(text)
    assert [(one.name, one.passed) for one in run(tmp_path / "cases.yaml", datetime.now(UTC))] == [(one["name"], True) for one in yaml.safe_load(text)["cases"]]


@pytest.mark.parametrize("fence", of("python"))
def test_a_python_block_compiles_and_imports_what_there_is(fence: Fence) -> None:
    text = fence.text
    try:
        tree = ast.parse(text)
    except SyntaxError:
        tree = ast.parse(f"def {text.strip()}: ...") if "(" in text else ast.parse(f"{text.strip()}: ...")  # a signature
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("spotlane"):
            module = import_module(str(node.module))
            assert [one.name for one in node.names if not hasattr(module, one.name)] == []


@pytest.mark.parametrize("fence", of("ini"))
def test_a_block_of_variables_is_one(fence: Fence) -> None:
    parser = configparser.RawConfigParser()
    parser.read_string("[environment]\n" + fence.text)
    assert parser.options("environment")


@cache
def code() -> str:
    """All sources but the tests."""
    listed = subprocess.run(["git", "ls-files", "--", *SOURCES, "Makefile"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    wanted = (".py", ".ts", ".tsx", ".mjs", ".js", ".example", "Makefile", ".service", "Containerfile")
    return "\n".join((ROOT / name).read_text(encoding="utf-8") for name in listed if name.endswith(wanted))


def test_every_variable_that_a_page_names_is_read_somewhere() -> None:
    settings = {f"SPOTLANE_{name.upper()}" for name in AutomationSettings.model_fields}
    settings |= environment_of({"env": {}, "placement": "acme_web_1", "cloud": "aws", "region": "eu-west-1", "httpPort": 1, "tcpPort": 1}).keys()
    named = {variable for text in READ.values() for variable in re.findall(r"\bSPOTLANE_[A-Z][A-Z_0-9]*[A-Z0-9]\b", text)}
    assert len(named) > 30
    assert [one for one in sorted(named - settings) if not re.search(rf"\b{one}\b", code())] == []


def test_the_schemas_for_editors_take_the_examples() -> None:
    import jsonschema

    for kind in ("tenant", "workload"):
        jsonschema.validate(yaml.safe_load((ROOT / "examples" / f"{kind}.yaml").read_text()), schemas()[kind])


@pytest.mark.parametrize(
    ("script", "wrong"),
    [
        ("spotlane status # and nothing else", None),
        ("spotlane statuses", "there is no command 'statuses'"),
        ("spotlane workload add -f x.yaml", "there is no command 'add'"),
        ("spotlane status --tenants acme", "NoSuchOption: No such option: --tenants"),
        ("cat x | spotlane policies export --to no > y", "argument --to: invalid choice: 'no'"),
        ('eval "$(.venv/bin/spotlane local envs)"', "argument COMMAND: invalid choice: 'envs'"),
        ("X=1 python -m policies.proxies --home x", "there is no module policies.proxies"),
        ("spotlane plan \\\n  --days x", "BadParameter"),
    ],
)
def test_a_command_that_isnt_there_is_found(script: str, wrong: str | None) -> None:
    (found,) = [fault(words, whole=True) for words in commands(script)]
    assert found is None if wrong is None else found is not None and found.startswith(wrong)


def test_each_choice_of_a_mention_is_held() -> None:
    assert [fault(words, whole=False) for words in mentioned("`spotlane runs ls|stop` and `spotlane login --port 1`")] == [
        None,
        "there is no command 'stop'",
        "no option --port",
    ]
