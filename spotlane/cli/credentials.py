"""Where ``spotlane login`` keeps what it was given: the key in the operating system's keyring, or in a file that only its user may read; addresses beside it.

Nothing here prints a key, and no error's text has one.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from spotlane.errors import Fault, InvalidDocument

_SERVICE = "spotlane"
_PRIVATE = 0o600


@dataclass(frozen=True)
class Login:
    """A session: where the platform is, and where its key is kept."""

    api_url: str
    automation_url: str | None
    kept: Literal["keyring", "file"]


def folder(environ: Mapping[str, str]) -> Path:
    """The user's folder for Spotlane (XDG base directories)."""
    base = environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path(environ.get("HOME", str(Path.home()))) / ".config") / "spotlane"


def save(api_url: str, automation_url: str | None, key: str, environ: Mapping[str, str]) -> Login:
    """Keeps a session in place of the one before. Raises :class:`InvalidDocument` where the folder can't be written to."""
    forget(environ)
    kept: Literal["keyring", "file"] = "keyring" if _to_keyring(api_url, key) else "file"
    login = Login(api_url, automation_url, kept)
    where = folder(environ)
    try:
        where.mkdir(mode=0o700, parents=True, exist_ok=True)
        if kept == "file":
            _write(where / "key", key)
        _write(where / "login.json", json.dumps(asdict(login)))
    except OSError as error:
        raise InvalidDocument(str(where), [Fault("(folder)", f"can't be written to: {error.strerror}; set XDG_CONFIG_HOME to another")]) from error
    return login


def load(environ: Mapping[str, str]) -> Login | None:
    """The session, where there is one. Raises :class:`InvalidDocument` for a file that is none."""
    path = folder(environ) / "login.json"
    if not path.is_file():
        return None
    try:
        return Login(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise InvalidDocument(str(path), [Fault("(file)", "isn't what `spotlane login` writes; sign in again")]) from error


def key_of(login: Login, environ: Mapping[str, str]) -> str | None:
    """The session's key; None where it was taken away."""
    if login.kept == "file":
        path = folder(environ) / "key"
        return path.read_text() if path.is_file() else None
    import keyring  # only who has signed in by it pays for its start

    with suppress(keyring.errors.KeyringError):
        return keyring.get_password(_SERVICE, login.api_url)
    return None


def forget(environ: Mapping[str, str]) -> Login | None:
    """Takes the session and its key away; the session that was."""
    login, where = load(environ), folder(environ)
    if login is not None and login.kept == "keyring":
        import keyring  # as above

        with suppress(keyring.errors.KeyringError):
            keyring.delete_password(_SERVICE, login.api_url)
    for name in ("key", "login.json"):
        (where / name).unlink(missing_ok=True)
    return login


def _to_keyring(api_url: str, key: str) -> bool:
    import keyring  # as above

    try:
        keyring.set_password(_SERVICE, api_url, key)
        return keyring.get_password(_SERVICE, api_url) == key
    except keyring.errors.KeyringError:
        return False


def _write(path: Path, text: str) -> None:
    """Whole or not at all, readable by its user alone from its first byte (``mkstemp``)."""
    descriptor, made = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(text)
        Path(made).chmod(_PRIVATE)
        Path(made).replace(path)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise
