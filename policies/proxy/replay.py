"""Signed AWS requests are fresh and come once: a recorded one sent again is refused.

AWS accepts a signature for 15 minutes (SigV4, "Troubleshooting: signature expired"). An SDK that retries signs again, but with a date in whole seconds, so an
equal signature within a few seconds is the same call tried again, not a replay.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime, timedelta

from policies.proxy.request import ApiRequest, Refused

WINDOW = timedelta(minutes=15)
RETRY = timedelta(seconds=5)
_KEPT = 65536


class Replays:
    """The signatures of the last quarter of an hour."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, datetime] = OrderedDict()

    def check(self, request: ApiRequest, now: datetime) -> None:
        """Notes the request's signature. Raises :class:`Refused` for one that is stale, undated or was used before."""
        authorization = request.headers.get("authorization", "")
        if not authorization.startswith("AWS4-"):
            return
        try:
            dated = datetime.strptime(request.headers.get("x-amz-date", ""), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except ValueError as error:
            raise Refused("request", "the signed request has no X-Amz-Date that can be read", 400) from error
        if abs(now - dated) > WINDOW:
            raise Refused("request", f"the request was signed at {dated:%H:%M:%S}, more than 15 minutes away", 403)
        signature = authorization.rpartition("Signature=")[2]
        first = self._seen.setdefault(signature, now)
        while self._seen and (now - next(iter(self._seen.values())) > WINDOW or len(self._seen) > _KEPT):
            self._seen.popitem(last=False)
        if now - first > RETRY:
            raise Refused("request", "the same signed request came before", 403)
