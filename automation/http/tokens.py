"""Verifies the edge's tokens (JWT, ES256) against its public keys, which are fetched and kept for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import jwt
import structlog

from spotlane.errors import SpotlaneError
from spotlane.exchange import Http, TransportError
from spotlane.transport import raise_for_problem
from spotlane.wire import Revoked

_AUDIENCES = ("api", "automation")
"""Whom a token is for: people's and programs' are for the edge's API and this one alike, the edge's own for this one."""
_REVOKED_SECONDS = 1.0
_AWAY_SECONDS = 5.0
"""How long an edge that didn't answer isn't asked again: every caller would wait for it."""

_log = structlog.get_logger(__name__)


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
    """Keeps the edge's keys for ``keep_seconds``; an unknown ``kid`` asks again at once, at most every second.

    What the edge has revoked is asked of ``revocations`` at most every second. While the edge is away, what was known last goes on holding.
    """

    def __init__(
        self,
        jwks_url: str,
        issuer: str,
        keep_seconds: float,
        revocations: Callable[[], Iterable[Revoked]],
        http: Http | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = jwks_url
        self._issuer = issuer
        self._keep = keep_seconds
        self._http = http or Http(5.0)
        self._monotonic = monotonic
        self._keys: dict[str, jwt.PyJWK] = {}
        self._revocations = revocations
        self._revoked: frozenset[tuple[str | None, str]] = frozenset()
        self._revoked_again_at = float("-inf")
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
                token, key.key, algorithms=["ES256"], issuer=self._issuer, audience=_AUDIENCES, options={"require": ["exp", "iss", "sub", "aud"]}, leeway=5
            )
        except jwt.PyJWTError as error:
            raise InvalidToken(f"the token isn't valid: {error}") from error
        owners = {None, claims.get("tenant")}
        if self._refused().intersection({(owner, str(name)) for owner in owners for name in (claims["sub"], claims.get("jti"))}):
            raise InvalidToken("the token was revoked; exchange an API key for another")
        scopes = claims.get("scope", claims.get("scopes", []))
        listed = scopes.split() if isinstance(scopes, str) else [str(scope) for scope in scopes]
        tenant = claims.get("tenant")
        return Principal(str(claims["sub"]), frozenset(listed), str(tenant) if tenant else None)

    def _refused(self) -> frozenset[tuple[str | None, str]]:
        """Who is refused, each with the tenant for which."""
        with self._lock:
            now = self._monotonic()
            if now >= self._revoked_again_at:
                try:
                    self._revoked = frozenset((one.tenant, one.subject) for one in self._revocations())
                    self._revoked_again_at = now + _REVOKED_SECONDS
                except SpotlaneError as error:
                    _log.warning("revocations can't be had; those known last hold", error=str(error))
                    self._revoked_again_at = now + _AWAY_SECONDS
            return self._revoked

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
            raise_for_problem(answer)
            keys = jwt.PyJWKSet.from_dict(answer.json())
        except (TransportError, SpotlaneError, ValueError, jwt.PyJWTError) as error:
            if self._keys:
                return
            raise InvalidToken(f"the edge's keys can't be had now ({type(error).__name__}); try again") from error
        self._keys = {str(key.key_id): key for key in keys.keys}
        self._fetched = now
