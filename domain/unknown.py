"""What isn't known is a type of its own, never 0."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unknown:
    """A figure that nobody told us; ``reason`` says why."""

    reason: str = "not observed"
