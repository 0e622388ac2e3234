"""Which Python runs a program: the ``virtualenv`` of ``runtime.options`` in ``Pulumi.yaml``, the active environment, or the host's own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from languagehost.packages import search_path


class EnvironmentMissing(Exception):
    """``Pulumi.yaml`` names a virtual environment that isn't there."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        super().__init__(f"the virtual environment {directory} named by runtime.options.virtualenv of Pulumi.yaml has no Python; make it with `pulumi install`")


@dataclass(frozen=True)
class PythonEnvironment:
    """An interpreter; ``directory`` is its virtual environment where the project names one."""

    python: str
    directory: str | None = None

    @classmethod
    def of(cls, root: str, options: Mapping[str, Any]) -> PythonEnvironment:
        """The environment of a project. Doesn't look whether it exists."""
        directory = options.get("virtualenv") or (".venv" if options.get("toolchain") == "uv" else None)
        if directory:
            directory = os.path.normpath(os.path.join(root, str(directory)))
            return cls(os.path.join(directory, "bin", "python"), directory)
        active = os.environ.get("VIRTUAL_ENV")
        if active and os.access(os.path.join(active, "bin", "python"), os.X_OK):
            return cls(os.path.join(active, "bin", "python"))
        return cls(sys.executable)

    def checked(self) -> PythonEnvironment:
        """Itself. Raises :class:`EnvironmentMissing`."""
        if not os.access(self.python, os.X_OK):
            raise EnvironmentMissing(self.directory or self.python)
        return self

    @property
    def ours(self) -> bool:
        """Whether it is the host's own interpreter."""
        return os.path.dirname(os.path.dirname(os.path.abspath(self.python))) == sys.prefix

    def search_path(self) -> list[str]:
        """Its ``sys.path``."""
        return list(sys.path) if self.ours else search_path(self.python)

    def installation(self, program: str, root: str) -> Iterator[list[str]]:
        """The commands that make the environment and install ``requirements.txt`` into it, in order."""
        if self.directory and not os.access(self.python, os.X_OK):
            yield [sys.executable, "-m", "venv", self.directory]
        for folder in (program, root):
            requirements = Path(folder, "requirements.txt")
            if requirements.is_file():
                yield [self.python, "-m", "pip", "install", "--disable-pip-version-check", "-r", str(requirements)]
                return
