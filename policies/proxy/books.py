"""What the proxy knows of callers: principals and their keys, tenants with boundary and accounts, and which account a learnt AWS session acts in.

Files, read again when they change: ``proxy/principals.json`` ``{name: sha256 of key}``, ``proxy/tenants/<tenant>.json`` (docs/architecture.md).
Sessions are the proxy's own (``proxy/sessions.json``, mode 0600), so that a restart keeps them.
"""

from __future__ import annotations

import hmac
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from domain.boundary.call import Accounts
from domain.boundary.compiled import CompiledBoundary, compile
from domain.boundary.model import BoundaryDocumentError, load

PLATFORM = "platform"
Mode = Literal["learning", "advisory", "block"]
"""What happens to a call that the boundary refuses: ``learning`` passes and records it, ``advisory`` also tells the caller, ``block`` refuses it.

Whatever isn't a boundary's finding (another's account, an unknown host, what can't be read) is refused in every mode.
"""
_SESSIONS_KEPT = 4096
_RESCAN_SECONDS = 1.0
_SETTLED_NANOSECONDS = 50_000_000


@dataclass(frozen=True, slots=True)
class TenantBook:
    """One tenant. ``boundary`` is None while its file has faults: then everything of the tenant is refused."""

    name: str
    boundary: CompiledBoundary | None
    accounts: Accounts
    key_sha256: str
    fault: str = ""
    mode: Mode = "block"


@dataclass(frozen=True, slots=True)
class News:
    """A tenant whose boundary or mode changed while the proxy ran."""

    tenant: str
    digest: str
    what: str


class Books:
    """The files under ``proxy/`` of one state directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        # As texts: a path object costs more to make than the look at the file.
        self._folder = str(directory / "tenants")
        self._tenants: dict[str, TenantBook] = {}
        self._stamps: dict[str, tuple[int, int, int]] = {}
        self._folder_stamp: tuple[int, int, int] | None = None
        self._scanned = float("-inf")
        self._news: list[News] = []
        self._read_once = False
        self._principals: dict[str, str] = {}
        self._principals_stamp: tuple[int, int, int] | None = None
        self._owners: dict[tuple[str, str], list[str]] = {}
        self._sessions: dict[str, str] = _read(directory / "sessions.json")

    def knows(self, principal: str, key_sha256: str) -> bool:
        """Whether it is the hash (hex) of the principal's key."""
        self._refresh(principal)
        path = self._directory / "principals.json"
        stamp = _stamp(path)
        if stamp != self._principals_stamp:
            self._principals, self._principals_stamp = _read(path), stamp
        known = self._principals.get(principal) or (self._tenants[principal].key_sha256 if principal in self._tenants else "")
        return bool(known) and hmac.compare_digest(known.removeprefix("sha256:"), key_sha256)

    def tenant(self, name: str) -> TenantBook | None:
        """The tenant, or None."""
        self._refresh(name)
        return self._tenants.get(name)

    def owner(self, cloud: str, account: str) -> TenantBook | None:
        """The tenant who owns the account. An account that two tenants claim is nobody's."""
        key = (cloud, account.lower())
        owners = self._owners.get(key, [])
        self._refresh(owners[0] if len(owners) == 1 else None)
        owners = self._owners.get(key, [])
        return self._tenants[owners[0]] if len(owners) == 1 else None

    def claimed(self, cloud: str, account: str) -> bool:
        """Whether any tenant names the account."""
        self._refresh()
        return bool(self._owners.get((cloud, account.lower())))

    def news(self) -> list[News]:
        """What changed in boundaries and modes since this was last asked, for the audit."""
        found, self._news = self._news, []
        return found

    def session_account(self, access_key: str) -> str | None:
        """The AWS account that a learnt session acts in."""
        return self._sessions.get(access_key)

    def learn_session(self, access_key: str, account: str) -> None:
        """Keeps which account an AssumeRole's key acts in, over restarts too."""
        self._sessions.pop(access_key, None)
        self._sessions[access_key] = account
        while len(self._sessions) > _SESSIONS_KEPT:
            del self._sessions[next(iter(self._sessions))]
        path = self._directory / "sessions.json"
        temporary = path.with_suffix(".new")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(self._sessions, file)
        temporary.replace(path)

    def _refresh(self, asked: str | None = None) -> None:
        """Reads what changed. A tenant that is asked for is always looked at; the others where their directory changed, and once in :data:`_RESCAN_SECONDS`.

        Writers replace files by rename, which changes the directory; who writes in place is seen at the tenant's next call.
        """
        folder = self._folder
        stamp, now = _stamp(folder), time.monotonic()
        # Two renames in one tick of the file system's clock look like one: a directory that has just changed is read again.
        settled = stamp is not None and time.time_ns() - stamp[0] > _SETTLED_NANOSECONDS
        if stamp != self._folder_stamp or not settled or now - self._scanned > _RESCAN_SECONDS:
            self._folder_stamp, self._scanned = stamp, now
            self._scan({file.name[:-5]: _stamp(file) for file in os.scandir(folder) if file.name.endswith(".json")} if stamp else {})
        elif asked is not None and asked in self._stamps and (found := _stamp(f"{folder}/{asked}.json")) != self._stamps[asked]:
            self._scan({**self._stamps, asked: found})

    def _scan(self, stamps: Mapping[str, tuple[int, int, int] | None]) -> None:
        found = {name: stamp for name, stamp in stamps.items() if stamp}
        if found == self._stamps:
            return
        before, self._tenants = (
            self._tenants,
            {
                name: self._tenants[name] if self._stamps.get(name) == stamp else _tenant(name, _read(self._directory / "tenants" / f"{name}.json"))
                for name, stamp in found.items()
            },
        )
        if self._read_once:
            self._news += [news for name in sorted({*before, *self._tenants}) if (news := _news(name, before.get(name), self._tenants.get(name)))]
        self._read_once = True
        self._stamps = found
        self._owners = {}
        for tenant in self._tenants.values():
            for cloud, accounts in tenant.accounts.items():
                for account in accounts:
                    self._owners.setdefault((cloud, account.lower()), []).append(tenant.name)


def _news(name: str, before: TenantBook | None, after: TenantBook | None) -> News | None:
    said = [("none" if book is None else f"{book.boundary.digest if book.boundary else 'unreadable'} ({book.mode})") for book in (before, after)]
    return None if said[0] == said[1] else News(name, after.boundary.digest if after and after.boundary else "", f"boundary and mode: {said[0]} → {said[1]}")


def _tenant(name: str, record: dict[str, Any]) -> TenantBook:
    accounts = {
        cloud: frozenset(str(item).lower() if cloud == "azure" else str(item) for item in items) for cloud, items in (record.get("accounts") or {}).items()
    }
    key = str(record.get("key_sha256") or "")
    try:
        compiled = compile(load(record.get("boundary")))
    except BoundaryDocumentError as error:
        return TenantBook(name, None, accounts, key, str(error))
    if record.get("digest") not in {None, compiled.digest}:
        return TenantBook(name, None, accounts, key, f"its file names digest {record['digest']}, its boundary has {compiled.digest}")
    mode = record.get("mode", "block")
    if mode not in get_args(Mode):
        return TenantBook(name, None, accounts, key, f"its mode {mode!r} is none of {', '.join(get_args(Mode))}")
    return TenantBook(name, compiled, accounts, key, mode=mode)


def _stamp(path: str | Path | os.DirEntry[str]) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
