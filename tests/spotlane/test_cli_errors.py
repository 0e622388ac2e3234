"""What the command line says when something is wrong: a plain sentence, the next step, a stable exit code, never a trace."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from spotlane import wire
from spotlane.cli import main, output, status, watching
from spotlane.errors import InvalidDocument
from spotlane.exchange import Answer
from spotlane.testing import Served
from tests.spotlane.cli_program import Shell, furnished, shell

__all__ = ["furnished", "shell"]


def test_an_unknown_workload_is_told_with_the_name_it_was_likely_meant_for(furnished: Shell) -> None:
    furnished.run("workload", "show", "wep-acme")
    assert (furnished.code, furnished.error) == (2, "error: No such thing: wep-acme\n  next: did you mean 'web-acme'?\n")
    furnished.run("explain", "web")
    assert "did you mean 'web-acme'?" in furnished.error
    furnished.run("workload", "show", "quite-another")
    assert "`spotlane workload ls` lists those that there are" in furnished.error


@pytest.mark.parametrize(
    ("arguments", "step"),
    [
        (("key", "rm", "kye_1", "--tenant", "acme"), "did you mean 'key_1'?"),
        (("key", "rm", "other", "--tenant", "acme"), "`spotlane key ls` lists those that there are"),
        (("key", "ls", "--tenant", "acne"), "did you mean 'acme'?"),
        (("runs", "show", "run1"), "did you mean 'run_1'?"),
    ],
)
def test_keys_tenants_and_runs_are_suggested_too_and_a_name_that_is_right_is_not(arguments: tuple[str, ...], step: str, furnished: Shell) -> None:
    furnished.run(*arguments)
    assert (furnished.code, furnished.error.splitlines()[1:]) == (2, [f"  next: {step}"])


def test_the_console_is_found_from_the_apis_address_and_no_other_is_guessed() -> None:
    assert watching.console_of("https://api.example.com:8443/v1") == "https://console.example.com:8443/"
    with pytest.raises(InvalidDocument, match="isn't https://api"):
        watching.console_of("http://127.0.0.1:1/v1")


def test_a_wrong_key_is_told_with_how_to_sign_in_and_never_shown(furnished: Shell) -> None:
    furnished.monkeypatch.setenv("SPOTLANE_API_KEY", "spk_wrong_secret")
    furnished.run("status")
    assert furnished.code == 2
    assert "next: sign in with `spotlane login`" in furnished.error
    assert "spk_wrong_secret" not in furnished.error


def test_a_session_that_has_ended_is_told_so(furnished: Shell, spotlane_served: Served) -> None:
    spotlane_served.platform.fail("GET", "/workloads", 401, "not-signed-in", "A valid token is needed", times=2)
    furnished.run("workload", "ls", columns=200)
    assert (furnished.code, "sign in again with `spotlane login`" in furnished.error) == (2, True)


def test_a_missing_scope_is_told_so(furnished: Shell, spotlane_served: Served) -> None:
    spotlane_served.platform.fail("GET", "/workloads", 403, "forbidden", "The token's scopes don't allow this")
    furnished.run("workload", "ls")
    assert (furnished.code, "spotlane key ls" in furnished.error) == (2, True)


def test_a_server_that_is_down_is_told_with_its_address(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spotlane.transport._BACKOFF_SECONDS", 0.0)
    monkeypatch.setenv("SPOTLANE_API_URL", "http://127.0.0.1:9/v1")
    shell.run("status")
    assert shell.code == 2
    assert "http://127.0.0.1:9/v1" in shell.error and "spotlane local up" in shell.error


def test_a_platform_that_is_newer_is_told_so_with_the_field_and_without_its_value(furnished: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Answer.json

    def newer(answer: Answer) -> object:
        told = real(answer)
        return {**told, "colour": "secret-value"} if answer.asked.endswith("/web-acme") else told

    monkeypatch.setattr(Answer, "json", newer)
    furnished.run("explain", "web-acme")
    assert furnished.code == 1
    assert "colour" in furnished.error and "secret-value" not in furnished.error
    assert "next: bring this program to the platform's version" in furnished.error


def test_a_platform_that_is_older_is_told_so(furnished: Shell, spotlane_served: Served) -> None:
    spotlane_served.platform.fail("GET", "/workloads/web-acme", 404, "unknown-call", "No such resource")
    furnished.run("explain", "web-acme")
    assert (furnished.code, "older than this program" in furnished.error) == (2, True)


def test_a_tenant_whose_accounts_failed_is_told_as_half_done_with_how_to_go_on(furnished: Shell, spotlane_served: Served) -> None:
    spotlane_served.platform.fail("POST", "/runs", 503, "unavailable", "A part is away", times=9)
    furnished.monkeypatch.setattr("spotlane.transport._BACKOFF_SECONDS", 0.0)
    furnished.run("tenant", "add", "-f", "tenant.yaml")
    assert furnished.code == 1
    assert "tenant acme is stored, its accounts aren't made yet; run this command again, and it goes on from there" in furnished.error.replace("\n", " ")


def test_a_file_with_faults_is_told_fault_by_fault_with_its_lines(furnished: Shell) -> None:
    Path("workload.yaml").write_text("apiVersion: spotlane/v1\nkind: Workload\nmetadata: {name: shop, tenant: acme}\nspec:\n  comand: [x]\n  ports: {}\n")
    furnished.run("workload", "apply", "-f", "workload.yaml", columns=200)
    assert furnished.code == 2
    assert "line 5: spec.comand: unknown field" in furnished.error and "spec.artifact: is required" in furnished.error


def test_ctrl_c_while_it_waits_ends_with_130_and_says_what_goes_on(furnished: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(bell: status.Bell) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(status.Bell, "wait", interrupted)
    furnished.run("logs", "web-acme", "--follow")
    assert (furnished.code, "what the platform has accepted goes on" in furnished.error) == (130, True)


def test_a_fault_of_the_program_itself_shows_no_trace(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPOTLANE_DEBUG", raising=False)
    main._unforeseen(ValueError, ValueError("odd"), None)
    told = capsys.readouterr().err
    assert "failed where it shouldn't: ValueError: odd" in told and "Traceback" not in told


def test_text_is_coloured_on_no_pipe_and_a_row_is_one_line_there(furnished: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    assert re.search(r"\x1b\[", furnished.run("status")) is None
    monkeypatch.delenv("COLUMNS")
    rows = furnished.capsys and _uncolumned(furnished)
    assert [len(re.findall(r"net in 720 h", row)) for row in rows[1:3]] == [1, 1]


def test_brackets_in_a_reason_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("WHY",), [("[red]none[/red]",)], "")
    output.say("[bold]x")
    assert capsys.readouterr().out.split("\n")[1:3] == ["[red]none[/red]", "[bold]x"]


def _uncolumned(shell: Shell) -> list[str]:
    from tests.spotlane.cli_program import PROGRAM

    shell.capsys.readouterr()
    with pytest.raises(SystemExit):
        PROGRAM(["status"], prog_name="spotlane")
    return shell.capsys.readouterr().out.splitlines()


def test_a_workload_that_serves_again_is_counted_healthy(furnished: Shell, spotlane_served: Served) -> None:
    platform = spotlane_served.platform
    platform.workloads["api-acme"] = platform.workloads["api-acme"].model_copy(update={"state": wire.WorkloadState.UNHEALTHY})
    assert "health: 1 of 2 serve; api-acme is UNHEALTHY" in furnished.run("status", columns=200)


def test_a_workload_that_is_being_removed_is_told_so_with_when_to_come_again(furnished: Shell, spotlane_served: Served) -> None:
    Path("workload.yaml").write_text(
        "apiVersion: spotlane/v1\nkind: Workload\nmetadata: {name: web, tenant: acme}\nspec:\n"
        "  image: registry.example/web@sha256:" + "0" * 64 + "\n  ports: {http: 8080}\n  resources: {vcpu: 2, memoryGib: 4}\n"
    )
    spotlane_served.platform.fail("PUT", "/workloads/web-acme", 409, "stopping", "The workload is being removed")
    furnished.run("workload", "apply", "-f", "workload.yaml", columns=200)
    assert furnished.error.splitlines()[-1] == "  next: wait until it is gone (`spotlane watch`), then try again"
    assert furnished.code == 2
