"""Options of the whole suite."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
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
