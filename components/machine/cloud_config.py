"""The user data of a spot machine: a ``#cloud-config`` that puts our programs and their settings on an Ubuntu 24.04 image and boots it.

Format: https://cloudinit.readthedocs.io/en/latest/reference/modules.html#write-files. The programs travel as one gzipped text, without their comments and
docstrings: AWS takes 16 KiB of user data, and what they have in common is packed once.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import tokenize
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

LIMIT_BYTES = 16 * 1024
"""EC2's quota on user data before base64, the least of the three clouds' (Azure 64 KiB, GCP 256 KiB)."""

PROGRAMS = ("boot", "agent")
WITH_AN_IMAGE = "container"
"""The program that only a machine with an image carries."""
WITH_LOGS = "journal"
"""The program that only a machine carries whose lines are told."""
BUNDLE = "/opt/spotlane/programs"
"""All programs, each after a line ``#: name``."""
_APART = (
    f"import re; t = re.split('(?m)^#: (.+)\\n', open('{BUNDLE}').read()); [open(f'/opt/spotlane/{{n}}.py', 'w').write(p) for n, p in zip(t[1::2], t[2::2])]"
)
_HERE = Path(__file__).parent


class UserDataTooLarge(ValueError):
    """A machine's settings don't fit into user data. ``size`` and ``limit`` in bytes, ``mend`` is what to do."""

    def __init__(self, placement: str, size: int, limit: int, mend: str = "put long values of `env` and `command` into the artifact") -> None:
        self.placement, self.size, self.limit = placement, size, limit
        super().__init__(f"placement {placement!r}: its user data has {size} bytes, {limit} are allowed; {mend}")


@dataclass(frozen=True)
class MachineDocument:
    """What ``/etc/spotlane/machine.json`` says; ``placement`` is the placement's id. Secrets: ``placement_token``, ``tunnel_token``, ``origin_key``."""

    placement: str
    cloud: str
    region: str
    command: list[str]
    incident_url: str
    placement_token: str = field(repr=False)
    tunnel_token: str = field(repr=False)
    artifact_url: str = ""
    artifact_digest: str = ""
    image: str = ""
    """``repository@sha256:digest`` of an OCI image, run instead of an artifact."""
    env: Mapping[str, str] = field(default_factory=dict)
    http_port: int | None = None
    tcp_port: int | None = None
    drain_seconds: float = 5.0
    cloud_identity: bool = False
    """Whether the workload reaches the metadata service."""
    log_url: str = ""
    """Where the machine tells its lines; empty where it keeps them to itself."""
    origin_key: str = field(default="", repr=False)

    def as_json(self) -> dict[str, Any]:
        """The document as :mod:`components.machine.boot` reads it."""
        return {
            "placement": self.placement,
            "cloud": self.cloud,
            "region": self.region,
            **({"image": self.image} if self.image else {"artifactUrl": self.artifact_url, "artifactDigest": self.artifact_digest}),
            "command": list(self.command),
            "env": dict(sorted(self.env.items())),
            "httpPort": self.http_port,
            "tcpPort": self.tcp_port,
            "drainSeconds": self.drain_seconds,
            "cloudIdentity": self.cloud_identity,
            "incidentUrl": self.incident_url,
            **({"logUrl": self.log_url} if self.log_url else {}),
            "originKey": self.origin_key,
            "placementToken": self.placement_token,
            "tunnelToken": self.tunnel_token,
        }


def render(machine: MachineDocument) -> str:
    """The user data as text. Raises :class:`UserDataTooLarge`."""
    files = [_plain("/etc/spotlane/machine.json", "0600", json.dumps(machine.as_json(), indent=1))]
    files.append(_packed(BUNDLE, "0644", bundle(programs(machine))))
    runs = [f"- [/usr/bin/python3, -c, {json.dumps(_APART)}]", "- [/usr/bin/python3, /opt/spotlane/boot.py]"]
    text = "#cloud-config\n" + "\n".join(["write_files:", *files, "runcmd:", *runs, ""])
    if (size := len(text.encode())) > LIMIT_BYTES:
        raise UserDataTooLarge(machine.placement, size, LIMIT_BYTES)
    return text


def programs(machine: MachineDocument) -> list[str]:
    """The names of those that the machine carries."""
    return [*PROGRAMS, *([WITH_AN_IMAGE] if machine.image else []), *([WITH_LOGS] if machine.log_url else [])]


def bundle(names: Iterable[str]) -> bytes:
    """The programs ``names`` as one text."""
    return "".join(f"#: {name}\n{program(_HERE / f'{name}.py')}" for name in names).encode()


def program(path: Path) -> str:
    """The program at ``path`` as it travels: without what only its readers need, and without blank lines."""
    return "".join(line for line in lean(path.read_text()).splitlines(keepends=True) if line.strip())


def lean(source: str) -> str:
    """The program without what only its readers need: comments go, a text that stands alone (a docstring) becomes an empty one."""
    starts = [0, *accumulate(map(len, source.splitlines(keepends=True)))]
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    edits = []
    begins = True
    for token, after in pairwise(tokens):
        alone = token.type == tokenize.STRING and begins and after.type == tokenize.NEWLINE
        if token.type == tokenize.COMMENT or alone:
            edits.append((starts[token.start[0] - 1] + token.start[1], starts[token.end[0] - 1] + token.end[1], '""' if alone else ""))
        if token.type not in (tokenize.COMMENT, tokenize.NL):
            begins = token.type in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    for start, end, text in reversed(edits):
        source = (source[:start] if text else source[:start].rstrip(" ")) + text + source[end:]
    return source


def _plain(path: str, permissions: str, text: str) -> str:
    lines = "\n".join("    " + line for line in text.splitlines())
    return f'- path: {path}\n  permissions: "{permissions}"\n  content: |\n{lines}'


def _packed(path: str, permissions: str, content: bytes) -> str:
    # Without a time in its header the same program gives the same bytes, and an unchanged stack no difference.
    packed = base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()
    return f'- path: {path}\n  permissions: "{permissions}"\n  encoding: gz+b64\n  content: {packed}'
