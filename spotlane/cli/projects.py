"""``spotlane init | schema``: a project that can be applied, from a template, and the schemas that editors check its files by."""

from __future__ import annotations

import json as json_
import shutil
import sys
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from spotlane import wire
from spotlane.cli import answers, output
from spotlane.cli.advice import nearest
from spotlane.cli.session import reported
from spotlane.errors import Fault, InvalidDocument
from spotlane.manifest import load_tenant, load_workload, schemas

_HTTP = '''"""A service: answers by HTTP. Spotlane asks /healthz whether it serves, and sends HOST and the port that workload.yaml names."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        content = b"ok\\n" if self.path == "/healthz" else b"hello from @NAME@\\n"
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_request(self, *answered):
        if self.path != "/healthz":
            super().log_request(*answered)


ThreadingHTTPServer((os.environ.get("HOST", "127.0.0.1"), 8080), Handler).serve_forever()
'''
_TCP = '''"""A service: sends back each line by TCP. Spotlane connects to see whether it serves."""

import os
import socketserver


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True


Server((os.environ.get("HOST", "127.0.0.1"), 9000), Handler).serve_forever()
'''
_TENANT = """# yaml-language-server: $schema=.schemas/tenant.schema.json
# Whose service it is, and where its data may be. `spotlane tenant add -f tenant.yaml`
apiVersion: spotlane/v1
kind: Tenant
metadata: {name: @TENANT@}
spec:
  boundary:
    name: @TENANT@-eu
    residency: {regimes: [gdpr]}
    spotOnly: true
  clouds: [aws, azure, gcp]
  # budgetUsdPerMonth: 200
"""
_WORKLOAD = """# yaml-language-server: $schema=.schemas/workload.schema.json
# What runs. `spotlane workload apply -f workload.yaml --wait`
apiVersion: spotlane/v1
kind: Workload
metadata: {name: @NAME@, tenant: @TENANT@}
spec:
  artifact: {path: service}
  command: [python3, service.py]
  ports: @PORTS@
  health: @HEALTH@
  resources: {vcpu: 2, memoryGib: 4}
  drainSeconds: 5
  # logs: true    # what it writes is kept for a day: spotlane logs @NAME@-@TENANT@ --machine
"""


class Template(StrEnum):
    """What a project serves by."""

    HTTP = "http"
    TCP = "tcp"


_SERVICES = {Template.HTTP: (_HTTP, "{http: 8080}", "{path: /healthz}"), Template.TCP: (_TCP, "{tcp: 9000}", "{protocol: tcp}")}


def register(cli: typer.Typer) -> None:
    """Adds the verbs of this module."""
    cli.command("init")(init)
    cli.command("schema")(schema)


@reported
def init(
    folder: Annotated[Path, typer.Argument(help="Where to; made if it isn't there.")] = Path(),
    template: Annotated[Template, typer.Option(help="What the service speaks.")] = Template.HTTP,
    name: Annotated[str | None, typer.Option(help="The workload's name; without it, the folder's.")] = None,
    tenant: Annotated[str, typer.Option(help="The tenant's name.")] = "acme",
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Begins a project: a tenant, a workload and its service, which can be applied as they are. Overwrites nothing."""
    called = name or folder.resolve().name
    _named(called, tenant)
    texts = files(template, called, tenant)
    there = [one for one in texts if (folder / one).exists()]
    if there:
        raise InvalidDocument(str(folder), [Fault(one, "is there already; nothing was written: choose another folder or move it away") for one in there])
    try:
        _written(folder, texts)
    except OSError as error:
        raise InvalidDocument(str(folder), [Fault("(folder)", f"can't be written to: {error.strerror}; nothing is left of it")]) from error
    if json:
        output.document({"folder": str(folder), "files": sorted(texts)})
        return
    for one in sorted(texts):
        output.say(f"  {folder / one}")
    output.say("next:")
    output.say(f"  spotlane tenant add -f {folder / 'tenant.yaml'}")
    output.say(f"  spotlane workload apply -f {folder / 'workload.yaml'} --wait")


@reported
def schema(
    of: Annotated[str, typer.Argument(metavar="workload|tenant|COMMAND", help="A kind of file, or a command (in quotes where it is two words).")],
) -> None:
    """Prints a JSON Schema: of a workload's or a tenant's file, for editors, or of what a command's --json is."""
    known = schemas()
    if of in known:
        found = known[of]
    elif of in answers.ANSWERS:
        found = answers.schema(of)
    else:
        near = nearest(of, [*known, *answers.ANSWERS])
        raise InvalidDocument("spotlane schema", [Fault(of, f"has no schema; did you mean {near!r}?" if near else f"has no schema; {', '.join(known)} have")])
    sys.stdout.write(json_.dumps(found, indent=2) + "\n")


def files(template: Template, name: str, tenant: str) -> dict[str, str]:
    """A project's texts by their paths."""
    service, ports, health = _SERVICES[template]
    texts = {"tenant.yaml": _TENANT, "workload.yaml": _WORKLOAD, "service/service.py": service}
    values = {"@NAME@": name, "@TENANT@": tenant, "@PORTS@": ports, "@HEALTH@": health}
    for mark, value in values.items():
        texts = {path: text.replace(mark, value) for path, text in texts.items()}
    return texts | {f".schemas/{kind}.schema.json": json_.dumps(made, indent=1) + "\n" for kind, made in schemas().items()}


def _named(name: str, tenant: str) -> None:
    faults = []
    for option, kind, value in (("--name", wire.WorkloadName, name), ("--tenant", wire.TenantId, tenant)):
        try:
            TypeAdapter(kind).validate_python(value)
        except ValidationError:
            faults.append(Fault(option, f"{value!r} isn't a name: lower-case letters and digits{', hyphens' if option == '--name' else ''}, a letter first"))
    if faults:
        raise InvalidDocument("spotlane init", faults)


def _written(folder: Path, texts: dict[str, str]) -> None:
    """Everything is made and read back beside its place; only what is whole and valid is put there, and taken away again where the rest can't be."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    made_folder = not folder.exists()
    placed: list[Path] = []
    with tempfile.TemporaryDirectory(dir=folder.resolve().parent, prefix=".spotlane-init-") as temporary:
        for path, text in texts.items():
            (Path(temporary) / path).parent.mkdir(parents=True, exist_ok=True)
            (Path(temporary) / path).write_text(text, encoding="utf-8")
        load_tenant(Path(temporary) / "tenant.yaml")
        load_workload(Path(temporary) / "workload.yaml")
        try:
            folder.mkdir(exist_ok=True)
            for top in sorted({path.split("/")[0] for path in texts}):
                source, target = Path(temporary) / top, folder / top
                if not target.exists():
                    placed.append(target)
                shutil.copytree(source, target, dirs_exist_ok=True) if source.is_dir() else shutil.copy2(source, target)
        except BaseException:
            for one in placed:
                shutil.rmtree(one, ignore_errors=True) if one.is_dir() else one.unlink(missing_ok=True)
            if made_folder:
                shutil.rmtree(folder, ignore_errors=True)
            raise
