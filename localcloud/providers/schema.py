"""Resource schemas out of an SDK's source: inputs with their types, and the names of outputs.

A resource's inputs are the keyword parameters of its ``…Args`` class: one without a default is required, its annotation is its type, and what
``pulumi.getter(name=…)`` says is its name on the wire. Nested types stand in ``_inputs.py``, enums in ``_enums.py``.
"""

from __future__ import annotations

import ast
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from localcloud.providers.sdk_source import SdkSource

_SCALARS = {"str": "string", "bool": "boolean", "int": "integer", "float": "number"}
_ASSETS = {"Asset", "Archive", "AssetOrArchive"}


class UnknownResourceType(LookupError):
    """The SDK has no resource type ``token``."""

    def __init__(self, token: str, near: list[str]) -> None:
        self.token = token
        hint = f"; did you mean {near[0]}?" if near else ""
        super().__init__(f"the SDK has no resource type {token}{hint}")


@dataclass(frozen=True)
class Type:
    """``kind`` is any, string, boolean, integer, number, asset, array, map, enum or object.

    ``items`` is what an array or map holds; ``choices`` an enum's values, ``open`` if others are taken too; ``name`` and ``directory`` say where an
    object's class stands.
    """

    kind: str
    items: Type | None = None
    name: str = ""
    directory: Path | None = None
    choices: tuple[str, ...] = ()
    open: bool = False


@dataclass(frozen=True)
class Property:
    """An input: wire name, type, whether it must be given."""

    name: str
    type: Type
    required: bool


@dataclass(frozen=True)
class ResourceSchema:
    """A resource type."""

    token: str
    inputs: Mapping[str, Property]
    outputs: frozenset[str]


ANY = Type("any")

_PARSER = threading.Lock()
"""CPython before 3.13 keeps the parser's recursion depth per interpreter: two threads in ``ast.parse`` at once raise SystemError (python/cpython#106905)."""
_PARSES = 50
"""Tries: what else in the process parses meanwhile (an import hook, a program in its own thread) doesn't know of our lock."""


def _parsed(text: str) -> ast.Module:
    with _PARSER:
        for _ in range(_PARSES - 1):
            try:
                return ast.parse(text)
            except SystemError:
                time.sleep(0.01)
        return ast.parse(text)


class Schemas:
    """The schemas of one Pulumi package; each is read at its first use and kept."""

    def __init__(self, package: str) -> None:
        self.source = SdkSource(package)
        self._resources: dict[str, ResourceSchema] = {}
        self._objects: dict[tuple[Path, str], Mapping[str, Property]] = {}
        self._lock = threading.RLock()

    def resource(self, token: str) -> ResourceSchema:
        """The schema of a resource type. Raises :class:`UnknownResourceType`."""
        with self._lock:
            if token not in self._resources:
                self._resources[token] = self._read(token)
            return self._resources[token]

    def fields(self, kind: Type) -> Mapping[str, Property]:
        """The properties of an object type."""
        assert kind.directory is not None, "object types say where they stand"
        key = (kind.directory, kind.name)
        with self._lock:
            if key not in self._objects:
                self._objects[key] = self._object(kind.directory, kind.name)
            return self._objects[key]

    def _read(self, token: str) -> ResourceSchema:
        if token not in self.source.tokens:
            raise UnknownResourceType(token, get_close_matches(token, list(self.source.tokens), n=1))
        directory, name = self.source.tokens[token]
        file = self.source.resource_text(directory, name)
        text = file.class_text(name) or ""
        found = re.search(r"get_resource_args_opts\((\w+),", text)
        arguments = file.class_text(found.group(1) if found else f"{name}Args") or ""
        inputs = self._properties(arguments, directory)
        outputs = set(re.findall(r'@pulumi\.getter\(name="(\w+)"\)', text)) | set(re.findall(r"@pulumi\.getter\n\s+def (\w+)\(", text))
        return ResourceSchema(token, inputs, frozenset(outputs) | frozenset(inputs))

    def _object(self, directory: Path, name: str) -> Mapping[str, Property]:
        for place in (directory, self.source.root):
            text = self.source.file(place / "_inputs.py").class_text(name)
            if text is not None:
                return self._properties(text, place)
        for path in sorted(directory.glob("*.py")):
            text = self.source.file(path).class_text(name)
            if text is not None:
                return self._properties(text, directory)
        return {}

    def _properties(self, text: str, directory: Path) -> dict[str, Property]:
        body = _parsed(text).body
        node = next((one for one in body if isinstance(one, ast.ClassDef)), None)
        if node is None:
            return {}
        names: dict[str, str] = {}
        parameters: list[tuple[str, ast.expr | None, bool]] = []
        for item in node.body:
            if not isinstance(item, ast.FunctionDef):
                continue
            if item.name == "__init__":
                parameters = [(arg.arg, arg.annotation, default is None) for arg, default in zip(item.args.kwonlyargs, item.args.kw_defaults, strict=True)]
            for decorator in item.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pulumi.getter":
                    names[item.name] = str(ast.literal_eval(decorator.keywords[0].value))
        wire = {python: names.get(python, python) for python, _, _ in parameters}
        return {wire[python]: Property(wire[python], self._type(annotation, directory), required) for python, annotation, required in parameters}

    def _type(self, node: ast.expr | None, directory: Path) -> Type:
        if node is None:
            return ANY
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return self._named(node.value, directory)
        if isinstance(node, ast.Subscript):
            head = ast.unparse(node.value).rsplit(".", 1)[-1]
            inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            if head in ("Input", "Optional", "InputType"):
                return self._type(inner[0], directory)
            if head == "Sequence":
                return Type("array", self._type(inner[0], directory))
            if head == "Mapping":
                return Type("map", self._type(inner[-1], directory))
            if head == "Union":
                return self._union([self._type(part, directory) for part in inner])
            return ANY
        last = ast.unparse(node).rsplit(".", 1)[-1]
        if last in _SCALARS:
            return Type(_SCALARS[last])
        return Type("asset") if last in _ASSETS else self._named(ast.unparse(node), directory)

    def _union(self, types: list[Type]) -> Type:
        """A text or an enum: an enum that takes other texts too. Of anything else, anything."""
        if {one.kind for one in types} == {"string", "enum"}:
            named = next(one for one in types if one.kind == "enum")
            return Type("enum", choices=named.choices, open=True)
        if all(one.kind == "asset" for one in types):
            return Type("asset")
        return types[0] if len({one.kind for one in types}) == 1 else ANY

    def _named(self, name: str, directory: Path) -> Type:
        module, _, last = name.rpartition(".")
        home = self.source.root / module.lstrip("_") if module.startswith("_") and module.lstrip("_") != "inputs" else directory
        if last.endswith(("Args", "ArgsDict")):
            return Type("object", name=last.removesuffix("Dict"), directory=home)
        for place in (home, self.source.root):
            text = self.source.file(place / "_enums.py").class_text(last)
            if text is not None:
                return Type("enum", choices=tuple(re.findall(r'^    \w+ = "?([^"\n]*)"?$', text, re.MULTILINE)))
        return ANY
