"""What can be tagged carries the tags that the boundary asks for."""

from __future__ import annotations

from collections.abc import Iterator

from domain.boundary.call import Call
from domain.boundary.compiled import CompiledBoundary
from domain.boundary.finding import Finding

RULE = "tags"


def judge_tags(boundary: CompiledBoundary, call: Call) -> Iterator[Finding]:
    """Names every missing tag key in one finding."""
    required = boundary.boundary.required_tags
    if not required or call.tags is None or call.access != "write":
        return
    what = f"{call.resource_type} {call.resource!r}".strip()
    if call.tags_unknown:
        yield Finding(RULE, "low", f"The tags of {what} are unknown until apply; they are judged there.", call.tags_path, unknown=True)
        return
    present = {key.lower() for key in call.tags}
    if missing := [key for key in required if key.lower() not in present]:
        yield Finding(
            RULE, "low", f"{what} lacks the tags {', '.join(missing)}.", call.tags_path, "Add them to the resource or to the provider's default tags."
        )
