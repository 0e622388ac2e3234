"""The time to the first URL counts from when the demo was asked for, the setup before it included."""

from __future__ import annotations

import time

import pytest

from demo.__main__ import _asked_at


@pytest.mark.parametrize(("told", "earlier"), [("", 5.0), ("nonsense", 5.0), ("-600", 600.0)])
def test_it_counts_from_the_make_that_asked_for_it_else_from_the_process(monkeypatch: pytest.MonkeyPatch, told: str, earlier: float) -> None:
    now = time.time()
    monkeypatch.setenv("SPOTLANE_DEMO_ASKED_AT", str(now - 600) if told == "-600" else told)
    assert now - _asked_at(time.monotonic() - 5.0) == pytest.approx(earlier, abs=1.0)
