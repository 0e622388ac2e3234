"""Keys, tokens and what was revoked, as they travel."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from spotlane.wire.base import TenantId, Wire

Scope = Literal["platform:admin", "service:automation", "tenant:admin", "tenant:deploy", "tenant:read"]
"""What a key may do: ``tenant:admin`` holds ``tenant:deploy``, that holds ``tenant:read``; ``platform:admin`` holds them for every tenant."""


class KeyRequest(Wire):
    """A key to make. Without ``expires_at`` it lasts until it is revoked."""

    name: str = Field(default="", max_length=100)
    scopes: list[Scope] = Field(default=["tenant:read"], min_length=1)
    expires_at: datetime | None = None


class ApiKey(Wire):
    """A key as shown once, at its creation; only its hash is kept."""

    id: str
    tenant: TenantId | None
    name: str = ""
    scopes: list[Scope]
    expires_at: datetime | None = None
    key: str


class KeyInfo(Wire):
    """A key as it is listed, without its secret. ``last_used_at`` is true to the hour; ``created_by`` is the subject that made it."""

    id: str
    tenant: TenantId | None
    name: str
    scopes: list[Scope]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    last_used_at: datetime | None


class TokenRequest(Wire):
    """An API key to exchange. With ``refresh`` the answer carries a refresh token, by which a session goes on without the key."""

    api_key: str = Field(min_length=1, max_length=512)
    refresh: bool = False


class RefreshRequest(Wire):
    """A refresh token; it is good for one use, and its answer carries the next one."""

    refresh_token: str = Field(min_length=1, max_length=512)


class TokenRevocation(Wire):
    """A token that its holder gives back, access or refresh (RFC 7009); a refresh token takes its whole family with it."""

    token: str = Field(min_length=1, max_length=8192)


class Revocation(Wire):
    """Whose tokens are refused from now on: of a subject (a key, which is deleted, or a placement), or the one token with this ``jti``."""

    subject: str | None = Field(default=None, min_length=1, max_length=120)
    jti: str | None = Field(default=None, min_length=1, max_length=120)


class Revoked(Wire):
    """A subject or ``jti`` that is refused until then; without ``tenant`` it is the platform's."""

    tenant: TenantId | None
    subject: str
    until: datetime


class Token(Wire):
    """An access token; ``expires_in`` in seconds."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: int
    scopes: list[str]
    refresh_token: str | None = None


class PlacementCredentials(Wire):
    """What a machine is given: its token, and the key (hex) by which it knows requests that came through the edge (``SPOTLANE_ORIGIN_KEY``)."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: int
    scopes: list[str]
    origin_key: str = Field(repr=False)


class KeyRotation(Wire):
    """Whether tokens of the signing keys until now are refused: only after a signing key has leaked."""

    revoke_old: bool = False


class SigningKey(Wire):
    """A public signing key's life; ``retires_at`` is null while nothing has replaced it."""

    kid: str
    created_at: datetime
    signs_from: datetime
    retires_at: datetime | None


class SigningKeys(Wire):
    """The signing keys that are published, newest first."""

    keys: list[SigningKey]
