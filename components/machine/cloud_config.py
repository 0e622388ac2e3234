"""The user data of a spot machine: a ``#cloud-config`` that puts our two programs and their settings on an Ubuntu 24.04 image and boots it.

Format: https://cloudinit.readthedocs.io/en/latest/reference/modules.html#write-files. The programs travel gzipped: AWS takes 16 KiB of user data.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LIMIT_BYTES = 16 * 1024
"""EC2's quota on user data before base64, the least of the three clouds' (Azure 64 KiB, GCP 256 KiB)."""

PROGRAMS = ("boot", "agent")
_HERE = Path(__file__).parent


class UserDataTooLarge(ValueError):
    """A machine's settings don't fit into user data. ``size`` and ``limit`` in bytes."""

    def __init__(self, placement: str, size: int, limit: int) -> None:
        self.placement, self.size, self.limit = placement, size, limit
        super().__init__(
            f"placement {placement!r}: its user data has {size} bytes, {limit} are allowed; put long values of `env` and `command` into the artifact"
        )


@dataclass(frozen=True)
class MachineDocument:
    """What ``/etc/spotlane/machine.json`` says; ``placement`` is the placement's id. Secrets: ``placement_token``, ``tunnel_token``, ``origin_key``."""

    placement: str
    cloud: str
    region: str
    artifact_url: str
    artifact_digest: str
    command: list[str]
    incident_url: str
    placement_token: str = field(repr=False)
    tunnel_token: str = field(repr=False)
    env: Mapping[str, str] = field(default_factory=dict)
    http_port: int | None = None
    tcp_port: int | None = None
    drain_seconds: float = 5.0
    origin_key: str = field(default="", repr=False)

    def as_json(self) -> dict[str, Any]:
        """The document as :mod:`components.machine.boot` reads it."""
        return {
            "placement": self.placement,
            "cloud": self.cloud,
            "region": self.region,
            "artifactUrl": self.artifact_url,
            "artifactDigest": self.artifact_digest,
            "command": list(self.command),
            "env": dict(sorted(self.env.items())),
            "httpPort": self.http_port,
            "tcpPort": self.tcp_port,
            "drainSeconds": self.drain_seconds,
            "incidentUrl": self.incident_url,
            "originKey": self.origin_key,
            "placementToken": self.placement_token,
            "tunnelToken": self.tunnel_token,
        }


def render(machine: MachineDocument) -> str:
    """The user data as text. Raises :class:`UserDataTooLarge`."""
    files = [_plain("/etc/spotlane/machine.json", "0600", json.dumps(machine.as_json(), indent=1))]
    files += [_packed(f"/opt/spotlane/{name}.py", "0644", (_HERE / f"{name}.py").read_bytes()) for name in PROGRAMS]
    text = "#cloud-config\n" + "\n".join(["write_files:", *files, "runcmd:", "- [/usr/bin/python3, /opt/spotlane/boot.py]", ""])
    if (size := len(text.encode())) > LIMIT_BYTES:
        raise UserDataTooLarge(machine.placement, size, LIMIT_BYTES)
    return text


def _plain(path: str, permissions: str, text: str) -> str:
    lines = "\n".join("    " + line for line in text.splitlines())
    return f'- path: {path}\n  permissions: "{permissions}"\n  content: |\n{lines}'


def _packed(path: str, permissions: str, content: bytes) -> str:
    # Without a time in its header the same program gives the same bytes, and an unchanged stack no difference.
    packed = base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()
    return f'- path: {path}\n  permissions: "{permissions}"\n  encoding: gz+b64\n  content: {packed}'
