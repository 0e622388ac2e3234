"""The engine as a process: settings kept with their secrets encrypted, failures with their reasons, a dead engine known again."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic.alias_generators import to_camel

from automation.errors import EngineDied, EngineFailed, EngineMissing, PreviewRefused
from automation.runs.engine import SECRET_PATHS, Engine, PolicyPack
from automation.runs.events import RunOutcome
from automation.runs.journal import stop_file
from automation.runs.passphrase import Passphrase
from automation.runs.process import EngineProcess
from spotlane.wire import ImportedResource
from stacks.settings import MachineSettings
from tests.automation.test_passphrase import PHRASE, SALT

FAKE = """#!{python}
import json, os, pathlib, sys, yaml
args = sys.argv[1:]
project = pathlib.Path(args[args.index("-C") + 1])
backend = pathlib.Path(os.environ["PULUMI_BACKEND_URL"].removeprefix("file://"), ".pulumi", "stacks", "spotlane")
def config(stack):
    return project.parent / "config" / f"Pulumi.{{stack}}.yaml"
if args[:2] == ["stack", "init"]:
    backend.mkdir(parents=True, exist_ok=True)
    checkpoint = {{"stack": "organization/spotlane/" + args[2], "latest": {{"manifest": {{"version": "v3.258.0"}}, "metadata": {{}}}}}}
    (backend / (args[2] + ".json")).write_text(json.dumps({{"version": 3, "checkpoint": checkpoint}}))
    config(args[2]).write_text(yaml.safe_dump({{"encryptionsalt": os.environ.get("FAKE_SALT", "v1:salt")}}))
    with (backend / "calls").open("a") as calls:
        calls.write(args[2] + "\\n")
elif args[:2] == ["config", "set"]:
    stack = args[args.index("-s") + 1]
    document = yaml.safe_load(config(stack).read_text())
    name = next(one for one in args if one.startswith("spotlane:")).rpartition(".")[2]
    document["config"]["spotlane:settings"]["machine"][name] = {{"secure": "v1:" + str(len(sys.stdin.read()))}}
    config(stack).write_text(yaml.safe_dump(document))
elif args[0] == "import":
    (backend.parent / "imported").write_text(pathlib.Path(args[args.index("--file") + 1]).read_text())
    event = {{"summaryEvent": {{"resourceChanges": {{"import": 1}}}}}}
    pathlib.Path(args[args.index("--event-log") + 1]).write_text(json.dumps(event))
elif args[0] in ("up", "preview"):
    backend.mkdir(parents=True, exist_ok=True)
    with (backend.parent / "operations").open("a") as operations:
        operations.write(" ".join([args[0], *(["--skip-preview"] if "--skip-preview" in args else [])]) + "\\n")
    log = pathlib.Path(args[args.index("--event-log") + 1])
    events = [{{"summaryEvent": {{"resourceChanges": {{"create": 2}}}}}}]
    if os.environ.get("FAKE_REMOVES") and args[0] == "preview":
        urn = "urn:pulumi:s::spotlane::aws:ec2/vpc:Vpc::main"
        events.append({{"resourcePreEvent": {{"metadata": {{"op": os.environ["FAKE_REMOVES"], "type": "aws:ec2/vpc:Vpc", "urn": urn}}}}}})
    if os.environ.get("FAKE_DIES"):
        os.kill(os.getpid(), 9)
    if "placement.acme.bad.1" in args:
        events.append({{"diagnosticEvent": {{"severity": "error", "message": "InsufficientInstanceCapacity"}}}})
    log.write_text("\\n".join(json.dumps(event) for event in events))
    sys.exit(255 if "placement.acme.bad.1" in args else 0)
