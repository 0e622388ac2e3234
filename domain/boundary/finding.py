"""What a rule says about a call: never a property's value, only its path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["low", "medium", "high", "critical"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule's objection.

    ``path`` is where in the resource or request the fault stands; ``mend`` says what to change. ``unknown`` marks a property whose value exists only at
    apply: at the plan point it is a notice, and the same rule judges the real value later.
    """

    rule: str
    severity: Severity
    message: str
    path: str = ""
    mend: str = ""
    unknown: bool = False

    def sentence(self) -> str:
        """Message and mending hint in one line."""
        return f"{self.message} {self.mend}".strip()
