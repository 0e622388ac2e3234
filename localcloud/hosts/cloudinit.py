"""What cloud-init makes of user data, as far as a machine here runs it: ``write_files``, ``bootcmd``, ``runcmd`` and scripts.

Formats: https://cloudinit.readthedocs.io/en/latest/explanation/format.html (cloud-config, ``#!`` scripts, MIME multipart, gzip) and
https://cloudinit.readthedocs.io/en/latest/reference/modules.html#write-files.
"""

from __future__ import annotations

import base64
import binascii
import email
import gzip
import shlex
import zlib
from dataclasses import dataclass, field
from typing import Any

import yaml


class UserDataError(ValueError):
    """User data that cloud-init could not read: ``what`` says which part and why. A real machine boots without it."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"user data: {what}")


@dataclass(frozen=True)
class BootFile:
    """One entry of ``write_files``."""

    path: str
    content: bytes
    mode: int = 0o644
    append: bool = False


@dataclass
class BootPlan:
    """What a machine does at its first boot, in this order: files, shell lines, scripts. ``ignored`` names what it leaves out."""

    files: list[BootFile] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


def boot_plan(user_data: bytes) -> BootPlan:
    """The plan in ``user_data``: plain, gzipped or base64, of any of the formats above. Raises :class:`UserDataError`."""
    plan = BootPlan()
    _add(plan, _unpacked(user_data))
    return plan


def decoded(text: str) -> bytes:
    """User data as an API carries it: base64; text that is none is taken as it stands."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return text.encode()


def _unpacked(data: bytes) -> bytes:
    """``data`` without its base64 and gzip layers; clouds differ in who takes them off."""
    for _ in range(4):
        if data[:2] == b"\x1f\x8b":
            try:
                data = gzip.decompress(data)
            except (OSError, EOFError, zlib.error) as error:
                raise UserDataError(f"gzip: {error}") from error
            continue
        if data.lstrip().startswith((b"#", b"Content-Type", b"MIME-Version", b"From ")) or not data.strip():
            break
        try:
            data = base64.b64decode(b"".join(data.split()), validate=True)
        except binascii.Error:
            break
    return data


def _add(plan: BootPlan, data: bytes) -> None:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise UserDataError("neither text, gzip nor base64") from error
    head = text.lstrip().lower()
    if not head:
        return
    if head.startswith(("content-type:", "mime-version:", "from ")):
        for part in email.message_from_string(text.lstrip()).walk():
            payload = part.get_payload(decode=True)
            if not part.is_multipart() and isinstance(payload, bytes):
                _add(plan, payload)
    elif head.startswith("#cloud-config"):
        _add_config(plan, text)
    elif head.startswith("#!"):
        plan.scripts.append(text.lstrip())
    else:
        raise UserDataError(f"begins with {text[:20]!r}; expected #cloud-config, #! or MIME")


def _add_config(plan: BootPlan, text: str) -> None:
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserDataError(f"cloud-config: {error}") from error
    if config is None:
        return
    if not isinstance(config, dict):
        raise UserDataError("cloud-config: not a mapping")
    for entry in config.pop("write_files", None) or []:
        plan.files.append(_file(entry))
    for module in ("bootcmd", "runcmd"):
        for command in config.pop(module, None) or []:
            plan.commands.append(_line(module, command))
    plan.ignored.extend(sorted(str(key) for key in config))


def _line(module: str, command: Any) -> str:
    if isinstance(command, list):
        return shlex.join(str(word) for word in command)
    if isinstance(command, str):
        return command
    raise UserDataError(f"{module}: {command!r} is neither a list nor a string")


def _file(entry: Any) -> BootFile:
    if not isinstance(entry, dict) or not str(entry.get("path", "")).startswith("/"):
        raise UserDataError(f"write_files: {entry!r} has no absolute path")
    content = entry.get("content", b"")
    data = content if isinstance(content, bytes) else str(content).encode()
    encodings = str(entry.get("encoding", "text/plain")).lower().replace("base64", "b64").replace("gzip", "gz")
    try:
        if "b64" in encodings:
            data = base64.b64decode(b"".join(data.split()), validate=True)
        if "gz" in encodings:
            data = gzip.decompress(data)
    except (OSError, EOFError, binascii.Error, zlib.error) as error:
        raise UserDataError(f"write_files: {entry['path']}: {error}") from error
    permissions = entry.get("permissions", "0644")
    mode = permissions if isinstance(permissions, int) else int(str(permissions), 8)
    return BootFile(path=str(entry["path"]), content=data, mode=mode, append=bool(entry.get("append", False)))
