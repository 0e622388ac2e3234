"""Artifacts: a folder as a gzipped tar that is the same bytes for the same files, named by its digest."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from pathlib import Path

_IGNORED = {"__pycache__", ".git", "node_modules", ".DS_Store"}


def pack(path: Path) -> bytes:
    """A folder packed (sorted, without times and owners), or a ``.tar.gz`` as it is. Raises OSError."""
    if path.is_file():
        return path.read_bytes()
    if not path.is_dir():
        raise FileNotFoundError(f"{path} is neither a folder nor a .tar.gz")
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for file in sorted(path.rglob("*")):
            relative = file.relative_to(path)
            if _IGNORED.intersection(relative.parts) or not file.is_file():
                continue
            entry = tarfile.TarInfo(relative.as_posix())
            content = file.read_bytes()
            entry.size = len(content)
            entry.mode = 0o755 if file.stat().st_mode & 0o100 else 0o644
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(tar.getvalue(), mtime=0)


def digest(archive: bytes) -> str:
    """``sha256:<hex>`` of the bytes."""
    return "sha256:" + hashlib.sha256(archive).hexdigest()
