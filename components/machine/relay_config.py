"""The user data of a relay's machine: a ``#cloud-config`` with the relay's program, its settings and its unit. Nothing of it is secret.

Beside the program (13 KiB, compressed) AWS's 16 KiB leave room for a hundred workloads.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import lzma
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.machine.boot import HARDENING, JOURNAL, JOURNAL_LIMITS, NO_METADATA
from components.machine.cloud_config import LIMIT_BYTES, UserDataTooLarge, program

_PROGRAM = Path(__file__).parents[1] / "relay"
_ARCHIVE = "/opt/spotlane/relay.tar.xz"
_UNPACK = f"import tarfile; tarfile.open('{_ARCHIVE}').extractall('/opt/spotlane', filter='data')"

UNIT = f"""[Unit]
Description=Spotlane relay
After=network-online.target
StartLimitIntervalSec=0
[Service]
DynamicUser=yes
WorkingDirectory=/opt/spotlane
Environment=HOST=0.0.0.0
ExecStart=/usr/bin/python3 -m relay /etc/spotlane/relay.json
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=500ms
TimeoutStopSec=40s
LimitNOFILE=65536
{HARDENING}
{NO_METADATA}
AmbientCapabilities=CAP_NET_BIND_SERVICE
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
[Install]
WantedBy=multi-user.target
"""


def render(name: str, document: Mapping[str, Any]) -> str:
    """The user data of relay ``name`` with the settings ``document`` (:func:`components.relay.settings.load`). Raises :class:`UserDataTooLarge`."""
    lines = [
        "#cloud-config",
        "write_files:",
        _entry("/etc/spotlane/relay.json", "gz+b64", gzip.compress((json.dumps(document, indent=1) + "\n").encode(), 9, mtime=0)),
        _entry("/etc/systemd/system/spotlane-relay.service", "gz+b64", gzip.compress(UNIT.encode(), 9, mtime=0)),
        _entry(JOURNAL, "gz+b64", gzip.compress(JOURNAL_LIMITS.encode(), 9, mtime=0)),
        _entry(_ARCHIVE, "b64", _program()),
        "runcmd:",
        f"- [/usr/bin/python3, -c, {json.dumps(_UNPACK)}]",
        "- [systemctl, restart, systemd-journald.service]",
        "- [systemctl, daemon-reload]",
        "- [systemctl, enable, --now, spotlane-relay.service]",
        "",
    ]
    text = "\n".join(lines)
    if (size := len(text.encode())) > LIMIT_BYTES:
        raise UserDataTooLarge(name, size, LIMIT_BYTES, "take a second relay for some of its workloads")
    return text


def _entry(path: str, encoding: str, content: bytes) -> str:
    return f'- path: {path}\n  permissions: "0644"\n  encoding: {encoding}\n  content: {base64.b64encode(content).decode()}'


def _program() -> bytes:
    """The relay's package as a compressed archive, without times and owners: the same program is the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(_PROGRAM.glob("*.py")):
            content = program(path).encode()
            entry = tarfile.TarInfo(f"relay/{path.name}")
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return lzma.compress(buffer.getvalue(), preset=9)
