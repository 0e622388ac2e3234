"""``spotlane login``: where the key is kept, and what is left of it."""

from __future__ import annotations

import io
import stat
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail
from keyring.errors import PasswordDeleteError

from spotlane.testing import Served
from spotlane.testing.platform import KEY
from tests.spotlane.cli_program import Shell, furnished, shell

__all__ = ["furnished", "shell"]


class Memory(KeyringBackend):
    """A keyring of this test alone."""

    priority = 1  # type: ignore[assignment]  # a class property in the base

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if (service, username) not in self.kept:
            raise PasswordDeleteError("not there")
        del self.kept[service, username]


@pytest.fixture
def memory() -> Iterator[Memory]:
    backend = Memory()
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(fail.Keyring())


def sign_in(shell: Shell, served: Served, key: str = KEY) -> str:
    """Signs in by standard input, in an environment that names nothing."""
    shell.monkeypatch.setattr("sys.stdin", io.StringIO(f"{key}\n"))
    for name in ("SPOTLANE_API_URL", "SPOTLANE_API_KEY", "SPOTLANE_AUTOMATION_URL"):
        shell.monkeypatch.delenv(name, raising=False)
    addresses = served.environment
    return shell.run(
        "login", "--url", addresses["SPOTLANE_API_URL"], "--automation-url", addresses["SPOTLANE_AUTOMATION_URL"], "--key-stdin", columns=300
    )  # fmt: skip


def test_the_key_is_in_the_keyring_only_and_commands_find_it_there(memory: Memory, furnished: Shell, spotlane_served: Served) -> None:
    told = sign_in(furnished, spotlane_served)
    assert furnished.code == 0 and "the key is in the system's keyring" in told
    assert KEY not in told + furnished.error
    assert list(memory.kept.values()) == [KEY]
    assert all(KEY not in path.read_text() for path in Path("config").rglob("*") if path.is_file())
    assert "web-acme" in furnished.run("status")


def test_without_a_keyring_it_is_in_a_file_that_its_user_alone_may_read(furnished: Shell, spotlane_served: Served) -> None:
    keyring.set_keyring(fail.Keyring())
    sign_in(furnished, spotlane_served)
    path = Path("config/spotlane/key")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == (KEY, 0o600)
    assert "web-acme" in furnished.run("plan")


def test_signing_out_leaves_nothing_and_commands_say_how_to_sign_in(memory: Memory, furnished: Shell, spotlane_served: Served) -> None:
    sign_in(furnished, spotlane_served)
    assert f"signed out of {spotlane_served.url}/v1" in furnished.run("logout")
    assert memory.kept == {} and [path for path in Path("config").rglob("*") if path.is_file()] == []
    furnished.run("status")
    assert (furnished.code, "next: sign in with `spotlane login`" in furnished.error) == (2, True)
    assert furnished.run("logout") == "you weren't signed in\n"


def test_a_key_that_is_wrong_is_kept_nowhere_and_the_session_before_stays(memory: Memory, furnished: Shell, spotlane_served: Served) -> None:
    sign_in(furnished, spotlane_served)
    sign_in(furnished, spotlane_served, "spk_wrong")
    assert furnished.code == 2 and "spk_wrong" not in furnished.error
    assert list(memory.kept.values()) == [KEY]


def test_the_environment_stands_before_the_login(memory: Memory, furnished: Shell, spotlane_served: Served) -> None:
    sign_in(furnished, spotlane_served)
    furnished.monkeypatch.setenv("SPOTLANE_API_URL", "http://127.0.0.1:9/v1")
    furnished.monkeypatch.setattr("spotlane.transport._BACKOFF_SECONDS", 0.0)
    furnished.run("status")
    assert furnished.code == 2 and "no API key" in furnished.error
