"""The Pulumi engine, called as directly as it allows: one process an operation.

The programs are those of ``stacks/``; a project file of our own names them and keeps stack settings in the state directory, so that a run never
writes into the checkout. ``PULUMI_DEBUG_COMMANDS`` makes the engine offer ``--event-log``, as the Automation API does.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from automation.errors import EngineDied, EngineFailed, EngineMissing, EngineStopped, PreviewRefused
from automation.runs.backups import Backups
from automation.runs.events import RunOutcome, read
from automation.runs.file_backend import FileBackend
from automation.runs.journal import stop_reason
from automation.runs.language_host import usable
from automation.runs.passphrase import Passphrase
from automation.runs.process import EngineProcess
from automation.runs.telemetry import part
from spotlane.wire import ImportedResource

_PROJECT = "spotlane"

SECRET_PATHS = ("machine.placementToken", "machine.originKey")
"""Paths inside ``spotlane:settings`` that are stored encrypted."""


@dataclass(frozen=True)
class PolicyPack:
    """An executable pack and the file of its configuration."""

    program: Path
    config: Path | None


class Engine:
    """Operations on stacks. One at a time per stack: the caller's duty (the run queue's partitions)."""

    def __init__(self, program: str, root: Path, project: Path, environment: Mapping[str, str], *, secrets_provider: str | None = None) -> None:
        """``project`` is the project file's directory, its neighbours hold settings and backups; ``secrets_provider`` is Pulumi's URL of a key
        (``awskms://…``, ``azurekeyvault://…``, ``gcpkms://…``, ``hashivault://…``), None for the passphrase of the environment."""
        self._program = program
        self._secrets_provider = secrets_provider
        self.backups = Backups(project.parent / "backups")
        self._project = project
        self._config = project.parent / "config"
        self._first = project / "first-stack.yaml"
        self._marks = project.parent / "interrupted"
        self._environment = {**environment, "PULUMI_DEBUG_COMMANDS": "true", "PULUMI_SKIP_UPDATE_CHECK": "1"}
        self._files = FileBackend.of(environment, _PROJECT)
        self._passphrase = Passphrase(environment)
        project.mkdir(parents=True, exist_ok=True)
        self._config.mkdir(parents=True, exist_ok=True)
        self._marks.mkdir(parents=True, exist_ok=True)
        python = root / ".venv"
        document: dict[str, Any] = {
            "name": _PROJECT,
            "main": f"{root / 'stacks'}{os.sep}",
            "stackConfigDir": os.path.relpath(self._config, project),
            "runtime": {"name": "python"},
        }
        if python.is_dir():
            document["runtime"]["options"] = {"virtualenv": str(python)}
        (project / "Pulumi.yaml").write_text(yaml.safe_dump(document, sort_keys=False))

    def version(self) -> str:
        """The engine's version. Raises :class:`EngineMissing`."""
        try:
            answer = subprocess.run([self._program, "version"], env=self._environment, capture_output=True, text=True, timeout=30, check=False)
        except OSError as error:
            raise EngineMissing(f"the Pulumi engine {self._program!r} can't be started ({error}); run `make setup`") from error
        return answer.stdout.strip()

    def settle(self, stack: str, settings: Mapping[str, Any] | None) -> None:
        """Makes the stack where it isn't, and writes its settings; with ``settings`` None those of the last run stay."""
        file = self._settings_file(stack)
        if settings is None:
            if not file.exists():
                raise EngineFailed(stack, "settle", [f"no settings are known for {stack}; give them with the run"], [])
            return
        plain, secrets = _split(dict(settings))
        if not self.exists(stack):
            self._begin(stack)
        document = _read(file)
        kept = (document.get("config") or {}).get("spotlane:settings") or {}
        if secrets and _same(kept, plain, secrets):
            return
        crypter = self._passphrase.crypter(document["encryptionsalt"]) if secrets and "encryptionsalt" in document else None
        if crypter is not None:
            for path, value in secrets.items():
                holder, last = _holder(plain, path)
                assert holder is not None, "the secret was taken from there"
                holder[last] = {"secure": crypter.encrypt(value)}
        document["config"] = {"spotlane:settings": plain}
        _replace(file, document)
        if crypter is None:
            for path, value in secrets.items():
                self._tool(stack, "settle", ["config", "set", "-s", stack, "--path", "--secret", f"spotlane:settings.{path}"], stdin=value)

    def exists(self, stack: str) -> bool:
        """Whether the backend has this stack."""
        return self._files.exists(stack) if self._files is not None else self._exported(stack) is not None

    def settings(self, stack: str) -> dict[str, Any]:
        """The stack's settings of its last run, secrets encrypted; empty where there was none."""
        kept: dict[str, Any] = (_read(self._settings_file(stack)).get("config") or {}).get("spotlane:settings") or {}
        return kept

    def deployment(self, stack: str) -> dict[str, Any] | None:
        """The stack's state as ``pulumi stack export`` gives it; None where there is no such stack. Raises :class:`EngineFailed` for an unreadable one."""
        try:
            if self._files is None:
                return self._exported(stack)
            return self._files.deployment(stack) if self._files.exists(stack) else None
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError) as error:
            raise EngineFailed(stack, "export", [f"the state can't be read ({error})"], []) from error

    def _exported(self, stack: str) -> dict[str, Any] | None:
        """By the engine, of one stack: a list of them costs a store as many requests as it holds."""
        try:
            document: dict[str, Any] = json.loads(self._tool(stack, "export", ["stack", "export", "-s", stack]))
        except EngineFailed as error:
            if any(f"no stack named '{stack}' found" in line for line in error.diagnostics):
                return None
            raise
        return document

    def _begin(self, stack: str) -> None:
        """Makes a stack. The first one is the engine's; where its form is known, the next begin as it did, under the same key.

        One passphrase and one salt are one key: the engine derives it once (a million rounds, 0.3 s) for a stack and all that it refers to, not once for each.
        """
        file = self._settings_file(stack)
        first = _read(self._first)
        if self._files is not None and first:
            if not file.exists():
                _replace(file, {"encryptionsalt": first["encryptionsalt"]})
            if _read(file).get("encryptionsalt") == first["encryptionsalt"]:
                self._files.begin(stack, first["blank"])
                return
        provider = [] if self._secrets_provider is None else ["--secrets-provider", self._secrets_provider]
        self._tool(stack, "settle", ["stack", "init", stack, "--no-select", *provider])
        salt, blank = _read(file).get("encryptionsalt"), self._files.blank(stack) if self._files is not None else None
        if salt is not None and blank is not None:
            _replace(self._first, {"encryptionsalt": salt, "blank": blank})

    def _settings_file(self, stack: str) -> Path:
        return self._config / f"Pulumi.{stack}.yaml"

    def up(self, stack: str, packs: list[PolicyPack], journal: Path, allow: Collection[str] = (), handed_over: str = "") -> RunOutcome:
        """Previews with the packs, then updates with the packs. Raises :class:`EngineFailed`; a mandatory finding leaves the stack as it was.

        A stack that holds something is previewed by itself first, and updated only if nothing is deleted or replaced beyond what ``allow`` names
        (``delete``, ``replace``) and the packs' configuration is still that of the preview. What is named ``handed_over…`` may be replaced: its program lets
        the successor take over first. A stack that holds nothing can only create: one engine does both.
        """
        if self._files is not None and not self._files.holds(stack):
            return self._operate(stack, "up", ["up", "--yes", *_pack_flags(packs)], journal)
        judged_by = _configurations(packs)
        previewed = self.preview(stack, packs, journal)
        removed = [one for one in previewed.steps if one.kind in ("delete", "replace") and one.kind not in allow]
        refusals = [
            f"{one.kind} of {one.type} {one.name} is not part of this run"
            for one in removed
            if one.kind == "delete" or not handed_over or not one.name.startswith(handed_over)
        ]
        if refusals:
            raise PreviewRefused(stack, [*refusals, "look at `pulumi preview`; allow it in the run's request if it is meant"])
        if _configurations(packs) != judged_by:
            raise PreviewRefused(stack, ["the boundary was changed while the preview ran; run it again"])
        if any(one.kind in ("delete", "replace") for one in previewed.steps):
            self._back_up(stack, "up")
        return self._operate(stack, "up", ["up", "--yes", "--skip-preview", *_pack_flags(packs)], journal)

    def preview(self, stack: str, packs: list[PolicyPack], journal: Path) -> RunOutcome:
        """What an update would do. Raises :class:`EngineFailed`."""
        return self._operate(stack, "preview", ["preview", *_pack_flags(packs)], journal)

    def take_in(self, stack: str, resources: Sequence[ImportedResource], journal: Path) -> RunOutcome:
        """Imports resources that exist into the stack's state, unprotected, as if it had made them. Raises :class:`EngineFailed`.

        File format: pulumi.com/docs/iac/adopting-pulumi/import, "Bulk import operations".
        """
        self._back_up(stack, "import")
        urns = sorted({urn for one in resources for urn in (one.parent, one.provider) if urn is not None})
        names = {urn: f"known-{number}" for number, urn in enumerate(urns)}
        listed = [
            {"type": one.type, "name": one.name, "id": one.id}
            | ({"parent": names[one.parent]} if one.parent is not None else {})
            | ({"provider": names[one.provider]} if one.provider is not None else {})
            for one in resources
        ]
        file = journal.with_suffix(".import.json")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"nameTable": {name: urn for urn, name in names.items()}, "resources": listed}), encoding="utf-8")
        try:
            return self._operate(
                stack, "import", ["import", "--file", str(file), "--yes", "--skip-preview", "--generate-code=false", "--protect=false"], journal
            )
        finally:
            file.unlink(missing_ok=True)

    def refresh(self, stack: str, journal: Path) -> RunOutcome:
        """Takes the clouds' answers into the state. Raises :class:`EngineFailed`."""
        return self._operate(stack, "refresh", ["refresh", "--yes", "--skip-preview"], journal)

    def drift(self, stack: str, journal: Path) -> RunOutcome:
        """What the clouds' answers differ in from the state, as changes that a refresh would make; nothing is written. Raises :class:`EngineFailed`."""
        return self._operate(stack, "drift", ["refresh", "--preview-only", "--run-program=false"], journal)

    def destroy(self, stack: str, journal: Path) -> RunOutcome:
        """Destroys the stack and forgets it; nothing to do where it doesn't exist. Raises :class:`EngineFailed`."""
        if not self.exists(stack):
            return RunOutcome()
        self._back_up(stack, "destroy")
        return self._operate(stack, "destroy", ["destroy", "--yes", "--skip-preview", "--remove"], journal)

    def _back_up(self, stack: str, operation: str) -> None:
        """Keeps the state of now. Raises :class:`EngineFailed` where it can't be kept: then nothing is taken down."""
        try:
            if (state := self.deployment(stack)) is not None:
                self.backups.take(stack, state)
        except (OSError, EngineFailed) as error:
            raise EngineFailed(stack, operation, [f"the state can't be kept before it is changed ({error}); mend the backend or the disk first"], []) from error

    def interrupted(self, stack: str) -> bool:
        """Whether an engine began to work on the stack here and nobody has seen it end well, or the stack repaired."""
        return self._mark(stack).exists()

    def end(self, journal: Path) -> None:
        """Ends the engine that last wrote ``journal``, should it still live."""
        EngineProcess.of(journal).end()

    def unlock(self, stack: str) -> None:
        """Takes away the lock that a dead engine left."""
        self._tool(stack, "cancel", ["cancel", "-s", stack, "--yes"])

    def restore(self, stack: str, deployment: Mapping[str, Any]) -> None:
        """Puts ``deployment`` (the form of :meth:`deployment`) into the stack's place; the state of before is kept as a backup."""
        self._back_up(stack, "import")
        self._tool(stack, "import", ["stack", "import", "-s", stack], stdin=json.dumps(deployment))

    def ask(self, stack: str) -> None:
        """Takes the clouds' answers into the state and forgets what is still pending. Raises :class:`EngineFailed`."""
        self._tool(stack, "refresh", ["refresh", "-s", stack, "--yes", "--skip-preview", "--non-interactive", "--clear-pending-creates"])

    def repaired(self, stack: str) -> None:
        """Notes that the stack is as if no engine had died on it."""
        self._mark(stack).unlink(missing_ok=True)

    def _mark(self, stack: str) -> Path:
        return self._marks / stack

    def _operate(self, stack: str, operation: str, arguments: list[str], journal: Path) -> RunOutcome:
        journal.parent.mkdir(parents=True, exist_ok=True)
        journal.unlink(missing_ok=True)
        command = [self._program, *arguments, "-s", stack, "--non-interactive", "--color", "never", "--event-log", str(journal), "-C", str(self._project)]
        with part(f"engine {arguments[0]}", stack=stack):
            self._mark(stack).touch()
            process = EngineProcess.start(command, usable(self._environment), journal)
            code = process.wait()
        outcome = read(journal.read_text().splitlines()) if journal.exists() else RunOutcome()
        if code < 0:
            raise EngineDied(stack, operation, -code)
        self.repaired(stack)
        if code != 0 and (reason := stop_reason(journal)) is not None:
            raise EngineStopped(stack, operation, reason)
        if code != 0:
            diagnostics = outcome.errors or process.tail()
            raise EngineFailed(stack, operation, diagnostics, outcome.findings)
        return outcome

    def _tool(self, stack: str, operation: str, arguments: list[str], stdin: str | None = None) -> str:
        command = [self._program, *arguments, "-C", str(self._project)]
        try:
            answer = subprocess.run(command, env=self._environment, input=stdin, capture_output=True, text=True, timeout=300, check=False)
        except OSError as error:
            raise EngineMissing(f"the Pulumi engine {self._program!r} can't be started ({error}); run `make setup`") from error
        if answer.returncode != 0:
            text = (answer.stderr or answer.stdout).strip().splitlines()
            raise EngineFailed(stack, operation, text[-3:], [])
        return answer.stdout


