"""Verifies the edge's tokens (JWT, ES256) against its public keys, which are fetched and kept for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx
import jwt

from spotlane.transport import client


class InvalidToken(Exception):
    """The token is missing, expired, not ours, or signed by an unknown key."""


@dataclass(frozen=True)
class Principal:
    """Who calls: the subject, its scopes and, for a tenant's token, the tenant."""

    subject: str
    scopes: frozenset[str]
    tenant: str | None

    def may_act_for(self, tenant: str, *scopes: str) -> bool:
        """Whether this principal may do what needs one of ``scopes`` for ``tenant``."""
        if "platform:admin" in self.scopes:
            return True
        return self.tenant == tenant and bool(self.scopes.intersection(scopes))


class TokenVerifier:
    """Keeps the edge's keys, and what it has revoked, for ``keep_seconds``; an unknown ``kid`` asks again at once, at most every second."""

    def __init__(
        self, jwks_url: str, issuer: str, keep_seconds: float, http: httpx.Client | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = jwks_url
        self._issuer = issuer
        self._keep = keep_seconds
        self._http = http or client(5.0)
        self._monotonic = monotonic
        self._keys: dict[str, jwt.PyJWK] = {}
        self._revoked: frozenset[str] = frozenset()
        self._fetched = float("-inf")
        self._lock = threading.Lock()

    def verify(self, authorization: str | None) -> Principal:
        """The principal of an ``Authorization`` header. Raises :class:`InvalidToken`."""
        if not authorization or not authorization.lower().startswith("bearer "):
            raise InvalidToken("a bearer token is needed; exchange an API key at POST <api>/v1/tokens")
        token = authorization[7:].strip()
        try:
            kid = jwt.get_unverified_header(token).get("kid", "")
            key = self._key(kid)
            claims = jwt.decode(
                token, key.key, algorithms=["ES256"], issuer=self._issuer, options={"verify_aud": False, "require": ["exp", "iss", "sub"]}, leeway=5
            )
        except jwt.PyJWTError as error:
            raise InvalidToken(f"the token isn't valid: {error}") from error
        if self._revoked.intersection({str(claims["sub"]), str(claims.get("jti", ""))}):
            raise InvalidToken("the token was revoked; exchange an API key for another")
        scopes = claims.get("scope", claims.get("scopes", []))
        listed = scopes.split() if isinstance(scopes, str) else [str(scope) for scope in scopes]
        tenant = claims.get("tenant")
        return Principal(str(claims["sub"]), frozenset(listed), str(tenant) if tenant else None)

    def _key(self, kid: str) -> jwt.PyJWK:
        with self._lock:
            now = self._monotonic()
            age = now - self._fetched
            if age > self._keep or (kid not in self._keys and age > 1.0):
                self._refresh(now)
            if kid not in self._keys:
                raise InvalidToken("the token is signed by a key that the edge doesn't publish")
            return self._keys[kid]

    def _refresh(self, now: float) -> None:
        try:
            answer = self._http.get(self._url)
            answer.raise_for_status()
            document = answer.json()
            keys = jwt.PyJWKSet.from_dict(document)
            self._revoked = frozenset(str(one) for one in document.get("revoked", []))
        except (httpx.HTTPError, ValueError, jwt.PyJWTError) as error:
            if self._keys:
                return
            raise InvalidToken(f"the edge's keys can't be had now ({type(error).__name__}); try again") from error
        self._keys = {str(key.key_id): key for key in keys.keys}
        self._fetched = now
