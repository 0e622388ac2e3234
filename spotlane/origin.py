"""Origin authentication for customers' services: whether a request came through Spotlane's edge.

The edge puts ``x-spotlane-signature: t=<unix seconds>,v1=<hex>`` on every request that it sends to a machine; ``v1`` is HMAC-SHA-256 of ``<t>.<placement>``
under the placement's own key, which the machine has as ``SPOTLANE_ORIGIN_KEY`` (hex) beside ``SPOTLANE_PLACEMENT``::

    if not origin.verify(request.headers.get(origin.HEADER), os.environ["SPOTLANE_ORIGIN_KEY"], os.environ["SPOTLANE_PLACEMENT"]):
        return 403

Only the standard library: a service may copy this file.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time

HEADER = "x-spotlane-signature"
WINDOW_SECONDS = 60
"""How far a signature's time may lie from now, either way; the edge uses one for ten seconds."""

_FORM = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})", re.ASCII)


def verify(header: str | None, key: str, placement: str, now: float | None = None) -> bool:
    """Whether ``header`` is the edge's signature for ``placement`` under ``key`` (hex); ``now`` in seconds, the clock's if None.

    Raises ValueError for a key that isn't hex.
    """
    found = _FORM.fullmatch(header or "")
    if found is None:
        return False
    moment, signature = found.groups()
    if abs((time.time() if now is None else now) - int(moment)) > WINDOW_SECONDS:
        return False
    expected = hmac.new(bytes.fromhex(key), f"{moment}.{placement}".encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, signature)