"""


def made(tmp_path: Path, environment: dict[str, str]) -> Engine:
    program = tmp_path / "pulumi"
    program.write_text(FAKE.format(python=sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return Engine(str(program), tmp_path, tmp_path / "home" / "project", environment)


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return made(tmp_path, {"PULUMI_BACKEND_URL": f"file://{tmp_path}/state", "PATH": "/usr/bin:/bin"})


SETTINGS: dict[str, Any] = {"cloud": "aws", "machine": {"command": ["run"], "placementToken": "very-secret"}}


def test_settling_a_new_stack_keeps_its_secret_out_of_the_settings_file(engine: Engine, tmp_path: Path) -> None:
    engine.settle("placement.acme.web.1", SETTINGS)
    text = (tmp_path / "home" / "config" / "Pulumi.placement.acme.web.1.yaml").read_text()
    assert "very-secret" not in text
    assert yaml.safe_load(text) == {
        "encryptionsalt": "v1:salt",
        "config": {"spotlane:settings": {"cloud": "aws", "machine": {"command": ["run"], "placementToken": {"secure": "v1:11"}}}},
    }


def test_settling_again_with_a_new_token_keeps_the_old_one(engine: Engine, tmp_path: Path) -> None:
    engine.settle("placement.acme.web.1", SETTINGS)
    engine.settle("placement.acme.web.1", {**SETTINGS, "machine": {"command": ["run"], "placementToken": "another-longer-token"}})
    document = yaml.safe_load((tmp_path / "home" / "config" / "Pulumi.placement.acme.web.1.yaml").read_text())
    assert document["config"]["spotlane:settings"]["machine"]["placementToken"] == {"secure": "v1:11"}


def test_every_secret_of_a_machine_is_kept_out_of_the_settings_file(engine: Engine, tmp_path: Path) -> None:
    """Those that the settings themselves hide from logs."""
    hidden = {field.alias or to_camel(name) for name, field in MachineSettings.model_fields.items() if not field.repr}
    assert {f"machine.{name}" for name in hidden} == set(SECRET_PATHS)
    secrets = {name: f"secret-{name}" for name in hidden}
    engine.settle("placement.acme.web.1", {"cloud": "aws", "machine": {"command": ["run"], **secrets}})
    document = yaml.safe_load((tmp_path / "home" / "config" / "Pulumi.placement.acme.web.1.yaml").read_text())
    machine = document["config"]["spotlane:settings"]["machine"]
    assert {name: machine[name].keys() for name in hidden} == {name: {"secure"} for name in hidden}


def test_a_secret_that_stands_in_the_clear_is_written_anew_and_an_empty_one_is_none(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "home" / "config" / "Pulumi.placement.acme.web.1.yaml"
    wanted = {**SETTINGS, "machine": SETTINGS["machine"] | {"originKey": "ab" * 32}}
    engine.settle("placement.acme.web.1", wanted)
    document = yaml.safe_load(file.read_text())
    document["config"]["spotlane:settings"]["machine"]["originKey"] = "ab" * 32
    file.write_text(yaml.safe_dump(document))
    engine.settle("placement.acme.web.1", wanted)
    assert "ab" * 32 not in file.read_text()
    engine.settle("placement.acme.api.1", {**SETTINGS, "machine": SETTINGS["machine"] | {"originKey": ""}})
    kept = yaml.safe_load((file.parent / "Pulumi.placement.acme.api.1.yaml").read_text())
    assert kept["config"]["spotlane:settings"]["machine"]["originKey"] == ""


def test_the_engine_makes_the_first_stack_and_the_next_begin_like_it(engine: Engine, tmp_path: Path) -> None:
    for stack in ("edge", "tenant.acme", "placement.acme.web.1"):
        engine.settle(stack, {"zone": "example.com"})
    stacks = tmp_path / "state" / ".pulumi" / "stacks" / "spotlane"
    assert (stacks / "calls").read_text() == "edge\n"
    assert json.loads((stacks / "tenant.acme.json").read_text())["checkpoint"]["stack"] == "organization/spotlane/tenant.acme"
    settings = yaml.safe_load((tmp_path / "home" / "config" / "Pulumi.placement.acme.web.1.yaml").read_text())
    assert settings == {"encryptionsalt": "v1:salt", "config": {"spotlane:settings": {"zone": "example.com"}}}


def test_with_the_passphrase_a_secret_is_stored_without_the_engine(tmp_path: Path) -> None:
    environment = {"PULUMI_BACKEND_URL": f"file://{tmp_path}/state", "PATH": "/usr/bin:/bin", "PULUMI_CONFIG_PASSPHRASE": PHRASE, "FAKE_SALT": SALT}
    made(tmp_path, environment).settle("placement.acme.web.1", SETTINGS)
    document = yaml.safe_load((tmp_path / "home" / "config" / "Pulumi.placement.acme.web.1.yaml").read_text())
    token = document["config"]["spotlane:settings"]["machine"]["placementToken"]
    crypter = Passphrase(environment).crypter(SALT)
    assert crypter is not None and crypter.decrypt(token["secure"]) == b"very-secret"


def test_an_update_gives_what_changed(engine: Engine, tmp_path: Path) -> None:
    assert dict(engine.up("edge", [], tmp_path / "runs" / "a.jsonl").changes) == {"create": 2}


def standing(tmp_path: Path, removes: str = "") -> Engine:
    """An engine whose stack ``region.acme`` holds a resource; its preview shows ``removes`` for it."""
    engine = made(tmp_path, {"PULUMI_BACKEND_URL": f"file://{tmp_path}/state", "PATH": "/usr/bin:/bin", "FAKE_REMOVES": removes})
    stacks = tmp_path / "state" / ".pulumi" / "stacks" / "spotlane"
    stacks.mkdir(parents=True)
    (stacks / "region.acme.json").write_text(json.dumps({"version": 3, "checkpoint": {"latest": {"resources": [{"urn": "urn:pulumi:s"}]}}}))
    return engine


def operations(tmp_path: Path) -> list[str]:
    return (tmp_path / "state" / ".pulumi" / "stacks" / "operations").read_text().splitlines()


def test_a_stack_that_holds_something_is_updated_after_a_preview_of_its_own(tmp_path: Path) -> None:
    standing(tmp_path).up("region.acme", [], tmp_path / "runs" / "f.jsonl")
    assert operations(tmp_path) == ["preview", "up --skip-preview"]


@pytest.mark.parametrize("op", ["delete", "replace", "create-replacement"])
def test_a_preview_that_removes_something_is_refused_unless_the_run_allows_it(tmp_path: Path, op: str) -> None:
    engine = standing(tmp_path, op)
    kind = "delete" if op == "delete" else "replace"
    with pytest.raises(PreviewRefused, match=f"{kind} of aws:ec2/vpc:Vpc main is not part of this run"):
        engine.up("region.acme", [], tmp_path / "runs" / "g.jsonl", allow={"delete", "replace"} - {kind})
    assert operations(tmp_path) == ["preview"]
    engine.up("region.acme", [], tmp_path / "runs" / "g.jsonl", allow={kind})
    assert operations(tmp_path) == ["preview", "preview", "up --skip-preview"]


def test_what_a_program_hands_over_may_be_replaced_and_not_deleted(tmp_path: Path) -> None:
    replacing, deleting = tmp_path / "replacing", tmp_path / "deleting"
    for place in (replacing, deleting):
        place.mkdir()
    engine = standing(replacing, "replace")
    with pytest.raises(PreviewRefused, match="replace of aws:ec2/vpc:Vpc main is not part of this run"):
        engine.up("region.acme", [], tmp_path / "a.jsonl", handed_over="other-")
    engine.up("region.acme", [], tmp_path / "a.jsonl", handed_over="ma")
    assert operations(replacing) == ["preview", "preview", "up --skip-preview"]
    with pytest.raises(PreviewRefused, match="delete of aws:ec2/vpc:Vpc main is not part of this run"):
        standing(deleting, "delete").up("region.acme", [], tmp_path / "b.jsonl", handed_over="ma")


def test_a_boundary_that_changes_during_the_preview_stops_the_update(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, config = standing(tmp_path), tmp_path / "boundary.json"
    config.write_text("before")
    preview = engine.preview

    def changing(*arguments: Any) -> RunOutcome:
        outcome = preview(*arguments)
        config.write_text("after")
        return outcome

    monkeypatch.setattr(engine, "preview", changing)
    with pytest.raises(PreviewRefused, match="the boundary was changed"):
        engine.up("region.acme", [PolicyPack(tmp_path / "pack", config)], tmp_path / "runs" / "h.jsonl")
    assert operations(tmp_path) == ["preview"]


def test_a_failed_update_carries_the_engines_reason(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(EngineFailed) as failure:
        engine.up("placement.acme.bad.1", [], tmp_path / "runs" / "b.jsonl")
    assert failure.value.diagnostics == ["InsufficientInstanceCapacity"]


def test_destroying_a_stack_that_does_not_exist_is_done_already(engine: Engine, tmp_path: Path) -> None:
    assert dict(engine.destroy("placement.acme.web.9", tmp_path / "runs" / "c.jsonl").changes) == {}


def test_a_missing_engine_says_what_to_do(tmp_path: Path) -> None:
    engine = Engine(str(tmp_path / "absent"), tmp_path, tmp_path / "home" / "project", {})
    with pytest.raises(EngineMissing, match="make setup"):
        engine.version()


def test_an_engine_is_known_again_by_its_pid_and_start_time_and_ended(tmp_path: Path) -> None:
    journal = tmp_path / "d.jsonl"
    started = EngineProcess.start([sys.executable, "-c", "import time; time.sleep(60)"], {}, journal)
    found = EngineProcess.of(journal)
    assert (found.pid, found.alive()) == (started.pid, True)
    found.end()
    assert started.wait() == -15
    document = {"pid": started.pid, "started": started.started}
    journal.with_suffix(".pid").write_text(json.dumps(document))
    assert EngineProcess.of(journal).alive() is False


def test_an_engine_whose_run_shall_stop_is_interrupted_and_says_why(engine: Engine, tmp_path: Path) -> None:
    journal = tmp_path / "runs" / "e.jsonl"
    journal.parent.mkdir()
    stop_file(journal).write_text("cancelled by ada")
    started = EngineProcess.start([sys.executable, "-c", SLOW], {}, journal)
    assert (started.wait(), journal.with_suffix(".console").read_text()) == (3, "interrupted\n")


def test_an_engine_that_dies_leaves_its_stack_marked_for_whoever_comes_next_until_it_is_mended(tmp_path: Path) -> None:
    environment = {"PULUMI_BACKEND_URL": f"file://{tmp_path}/state", "PATH": "/usr/bin:/bin", "FAKE_DIES": "1"}
    journal = tmp_path / "runs" / "f.jsonl"
    with pytest.raises(EngineDied, match=r"signal 9\) in up of edge"):
        made(tmp_path, environment).up("edge", [], journal)
    later = made(tmp_path, environment)
    assert (later.interrupted("edge"), later.interrupted("tenant.acme")) == (True, False)
    assert EngineProcess.of(journal).pid is not None, "the run itself knows it, too"
    later.end(journal)
    later.repaired("edge")
    assert not later.interrupted("edge") and EngineProcess.of(journal).pid is None


def test_an_engine_that_fails_by_itself_leaves_nothing_to_mend(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(EngineFailed):
        engine.up("placement.acme.bad.1", [], tmp_path / "runs" / "g.jsonl")
    assert not engine.interrupted("placement.acme.bad.1")


SLOW = """
import signal, sys, time
try:
    time.sleep(60)
