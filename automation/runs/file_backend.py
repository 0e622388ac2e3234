"""The engine's file backend, as far as one can look into it, and begin a stack in it, without starting the engine."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_SCHEME = "file://"


class FileBackend:
    """The stacks of one project below a directory. Layout (pulumi ``pkg/backend/diy``): ``.pulumi/stacks/<project>/<stack>.json``, one checkpoint each."""

    def __init__(self, root: Path, project: str) -> None:
        self._stacks = root / ".pulumi" / "stacks" / project
        self._project = project

    @classmethod
    def of(cls, environment: Mapping[str, str], project: str) -> FileBackend | None:
        """The backend that ``PULUMI_BACKEND_URL`` names; None where it is of another kind."""
        url = environment.get("PULUMI_BACKEND_URL", "")
        return cls(Path(url.removeprefix(_SCHEME)), project) if url.startswith(_SCHEME) else None

    def exists(self, stack: str) -> bool:
        """Whether the stack is here."""
        return self._file(stack).exists()

    def holds(self, stack: str) -> bool:
        """Whether the stack holds resources, or operations that a dead engine left; also where its file can't be read."""
        try:
            latest = json.loads(self._file(stack).read_text(encoding="utf-8"))["checkpoint"].get("latest") or {}
        except FileNotFoundError:
            return False
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return True
        return bool(latest.get("resources") or latest.get("pending_operations"))

    def deployment(self, stack: str) -> dict[str, Any]:
        """The stack's state in the form of ``pulumi stack export``; raises OSError or ValueError where it can't be read."""
        document = json.loads(self._file(stack).read_text(encoding="utf-8"))
        return {"version": document["version"], "deployment": document["checkpoint"].get("latest") or {}}

    def blank(self, stack: str) -> dict[str, Any] | None:
        """The checkpoint of a stack that was just made; None for one that holds resources, or whose form isn't known."""
        try:
            document: dict[str, Any] = json.loads(self._file(stack).read_text(encoding="utf-8"))
            checkpoint = document["checkpoint"]
            named = checkpoint["stack"] == self._name(stack)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        latest = checkpoint.get("latest") or {}
        return document if named and not latest.get("resources") and not latest.get("pending_operations") else None

    def begin(self, stack: str, blank: Mapping[str, Any]) -> None:
        """Begins ``stack`` as the engine began the one that ``blank`` was read of."""
        document = {**blank, "checkpoint": {**blank["checkpoint"], "stack": self._name(stack)}}
        replacement = self._file(stack).with_suffix(".new")
        replacement.write_text(json.dumps(document), encoding="utf-8")
        os.replace(replacement, self._file(stack))

    def _name(self, stack: str) -> str:
        return f"organization/{self._project}/{stack}"

    def _file(self, stack: str) -> Path:
        return self._stacks / f"{stack}.json"
