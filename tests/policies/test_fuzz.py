"""The decoders under fuzzing: 10 seconds here, 5 minutes by ``make soak``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.policies.fuzz import Campaign, books, campaign


def _clean(found: Campaign) -> None:
    assert found.crashes[:3] == [], f"seed {found.seed}"
    assert found.leaks[:3] == [], f"seed {found.seed}"
    assert min(found.outcomes[word] for word in ("allowed", "denied", "unreadable")) > 0


def test_nothing_but_verdicts_and_refusals_and_nothing_forbidden_allowed(tmp_path: Path) -> None:
    _clean(campaign(10.0, 8, books(tmp_path)))


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_the_same_for_five_minutes(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if "soak" not in str(request.config.getoption("-m")):
        pytest.skip("a long campaign: make soak")
    _clean(campaign(300.0, int.from_bytes(os.urandom(4), "big"), books(tmp_path)))
