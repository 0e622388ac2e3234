"""Options of the whole suite."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The same examples in every run, so that a change is judged by what it changed; `make soak` looks for new ones. How long an example takes is no matter of a
# test's: a busy machine would decide it.
settings.register_profile("seeded", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("search", derandomize=False, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("seeded")


pytest_plugins = ["spotlane.testing.plugin"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regenerate", action="store_true", help="writes the command line's goldens anew in place of comparing with them")
    parser.addoption(
        "--data",
        type=Path,
        metavar="DIR",
        help="directory of reference data: regions.csv, jurisdictions.csv, market/fixtures; tests that need it are skipped without",
    )


@pytest.fixture
def data(request: pytest.FixtureRequest) -> Path:
    """The directory of reference data; the test is skipped where none is given."""
    directory: Path | None = request.config.getoption("--data")
    if directory is None:
        pytest.skip("no --data DIR")
    return directory
