"""How many runs are taken in, and how many of a tenant's work at once: limits of the whole and of each tenant.

A run beyond a limit is refused before it is stored, with the time after which to ask again. What saves a workload (interruption, health) is always
taken in, and so is what takes something down.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from automation.errors import TooManyRuns
from spotlane.wire import RunRequest

RETRY_AFTER_SECONDS = 5
_BELIEVED_SECONDS = 1.0
"""How long a count of the unfinished runs is believed; what this process takes in meanwhile is added to it."""


@dataclass(frozen=True)
class Limits:
    """Unfinished runs, waiting and working: of all tenants together, and of one.

    ``at_once`` placement stacks of one tenant are worked on side by side; None: no limit of its own.
    """

    unfinished: int = 10_000
    unfinished_of_tenant: int = 2_000
    at_once: int | None = None


def refusal(request: RunRequest, limits: Limits, unfinished: Mapping[str, int]) -> TooManyRuns | None:
    """Why ``request`` isn't taken in beside the ``unfinished`` runs by tenant ("" for those that are nobody's); None where it is."""
    if request.priority in ("interruption", "health") or request.operation == "destroy":
        return None
    tenant = request.stack.tenant or ""
    if tenant and unfinished.get(tenant, 0) >= limits.unfinished_of_tenant:
        return TooManyRuns(f"tenant {tenant}", limits.unfinished_of_tenant, RETRY_AFTER_SECONDS)
    if sum(unfinished.values()) >= limits.unfinished:
        return TooManyRuns("the platform", limits.unfinished, RETRY_AFTER_SECONDS)
    return None


def lane(stack: str, tenant: str | None, at_once: int | None) -> str:
    """The lane of ``stack``; runs of one lane work one after the other. A lane a stack, or one of a tenant's ``at_once`` lanes, always the same for a stack."""
    if at_once is None or tenant is None:
        return stack
    return f"{tenant}/{int.from_bytes(hashlib.sha256(stack.encode()).digest()[:4]) % at_once}"


def tenant_of_lane(key: str) -> str:
    """The tenant whose lane this is; "" for a stack that is nobody's."""
    if "/" in key:
        return key.partition("/")[0]
    kind, _, rest = key.partition(".")
    return rest.split(".")[0] if kind in ("tenant", "region", "relay", "address", "placement") else ""


class Admission:
    """Keeps the limits for one process. ``count`` gives the lanes of all unfinished runs, each as often as it has any."""

    def __init__(self, limits: Limits, count: Callable[[], Counter[str]], now: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._count = count
        self._now = now
        self._lock = threading.Lock()
        self._counted: Counter[str] = Counter()
        self._counted_at = float("-inf")

    def admit(self, request: RunRequest) -> None:
        """Raises :class:`TooManyRuns` where a limit is reached."""
        with self._lock:
            if self._now() - self._counted_at > _BELIEVED_SECONDS:
                counted: Counter[str] = Counter()
                for key, number in self._count().items():
                    counted[tenant_of_lane(key)] += number
                self._counted, self._counted_at = counted, self._now()
            if (refused := refusal(request, self._limits, self._counted)) is not None:
                raise refused
            self._counted[request.stack.tenant or ""] += 1
