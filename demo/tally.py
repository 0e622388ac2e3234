"""What the load generator counts; every figure of the report comes from here or from the services' own records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Tally:
    """Requests, messages and connections of one run."""

    http_requests: int = 0
    http_failed: int = 0
    ws_messages: int = 0
    ws_lost: int = 0
    ws_duplicated: int = 0
    tcp_connections: int = 0
    tcp_failed: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    served_by: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    def fault(self, kind: str, cause: str) -> None:
        """Counts a failure by its cause, for the report's last lines."""
        self.faults[f"{kind}: {cause}"] += 1

    def percentile(self, share: float) -> float | None:
        """Latency in ms below which ``share`` of the HTTP requests stayed; None without requests."""
        return percentile(self.latencies_ms, share)


def percentile(values: Sequence[float], share: float) -> float | None:
    """The value below which ``share`` of ``values`` lie; None of none."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
