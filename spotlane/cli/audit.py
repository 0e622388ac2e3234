"""``spotlane audit``: the program of ``audit``; for ``verify``, with the anchors that the edge keeps."""

from __future__ import annotations

import json
import os
import tempfile

from spotlane.cli import output
from spotlane.cli.session import edge
from spotlane.errors import SpotlaneError

OFFLINE = "--offline"
"""Verifies against the log and its own heads only."""


def with_anchors(arguments: list[str]) -> list[str]:
    """The arguments of ``audit verify``, completed with a file of the heads that are anchored at the edge, where it can be asked."""
    if "verify" not in arguments or any(each in ("--help", "-h") or each.startswith("--anchors") for each in arguments):
        return arguments
    if OFFLINE in arguments:
        return [each for each in arguments if each != OFFLINE]
    try:
        heads = list(edge().audit_heads())
    except SpotlaneError as error:
        output.progress(f"the anchors at the edge weren't checked: {error}")
        return arguments
    file, path = tempfile.mkstemp(prefix="spotlane-anchors-", suffix=".json")
    with os.fdopen(file, "w", encoding="utf-8") as out:
        json.dump([head.model_dump(mode="json", by_alias=True) for head in heads], out)
    return [*arguments, "--anchors", path]
