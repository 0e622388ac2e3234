"""What lives in the clouds, for the check that nothing is left: every resource with its account, and the accounts themselves beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Resource:
    """A living resource; ``region`` is ``global`` where it has none."""

    cloud: str
    account: str
    region: str
    kind: str
    id: str


@dataclass(frozen=True)
class Account:
    """An account, subscription or project that somebody made. It isn't counted as a resource: closing one takes a cloud months."""

    cloud: str
    id: str
    name: str
    open: bool


def document(resources: Iterable[Resource], accounts: Iterable[Account]) -> dict[str, Any]:
    """``GET /resources`` of the control API: ``total``, counts by cloud, account and kind, and the lists."""
    found = list(resources)
    counts: dict[str, dict[str, Counter[str]]] = {}
    for one in found:
        counts.setdefault(one.cloud, {}).setdefault(one.account, Counter())[one.kind] += 1
    return {
        "total": len(found),
        "counts": {cloud: {account: dict(kinds) for account, kinds in of.items()} for cloud, of in counts.items()},
        "resources": [asdict(one) for one in found],
        "accounts": [asdict(one) for one in accounts],
    }
