"""What the clouds told beside prices, kept over restarts: one JSON document, whole at every moment.

A workload on a machine type that isn't embedded would otherwise stand on a type that nobody knows, until its cloud's list is read again.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from domain.reference import Reference
from domain.told import Egress, Shape

_ENTRIES = TypeAdapter(dict[str, list[Shape | Egress]])


class KeptReference:
    """Keeps a :class:`Reference` in ``path``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.fault: str | None = None
        """Why what was kept couldn't be read; then all is as embedded until the feeds tell it anew."""

    def keep(self, reference: Reference) -> None:
        """Writes all of it into a file beside, which then takes the name."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        beside.write_bytes(_ENTRIES.dump_json({"shapes": [*reference.shapes.values()], "egress": [*reference.egress.values()]}))
        beside.replace(self._path)

    def restored(self) -> Reference:
        """What was kept last, judged as if it were told now: what can't be isn't believed of a file either."""
        if not self._path.exists():
            return Reference()
        try:
            entries = [one for each in _ENTRIES.validate_json(self._path.read_bytes()).values() for one in each]
        except (ValidationError, OSError) as error:
            self.fault = f"{self._path}: can't be read ({type(error).__name__}); shapes and tariffs are as embedded until the feeds tell them anew"
            return Reference()
        shapes, egress = [one for one in entries if isinstance(one, Shape)], [one for one in entries if isinstance(one, Egress)]
        return Reference().told(shapes, egress)[0]
