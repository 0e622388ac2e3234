"""AWS's operations and the names of their parameters, from the service models that botocore carries. What a model doesn't know is refused: a name that we
don't know may mean something to the cloud.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.loaders import Loader

from policies.proxy.request import Refused

MODELS: Mapping[str, str] = {
    "ec2": "ec2", "sts": "sts", "s3": "s3", "kms": "kms", "ssm": "ssm", "autoscaling": "autoscaling", "iam": "iam", "organizations": "organizations",
    "account": "account", "budgets": "budgets", "ce": "ce", "monitoring": "cloudwatch", "logs": "logs", "secretsmanager": "secretsmanager",
    "dynamodb": "dynamodb", "servicequotas": "service-quotas",
}  # fmt: skip
"""Host label → botocore's name of the service."""

_COMMON = frozenset({"Action", "Version"})
_DEPTH = 24


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation; ``shape`` is the name of its input's shape, "" where it takes none."""

    name: str
    method: str
    pattern: re.Pattern[str]
    shape: str
    query: frozenset[str]
    """Query parameters that must be present for it (``?location``), REST services only."""


@dataclass(frozen=True, slots=True)
class ServiceModel:
    """What one service understands."""

    version: str
    protocol: str
    target: str
    operations: Mapping[str, Operation]
    shapes: Mapping[str, Any]

    def operation(self, name: str) -> Operation:
        """The operation. Raises :class:`Refused`."""
        if name not in self.operations:
            raise Refused("request", f"{name!r} is no operation of the service that is known here", 403)
        return self.operations[name]

    def rest(self, method: str, path: str, query: Mapping[str, str]) -> Operation:
        """The operation of a REST request: the one whose required query is the longest. Raises :class:`Refused`."""
        fitting = [one for one in self.operations.values() if one.method == method and one.query <= query.keys() and one.pattern.fullmatch(path)]
        if not fitting:
            raise Refused("request", f"{method} with this path is no operation of the service that is known here", 403)
        return max(fitting, key=lambda one: (len(one.query), len(one.pattern.pattern)))

    def check_form(self, operation: Operation, parameters: Mapping[str, str]) -> None:
        """Every parameter's dotted name is one of the operation's. Raises :class:`Refused`."""
        for name in parameters:
            if name not in _COMMON and not self._form_name(operation.shape, tuple(name.split("."))):
                raise Refused("request", f"{operation.name} has no parameter {name!r}", 400)

    def check_document(self, operation: Operation, document: Mapping[str, Any]) -> None:
        """Every key of a JSON or CBOR document is one of the operation's. Raises :class:`Refused`."""
        if not document:
            return  # also where the operation takes no input at all: SDKs then send an empty object
        for path in self._strangers(operation.shape, document, "", 0):
            raise Refused("request", f"{operation.name} has no parameter {path!r}", 400)

    def _form_name(self, shape: str, parts: tuple[str, ...]) -> bool:
        for part in parts:
            kind = self.shapes.get(shape, {})
            if kind.get("type") == "structure":
                member = next((member for known, member in self._form_members(kind) if known == part), None)
                if member is None:
                    return False
                shape = member
            elif kind.get("type") == "list":
                # The query protocol writes `member.1` (or the member's own name), EC2 and flattened lists write `1`.
                word = kind["member"].get("locationName", "member")
                if self.protocol != "ec2" and part in {word, "member"}:
                    continue
                if not _is_index(part):
                    return False
                shape = kind["member"]["shape"]
            elif kind.get("type") == "map":
                if _is_index(part) or part == "entry":
                    continue
                if part not in {"key", "value"}:
                    return False
                shape = kind[part]["shape"]
            else:
                return False
        return True

    def _form_members(self, kind: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        for name, member in kind["members"].items():
            if self.protocol == "ec2":
                location = member.get("locationName")
                yield member.get("queryName") or (location[:1].upper() + location[1:] if location else name), member["shape"]
            else:
                yield member.get("locationName", name), member["shape"]

    def _strangers(self, shape: str, value: Any, path: str, depth: int) -> Iterator[str]:
        kind = self.shapes.get(shape, {})
        if depth > _DEPTH:
            # Attribute values of DynamoDB nest freely; whatever is deeper than people write is not read any more.
            yield path
        elif kind.get("type") == "structure" and isinstance(value, Mapping):
            members = {member.get("locationName", name): member["shape"] for name, member in kind["members"].items()}
            for key, item in value.items():
                where = f"{path}.{key}" if path else str(key)
                if key not in members:
                    yield where
                else:
                    yield from self._strangers(members[key], item, where, depth + 1)
        elif kind.get("type") == "list" and isinstance(value, list):
            for index, item in enumerate(value):
                yield from self._strangers(kind["member"]["shape"], item, f"{path}[{index}]", depth + 1)
        elif kind.get("type") == "map" and isinstance(value, Mapping):
            for key, item in value.items():
                yield from self._strangers(kind["value"]["shape"], item, f"{path}.{key}", depth + 1)
        elif isinstance(value, Mapping | list) or (not kind and path):
            yield path or "document"


def _is_index(part: str) -> bool:
    """Whether it is a number as AWS writes one, not one of another script."""
    return part.isascii() and part.isdecimal()


@cache
def model(service: str) -> ServiceModel:
    """The model of the service with that host label. Raises :class:`Refused` for one that isn't known."""
    if service not in MODELS:
        raise Refused("service", f"AWS service {service!r} is not known here")
    raw = Loader().load_service_model(MODELS[service], "service-2")
    meta = raw["metadata"]
    operations = {name: _operation(name, entry) for name, entry in raw["operations"].items()}
    return ServiceModel(
        meta["apiVersion"], meta["protocol"], meta.get("targetPrefix", ""), operations, {key: _bare(kind) for key, kind in raw["shapes"].items()}
    )


def _operation(name: str, entry: Mapping[str, Any]) -> Operation:
    path, _, query = entry["http"]["requestUri"].partition("?")
    pattern = re.sub(r"\\\{[^}]+?\\\+\\\}", ".+", re.escape(path))
    pattern = re.sub(r"\\\{[^}]+?\\\}", "[^/]+", pattern)
    required = frozenset(part.partition("=")[0] for part in query.split("&") if part)
    return Operation(name, entry["http"]["method"], re.compile(pattern), (entry.get("input") or {}).get("shape", ""), required)


def _bare(kind: Mapping[str, Any]) -> dict[str, Any]:
    """A shape without its documentation: names and types only, a tenth of the memory."""
    bare: dict[str, Any] = {"type": kind["type"]}
    if "members" in kind:
        bare["members"] = {
            name: {key: member[key] for key in ("shape", "locationName", "queryName") if key in member} for name, member in kind["members"].items()
        }
    for part in ("member", "key", "value"):
        if part in kind:
            bare[part] = {key: kind[part][key] for key in ("shape", "locationName") if key in kind[part]}
    return bare
