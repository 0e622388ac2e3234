"""Reads an installed provider SDK's source without importing it: where a class stands, and its text.

A generated SDK (``pulumi-language-python``) lists its tokens as JSON in ``__init__.py`` (``_utilities.register(resource_modules=…)``), holds one module a
resource, nested input types in ``_inputs.py`` and enums in ``_enums.py`` beside it. Importing one costs seconds and hundreds of megabytes; a class cut
out by its offsets and parsed with :mod:`ast` costs milliseconds.
"""

from __future__ import annotations

import importlib.util
import json
import re
from functools import cached_property
from pathlib import Path
from typing import Any

_TOP_LEVEL_CLASS = re.compile(r"^class (\w+)", re.MULTILINE)
_NEXT_TOP_LEVEL = re.compile(r"^(?=[^\s#)\]])", re.MULTILINE)


class SdkMissing(Exception):
    """The SDK of Pulumi package ``package`` isn't installed beside the local cloud."""

    def __init__(self, package: str) -> None:
        self.package = package
        super().__init__(f"the SDK of Pulumi package {package!r} is not installed; install pulumi-{package} in the local cloud's environment")


class SourceFile:
    """One Python file, cut into its top-level classes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = path.read_text(encoding="utf-8") if path.is_file() else ""

    @cached_property
    def _starts(self) -> dict[str, int]:
        return {match.group(1): match.start() for match in _TOP_LEVEL_CLASS.finditer(self.text)}

    def class_text(self, name: str) -> str | None:
        """The source of top-level class ``name``."""
        start = self._starts.get(name)
        if start is None:
            return None
        end = _NEXT_TOP_LEVEL.search(self.text, start + 1)
        return self.text[start : end.start() if end else len(self.text)]


class SdkSource:
    """The source of the SDK of one Pulumi package, such as ``azure-native``."""

    def __init__(self, package: str) -> None:
        self.package = package
        self._module = "pulumi_" + package.replace("-", "_")
        found = importlib.util.find_spec(self._module)
        if found is None or not found.submodule_search_locations:
            raise SdkMissing(package)
        self.root = Path(found.submodule_search_locations[0])
        self._files: dict[Path, SourceFile] = {}

    @cached_property
    def version(self) -> str:
        """The SDK's version, which is the provider's."""
        return str(json.loads((self.root / "pulumi-plugin.json").read_text(encoding="utf-8"))["version"])

    @cached_property
    def tokens(self) -> dict[str, tuple[Path, str]]:
        """Resource type token → (directory, class name). Spans every resource that the SDK has."""
        text = (self.root / "__init__.py").read_text(encoding="utf-8")
        block = text.split('resource_modules="""', 1)[1].split('"""', 1)[0]
        modules: list[dict[str, Any]] = json.loads(block)
        found: dict[str, tuple[Path, str]] = {f"pulumi:providers:{self.package}": (self.root, "Provider")}
        for module in modules:
            directory = self.root.joinpath(*str(module["fqn"]).split(".")[1:])
            found.update({token: (directory, name) for token, name in module["classes"].items()})
        return found

    def file(self, path: Path) -> SourceFile:
        """A file of the SDK, read once."""
        if path not in self._files:
            self._files[path] = SourceFile(path)
        return self._files[path]

    def resource_text(self, directory: Path, name: str) -> SourceFile:
        """The file that defines resource class ``name``."""
        first = directory / (snake(name) + ".py")
        if self.file(first).class_text(name) is not None:
            return self.file(first)
        marker = re.compile(rf"^class {name}\(pulumi\.(?:Custom|Provider)Resource\)", re.MULTILINE)
        for path in sorted(directory.glob("*.py")):
            if not path.name.startswith("_") and marker.search(path.read_text(encoding="utf-8")):
                return self.file(path)
        raise LookupError(f"class {name} is registered but stands in no module of {directory}")

    def forget_files(self) -> None:
        """Lets go of the texts read so far (a service's ``_inputs.py`` can be megabytes)."""
        self._files.clear()


def snake(name: str) -> str:
    """``PublicIPAddress`` → ``public_ip_address``: how the SDKs name a class's module."""
    spaced = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", spaced).lower()
