"""What is said of how long something will take."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from spotlane import wire
from spotlane.cli import waiting
from spotlane.testing import Served
from tests.spotlane.cli_program import Shell, furnished, shell

__all__ = ["furnished", "shell"]
BEGIN = datetime(2026, 3, 10, tzinfo=UTC)
UP = wire.RunRequest(idempotency_key="k", stack=wire.StackRef(kind="tenant", tenant="acme"), operation="up")


def run(stack: str, seconds: float | None, **changed: object) -> wire.Run:
    end = None if seconds is None else BEGIN + timedelta(seconds=seconds)
    known = {"id": "r", "stack": stack, "operation": "up", "status": "succeeded", "error": None, "changes": {}, "findings": [], "outputs": {}}
    return wire.Run.model_validate({**known, "accepted_at": BEGIN, "started_at": BEGIN, "finished_at": end, **changed})


def test_it_is_the_median_of_the_same_operation_on_stacks_of_the_same_kind() -> None:
    runs = [run("tenant.a", 10), run("tenant.b", 12), run("tenant.c", 300), run("edge", 1), run("tenant.d", 1, operation="destroy")]
    runs += [run("tenant.e", 1, status="failed"), run("tenant.f", None)]
    assert waiting.usual_of_runs(runs, UP) == "usually 12 s"


def test_what_was_never_done_is_not_guessed_and_long_ones_are_told_in_minutes() -> None:
    assert waiting.usually([]) == waiting.usually([(BEGIN, None)]) == ""
    assert waiting.usually([(BEGIN, BEGIN + timedelta(seconds=150))]) == "usually 2 min"
    assert waiting.usually([(BEGIN, BEGIN)]) == "usually 1 s"


def test_a_command_that_waits_says_so_first(furnished: Shell, spotlane_served: Served) -> None:
    furnished.run("tenant", "add", "-f", "tenant.yaml", columns=200)
    assert "up tenant.acme … (usually 2 s)" in furnished.error
    spotlane_served.platform.fail("GET", "/runs", 403, "forbidden")
    furnished.run("tenant", "add", "-f", "tenant.yaml", columns=200)
    assert furnished.code == 0 and "up tenant.acme …\n" in furnished.error
