"""Names of the clouds taken apart by position, never by a pattern over their whole text: a bucket called ``bkt-us-2`` names no region."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain.boundary.call import Named


@dataclass(frozen=True, slots=True)
class Arn:
    """``arn:<partition>:<service>:<region>:<account>:<resource>``; region and account may be empty."""

    partition: str
    service: str
    region: str
    account: str
    resource: str


def parse_arn(text: str) -> Arn | None:
    """The parts of an ARN, or None when ``text`` isn't one."""
    parts = text.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn" or not parts[1].startswith("aws"):
        return None
    return Arn(*parts[1:])


def azure_subscription(resource_id: str) -> str | None:
    """The subscription of an Azure resource id ``/subscriptions/<id>/…``, lower case, or None."""
    if not resource_id.startswith("/"):
        return None
    parts = resource_id.split("/", 3)
    return parts[2].lower() if len(parts) > 2 and parts[1].lower() == "subscriptions" and parts[2] else None


def gcp_project(path: str) -> str | None:
    """The project of a GCP self link or relative name (``https://…/projects/<id>/…``, ``projects/<id>/…``), or None."""
    parts = path.split("/")
    for index, part in enumerate(parts[:-1]):
        if part == "projects" and parts[index + 1]:
            return parts[index + 1]
    return None


def gcp_place(path: str) -> str | None:
    """The ``regions/<name>`` or ``zones/<name>`` part of a GCP self link or relative name, or None."""
    parts = path.split("/")
    for index, part in enumerate(parts[:-1]):
        if part in {"regions", "zones", "locations"} and parts[index + 1]:
            return parts[index + 1]
    return None


def strings(value: Any, path: str = "") -> list[tuple[str, str]]:
    """Every string in a decoded document, with its path (``a.b[0].c``). Names that are resource ids count, too: Azure lists a machine's identities so."""
    found: list[tuple[str, str]] = []
    _gather(value, path, found)
    return found


def _gather(value: Any, path: str, found: list[tuple[str, str]]) -> None:
    # Documents are dicts and lists nearly always: asking for those first, and gathering into one list, is a third of the time.
    kind = type(value)
    if kind is str or isinstance(value, str):
        found.append((path, value))
    elif kind is dict or isinstance(value, Mapping):
        for key, item in value.items():
            where = f"{path}.{key}" if path else str(key)
            if type(key) is str and key.startswith(("/", "arn:")):
                found.append((where, key))
            _gather(item, where, found)
    elif kind is list or (isinstance(value, Sequence) and not isinstance(value, bytes)):
        for index, item in enumerate(value):
            _gather(item, f"{path}[{index}]", found)


def arn_names(texts: Iterable[tuple[str, str]]) -> tuple[list[Named], list[Named]]:
    """Regions and accounts that whole-string ARNs name. AWS's own account word ``aws`` is left out."""
    regions: list[Named] = []
    accounts: list[Named] = []
    for path, text in texts:
        arn = parse_arn(text) if text.startswith("arn:") else None
        if arn and arn.region and arn.region != "*":
            regions.append(Named(arn.region, path))
        if arn and arn.account and arn.account not in {"aws", "*"}:
            accounts.append(Named(arn.account, path))
    return regions, accounts
