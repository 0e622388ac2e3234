"""Requests: retried while the service is away, problems kept, tokens exchanged once."""

from __future__ import annotations

import httpx
import pytest

from spotlane import transport
from spotlane.errors import ApiProblem, NotSignedIn, Unreachable


def answering(*statuses: int) -> tuple[httpx.Client, list[httpx.Request]]:
    asked: list[httpx.Request] = []
    left = list(statuses)

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        status = left.pop(0) if len(left) > 1 else left[0]
        return httpx.Response(status, json={"accessToken": "t", "expiresIn": 900, "scopes": []})

    return httpx.Client(transport=httpx.MockTransport(answer)), asked


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_BACKOFF_SECONDS", 0.0)


def test_a_service_that_is_away_for_a_moment_is_asked_again() -> None:
    http, asked = answering(503, 502, 200)
    assert (transport.send(http, "edge API", "GET", "http://e/x").status_code, len(asked)) == (200, 3)


def test_no_answer_at_all_says_which_service_and_what_to_do() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    http = httpx.Client(transport=httpx.MockTransport(refuse))
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
        transport.raise_for_problem(httpx.Response(409, json=document, request=httpx.Request("GET", "http://e/x")))
    assert (caught.value.word, [finding.rule for finding in caught.value.findings]) == ("move-refused", ["residency"])


def test_names_under_localhost_are_loopback_and_keep_their_host_header() -> None:
    seen: list[tuple[str, str]] = []

    class Recorder(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            seen.append((request.url.host, request.headers["host"]))
            return httpx.Response(200)

    httpx.Client(transport=transport.LoopbackNames(Recorder())).get("http://api.spotlane.localhost:7700/v1")
    assert seen == [("127.0.0.1", "api.spotlane.localhost:7700")]
