"""What a Python environment has installed: the provider plugins that its SDKs need, and its distributions.

An SDK names its plugin in a ``pulumi-plugin.json`` beside its ``__init__`` (Pulumi's packaging convention):
``{"resource": true, "name": "aws", "version": "7.51.1", "server": "…"}``.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path


@dataclass(frozen=True)
class ProviderPlugin:
    """A resource plugin that an installed SDK asks for; ``server`` is empty for Pulumi's own."""

    name: str
    version: str
    server: str = ""


@dataclass(frozen=True)
class Dependency:
    """An installed distribution."""

    name: str
    version: str


def search_path(python: str) -> list[str]:
    """``sys.path`` of interpreter ``python``. Raises :class:`OSError` or :class:`subprocess.SubprocessError` where it can't be asked."""
    answer = subprocess.run([python, "-P", "-c", "import json,sys; print(json.dumps(sys.path))"], capture_output=True, text=True, timeout=30, check=True)
    paths: list[str] = json.loads(answer.stdout)
    return paths


def provider_plugins(paths: Iterable[str]) -> list[ProviderPlugin]:
    """Plugins of the SDKs on ``paths``, by name; the first of a name wins, as the import does."""
    found: dict[str, ProviderPlugin] = {}
    for path in paths:
        if not path.endswith(("site-packages", "dist-packages")):
            continue
        for file in sorted(Path(path).glob("*/pulumi-plugin.json")):
            try:
                document = json.loads(file.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
            if document.get("resource") and document.get("name"):
                found.setdefault(document["name"], ProviderPlugin(document["name"], document.get("version", ""), document.get("server", "")))
    return sorted(found.values(), key=lambda plugin: plugin.name)


def dependencies(paths: Iterable[str]) -> list[Dependency]:
    """Installed distributions on ``paths`` by name."""
    found: dict[str, Dependency] = {}
    for path in paths:
        if not path.endswith(("site-packages", "dist-packages")):
            continue
        for distribution in distributions(path=[path]):
            name = distribution.metadata["Name"]
            if name:
                found.setdefault(name.lower(), Dependency(name, distribution.version))
    return [found[name] for name in sorted(found)]
