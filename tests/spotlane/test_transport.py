"""Requests: retried while the service is away, problems kept, tokens exchanged once."""

from __future__ import annotations

import json

import pytest

from spotlane import transport
from spotlane.errors import ApiProblem, NotSignedIn, Unreachable
from spotlane.exchange import Answer, Http, TransportError


def answering(*statuses: int) -> tuple[Http, list[str]]:
    asked: list[str] = []
    left = list(statuses)

    class Answering(Http):
        def request(self, method: str, url: str, **options: object) -> Answer:
            asked.append(f"{method} {url}")
            status = left.pop(0) if len(left) > 1 else left[0]
            return Answer(status, {}, b'{"accessToken": "t", "expiresIn": 900, "scopes": []}', asked[-1])

    return Answering(), asked


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_BACKOFF_SECONDS", 0.0)


def test_a_service_that_is_away_for_a_moment_is_asked_again() -> None:
    http, asked = answering(503, 502, 200)
    assert (transport.send(http, "edge API", "GET", "http://e/x").status_code, len(asked)) == (200, 3)


def test_no_answer_at_all_says_which_service_and_what_to_do() -> None:
    class Refusing(Http):
        def request(self, method: str, url: str, **options: object) -> Answer:
            raise TransportError("refused")

    http = Refusing()
    with pytest.raises(Unreachable, match=r"the edge API at http://127\.0\.0\.1:1/x does not answer \(refused\); start the local cloud"):
        transport.send(http, "edge API", "GET", "http://127.0.0.1:1/x")


def test_a_key_is_exchanged_once_and_renewed_before_its_token_expires() -> None:
    http, asked = answering(200)
    clock = [0.0]
    tokens = transport.TokenSource(http, "http://e/v1", "key", lambda: clock[0])
    for moment in (0.0, 800.0, 841.0):
        clock[0] = moment
        assert tokens.header() == "Bearer t"
    assert len(asked) == 2


def test_an_unknown_key_is_said_to_be_unknown() -> None:
    http, _ = answering(401)
    with pytest.raises(NotSignedIn, match="isn't known"):
        transport.TokenSource(http, "http://e/v1", "key").header()


def test_a_problem_keeps_its_word_and_findings() -> None:
    document = {
        "type": "https://spotlane.dev/problems/move-refused",
        "title": "The move was refused",
        "status": 409,
        "findings": [{"rule": "residency", "severity": "critical", "enforcement": "mandatory", "resource": "web-acme", "message": "outside"}],
    }
    with pytest.raises(ApiProblem) as caught:
        transport.raise_for_problem(Answer(409, {}, json.dumps(document).encode(), "GET /x"))
    assert (caught.value.word, [finding.rule for finding in caught.value.findings]) == ("move-refused", ["residency"])


def test_an_answer_that_is_no_problem_document_is_told_by_what_was_asked() -> None:
    with pytest.raises(ApiProblem, match="GET /x answered 502"):
        transport.raise_for_problem(Answer(502, {}, b"<html>", "GET /x"))
