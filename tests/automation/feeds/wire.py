"""A wire that answers by a function, for tests of what is asked and how often."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import httpx

from automation.calls.fetch import Fetcher

START = datetime(2026, 3, 10, 8, tzinfo=UTC)
DATE = {"date": "Tue, 10 Mar 2026 08:00:00 GMT"}
Answers = Callable[[httpx.Request], httpx.Response]


class Wire:
    """Answers by a function, at :data:`START` where the answer says no other time; keeps the requests, and the pauses between tries."""

    def __init__(self, answers: Answers) -> None:
        self.asked: list[httpx.Request] = []
        self.pauses: list[float] = []

        def answer(request: httpx.Request) -> httpx.Response:
            self.asked.append(request)
            found = answers(request)
            if "date" not in found.headers:
                found.headers.update(DATE)
            return found

        self.fetcher = Fetcher(httpx.Client(transport=httpx.MockTransport(answer)), sleep=self.pauses.append)
