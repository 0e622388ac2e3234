"""Calls of the edge API and the automation service: tokens, retries, problems."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from spotlane.errors import ApiProblem, NotSignedIn, Unreachable
from spotlane.exchange import Answer, Http, TransportError
from spotlane.wire import Problem, Token

_RETRIED = {502, 503, 504}
_LATER = {409, 429}
"""Tried again only where the answer says when."""
_ATTEMPTS = 4
_BACKOFF_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 10.0


class TokenSource:
    """A token for an API key, exchanged when needed and renewed a minute before it expires."""

    def __init__(self, http: Http, api_url: str, api_key: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._http = http
        self._url = api_url.rstrip("/") + "/tokens"
        self._key = api_key
        self._monotonic = monotonic
        self._token: Token | None = None
        self._renew_at = 0.0

    def header(self) -> str:
        """The ``Authorization`` header. Raises :class:`NotSignedIn` for an unknown key, :class:`Unreachable` where there is no answer."""
        if self._token is None or self._monotonic() >= self._renew_at:
            answer = send(self._http, "edge API", "POST", self._url, json={"apiKey": self._key})
            if answer.status_code in (400, 401, 403, 422):
                raise NotSignedIn("the API key isn't known; check SPOTLANE_API_KEY or ask your administrator for a new key")
            raise_for_problem(answer)
            self._token = Token.model_validate(answer.json())
            self._renew_at = self._monotonic() + max(self._token.expires_in - 60, 5)
        return f"Bearer {self._token.access_token}"

    def forget(self) -> None:
        """Drops the token, so that the next call exchanges the key again."""
        self._token = None


def client(timeout_seconds: float = 30.0) -> Http:
    """An HTTP client for Spotlane's own services: never through a proxy, names under ``.localhost`` on loopback."""
    return Http(timeout_seconds)


def send(
    http: Http,
    service: str,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    json: Any = None,
    content: bytes | None = None,
    timeout: float | None = None,
) -> Answer:
    """Sends one request; connect errors and 502/503/504 are tried again with backoff (every call of the API is idempotent, by itself or by its key).

    So are 409 and 429 that say after how many seconds, if those are few. ``timeout`` is in seconds; None for the client's own.

    Raises :class:`Unreachable` when there is still no answer.
    """
    wait = _BACKOFF_SECONDS
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            answer = http.request(method, url, headers=headers, params=params, json=json, content=content, timeout=timeout)
        except TransportError as error:
            if attempt == _ATTEMPTS:
                raise Unreachable(service, url, str(error) or type(error).__name__, _advice(url)) from error
        else:
            later = _retry_after(answer) if answer.status_code in _LATER else None
            if attempt == _ATTEMPTS or (answer.status_code not in _RETRIED and later is None):
                return answer
            wait = max(wait, later or 0.0)
        time.sleep(wait)
        wait *= 2
    raise AssertionError("the last attempt returns or raises")


def _retry_after(answer: Answer) -> float | None:
    """Seconds of ``Retry-After``, where there are some and few."""
    given = answer.headers.get("retry-after", "")
    return float(given) if given.isdigit() and float(given) <= _LONGEST_WAIT_SECONDS else None


def raise_for_problem(answer: Answer) -> None:
    """Raises :class:`ApiProblem` for an answer of 4xx or 5xx."""
    if answer.is_success:
        return
    try:
        problem = Problem.model_validate(answer.json())
    except (ValueError, ValidationError):
        title = f"{answer.asked} answered {answer.status_code}"
        problem = Problem(type="https://spotlane.dev/problems/unexpected-answer", title=title, status=answer.status_code, detail=answer.text[:300])
    raise ApiProblem(problem)


def _advice(url: str) -> str:
    if ".localhost" in url or "127.0.0.1" in url:
        return "start the local cloud with `spotlane local up`, or look at `spotlane local status`"
    return "check the address and your network"