except KeyboardInterrupt:
    print("interrupted")
    sys.exit(3)
"""


def test_what_is_imported_is_named_by_table_under_its_parent_and_the_state_is_kept_before(engine: Engine, tmp_path: Path) -> None:
    engine.settle("region.acme.aws.eu-west-1", SETTINGS)
    urn = "urn:pulumi:region.acme.aws.eu-west-1::spotlane::spotlane:aws:Network::network"
    state = tmp_path / "state" / ".pulumi" / "stacks" / "spotlane" / "region.acme.aws.eu-west-1.json"
    document = json.loads(state.read_text())
    document["checkpoint"]["latest"]["resources"] = [{"urn": urn, "type": "spotlane:aws:Network"}]
    state.write_text(json.dumps(document))
    vpc = ImportedResource(type="aws:ec2/vpc:Vpc", name="network-vpc", id="vpc-1", parent=urn)
    outcome = engine.take_in("region.acme.aws.eu-west-1", [vpc, vpc.model_copy(update={"name": "other", "parent": None})], tmp_path / "journal.jsonl")
    assert outcome.changes == {"import": 1}
    (imported,) = tmp_path.rglob("imported")
    assert json.loads(imported.read_text()) == {
        "nameTable": {"known-0": urn},
        "resources": [
            {"type": "aws:ec2/vpc:Vpc", "name": "network-vpc", "id": "vpc-1", "parent": "known-0"},
            {"type": "aws:ec2/vpc:Vpc", "name": "other", "id": "vpc-1"},
        ],
    }
    assert list(tmp_path.rglob("*.import.json")) == []
    assert [one for one in tmp_path.rglob("*") if "backups" in one.parts and one.is_file()]
