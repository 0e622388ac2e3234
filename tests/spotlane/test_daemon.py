"""``spotlane daemon`` as a user sees it, against a service on loopback that keeps its holds."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from spotlane.cli.main import cli

NIGHT = "mon-fri 22:00-06:00 Europe/Berlin"
STAY = {"workload": "web-acme", "verdict": "stay", "reason": "held: web-acme is paused", "decision": None, "evidence": None}


class Service(http.server.BaseHTTPRequestHandler):
    """Edge and automation service in one."""

    holds: dict[tuple[str | None, str | None], dict[str, Any]] = {}
    calls: list[tuple[str, str]] = []

    def _answer(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
        kind = type(self)
        kind.calls.append((self.command, self.path))
        match self.command, self.path:
            case _, "/v1/tokens":
                answer: dict[str, Any] = {"accessToken": "t", "tokenType": "Bearer", "expiresIn": 900, "scopes": [], "refreshToken": None}
            case "GET", "/v1/holds":
                answer = {"items": list(kind.holds.values())}
            case "PUT", "/v1/holds":
                kind.holds[body.get("tenant"), body.get("workload")] = answer = body
            case _, "/v1/plans":
                answer = {"marketNow": "2026-01-01T00:00:00Z", "items": [STAY], "savingUsdPer30Days": 0.0}
            case _:
                answer = {"paused": body["paused"]}
        text = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = _answer

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Service]]:
    handler = type("Own", (Service,), {"holds": {}, "calls": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    for name, value in {"SPOTLANE_API_URL": f"{url}/v1", "SPOTLANE_AUTOMATION_URL": url, "SPOTLANE_API_KEY": "k", "COLUMNS": "160"}.items():
        monkeypatch.setenv(name, value)
    yield handler
    server.shutdown()
    server.server_close()


def daemon(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["daemon", *arguments])
    return result.exit_code, result.output


def test_a_workload_is_paused_and_keeps_its_windows(service: type[Service]) -> None:
    assert daemon("windows", "--workload", "web-acme", "--only", NIGHT)[0] == 0
    code, text = daemon("pause", "--workload", "web-acme")
    assert (code, "web-acme" in text, "paused" in text, NIGHT in text) == (0, True, True, True)
    held = service.holds[None, "web-acme"]
    assert (held["paused"], held["only"], held["never"]) == (True, [NIGHT], [])
    daemon("resume", "--workload", "web-acme")
    assert service.holds[None, "web-acme"]["only"] == [NIGHT] and not service.holds[None, "web-acme"]["paused"]


def test_without_a_name_the_platform_is_paused(service: type[Service]) -> None:
    assert daemon("pause") == (0, "the daemon is paused\n")
    assert ("POST", "/v1/daemon") in service.calls and not service.holds


def test_windows_without_any_are_taken_away(service: type[Service]) -> None:
    daemon("windows", "--tenant", "acme", "--never", NIGHT)
    daemon("windows", "--tenant", "acme")
    assert service.holds["acme", None]["never"] == []


def test_a_dry_run_says_what_is_held_and_begins_nothing(service: type[Service]) -> None:
    code, text = daemon("--dry-run")
    assert (code, "held: web-acme is paused" in text) == (0, True)
    assert ("POST", "/v1/ticks") not in service.calls


def test_holds_are_listed_as_json(service: type[Service]) -> None:
    daemon("pause", "--tenant", "acme")
    code, text = daemon("holds", "--json")
    assert (code, [one["tenant"] for one in json.loads(text)["items"]]) == (0, ["acme"])


@pytest.mark.parametrize("arguments", [("stop",), ("pause", "--only", NIGHT), ("pause", "--tenant", "acme", "--workload", "web-acme")])
def test_what_can_not_be_is_refused_before_anything_is_asked(service: type[Service], arguments: tuple[str, ...]) -> None:
    assert daemon(*arguments)[0] == 2
    assert service.calls == []
