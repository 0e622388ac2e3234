"""What a stack's run depends on beyond its settings: the programs that declare it and the packs that judge it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

_ROOMS = ("stacks", "components", "domain", "policies/packs")
"""Where declarations and rules come from; anything else can change without a stack becoming another."""
_SUFFIXES = {".py", ".json", ".yaml", ".j2"}


def digest_of(root: Path) -> str:
    """SHA-256 (hex) over the sources of the programs and packs below ``root``: names and contents, in order of their names. Built files are left out."""
    total = hashlib.sha256()
    for path in _sources(root):
        total.update(f"{path.relative_to(root).as_posix()}\0".encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def _sources(root: Path) -> Iterable[Path]:
    for room in _ROOMS:
        found = (path for path in (root / room).rglob("*") if path.suffix in _SUFFIXES and path.is_file())
        yield from sorted(path for path in found if not {"dist", "node_modules", "__pycache__", "config"}.intersection(path.relative_to(root).parts))
