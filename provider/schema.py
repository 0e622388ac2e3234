"""The package's schema, from the components' annotations and docstrings (Pulumi package schema, https://www.pulumi.com/docs/iac/guides/building-extending/packages/schema/)."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Mapping
from typing import Any

from pydantic.alias_generators import to_camel

import spotlane
from provider.catalogue import COMPONENTS, PACKAGE
from provider.shape import Shape, arguments, outputs

_SECRET = frozenset({"user_data"})
"""Arguments that no state and no log may show."""


def schema() -> dict[str, Any]:
    """The whole schema."""
    types: dict[str, Any] = {}
    resources = {token: _resource(token, types) for token in sorted(COMPONENTS)}
    return {
        "name": PACKAGE,
        "version": spotlane.__version__,
        "description": "Keeps services on the cheapest spot capacity they are allowed to use, on AWS, Azure and GCP, behind one Cloudflare address.",
        "language": {name: {"respectSchemaVersion": True} for name in ("csharp", "go", "java", "nodejs", "python")},
        "types": dict(sorted(types.items())),
        "resources": resources,
    }


def _resource(token: str, types: dict[str, Any]) -> dict[str, Any]:
    offered = COMPONENTS[token]
    component, args = offered.component_class(), offered.arguments_class()
    inputs = arguments(args, offered.given)
    found = outputs(component)
    return {
        "isComponent": True,
        "description": _text(component),
        "inputProperties": _properties(inputs, _docstrings(args), types),
        "requiredInputs": _required(inputs),
        "properties": _properties(found, _docstrings(component), types),
        "required": _required(found),
    }


def _properties(shapes: Mapping[str, Shape], texts: Mapping[str, str], types: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for name, shape in shapes.items():
        said = _type(shape, types)
        if name in texts:
            said["description"] = texts[name]
        if shape.plain:
            said["plain"] = True
        if name in _SECRET:
            said["secret"] = True
        found[to_camel(name)] = said
    return found


def _required(shapes: Mapping[str, Shape]) -> list[str]:
    return [to_camel(name) for name, shape in shapes.items() if not shape.optional]


def _type(shape: Shape, types: dict[str, Any]) -> dict[str, Any]:
    if shape.kind == "array" and shape.of is not None:
        return {"type": "array", "items": _type(shape.of, types)}
    if shape.kind == "map" and shape.of is not None:
        return {"type": "object", "additionalProperties": _type(shape.of, types)}
    if shape.kind == "object" and shape.make is not None and shape.fields is not None:
        token = _token(shape.make)
        types[token] = {
            "type": "object",
            "description": _text(shape.make),
            "properties": _properties(shape.fields, _docstrings(shape.make), types),
            "required": _required(shape.fields),
        }
        return {"$ref": f"#/types/{token}"}
    return {"type": shape.kind}


def _token(make: type) -> str:
    """``components.gcp.spot.Gpu`` is ``spotlane:gcp:Gpu``, ``components.tenant.aws.Federation`` is ``spotlane:tenant:AwsFederation``."""
    _, room, *inner = make.__module__.split(".")
    return f"{PACKAGE}:{room}:{inner[0].capitalize() if room == 'tenant' and inner else ''}{make.__name__}"


def _text(cls: type) -> str:
    """The class's docstring without its example, which is Python's."""
    text = inspect.cleandoc(cls.__doc__ or "")
    return _plain(text.partition("Example::")[0].partition("::\n")[0])


def _docstrings(cls: type) -> dict[str, str]:
    """The texts below a class's annotated names."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(body, ast.ClassDef)
    found = {}
    for one, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            found[one.target.id] = _plain(inspect.cleandoc(str(after.value.value)))
    return found


def _plain(text: str) -> str:
    return " ".join(text.replace("``", "`").split())
