"""The SDK's client against a service that keeps state: pages, artifacts in parts, what must be done once."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

import httpx
import pytest

from spotlane import client as sdk
from spotlane import transport, wire
from spotlane.client import Client
from spotlane.errors import ApiProblem

_PART = 10


@dataclass
class Edge:
    """As much of the edge API as the tests need; ``fails`` are statuses that the next requests get instead of an answer, by path's end."""

    tenants: list[str] = field(default_factory=list)
    parts: dict[int, bytes] = field(default_factory=dict)
    artifacts: dict[str, bytes] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    fails: dict[str, list[int]] = field(default_factory=dict)
    asked: list[httpx.Request] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        path, query = request.url.path.removeprefix("/v1"), request.url.params
        for end, statuses in self.fails.items():
            if path.endswith(end) and statuses:
                status = statuses.pop(0)
                headers = {"retry-after": "0"} if status in (409, 429) else {}
                body = {"type": "https://spotlane.dev/problems/idempotency-in-progress", "title": "The same request is being done", "status": status}
                return httpx.Response(status, json=body, headers=headers)
        if path == "/tokens":
            return httpx.Response(200, json={"accessToken": "t", "tokenType": "Bearer", "expiresIn": 900, "scopes": [], "refreshToken": None})
        if path == "/tenants":
            start = int(query.get("cursor", "0"))
            shown = self.tenants[start : start + 2]
            items = [{"id": one, "boundary": {}, "boundaryDigest": "sha256:" + "0" * 64} for one in shown]
            return httpx.Response(200, json={"items": items, "next": str(start + 2) if start + 2 < len(self.tenants) else None})
        if path.endswith("/keys"):
            key = self.keys.setdefault(request.headers["idempotency-key"], f"spk_{len(self.keys) + 1}")
            asked = json.loads(request.content)
            return httpx.Response(201, json={"id": "key_1", "tenant": "acme", "name": asked["name"], "scopes": asked["scopes"], "expiresAt": None, "key": key})
        if path.endswith("/uploads"):
            size = json.loads(request.content)["sizeBytes"]
            upload = {"id": "up_1", "digest": path.split("/")[2], "sizeBytes": size, "partSizeBytes": _PART, "parts": [], "expiresAt": "2026-01-01T00:00:00Z"}
            return httpx.Response(201, json=upload)
        if "/parts/" in path:
            self.parts[int(path.rsplit("/", 1)[1])] = request.content
            return httpx.Response(200, json={"number": 1, "sizeBytes": len(request.content)})
        if path.endswith("/complete"):
            self.artifacts[path.split("/")[2]] = b"".join(self.parts[number] for number in sorted(self.parts))
            return httpx.Response(204)
        if request.method == "PUT" and path.startswith("/artifacts/"):
            self.artifacts[path.split("/")[2]] = request.content
            return httpx.Response(204)
        return httpx.Response(204 if request.method == "DELETE" else 404, json={"type": "about:blank", "title": "Not here", "status": 404})


@pytest.fixture
def edge() -> Edge:
    return Edge()


@pytest.fixture
def client(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(transport, "_BACKOFF_SECONDS", 0.0)
    monkeypatch.setattr(sdk, "client", lambda timeout_seconds: httpx.Client(transport=httpx.MockTransport(edge.answer)))
    return Client("http://api.edge.test/v1", "key")


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def test_a_listing_is_read_over_all_its_pages_and_no_further_than_it_is_read(edge: Edge, client: Client) -> None:
    edge.tenants = [f"t{number}" for number in range(5)]
    assert [one.id for one in client.tenants()] == edge.tenants
    before = len(edge.asked)
    listing = client.tenants()
    assert len(edge.asked) == before
    assert next(iter(listing)).id == "t0"
    assert len(edge.asked) == before + 1
    assert [one.id for one in listing] == [one.id for one in listing] == edge.tenants


def test_a_small_artifact_goes_at_once_and_says_whose_it_is(edge: Edge, client: Client) -> None:
    client.put_artifact(_digest(b"small"), b"small", "acme")
    assert edge.artifacts == {_digest(b"small"): b"small"}
    assert edge.asked[-1].url.params["tenant"] == "acme"


def test_a_large_artifact_goes_in_parts(edge: Edge, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdk, "_WHOLE_BYTES", 20)
    content = bytes(range(25))
    client.put_artifact(_digest(content), content)
    assert edge.artifacts == {_digest(content): content}
    assert {number: len(part) for number, part in edge.parts.items()} == {1: 10, 2: 10, 3: 5}


def test_an_upload_that_fails_is_given_up(edge: Edge, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdk, "_WHOLE_BYTES", 20)
    edge.fails = {"/complete": [422]}
    with pytest.raises(ApiProblem):
        client.put_artifact(_digest(b"x" * 25), b"x" * 25)
    assert (edge.asked[-1].method, edge.asked[-1].url.path.rsplit("/", 1)[1]) == ("DELETE", "up_1")


def test_a_key_whose_answer_was_lost_is_made_once(edge: Edge, client: Client) -> None:
    edge.fails = {"/keys": [503, 409]}
    assert client.create_key("acme", ["tenant:read"], name="ci").key == "spk_1"
    sent = [one.headers["idempotency-key"] for one in edge.asked if one.url.path.endswith("/keys")]
    assert (len(sent), len(set(sent))) == (3, 1)
    assert client.create_key("acme", ["tenant:read"]).key == "spk_2"


def test_a_conflict_that_names_no_time_is_not_tried_again() -> None:
    answers = [httpx.Response(409), httpx.Response(200)]
    http = httpx.Client(transport=httpx.MockTransport(lambda request: answers.pop(0)))
    assert transport.send(http, "edge API", "POST", "http://e/x").status_code == 409


def test_an_origin_key_is_not_shown() -> None:
    credentials = wire.PlacementCredentials(access_token="a", expires_in=1, scopes=[], origin_key="0f" * 32)
    assert "0f0f" not in repr(credentials)
