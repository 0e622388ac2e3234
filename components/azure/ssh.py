"""An SSH key that opens nothing: Azure makes no Linux machine without a key or a password, and nobody is to log in.

The public key is a point of edwards25519 found by hashing, so that no private half is known to anyone (RFC 8032, section 5.1; RFC 8709).
"""

from __future__ import annotations

import base64
import hashlib
from itertools import count

_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P


def keyless_public_key(name: str) -> str:
    """The ``ssh-ed25519`` line of ``name``; the same for the same name."""
    for attempt in count():
        point = bytearray(hashlib.sha256(f"spotlane no-login {name} {attempt}".encode()).digest())
        point[31] &= 0x7F
        if _on_curve(int.from_bytes(point, "little")):
            break
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in (b"ssh-ed25519", bytes(point)))
    return f"ssh-ed25519 {base64.b64encode(blob).decode()} no-login"


def _on_curve(y: int) -> bool:
    """Whether a point with this ordinate exists: x² = (y² - 1) / (d·y² + 1) has a root."""
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    return y < _P and pow(square, (_P - 1) // 2, _P) == 1
