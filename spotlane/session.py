"""What both of the SDK's clients stand on: requests with a token, listings and streams as models."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from spotlane.errors import AnswerNotUnderstood, Fault, Unreachable
from spotlane.exchange import Answer, Http, TransportError
from spotlane.pages import Pages
from spotlane.transport import TokenSource, _advice, raise_for_problem, send

M = TypeVar("M", bound=BaseModel)
V = TypeVar("V")
_PAGE = 500
_SILENT_SECONDS = 40.0
"""A stream says every 15 seconds that it is there."""
_AGAIN = {401, 502, 503, 504}
"""Refusals of a stream that another try, with a fresh token, may not meet."""
_CUTS, _PAUSE_SECONDS = 5, 0.25
"""How often in a row a stream is taken up again before it is given up, and the pause before, longer with each."""


class Session:
    """Requests with a token, answers as models."""

    def __init__(self, service: str, base_url: str, tokens: TokenSource, http: Http) -> None:
        self._service = service
        self._base = base_url.rstrip("/")
        self._tokens = tokens
        self._http = http

    def call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        content: bytes | None = None,
        params: dict[str, str | None] | None = None,
        once: bool = False,
        timeout: float | None = None,
    ) -> Answer:
        """One call. ``once`` has the service do it once, however often it has to be sent."""
        given = {key: value for key, value in (params or {}).items() if value is not None}
        key = {"idempotency-key": uuid.uuid4().hex} if once else {}
        body = json.model_dump(mode="json", by_alias=True) if isinstance(json, BaseModel) else json
        for fresh in (False, True):
            if fresh:
                self._tokens.forget()
            headers = {"authorization": self._tokens.header(), **key}
            if content is not None:
                headers["content-type"] = "application/octet-stream"
            answer = send(self._http, self._service, method, self._base + path, headers=headers, params=given, json=body, content=content, timeout=timeout)
            if answer.status_code != 401:
                break
        raise_for_problem(answer)
        return answer

    def one(self, model: type[M], method: str, path: str, **options: Any) -> M:
        return self.read(TypeAdapter(model), self.call(method, path, **options).json())

    def many(self, model: type[M], path: str, params: dict[str, str | None] | None = None) -> Pages[M]:
        adapter: TypeAdapter[list[M]] = TypeAdapter(list[model])  # type: ignore[valid-type]  # a runtime type

        def fetch(cursor: str | None) -> tuple[list[M], str | None]:
            answer = self.call("GET", path, params={"limit": str(_PAGE), **(params or {}), "cursor": cursor}).json()
            return self.read(adapter, answer["items"]), answer.get("next")

        return Pages(fetch)

    def follow(self, model: type[M], path: str, params: dict[str, str | None], last: int | None) -> Iterator[M]:
        """A stream's messages after number ``last``, over cuts, until it can't be had any more: refused, or cut too often without a word between."""
        adapter: TypeAdapter[M] = TypeAdapter(model)
        url = self._base + path
        given = {key: value for key, value in params.items() if value is not None}
        number, cuts = last, 0
        while True:
            headers = {"authorization": self._tokens.header()} | ({} if last is None else {"last-event-id": str(last)})
            why: TransportError | None = None
            try:
                with self._http.stream("GET", url, headers=headers, params=given, timeout=_SILENT_SECONDS) as answer:
                    if not answer.is_success:
                        refused = answer.whole()
                        cuts += 1
                        if refused.status_code not in _AGAIN or cuts > _CUTS:
                            raise_for_problem(refused)
                        self._tokens.forget()
                    else:
                        for line in answer.lines():
                            field, _, value = line.partition(": ")
                            if field == "id":
                                number = int(value)
                            elif field == "data":
                                yield self.read(adapter, json.loads(value))
                            elif not line and number is not None:
                                last, cuts = number, 0
            except TransportError as error:
                why = error
                cuts += 1
            if why is not None and cuts > _CUTS:
                raise Unreachable(self._service, url, str(why), _advice(url)) from why
            time.sleep(_PAUSE_SECONDS * (1 + cuts))

    def read(self, adapter: TypeAdapter[V], document: Any) -> V:
        """A document as a value. Raises :class:`AnswerNotUnderstood`: the service is newer than these models."""
        try:
            return adapter.validate_python(document)
        except ValidationError as error:
            faults = [Fault(".".join(str(part) for part in one["loc"]) or "(answer)", one["msg"]) for one in error.errors(include_input=False)]
            raise AnswerNotUnderstood(self._service, faults) from error
