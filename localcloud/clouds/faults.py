"""Faults injected into the local clouds: a cloud's own error, asked for by name, for so many calls or by seeded chance.

Capacity and price are the market's business: their faults are what the market answers, so that each cloud says them where and when it does (Azure and Compute
Engine at the end of a long-running operation). All others are answered before the cloud is asked; ``after`` ones once the cloud has done its work.
Kept in memory: a restart forgets them.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.clouds.azure.errors import ArmError
from localcloud.clouds.capacity import SpotMarket
from localcloud.clouds.exchange import HttpAnswer, HttpRequest, json_answer
from localcloud.clouds.gcp.errors import GoogleError
from localcloud.clouds.wanted import Wanted

CAPACITY: Mapping[str, str] = {
    "InsufficientInstanceCapacity": "aws",
    "AllocationFailed": "azure",
    "ZONE_RESOURCE_POOL_EXHAUSTED": "gcp",
}
PRICE: Mapping[str, str] = {"SpotMaxPriceTooLow": "aws", "OperationNotAllowed.price": "azure"}


@dataclass(frozen=True)
class Answered:
    """An error that is answered at the cloud's front: HTTP status, the cloud's words, whether the call has its effect nevertheless."""

    cloud: str
    status: int
    message: str
    machines_only: bool = True
    after: bool = False


ANSWERED: Mapping[str, Answered] = {
    "MaxSpotInstanceCountExceeded": Answered("aws", 400, "Max spot instance count exceeded"),
    "VcpuLimitExceeded": Answered("aws", 400, "You have requested more vCPU capacity than your current vCPU limit allows for the instance bucket."),
    "RequestLimitExceeded": Answered("aws", 503, "Request limit exceeded.", machines_only=False),
    "InternalError": Answered("aws", 500, "An internal error has occurred", machines_only=False, after=True),
    "SkuNotAvailable": Answered("azure", 409, "The requested size for resource is currently not available in location. Please try another size."),
    "OperationNotAllowed": Answered(
        "azure", 409, "Operation could not be completed as it results in exceeding approved LowPriorityCores quota. Submit a request for a quota increase."
    ),
    "TooManyRequests": Answered("azure", 429, "The request is being throttled as the limit has been reached for the operation.", machines_only=False),
    "InternalServerError": Answered("azure", 500, "The server encountered an unexpected condition.", machines_only=False, after=True),
    "QUOTA_EXCEEDED": Answered("gcp", 403, "Quota 'PREEMPTIBLE_CPUS' exceeded.  Limit: 8.0 in region."),
    "rateLimitExceeded": Answered("gcp", 403, "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute'.", machines_only=False),
    "backendError": Answered("gcp", 503, "Backend Error", machines_only=False, after=True),
}
CODES = sorted({*CAPACITY, *PRICE, *ANSWERED})


class FaultError(ValueError):
    """A fault that can't be: ``faults`` lists what is wrong."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("; ".join(faults))


@dataclass
class Fault:
    """``count`` more calls meet it (None: any number), each with ``chance`` drawn from ``seed``; of one ``region``, one ``operation``, where they are named."""

    id: int
    code: str
    cloud: str
    region: str | None = None
    operation: str | None = None
    count: int | None = None
    chance: float = 1.0
    seed: int = 0
    met: int = 0
    _dice: random.Random = field(default_factory=random.Random, repr=False)

    def document(self) -> dict[str, Any]:
        """As the control API shows it."""
        names = ("id", "code", "cloud", "region", "operation", "count", "chance", "seed", "met")
        return {name: getattr(self, name) for name in names}


