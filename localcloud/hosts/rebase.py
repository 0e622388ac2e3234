"""Absolute paths of a real machine, moved below the directory that plays its root.

Without root rights there is no chroot, so the paths are rewritten in the text of files and commands, once, before anything runs.
"""

from __future__ import annotations

import re
from pathlib import Path

PREFIXES = ("/etc", "/opt", "/var", "/run", "/srv", "/home", "/root", "/usr/local", "/usr/lib/systemd", "/lib/systemd")
"""Places that a boot script writes to. The laptop's own programs and libraries (/usr/bin, /lib, …) stay where they are."""

KEPT = (
    "/etc/ssl",
    "/etc/ca-certificates",
    "/etc/pki",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/os-release",
    "/etc/localtime",
)
"""Read-only facts of the system, the same on every machine."""


class Rebase:
    """Rewrites paths to ``root`` and calls of the ``shims``' commands to ``shims_dir``."""

    def __init__(self, root: Path, shims_dir: Path, shims: tuple[str, ...]) -> None:
        self._root = str(root)
        self._shims = str(shims_dir)
        kept = "|".join(re.escape(path) for path in KEPT)
        moved = "|".join(re.escape(path) for path in PREFIXES)
        commands = "|".join(re.escape(name) for name in shims)
        # A path starts where no word, path or variable goes on before it, and ends at a slash or a word's end.
        start = r"(?<![\w./}~*-])"
        self._command = re.compile(rf"{start}/(?:usr/)?(?:local/)?s?bin/({commands})(?![\w./-])")
        self._moved = re.compile(rf"{start}(?!(?:{kept})(?![\w.-]))({moved})(?![\w.-])")

    def path(self, path: str) -> Path:
        """Where the machine's absolute ``path`` is on this computer; every file that a machine writes goes below its root."""
        return Path(self._root + "/" + path.lstrip("/"))

    def text(self, text: str) -> str:
        """``text`` with every absolute path of a machine rebased."""
        text = self._command.sub(lambda match: f"{self._shims}/{match[1]}", text)
        return self._moved.sub(lambda match: self._root + match[1], text)
