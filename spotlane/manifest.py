"""Workload and tenant files (YAML): read whole, every fault reported with its line and field.

A workload file::

    apiVersion: spotlane/v1
    kind: Workload
    metadata: {name: web, tenant: acme}
    spec:
      artifact: {path: ./service}     # a folder or .tar.gz beside this file, or {digest, sizeBytes} of a stored one
                                          # or instead  image: registry.example/repository@sha256:…  (an OCI image)
      command: [python3, service.py]
      ports: {http: 8080}
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from spotlane import artifact, wire
from spotlane.errors import Fault, InvalidDocument

_REQUIRED = "is required"


class _ArtifactRef(wire.Wire):
    path: str | None = None
    digest: wire.Digest | None = None
    size_bytes: int | None = None


class _WorkloadMetadata(wire.Wire):
    name: wire.WorkloadName
    tenant: wire.TenantId


class _WorkloadFile(wire.Wire):
    api_version: Literal["spotlane/v1"]
    kind: Literal["Workload"]
    metadata: _WorkloadMetadata
    spec: wire.Json


class _TenantMetadata(wire.Wire):
    name: wire.TenantId
    display_name: str = ""


class _TenantSpec(wire.Wire):
    boundary: wire.Json
    clouds: list[wire.Cloud] = Field(default=["aws", "azure", "gcp"], min_length=1)
    budget_usd_per_month: float | None = Field(default=None, gt=0)


class _TenantFile(wire.Wire):
    api_version: Literal["spotlane/v1"]
    kind: Literal["Tenant"]
    metadata: _TenantMetadata
    spec: _TenantSpec


@dataclass(frozen=True)
class WorkloadManifest:
    """A workload file, its artifact packed: ``archive`` is None where the file names one that is stored already."""

    id: str
    spec: wire.WorkloadSpec
    archive: bytes | None


@dataclass(frozen=True)
class TenantManifest:
    """A tenant file."""

    id: str
    display_name: str
    boundary: wire.Json
    clouds: list[wire.Cloud]
    budget_usd_per_month: float | None


class _Document:
    """A YAML text with the line of each field."""

    def __init__(self, source: str, text: str) -> None:
        self.source = source
        try:
            self._root = yaml.compose(text, Loader=yaml.SafeLoader)
            self.value: Any = yaml.safe_load(text)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else None
            raise InvalidDocument(source, [Fault("(file)", f"not valid YAML: {error.problem}", line)]) from error
        if not isinstance(self.value, dict):
            raise InvalidDocument(source, [Fault("(file)", "a mapping is expected", 1)])

    def line(self, path: Sequence[str | int]) -> int | None:
        """The line of the deepest part of ``path`` that exists."""
        node = self._root
        line = node.start_mark.line + 1 if node is not None else None
        for part in path:
            found = None
            if isinstance(node, yaml.MappingNode):
                for key, value in node.value:
                    if key.value == str(part):
                        found, line = value, key.start_mark.line + 1
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                found, line = node.value[part], node.value[part].start_mark.line + 1
            if found is None:
                return line
            node = found
        return line

    def faults(self, error: ValidationError, prefix: tuple[str | int, ...] = ()) -> list[Fault]:
        """A validation's faults with their lines."""
        faults = []
        for fault in error.errors():
            path = prefix + tuple(fault["loc"])
            message = (
                _REQUIRED
                if fault["type"] == "missing"
                else "unknown field"
                if fault["type"] == "extra_forbidden"
                else fault["msg"].removeprefix("Value error, ")
            )
            faults.append(Fault(".".join(str(part) for part in path), message, self.line(path)))
        return faults


def _read(path: Path) -> _Document:
    try:
        text = path.read_text()
    except OSError as error:
        raise InvalidDocument(str(path), [Fault("(file)", f"can't be read: {error.strerror}")]) from error
    return _Document(str(path), text)


class _SpecWithSource(wire.WorkloadSpec):
    """A spec as a file has it: its artifact may be a path beside the file."""

    artifact: _ArtifactRef | None = None  # type: ignore[assignment]  # packed and replaced by what is stored


class _WorkloadForEditors(_WorkloadFile):
    spec: _SpecWithSource  # type: ignore[assignment]  # checked by itself when it is read, so that every fault is told


def schemas() -> dict[str, dict[str, Any]]:
    """JSON Schemas (2020-12) of both kinds of file, for editors; by name."""
    found = {}
    for name, model in (("workload", _WorkloadForEditors), ("tenant", _TenantFile)):
        made = model.model_json_schema(by_alias=True)
        found[name] = {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": f"Spotlane {name} file"}
    return found


def load_workload(path: Path) -> WorkloadManifest:
    """Reads a workload file and packs its artifact. Raises :class:`InvalidDocument` with every fault."""
    document = _read(path)
    faults: list[Fault] = []
    head: _WorkloadFile | None = None
    try:
        head = _WorkloadFile.model_validate(document.value)
    except ValidationError as error:
        faults += document.faults(error)
    raw = document.value.get("spec")
    spec: dict[str, Any] = dict(raw) if isinstance(raw, dict) else {}
    archive: bytes | None = None
    given = spec.get("artifact")
    if isinstance(given, dict) and "path" in given:
        try:
            ref = _ArtifactRef.model_validate(given)
            archive = artifact.pack(path.parent / str(ref.path))
            spec["artifact"] = {"digest": artifact.digest(archive), "sizeBytes": len(archive)}
        except ValidationError as error:
            faults += document.faults(error, ("spec", "artifact"))
        except OSError as error:
            faults.append(Fault("spec.artifact.path", f"can't be packed: {error}", document.line(("spec", "artifact", "path"))))
            spec["artifact"] = {"digest": "sha256:" + "0" * 64, "sizeBytes": 0}
    parsed: wire.WorkloadSpec | None = None
    try:
        parsed = wire.WorkloadSpec.model_validate(spec)
    except ValidationError as error:
        faults += document.faults(error, ("spec",))
    if parsed is None and "artifact" not in spec and "image" not in spec and all(fault.field != "spec" for fault in faults):
        faults.append(Fault("spec.artifact", f"{_REQUIRED}, or spec.image", document.line(("spec",))))
    if parsed is not None and parsed.ports.http is None and parsed.ports.tcp is None:
        faults.append(Fault("spec.ports", "name an http or a tcp port; without one nothing can be served", document.line(("spec", "ports"))))
    if faults or head is None or parsed is None:
        raise InvalidDocument(str(path), faults)
    return WorkloadManifest(f"{head.metadata.name}-{head.metadata.tenant}", parsed, archive)


def load_tenant(path: Path) -> TenantManifest:
    """Reads a tenant file; the boundary itself is checked by the automation service. Raises :class:`InvalidDocument` with every fault."""
    document = _read(path)
    try:
        parsed = _TenantFile.model_validate(document.value)
    except ValidationError as error:
        raise InvalidDocument(str(path), document.faults(error)) from error
    spec = parsed.spec
    return TenantManifest(parsed.metadata.name, parsed.metadata.display_name, spec.boundary, spec.clouds, spec.budget_usd_per_month)
