"""The platform in memory keeps the API's own contract: it answers each call of the SDK, with what the real API's document says it answers."""

from __future__ import annotations

import inspect
import json
import re
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from spotlane import client as sdk
from spotlane.testing import Served
from spotlane.testing.platform import KEY
from spotlane.testing.routes import AUTOMATION, ROUTES
from tests.spotlane.cli_program import SPEC, Shell, furnished, shell
from tests.spotlane.test_openapi import document

__all__ = ["document", "furnished", "shell"]
_NAMES = {"tenant": "acme", "workload": "web-acme", "placement": "acme_web_1", "migration": "acme_web_1", "key": "key_1", "digest": "sha256:" + "0" * 64}
_MISSING = {"upload", "part"}
"""Artifacts in parts aren't in the platform in memory: it takes them whole."""
_BODIES: dict[tuple[str, str], Any] = {
    ("PUT", "/v1/workloads/{workload}"): SPEC,
    ("POST", "/v1/tenants/{tenant}/keys"): {"scopes": ["tenant:read"]},
    ("POST", "/v1/keys"): {"scopes": ["platform:admin"]},
    ("POST", "/v1/keys/rotate"): {},
    ("POST", "/v1/tokens"): {"apiKey": KEY},
    ("POST", "/v1/placements/{placement}/credentials"): {},
}


def _described(document: Any) -> list[tuple[str, str, dict[str, Any]]]:
    return [(method.upper(), path, one) for path, methods in document["paths"].items() for method, one in methods.items()]


def _answered(method: str, path: str) -> bool:
    filled = re.sub(r"\{(\w+)\}", lambda name: _NAMES.get(name[1], "x"), path)
    return (method, path) == ("POST", "/v1/tokens") or any(verb == method and pattern.match(filled) for verb, pattern, _ in ROUTES)


def test_each_call_of_the_sdk_is_answered_but_for_parts_of_artifacts_and_what_if() -> None:
    missing = set()
    for kind, prefix in ((sdk.Client, "/v1"), (sdk.AutomationClient, f"{AUTOMATION}/v1")):
        # Method by method: a whole class is found by parsing its module, which Python 3.11 may refuse ("recursion depth mismatch") after other tests.
        source = "".join(inspect.getsource(one) for _, one in inspect.getmembers(kind, inspect.isfunction))
        calls = re.findall(r'session\.(?:one\(wire\.\w+, |call\()"(GET|PUT|POST|DELETE)", f?"([^"{][^"]*)"', source)
        calls += [("GET", path) for path in re.findall(r'session\.many\(wire\.\w+, f?"([^"]+)"', source)]
        assert len(calls) >= 10
        missing |= {(method, path) for method, path in calls if not _answered(method, prefix + re.sub(r"\{[\w.]+\}", "x", path))}
    assert missing == {("POST", "/artifacts/{digest}/uploads"), ("POST", "/whatifs")}


def test_what_it_answers_is_what_the_document_says(document: Any, furnished: Shell, spotlane_served: Served) -> None:
    headers = {"authorization": "Bearer token-of-platform"}
    asked = 0
    with httpx.Client(base_url=spotlane_served.url, headers=headers, trust_env=False) as http:
        for method, path, operation in _described(document):
            if not _answered(method, path) or (method != "GET" and (method, path) not in _BODIES):
                continue
            body = _BODIES.get((method, path))
            with http.stream(method, re.sub(r"\{(\w+)\}", lambda name: _NAMES[name[1]], path), json=body) as answer:
                said = operation["responses"].get(str(answer.status_code))
                if said is not None and "text/event-stream" in said["content"]:  # it doesn't end: what it begins with is enough
                    assert (answer.headers["content-type"], next(answer.iter_lines()).partition(":")[0]) == ("text/event-stream", "id"), path
                    continue
                answer.read()
            assert said is not None and answer.is_success, (method, path, answer.status_code, answer.text)
            schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "components": document["components"]}
            schema |= said["content"]["application/json"]["schema"]
            faults = [f"{fault.json_path}: {fault.message}" for fault in Draft202012Validator(schema).iter_errors(answer.json())]
            assert faults == [], (method, path)
            asked += 1
    assert asked >= 25


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/workloads/none-acme", 404), ("GET", "/v1/tenants/none", 404), ("DELETE", "/v1/tenants/acme", 409), ("PUT", "/v1/workloads/web-acme", 422)],
)
def test_what_it_refuses_is_a_problem_that_the_document_has(
    method: str, path: str, status: int, document: Any, furnished: Shell, spotlane_served: Served
) -> None:
    with httpx.Client(base_url=spotlane_served.url, headers={"authorization": "Bearer token-of-platform"}, trust_env=False) as http:
        answer = http.request(method, path, content=b"{}" if method == "PUT" else None)
    operations = {(verb, re.sub(r"\{\w+\}", "[^/]+", where)): one for verb, where, one in _described(document)}
    described = next(one for (verb, where), one in operations.items() if verb == method and re.fullmatch(where, path))
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert str(status) in described["responses"]
    assert json.loads(answer.text)["type"].startswith("https://spotlane.dev/problems/")


def test_without_a_token_nothing_is_told(spotlane_served: Served) -> None:
    answer = httpx.get(f"{spotlane_served.url}/v1/workloads", trust_env=False)
    assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[1]) == (401, "not-signed-in")
