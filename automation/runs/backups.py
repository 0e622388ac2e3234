"""A stack's state as it was before something of it is taken down: kept as files that ``pulumi stack import --file`` reads."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

KEPT = 5
"""Of each stack, the newest."""
_STAMP = "%Y%m%dT%H%M%S.%fZ"


class Backups:
    """Deployments below one directory: ``<stack>/<UTC>.json``, mode 0600 (secrets in them are encrypted, names and addresses are not)."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def take(self, stack: str, deployment: dict[str, Any], now: datetime | None = None) -> Path | None:
        """Keeps ``deployment`` (the engine's form: ``version``, ``deployment``); None for one without resources, which there is nothing of to restore."""
        if not (deployment.get("deployment") or {}).get("resources"):
            return None
        place = self._directory / stack
        place.mkdir(parents=True, exist_ok=True)
        file = place / f"{(now or datetime.now(UTC)).strftime(_STAMP)}.json"
        replacement = file.with_suffix(".new")
        descriptor = os.open(replacement, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            json.dump(deployment, out)
            out.flush()
            os.fsync(out.fileno())
        replacement.replace(file)
        for old in self.of(stack)[KEPT:]:
            old.unlink(missing_ok=True)
        return file

    def of(self, stack: str) -> list[Path]:
        """The backups of a stack, newest first."""
        return sorted((self._directory / stack).glob("*.json"), reverse=True)
