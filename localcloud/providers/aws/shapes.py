"""Between Pulumi's properties (``instanceMarketOptions``) and a call's parameters (``InstanceMarketOptions``), led by botocore's model of the call. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcloud.providers.faults import Unsupported

_RENAMED = {"securitygroups": "groups", "subnetids": "subnetid"}
"""Properties whose parameter is called otherwise (``networkInterfaces[].securityGroups``)."""


def parameters(shape: Any, value: Any, path: str = "") -> Any:
    """``value`` as the model's ``shape`` wants it: names by letters alone, "true" as a boolean, a map of tags as a list of pairs.

    Raises :class:`Unsupported` for a property that the call has no parameter for.
    """
    if shape.type_name == "structure":
        members = {name.lower(): name for name in shape.members}
        result = {}
        for name, item in value.items():
            if item is None:
                continue
            member = members.get(name.lower()) or members.get(_RENAMED.get(name.lower(), ""))
            if member is None:
                raise Unsupported(f"{path}{name}: the API call has no such parameter ({shape.name} has {', '.join(sorted(shape.members))})")
            result[member] = parameters(shape.members[member], item, f"{path}{name}.")
        return result
    if shape.type_name == "list":
        if isinstance(value, Mapping):
            return pairs(value)
        return [parameters(shape.member, item, path) for item in value]
    if shape.type_name == "boolean":
        return value if isinstance(value, bool) else str(value).lower() == "true"
    if shape.type_name in ("integer", "long"):
        return int(value)
    if shape.type_name == "string":
        return str(value)
    return value


def properties(value: Any) -> Any:
    """An answer's part as properties: names begin with a small letter, tags become a map."""
    if isinstance(value, Mapping):
        return {name[:1].lower() + name[1:]: properties(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        if value and all(isinstance(item, Mapping) and set(item) == {"Key", "Value"} for item in value):
            return tag_map(value)
        return [properties(item) for item in value]
    if isinstance(value, str | bool | int | float):
        return value
    return str(value)


def pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as AWS takes them."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def tag_map(tags: list[Mapping[str, str]] | None) -> dict[str, str]:
    """Tags as Pulumi has them, without those that AWS itself sets."""
    return {tag["Key"]: tag["Value"] for tag in tags or [] if not tag["Key"].startswith("aws:")}
