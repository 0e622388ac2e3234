"""Encrypts stack settings as the engine's passphrase provider does, so that storing one costs no call of the engine.

Wire format (pulumi ``sdk/go/common/resource/config/crypt.go`` and ``pkg/secrets/passphrase/manager.go``): the key is PBKDF2-HMAC-SHA256 of the passphrase,
a million rounds, 32 bytes; a secret is ``v1:<nonce>:<AES-256-GCM>`` in base64; a stack's ``encryptionsalt`` is ``v1:<salt>:`` followed by the secret
"pulumi", by which a wrong passphrase shows.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_ROUNDS = 1_000_000
_KEY_BYTES = 32
_NONCE_BYTES = 12
_PROOF = b"pulumi"


class Crypter:
    """Encrypts under one key."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def encrypt(self, text: str) -> str:
        """``text`` as the engine writes it after ``secure:``."""
        nonce = os.urandom(_NONCE_BYTES)
        return f"v1:{base64.b64encode(nonce).decode()}:{base64.b64encode(self._cipher.encrypt(nonce, text.encode(), None)).decode()}"

    def decrypt(self, secret: str) -> bytes:
        """The inverse. Raises ValueError for what is not of this key."""
        try:
            version, nonce, sealed = secret.split(":")
            if version != "v1":
                raise ValueError(f"secret of version {version!r}; only v1 is known")
            return self._cipher.decrypt(base64.b64decode(nonce, validate=True), base64.b64decode(sealed, validate=True), None)
        except (InvalidTag, binascii.Error) as error:
            raise ValueError("secret of another key") from error


class Passphrase:
    """The passphrase of the environment and the keys derived from it; each salt costs 0.3 s once."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._crypters: dict[str, Crypter | None] = {}

    def crypter(self, encryptionsalt: str) -> Crypter | None:
        """The stack's crypter; None where the passphrase isn't known or isn't the stack's: then the engine has to be asked."""
        if encryptionsalt not in self._crypters:
            self._crypters[encryptionsalt] = self._derive(encryptionsalt)
        return self._crypters[encryptionsalt]

    def _derive(self, encryptionsalt: str) -> Crypter | None:
        phrase = self._phrase()
        try:
            version, salt, proof = encryptionsalt.split(":", 2)
            if phrase is None or version != "v1":
                return None
            crypter = Crypter(hashlib.pbkdf2_hmac("sha256", phrase.encode(), base64.b64decode(salt, validate=True), _ROUNDS, _KEY_BYTES))
            return crypter if crypter.decrypt(proof) == _PROOF else None
        except ValueError:
            return None

    def _phrase(self) -> str | None:
        if phrase := self._environment.get("PULUMI_CONFIG_PASSPHRASE"):
            return phrase
        file = self._environment.get("PULUMI_CONFIG_PASSPHRASE_FILE")
        try:
            return Path(file).read_text(encoding="utf-8").strip() if file else None
        except OSError:
            return None