class Faults:
    """Those in force. Thread-safe."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._next = 1

    def add(self, document: Mapping[str, Any]) -> Fault:
        """Takes one in. Raises :class:`FaultError` with everything that is wrong."""
        wrong = [f"{name}: no such field" for name in sorted(set(document) - {"code", "cloud", "region", "operation", "count", "chance", "seed"})]
        code = str(document.get("code", ""))
        cloud = CAPACITY.get(code) or PRICE.get(code) or (ANSWERED[code].cloud if code in ANSWERED else None)
        if cloud is None:
            wrong.append(f"code: {code!r} is none of {', '.join(CODES)}")
        elif document.get("cloud", cloud) != cloud:
            wrong.append(f"cloud: {code} is a word of {cloud}'s")
        count, chance = document.get("count"), document.get("chance", 1.0)
        if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 1):
            wrong.append(f"count: {count!r} is no number of calls from 1")
        if not isinstance(chance, int | float) or not 0 < chance <= 1:
            wrong.append(f"chance: {chance!r} is no number above 0 up to 1")
        if wrong or cloud is None:
            raise FaultError(wrong)
        seed = int(document.get("seed") or 0)
        with self._lock:
            fault = Fault(self._next, code, cloud, document.get("region"), document.get("operation"), count, float(chance), seed, _dice=random.Random(seed))
            self._next += 1
            self._faults.append(fault)
            return fault

    def listed(self) -> list[Fault]:
        """In the order in which they were added."""
        with self._lock:
            return list(self._faults)

    def clear(self, id: int | None = None) -> int:
        """Takes one back, or all; how many."""
        with self._lock:
            before = len(self._faults)
            self._faults = [fault for fault in self._faults if id is not None and fault.id != id]
            return before - len(self._faults)

    def meets(self, codes: Mapping[str, Any], cloud: str, region: str, operation: str, *, machine: bool) -> str | None:
        """The code of a fault among ``codes`` that this call meets."""
        with self._lock:
            for fault in self._faults:
                answered = ANSWERED.get(fault.code)
                if fault.code not in codes or fault.cloud != cloud or fault.region not in (None, region) or fault.operation not in (None, operation):
                    continue
                if answered is not None and answered.machines_only and not machine:
                    continue
                if fault.count == 0 or fault._dice.random() >= fault.chance:
                    continue
                fault.met += 1
                if fault.count is not None:
                    fault.count -= 1
                return fault.code
        return None


class FaultyMarket:
    """The market with the capacity and price faults in force."""

    def __init__(self, market: SpotMarket, faults: Faults) -> None:
        self._market = market
        self._faults = faults

    def spot_price(self, cloud: str, region: str, zone: str, instance_type: str) -> float | None:
        """A price that no bid reaches, where a price fault is met."""
        met = self._faults.meets(PRICE, cloud, region, "price", machine=True)
        return 1e6 if met else self._market.spot_price(cloud, region, zone, instance_type)

    def has_capacity(self, cloud: str, region: str, zone: str, instance_type: str) -> bool:
        """None, where a capacity fault is met."""
        return self._faults.meets(CAPACITY, cloud, region, "capacity", machine=True) is None and self._market.has_capacity(cloud, region, zone, instance_type)


def faulty(cloud: str, handler: Any, faults: Faults) -> Any:
    """``handler`` behind the faults that are answered at the front."""

    def handle(request: HttpRequest) -> HttpAnswer:
        wanted = Wanted.of(cloud, request)
        code = faults.meets(ANSWERED, cloud, wanted.region, wanted.operation, machine=wanted.machine) if wanted.changes else None
        if code is None:
            answer: HttpAnswer = handler(request)
            return answer
        if ANSWERED[code].after:
            handler(request)
        return _answer(code, ANSWERED[code])

    return handle


def _answer(code: str, answered: Answered) -> HttpAnswer:
    if answered.cloud == "azure":
        error = ArmError(answered.status, code, answered.message).answer()
        return HttpAnswer(error.status, error.body, {**error.headers, **({"retry-after": "1"} if answered.status == 429 else {})})
    if answered.cloud == "gcp":
        reason = {"QUOTA_EXCEEDED": "quotaExceeded"}.get(code, code)
        return GoogleError(
            answered.status, answered.message, status="RESOURCE_EXHAUSTED" if "uota" in answered.message else "UNAVAILABLE", reason=reason
        ).answer()
    body = f"<Response><Errors><Error><Code>{code}</Code><Message>{answered.message}</Message></Error></Errors><RequestID>0</RequestID></Response>"
    return HttpAnswer(answered.status, body.encode(), {"content-type": "text/xml;charset=UTF-8"})


def refused(error: FaultError) -> HttpAnswer:
    """The control API's answer to a fault that can't be."""
    document = {"type": "https://spotlane.dev/problems/fault", "title": "There is no such fault", "status": 400, "detail": str(error), "faults": error.faults}
    return json_answer(400, document)
