"""Signed heads: how far a log went, under a key of its own (Ed25519), so that a chain that was cut or written anew shows.

They stand beside the log (``audit.heads.jsonl``); the automation service anchors the newest at the edge, where nobody who owns this machine can change it.
"""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit.segments import last_line


@dataclass(frozen=True, slots=True)
class Head:
    """The log's last record at a moment. ``signature`` is empty in an anchor that was read from the edge."""

    point: str
    seq: int
    hash: str
    at: str
    signature: str = ""
    member: str = "local"
    """Of an anchor: the service process whose machine holds the log."""

    def signed_text(self) -> bytes:
        """What the signature is over."""
        return f"spotlane audit head\n{self.point}\n{self.seq}\n{self.hash}\n{self.at}\n".encode()

    def document(self) -> dict[str, Any]:
        """As it is written."""
        return {"point": self.point, "seq": self.seq, "hash": self.hash, "at": self.at, "signature": self.signature}


def load_heads(path: Path) -> list[Head]:
    """The heads of a file of JSON lines or of one JSON list. Raises ``ValueError`` for what isn't one."""
    text = path.read_text(encoding="utf-8").strip()
    if not text:
        return []
    documents = json.loads(text) if text.startswith("[") else [json.loads(each) for each in text.splitlines()]
    try:
        return [_head(one) for one in documents]
    except ValueError as error:
        raise ValueError(f"{path}: not a list of audit heads ({error})") from error


def _head(one: Any) -> Head:
    try:
        return Head(str(one["point"]), int(one["seq"]), str(one["hash"]), str(one["at"]), str(one.get("signature", "")), str(one.get("member", "local")))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(repr(error)) from error


class HeadSigner:
    """The log's key, made at the first start: ``audit.key`` (mode 0600) and ``audit.pub``."""

    def __init__(self, log: Path) -> None:
        self.path = log.with_name(f"{log.stem}.heads.jsonl")
        self._key = _private_key(log.with_suffix(".key"))
        public = self._key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        log.with_suffix(".pub").write_bytes(public)

    def sign(self, point: str, seq: int, hash: str, now: datetime) -> Head:
        """Signs and appends a head, flushed to the disk. Raises ``OSError``."""
        at = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        plain = Head(point, seq, hash, at)
        head = Head(point, seq, hash, at, base64.b64encode(self._key.sign(plain.signed_text())).decode())
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            text = json.dumps(head.document(), separators=(",", ":")).encode() + b"\n"
            if os.write(file, text) != len(text):
                raise OSError("the disk took half a line")
            os.fsync(file)
        finally:
            os.close(file)
        return head

    def last(self) -> Head | None:
        """The newest head, None where there is none. Raises ``ValueError`` where it can't be read.

        Half a line at the end is one that a loss of power cut short: nobody was told of that head, so it goes.
        """
        if not self.path.exists():
            return None
        text = last_line(self.path)
        if text and not text.endswith(b"\n"):
            os.truncate(self.path, self.path.stat().st_size - len(text))
            text = last_line(self.path)
        try:
            return _head(json.loads(text)) if text else None
        except ValueError as error:
            raise ValueError(f"{self.path}: its last line is no audit head ({error})") from error


def public_key(path: Path) -> Ed25519PublicKey:
    """The key in a PEM file. Raises ``ValueError`` or ``OSError``."""
    key = serialization.load_pem_public_key(path.read_bytes())
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError(f"{path}: not an Ed25519 key")
    return key


def genuine(head: Head, key: Ed25519PublicKey) -> bool:
    """Whether the head's signature is the key's."""
    try:
        key.verify(base64.b64decode(head.signature, validate=True), head.signed_text())
    except (InvalidSignature, ValueError):
        return False
    return True


def _private_key(path: Path) -> Ed25519PrivateKey:
    if path.exists():
        key = serialization.load_pem_private_key(path.read_bytes(), None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError(f"{path}: not an Ed25519 key")
        return key
    made = Ed25519PrivateKey.generate()
    pem = made.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    whole = path.with_suffix(".key.new")
    with os.fdopen(os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    whole.replace(path)
    return made
