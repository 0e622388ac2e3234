"""A cloud's refusal as ours: what its own error codes mean for placement and for a run. The one place where vendors' words are read.

Codes: EC2 API reference "Error codes" and "Spot request errors"; Azure "Common deployment errors", "Spot VM error messages"; Compute Engine "Resource
availability errors", "Quota errors", "API error reasons". Pulumi's providers print them inside their messages (``api error InsufficientInstanceCapacity: …``,
``Code="SkuNotAvailable" Message=…``, ``googleapi: Error 403: …, quotaExceeded``), so that a code counts wherever it stands as a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class RefusalKind(StrEnum):
    """What a refusal means."""

    NO_CAPACITY = "no-capacity"
    PRICE_TOO_LOW = "price-too-low"
    NOT_OFFERED = "not-offered"
    QUOTA = "quota"
    THROTTLED = "throttled"
    DENIED = "denied"
    GAVE_WAY = "gave-way"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Consequence:
    """``excluded`` is how long the offer isn't tried again, with ``whole_region`` the cloud's others in the region neither; ``again`` retries the run."""

    excluded: timedelta
    whole_region: bool = False
    again: bool = False


CONSEQUENCES: Mapping[RefusalKind, Consequence] = {
    RefusalKind.NO_CAPACITY: Consequence(timedelta(hours=6)),
    RefusalKind.PRICE_TOO_LOW: Consequence(timedelta(hours=1)),
    RefusalKind.NOT_OFFERED: Consequence(timedelta(days=7)),
    # A quota is raised by people: until then the region is closed, and asking again would only be refused again.
    RefusalKind.QUOTA: Consequence(timedelta(hours=24), whole_region=True),
    RefusalKind.THROTTLED: Consequence(timedelta(minutes=30), again=True),
    RefusalKind.DENIED: Consequence(timedelta(hours=24)),
    # No cloud's word: the migration was given up for a machine that couldn't wait (adr/0072), and says nothing of its offer.
    RefusalKind.GAVE_WAY: Consequence(timedelta(0)),
    RefusalKind.UNKNOWN: Consequence(timedelta(hours=6)),
}

_CODES: Mapping[RefusalKind, str] = {
    RefusalKind.NO_CAPACITY: """InsufficientInstanceCapacity InsufficientHostCapacity InsufficientCapacityOnHost UnfulfillableCapacity
        SkuNotAvailable AllocationFailed ZonalAllocationFailed OverconstrainedAllocationRequest OverconstrainedZonalAllocationRequest
        ZONE_RESOURCE_POOL_EXHAUSTED ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS STOCKOUT""",
    RefusalKind.PRICE_TOO_LOW: "SpotMaxPriceTooLow",
    RefusalKind.NOT_OFFERED: "Unsupported InvalidInstanceType InstanceTypeNotSupported UNSUPPORTED_OPERATION",
    RefusalKind.QUOTA: """MaxSpotInstanceCountExceeded VcpuLimitExceeded InstanceLimitExceeded AddressLimitExceeded VpcLimitExceeded NatGatewayLimitExceeded
        QuotaExceeded QUOTA_EXCEEDED quotaExceeded""",
    RefusalKind.THROTTLED: """RequestLimitExceeded Throttling ThrottlingException TooManyRequestsException TooManyRequests RetryableError
        rateLimitExceeded userRateLimitExceeded RATE_LIMIT_EXCEEDED""",
    RefusalKind.DENIED: """UnauthorizedOperation AccessDenied AccessDeniedException AuthFailure RequestDisallowedByPolicy AuthorizationFailed
        PERMISSION_DENIED CONDITION_NOT_MET""",
}
CODES: Mapping[str, RefusalKind] = {code: kind for kind, codes in _CODES.items() for code in codes.split()}
"""Every code that is known, with what it means."""
_SENTENCES: tuple[tuple[re.Pattern[str], str, RefusalKind], ...] = (
    (re.compile(r"^it gave way to|\bno longer holds the lease\b"), "lease", RefusalKind.GAVE_WAY),
    (re.compile(r"Spotlane boundary \["), "boundary", RefusalKind.DENIED),
    # One code for two things, told apart by its sentence.
    (re.compile(r"OperationNotAllowed\b.*\b(?:quota|cores)\b", re.IGNORECASE | re.DOTALL), "OperationNotAllowed", RefusalKind.QUOTA),
    (re.compile(r"OperationNotAllowed\b.*\bmax price\b", re.IGNORECASE | re.DOTALL), "OperationNotAllowed", RefusalKind.PRICE_TOO_LOW),
    (re.compile(r"\bQuota '[A-Z0-9_]+' exceeded"), "quotaExceeded", RefusalKind.QUOTA),
    (re.compile(r"does not exist in zone '"), "invalid", RefusalKind.NOT_OFFERED),
    (re.compile(r"does not have enough resources available to fulfill the request"), "ZONE_RESOURCE_POOL_EXHAUSTED", RefusalKind.NO_CAPACITY),
)
_WORD = re.compile(r"[A-Za-z_]{4,}")


@dataclass(frozen=True)
class Refusal:
    """``code`` is the cloud's word that decided, "" for one that isn't known; ``text`` the line that it stood in."""

    kind: RefusalKind
    code: str
    text: str

    @property
    def consequence(self) -> Consequence:
        """What follows from it."""
        return CONSEQUENCES[self.kind]


def read(diagnostics: Iterable[str]) -> Refusal:
    """The refusal that the engine's diagnostics tell of: the first line with a word that is known, else an unknown one with the first line."""
    first = ""
    for line in diagnostics:
        first = first or line
        for pattern, code, kind in _SENTENCES:
            if pattern.search(line):
                return Refusal(kind, code, line)
        for word in _WORD.findall(line):
            if (known := CODES.get(word)) is not None:
                return Refusal(known, word, line)
    return Refusal(RefusalKind.UNKNOWN, "", first)
