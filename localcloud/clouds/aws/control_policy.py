"""Service control policies: whether one of an account's policies denies a call.

Format: https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_syntax.html. Only ``Deny`` statements count here (an organization
keeps FullAWSAccess attached); of the conditions, string ones on ``aws:RequestedRegion``. A statement with another condition is not applied.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any


def denied(policies: Iterable[str], service: str, action: str, region: str) -> bool:
    """Whether any of the ``policies`` (JSON documents) denies ``service:action`` in ``region``."""
    name = f"{service}:{action or '*'}".lower()
    return any(_denies(statement, name, region) for policy in policies for statement in _listed(json.loads(policy).get("Statement", [])))


def _denies(statement: dict[str, Any], name: str, region: str) -> bool:
    if statement.get("Effect") != "Deny":
        return False
    if "NotAction" in statement:
        concerned = not any(fnmatchcase(name, pattern.lower()) for pattern in _listed(statement["NotAction"]))
    else:
        concerned = any(fnmatchcase(name, pattern.lower()) for pattern in _listed(statement.get("Action", [])))
    return concerned and all(_holds(operator, fields, region) for operator, fields in statement.get("Condition", {}).items())


def _holds(operator: str, fields: dict[str, Any], region: str) -> bool:
    if {field.lower() for field in fields} != {"aws:requestedregion"}:
        return False
    (values,) = fields.values()
    within = any(fnmatchcase(region, value) for value in _listed(values))
    return {"StringEquals": within, "StringLike": within, "StringNotEquals": not within, "StringNotLike": not within}.get(operator, False)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
