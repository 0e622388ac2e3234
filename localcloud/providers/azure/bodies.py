"""Between azure-native's flat properties and ARM's documents. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcloud.providers.azure.types import NESTED, ArmType
from localcloud.providers.schema import Property, Schemas, Type
from localcloud.providers.values import Props

_ID_MAPS = {"userAssignedIdentities"}
"""Sets of ids that ARM takes as a map from id to an empty object."""


def resource_id(kind: ArmType, subscription: str, inputs: Mapping[str, Any]) -> str:
    """The ARM id of a resource with these inputs."""
    values = {name: str(inputs[name]).strip("/") for name in kind.parameters}
    return kind.path.format(subscription=subscription, **values)


def parameters_of(kind: ArmType, id: str) -> Props:
    """The inputs that an ARM id tells (for an import)."""
    found: Props = {}
    wanted, have = kind.path.strip("/").split("/"), id.strip("/").split("/")
    if "{scope}" in wanted:
        start = len(have) - (len(wanted) - 1)
        found["scope"] = "/" + "/".join(have[:start])
        wanted, have = wanted[1:], have[start:]
    for name, value in zip(wanted, have, strict=False):
        if name.startswith("{") and name != "{subscription}":
            found[name[1:-1]] = value
    return found


def body(schemas: Schemas, token: str, kind: ArmType, inputs: Mapping[str, Any]) -> Props:
    """The document of a PUT."""
    fields = schemas.resource(token).inputs
    document: Props = {}
    properties: Props = {}
    for name, value in inputs.items():
        # A path's parameter is no part of the document, but for scope, which nothing but the path has.
        if name in kind.parameters or name.startswith("__") or value is None:
            continue
        folded = _folded(schemas, fields[name].type if name in fields else Type("any"), value, name)
        if kind.whole or name in kind.top:
            document[name] = folded
        else:
            properties[kind.renamed.get(name, name)] = folded
    if properties:
        document["properties"] = properties
    return document


def _folded(schemas: Schemas, kind: Type, value: Any, name: str = "") -> Any:
    if name in _ID_MAPS and isinstance(value, list):
        return {str(id): {} for id in value}
    if kind.kind == "array" and isinstance(value, list) and kind.items is not None:
        return [_folded(schemas, kind.items, item) for item in value]
    if kind.kind == "map" and isinstance(value, Mapping) and kind.items is not None:
        return {key: _folded(schemas, kind.items, item) for key, item in value.items()}
    if kind.kind != "object" or not isinstance(value, Mapping):
        return value
    fields: Mapping[str, Property] = schemas.fields(kind)
    folded = {key: _folded(schemas, fields[key].type if key in fields else Type("any"), item, key) for key, item in value.items() if item is not None}
    top = NESTED.get(kind.name.removesuffix("Args"))
    if top is None:
        return folded
    below = {key: item for key, item in folded.items() if key not in top}
    return {key: item for key, item in folded.items() if key in top} | ({"properties": below} if below else {})


def outputs(token: str, kind: ArmType, document: Mapping[str, Any]) -> Props:
    """The state that azure-native keeps of a document."""
    state: Props = {name: value for name, value in document.items() if name != "properties"}
    properties = document.get("properties")
    if (kind.whole and not kind.shown_flat) or token == "azure-native:resources:ResourceGroup":
        state["properties"] = properties
    elif isinstance(properties, Mapping):
        back = {there: here for here, there in kind.renamed.items()}
        deep = token.startswith(("azure-native:network:", "azure-native:compute:"))
        state |= {str(back.get(name, name)): _flat(value) if deep else value for name, value in properties.items()}
    state["azureApiVersion"] = kind.version
    return {name: value for name, value in state.items() if value is not None and name not in ("id", "scope")}


def _flat(value: Any) -> Any:
    if isinstance(value, list):
        return [_flat(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    flat = {name: _flat(item) for name, item in value.items() if name != "properties"}
    inner = value.get("properties")
    if isinstance(inner, Mapping):
        flat |= {name: _flat(item) for name, item in inner.items()}
    elif inner is not None:
        flat["properties"] = inner
    return flat
