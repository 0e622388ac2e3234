"""The warm language host is used while it takes connections; else the engine is left to start its own."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from automation.runs.language_host import ATTACHED, usable
from tests.ports import free_port


@pytest.fixture
def port() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_one_that_listens_is_attached_to(port: int) -> None:
    environment = {ATTACHED: f"python:{port}", "PATH": "/bin"}
    assert usable(environment) == environment


@pytest.mark.parametrize("named", ["python:{closed}", "python:{port},nodejs:{closed}", "python"])
def test_one_that_is_away_is_not_waited_for(port: int, named: str) -> None:
    environment = {ATTACHED: named.format(port=port, closed=free_port()), "PATH": "/bin"}
    assert usable(environment) == {"PATH": "/bin"}


def test_without_one_nothing_changes() -> None:
    assert usable({"PATH": "/bin"}) == {"PATH": "/bin"}
