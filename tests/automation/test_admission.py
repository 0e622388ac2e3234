"""Limits of unfinished runs: who is refused, who never is, and which runs of a tenant work side by side."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from dbos import DBOS
from hypothesis import given
from hypothesis import strategies as st

from automation.errors import TooManyRuns
from automation.runs.admission import Admission, Limits, lane, refusal, tenant_of_lane
from spotlane import wire
from tests.automation.service_process import runs_on

ROOT = Path(__file__).parents[2]
LIMITS = Limits(unfinished=10, unfinished_of_tenant=3)
STACK = wire.StackRef(kind="placement", tenant="acme", workload="web", generation=1)
REQUEST = wire.RunRequest(idempotency_key="a", stack=STACK, operation="up")


def test_a_tenant_at_its_limit_is_refused_and_another_is_not() -> None:
    refused = refusal(REQUEST, LIMITS, {"acme": 3})
    assert refused is not None and str(refused).startswith("tenant acme has 3 unfinished runs, its limit")
    assert refusal(REQUEST, LIMITS, {"acme": 2, "globex": 3}) is None


def test_the_platform_at_its_limit_refuses_everybody() -> None:
    refused = refusal(REQUEST, LIMITS, {"acme": 0, "globex": 10})
    assert refused is not None and refused.retry_after == 5 and "the platform has 10 unfinished runs" in str(refused)


@pytest.mark.parametrize("change", [{"priority": "interruption"}, {"priority": "health"}, {"operation": "destroy"}])
def test_what_saves_a_workload_or_makes_room_is_always_taken_in(change: dict[str, str]) -> None:
    assert refusal(REQUEST.model_copy(update=change), LIMITS, {"acme": 99}) is None


def test_what_is_taken_in_between_two_counts_counts() -> None:
    now, counts = [0.0], Counter({"placement.acme.web.1": 1, "acme/0": 1})
    admission = Admission(LIMITS, lambda: counts, lambda: now[0])
    admission.admit(REQUEST)
    with pytest.raises(TooManyRuns):
        admission.admit(REQUEST)
    counts.clear()
    now[0] = 1.5
    admission.admit(REQUEST)


@given(st.text("abcdefghij.-", min_size=1), st.integers(1, 64))
def test_a_stack_has_one_lane_of_its_tenants(stack: str, at_once: int) -> None:
    found = lane(stack, "acme", at_once)
    assert found == lane(stack, "acme", at_once) and tenant_of_lane(found) == "acme"
    assert found in {f"acme/{number}" for number in range(at_once)}


@pytest.mark.parametrize(("stack", "tenant"), [("placement.acme.web.1", "acme"), ("tenant.acme", "acme"), ("edge", "")])
def test_without_a_limit_of_its_own_a_stack_is_its_lane(stack: str, tenant: str) -> None:
    assert (lane(stack, "acme", None), tenant_of_lane(stack)) == (stack, tenant)


def submit(url: str, directory: Path) -> None:
    """Takes in four runs of as many stacks, to be worked on one by one; in a process of its own, which works on none of them."""
    runs = runs_on(url, "asker", directory, at_once=1)
    DBOS.launch()
    for number in range(1, 5):
        runs.submit(REQUEST.model_copy(update={"idempotency_key": f"k{number}", "stack": STACK.model_copy(update={"generation": number})}))
    DBOS.destroy(workflow_completion_timeout_sec=0)


def test_a_tenants_placements_are_worked_on_one_by_one_and_the_limit_stays_while_some_wait(tmp_path: Path) -> None:
    url, log = f"sqlite:///{tmp_path}/runs.sqlite", tmp_path / "engine.log"
    code = "import sys; from pathlib import Path; from tests.automation.test_admission import submit; submit(sys.argv[1], Path(sys.argv[2]))"
    subprocess.run([sys.executable, "-c", code, url, str(tmp_path)], cwd=ROOT, check=True)
    service = [sys.executable, "-m", "tests.automation.service_process", url, "local", str(tmp_path)]
    refused = subprocess.run(service, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (refused.returncode, "4 unfinished runs wait by another SPOTLANE_TENANT_RUNS" in refused.stderr, log.exists()) == (2, True, False)
    process = subprocess.Popen([*service, "1"], cwd=ROOT)
    try:
        limit = time.monotonic() + 60
        while not log.exists() or log.read_text().count("end ") < 4:
            assert time.monotonic() < limit
            time.sleep(0.1)
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 0
    assert [line.split()[0] for line in log.read_text().splitlines()] == ["begin", "end"] * 4