def _read(file: Path) -> dict[str, Any]:
    """The YAML document; empty where there is none."""
    document: dict[str, Any] = (yaml.safe_load(file.read_text()) if file.exists() else None) or {}
    return document


def _replace(file: Path, document: dict[str, Any]) -> None:
    """Writes YAML by rename: a reader or a crash never sees half of it."""
    replacement = file.with_suffix(".new")
    replacement.write_text(yaml.safe_dump(document, sort_keys=False))
    replacement.replace(file)


def _pack_flags(packs: list[PolicyPack]) -> list[str]:
    flags: list[str] = []
    for pack in packs:
        flags += ["--policy-pack", str(pack.program)]
        if pack.config is not None:
            flags += ["--policy-pack-config", str(pack.config)]
    return flags


def _configurations(packs: list[PolicyPack]) -> list[bytes | None]:
    """What the packs judge by, as their files stand now."""
    return [pack.config.read_bytes() if pack.config is not None and pack.config.exists() else None for pack in packs]


def _split(settings: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Settings without their secrets, and the secrets by path."""
    plain: dict[str, Any] = json.loads(json.dumps(settings))
    secrets: dict[str, str] = {}
    for path in SECRET_PATHS:
        holder, last = _holder(plain, path)
        if holder is not None and isinstance(holder.get(last), str) and holder[last]:
            secrets[path] = holder.pop(last)
    return plain, secrets


def _same(kept: dict[str, Any], plain: dict[str, Any], secrets: dict[str, str]) -> bool:
    """Whether the settings kept differ at most in their (encrypted, newly issued) secrets: a machine's token isn't renewed by a rerun."""
    without: dict[str, Any] = json.loads(json.dumps(kept))
    for path in secrets:
        holder, last = _holder(without, path)
        held = holder.pop(last, None) if holder is not None else None
        if not isinstance(held, dict) or "secure" not in held:
            return False  # not there, or there in the clear: written anew
    return without == plain


def _holder(settings: dict[str, Any], path: str) -> tuple[dict[str, Any] | None, str]:
    """The mapping that holds the value at a dotted path, None where there is none, and the value's key in it."""
    *parents, last = path.split(".")
    holder: Any = settings
    for parent in parents:
        holder = holder.get(parent) if isinstance(holder, dict) else None
    return (holder if isinstance(holder, dict) else None), last
