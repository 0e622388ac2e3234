"""One HTTP stack for what the service asks of the clouds itself: proxy and CA of the environment, a bounded number of tries, failures turned into ours."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

TRIES = 3
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0
_OK = frozenset({200})
_REFUSED = ("403", "407")
"""A proxy's answers to CONNECT that another try won't change (httpx gives status and phrase as the error's text)."""
_AGAIN = frozenset({429, 500, 502, 503, 504})
_THROTTLED = (
    *("Throttling", "Throttled", "RequestLimitExceeded", "TooManyRequestsException", "SlowDown"),
    *("rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED"),
)
"""AWS's words and Google's, whose Compute API says 403 where a quota of calls is used up."""
_READ_OF_ERRORS = 4000
"""Characters of an answer in which such a word is looked for."""


_CLOCK = re.compile(r"(\d\d):(\d\d):(\d\d)")


class FeedFault(Exception):
    """A source gave no usable answer; ``reason`` is one of unavailable, throttled, denied, malformed, timeout. ``status`` is HTTP's, where there was one."""

    def __init__(self, reason: str, detail: str, status: int | None = None) -> None:
        self.reason = reason
        self.detail = detail
        self.status = status
        super().__init__(f"{reason}: {detail}")


@dataclass(frozen=True, slots=True)
class Answer:
    """A good answer with the time of the source's own clock."""

    body: bytes
    at: datetime
    response: httpx.Response

    def json(self) -> dict[str, Any]:
        """The body as a JSON object. Raises :class:`FeedFault`."""
        try:
            document = self.response.json()
        except ValueError as error:
            raise FeedFault("malformed", f"{self.response.url.host} sent no JSON") from error
        if not isinstance(document, dict):
            raise FeedFault("malformed", f"{self.response.url.host} sent no JSON object")
        return document


class Fetcher:
    """Sends requests through one client, which takes proxy and CA from the environment unless one is given. ``sleep`` waits between tries.

    Who is told to come again after more than five seconds doesn't: whoever asked decides when.
    """

    def __init__(self, client: httpx.Client | None = None, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client or httpx.Client(timeout=httpx.Timeout(20.0, connect=5.0), trust_env=True, follow_redirects=False)
        self._sleep = sleep
        self._kept: dict[str, Answer] = {}

    def get(self, url: str, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        """The answer to a GET. Raises :class:`FeedFault`."""
        return self.send(lambda: self._client.build_request("GET", url, params=dict(params) if params else None, headers=dict(headers or {})))

    def get_if_changed(self, url: str) -> Answer:
        """The answer to a GET of a document that changes rarely: by its ETag or date it is sent again only if it has changed. Raises :class:`FeedFault`."""
        kept = self._kept.get(url)
        held = {} if kept is None else kept.response.headers
        named = (("if-none-match", "etag"), ("if-modified-since", "last-modified"))
        condition = {asks: held[tells] for asks, tells in named if tells in held}
        answer = self.send(lambda: self._client.build_request("GET", url, headers=condition), _OK | {304} if condition else _OK)
        if kept is not None and answer.response.status_code == 304:
            return Answer(kept.body, answer.at, kept.response)
        self._kept[url] = answer
        return answer

    def send(self, request: Callable[[], httpx.Request], good: frozenset[int] = _OK) -> Answer:
        """The answer, of a status in ``good``, to what ``request`` makes, anew for each try (a signature is good for once). Raises :class:`FeedFault`."""
        pause = _FIRST_PAUSE
        for attempt in range(1, TRIES + 1):
            fault, wait = self._try(request(), good)
            if isinstance(fault, Answer):
                return fault
            if wait is None or wait > _LONGEST_PAUSE or attempt == TRIES:
                raise fault
            self._sleep(min(max(wait, pause), _LONGEST_PAUSE))
            pause *= 2
        raise AssertionError("the last try returns or raises")

    def _try(self, request: httpx.Request, good: frozenset[int]) -> tuple[Answer | FeedFault, float | None]:
        """An answer, or a fault with the least pause before another try (None: another try is of no use)."""
        host = request.url.host
        try:
            response = self._client.send(request)
        except httpx.TimeoutException:
            return FeedFault("timeout", f"{host} did not answer in time"), 0.0
        except httpx.ProxyError as error:
            if str(error)[:3] in _REFUSED:
                return FeedFault("denied", f"the proxy refused the way to {host} ({error})", int(str(error)[:3])), None
            return FeedFault("unavailable", f"{host} can't be reached (ProxyError: {error})"), 0.0
        except httpx.HTTPError as error:
            return FeedFault("unavailable", f"{host} can't be reached ({type(error).__name__})"), 0.0
        if response.status_code in good:
            return Answer(response.content, _date(response), response), None
        text = response.text[:_READ_OF_ERRORS]
        if response.status_code == 429 or any(word in text for word in _THROTTLED):
            return FeedFault("throttled", f"{host} asks for fewer requests", response.status_code), _retry_after(response)
        if response.status_code in (401, 403, 407):
            return FeedFault("denied", f"{host} or the proxy refused the call ({response.status_code}): {text[:300]}", response.status_code), None
        if response.status_code in _AGAIN:
            return FeedFault("unavailable", f"{host} answered {response.status_code}", response.status_code), _retry_after(response)
        return FeedFault("malformed", f"{host} answered {response.status_code}: {text[:300]}", response.status_code), None


def _retry_after(response: httpx.Response) -> float:
    """Seconds to wait: Retry-After in either of its forms (RFC 9110), or Resource Graph's own header; 0 where nothing is said."""
    value = response.headers.get("retry-after", "")
    if value.isdigit():
        return float(value)
    if reset := _CLOCK.fullmatch(response.headers.get("x-ms-user-quota-resets-after", "")):
        hours, minutes, seconds = map(int, reset.groups())
        return 3600.0 * hours + 60.0 * minutes + seconds
    try:
        return max((parsedate_to_datetime(value) - _date(response)).total_seconds(), 0.0)
    except (TypeError, ValueError):
        return 0.0


def _date(response: httpx.Response) -> datetime:
    """The source's clock; without a readable ``Date`` the answer's age can't be known, and the epoch makes it as old as can be."""
    try:
        return parsedate_to_datetime(response.headers.get("date", "")).astimezone(UTC)
    except (TypeError, ValueError):
        return datetime.fromtimestamp(0, UTC)
