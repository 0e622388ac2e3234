"""The problem document (RFC 9457), as it travels."""

from __future__ import annotations

from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from spotlane.wire.base import Wire
from spotlane.wire.runs import PolicyFinding


class Problem(Wire):
    """RFC 9457 problem details; ``type`` is ``https://spotlane.dev/problems/<word>``."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow", frozen=True)

    type: str
    title: str
    status: int
    detail: str = ""
    findings: list[PolicyFinding] | None = None
