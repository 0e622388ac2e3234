"""What ``workers/bindings.json`` declares, with the built modules beside it: read whole and checked before any resource is declared.

The modules are made by ``npm run build`` (``workers/dist/<script>.js``, ``console/dist``).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class EdgeNotBuilt(Exception):
    """Built files of the edge are missing. ``missing`` names them."""

    def __init__(self, missing: list[Path]) -> None:
        self.missing = missing
        names = ", ".join(f"{path.parent.parent.name}/{path.parent.name}/{path.name}" for path in missing)
        super().__init__(f"the edge is not built, {names} missing: run `npm run build` in the project's directory")


class BlueprintFault(ValueError):
    """``bindings.json`` contradicts itself. ``faults`` lists every contradiction."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("workers/bindings.json: " + "; ".join(faults))


@dataclass(frozen=True)
class DurableObjectUse:
    """A binding to a Durable Object class of ``script``."""

    binding: str
    class_name: str
    script: str


@dataclass(frozen=True)
class ServiceUse:
    """A binding to another Worker, or to its named ``entrypoint``."""

    binding: str
    script: str
    entrypoint: str | None


@dataclass(frozen=True)
class WorkflowUse:
    """A binding to a Workflow, which ``script`` implements as ``class_name``."""

    binding: str
    name: str
    class_name: str
    script: str


@dataclass(frozen=True)
class Assets:
    """Static assets served with a script; ``directory`` is the built console's."""

    binding: str
    directory: Path
    not_found_handling: str
    run_worker_first: bool


@dataclass(frozen=True)
class Migration:
    """Durable Object classes that came with ``tag``."""

    tag: str
    new_sqlite_classes: tuple[str, ...]


@dataclass(frozen=True)
class ScriptPlan:
    """One Worker as it shall be. ``kv``, ``d1`` and ``r2`` map a binding to the store's name; ``routes`` carry ``{zone}``."""

    name: str
    module: Path
    migrations: tuple[Migration, ...] = ()
    durable_objects: tuple[DurableObjectUse, ...] = ()
    services: tuple[ServiceUse, ...] = ()
    workflows: tuple[WorkflowUse, ...] = ()
    kv: dict[str, str] = field(default_factory=dict)
    d1: dict[str, str] = field(default_factory=dict)
    r2: dict[str, str] = field(default_factory=dict)
    variables: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    crons: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    assets: Assets | None = None
    origin_tls: str | None = None
    """Binding through which the script reaches origins that ask for a client certificate, where the platform has one."""

    @property
    def depends_on(self) -> set[str]:
        """Scripts that must be there first: Cloudflare refuses a binding to a script or class that isn't."""
        used = {one.script for one in self.durable_objects} | {one.script for one in self.services} | {one.script for one in self.workflows}
        return used - {self.name}

    @property
    def sha256(self) -> str:
        """Digest of the built module."""
        return hashlib.sha256(self.module.read_bytes()).hexdigest()


@dataclass(frozen=True)
class Blueprint:
    """Every script in an order in which each comes after those that it binds."""

    compatibility_date: str
    compatibility_flags: tuple[str, ...]
    scripts: tuple[ScriptPlan, ...]

    def stores(self, kind: str) -> list[str]:
        """Names of all stores of ``kind`` (``kv``, ``d1`` or ``r2``), sorted."""
        return sorted({name for script in self.scripts for name in getattr(script, kind).values()})


def _script(name: str, document: dict[str, Any], workers: Path, console: Path) -> ScriptPlan:
    assets = document.get("assets")
    return ScriptPlan(
        name=name,
        module=workers / "dist" / f"{name}.js",
        migrations=tuple(Migration(one["tag"], tuple(one["newSqliteClasses"])) for one in document.get("migrations", [])),
        durable_objects=tuple(DurableObjectUse(one["binding"], one["class"], one["script"]) for one in document.get("durableObjects", [])),
        services=tuple(ServiceUse(one["binding"], one["script"], one.get("entrypoint")) for one in document.get("services", [])),
        workflows=tuple(WorkflowUse(one["binding"], one["name"], one["class"], one["script"]) for one in document.get("workflows", [])),
        kv={one["binding"]: one["namespace"] for one in document.get("kv", [])},
        d1={one["binding"]: one["database"] for one in document.get("d1", [])},
        r2={one["binding"]: one["bucket"] for one in document.get("r2", [])},
        variables=tuple(document.get("vars", [])),
        secrets=tuple(document.get("secrets", [])),
        crons=tuple(document.get("crons", [])),
        routes=tuple(document.get("routes", [])),
        origin_tls=document.get("originTls"),
        assets=Assets(assets["binding"], console / "dist", assets["notFoundHandling"], assets["runWorkerFirst"]) if assets else None,
    )


def _faults(order: list[str], scripts: dict[str, ScriptPlan]) -> list[str]:
    faults = [f"order: {name} is no script" for name in order if name not in scripts]
    faults += [f"order: script {name} is missing" for name in scripts if name not in order]
    seen: set[str] = set()
    for name in order:
        if name not in scripts:
            continue
        faults += [f"{name}: binds {other}, which comes later in order" for other in sorted(scripts[name].depends_on - seen) if other in order]
        faults += [f"{name}: binds {other}, which is no script" for other in sorted(scripts[name].depends_on - set(scripts))]
        seen.add(name)
    classes = {(script.name, one) for script in scripts.values() for migration in script.migrations for one in migration.new_sqlite_classes}
    for script in scripts.values():
        faults += [
            f"{script.name}: {use.script} has no class {use.class_name}" for use in script.durable_objects if (use.script, use.class_name) not in classes
        ]
    return faults


def load(workers: Path = HERE / "workers", console: Path = HERE / "console") -> Blueprint:
    """The blueprint of the built edge. Raises :class:`EdgeNotBuilt` or :class:`BlueprintFault`."""
    document = json.loads((workers / "bindings.json").read_text(encoding="utf-8"))
    scripts = {name: _script(name, one, workers, console) for name, one in document["scripts"].items()}
    if faults := _faults(document["order"], scripts):
        raise BlueprintFault(faults)
    built = [script.module for script in scripts.values()] + [script.assets.directory / "index.html" for script in scripts.values() if script.assets]
    if missing := [path for path in built if not path.is_file()]:
        raise EdgeNotBuilt(missing)
    return Blueprint(
        compatibility_date=document["compatibilityDate"],
        compatibility_flags=tuple(document["compatibilityFlags"]),
        scripts=tuple(scripts[name] for name in document["order"]),
    )
