"""``spotlane doctor`` as a user sees it, against a service on loopback that keeps its orphans until they are removed."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from spotlane.cli.main import cli

ORPHAN = {"tenant": "acme", "cloud": "aws", "account": "1", "region": "eu-west-1", "kind": "instance", "id": "i-1", "stack": "placement.acme.web.3"}
ORPHAN |= {"reason": "no-stack", "detail": "its stack placement.acme.web.3 doesn't exist", "outcome": "found"}
CHECK = {"part": "aws", "name": "credentials", "status": "ok", "detail": "MasterAccountId 1", "remedy": ""}


class Service(http.server.BaseHTTPRequestHandler):
    """Edge and automation service in one."""

    orphans: list[dict[str, Any]] = []
    checks: list[dict[str, Any]] = []

    def _answer(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
        kind = type(self)
        match self.path:
            case "/v1/tokens":
                answer: dict[str, Any] = {"accessToken": "t", "tokenType": "Bearer", "expiresIn": 900, "scopes": [], "refreshToken": None}
            case "/v1/preflight":
                answer = {"ready": all(one["status"] != "failed" for one in kind.checks), "checks": kind.checks}
            case _:
                left, kind.orphans = kind.orphans, [] if body["remove"] else kind.orphans
                answer = {"orphans": [one | ({"outcome": "removed"} if body["remove"] else {}) for one in left], "accounts": 2}
        text = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = _answer

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Service]]:
    handler = type("Own", (Service,), {"orphans": [], "checks": [CHECK]})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    for name, value in {"SPOTLANE_API_URL": f"{url}/v1", "SPOTLANE_AUTOMATION_URL": url, "SPOTLANE_API_KEY": "k", "COLUMNS": "160"}.items():
        monkeypatch.setenv(name, value)
    yield handler
    server.shutdown()
    server.server_close()


def doctor(*arguments: str, answer: str = "") -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["doctor", *arguments], input=answer)
    return result.exit_code, result.stdout


def test_a_platform_in_order_is_zero(service: type[Service]) -> None:
    code, text = doctor()
    assert (code, "no orphans in 2 accounts" in text, "MasterAccountId 1" in text) == (0, True, True)


def test_a_failed_check_is_one_and_says_what_to_do(service: type[Service]) -> None:
    service.checks = [CHECK | {"status": "failed", "detail": "no AWS credentials", "remedy": "set AWS_ROLE_ARN"}]
    code, text = doctor("--preflight")
    assert (code, "no AWS credentials; set AWS_ROLE_ARN" in text) == (1, True)


def test_orphans_are_shown_and_stay_until_they_are_told_to_go(service: type[Service]) -> None:
    service.orphans = [ORPHAN]
    code, text = doctor("--sweep")
    assert (code, "i-1" in text, service.orphans) == (1, True, [ORPHAN])
    code, text = doctor("--remove", "--yes")
    assert (code, "removed" in text, service.orphans) == (0, True, [])


def test_json_is_one_document_with_both_parts(service: type[Service]) -> None:
    code, text = doctor("--json")
    document = json.loads(text[text.index("{") :])
    assert (code, sorted(document), document["preflight"]["ready"], document["sweep"]["orphans"]) == (0, ["preflight", "sweep"], True, [])


@pytest.mark.parametrize("arguments", [("--preflight", "--sweep"), ("--here",), ("--remove",), ("--remove", "--json")])
def test_what_does_not_go_together_is_refused_before_anything_is_asked(service: type[Service], arguments: tuple[str, ...]) -> None:
    service.orphans = [ORPHAN]
    assert doctor(*arguments)[0] == 2
    assert service.orphans == [ORPHAN]
