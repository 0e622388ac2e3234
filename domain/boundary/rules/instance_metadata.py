"""AWS machines answer metadata to session tokens only (IMDSv2)."""

from __future__ import annotations

from collections.abc import Iterator

from domain.boundary.call import Call
from domain.boundary.compiled import CompiledBoundary
from domain.boundary.finding import Finding
from domain.boundary.rules.traits import judge_trait

RULE = "instance-metadata"


def judge_instance_metadata(boundary: CompiledBoundary, call: Call) -> Iterator[Finding]:
    """Refuses machines that still answer IMDSv1 where the boundary asks for version 2."""
    if boundary.boundary.network.instance_metadata_v2:
        yield from judge_trait(
            call,
            "instance-metadata-v2",
            wanted=True,
            rule=RULE,
            severity="medium",
            fault="answers metadata without a session token",
            mend="Set metadataOptions.httpTokens to required.",
        )
