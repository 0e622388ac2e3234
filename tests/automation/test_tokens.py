"""Tokens of the edge: signature, expiry, issuer and scopes decide; the keys are fetched once and again for an unknown one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from automation.http.tokens import InvalidToken, TokenVerifier
from spotlane.errors import Unreachable
from spotlane.wire import Revoked

ISSUER = "https://auth.example.com"


def _revoked(tenant: str | None, subject: str) -> Revoked:
    return Revoked(tenant=tenant, subject=subject, until=datetime(2100, 1, 1, tzinfo=UTC))


class Keys:
    """The edge's JWKS endpoint; counts how often it is asked."""

    def __init__(self) -> None:
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.asked = 0
        self.revoked: list[Revoked] = []
        self.away = False

    def revocations(self) -> list[Revoked]:
        if self.away:
            raise Unreachable("edge API", "http://edge", "refused", "start it")
        return self.revoked

    def verifier(self, monotonic: Callable[[], float] = time.monotonic) -> TokenVerifier:
        def answer(_: httpx.Request) -> httpx.Response:
            self.asked += 1
            document = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.private.public_key()))
            return httpx.Response(200, json={"keys": [{**document, "kid": "k1", "alg": "ES256", "use": "sig"}]})

        return TokenVerifier("http://edge/jwks", ISSUER, 30.0, self.revocations, httpx.Client(transport=httpx.MockTransport(answer)), monotonic)

    def token(self, kid: str = "k1", **claims: object) -> str:
        body = {"iss": ISSUER, "aud": "api", "sub": "key-1", "exp": int(time.time()) + 60, "scope": "tenant:read tenant:deploy", "tenant": "acme", **claims}
        return "Bearer " + jwt.encode(body, self.private, algorithm="ES256", headers={"kid": kid})


def test_a_good_token_gives_its_principal_and_the_keys_are_kept() -> None:
    keys = Keys()
    verifier = keys.verifier()
    for _ in range(3):
        principal = verifier.verify(keys.token())
    assert (principal.subject, principal.tenant, sorted(principal.scopes), keys.asked) == ("key-1", "acme", ["tenant:deploy", "tenant:read"], 1)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (None, "bearer token is needed"),
        ("Basic abc", "bearer token is needed"),
        ("Bearer abc", "isn't valid"),
        (Keys().token(), "isn't valid"),
    ],
)
def test_what_is_no_token_of_ours_is_refused(header: str | None, reason: str) -> None:
    with pytest.raises(InvalidToken, match=reason):
        Keys().verifier().verify(header)


@pytest.mark.parametrize("claims", [{"exp": 1}, {"iss": "https://elsewhere"}, {"aud": "elsewhere"}])
def test_an_expired_or_foreign_token_is_refused(claims: dict[str, object]) -> None:
    keys = Keys()
    with pytest.raises(InvalidToken):
        keys.verifier().verify(keys.token(**claims))


@pytest.mark.parametrize("revoked", ["key-1", "one-token"])
def test_a_revoked_subjects_token_and_a_revoked_token_are_refused(revoked: str) -> None:
    keys = Keys()
    keys.revoked = [_revoked("acme", revoked)]
    with pytest.raises(InvalidToken, match="was revoked"):
        keys.verifier().verify(keys.token(jti="one-token"))
    assert keys.verifier().verify(keys.token(sub="key-2", jti="another")).subject == "key-2"


def test_a_tenant_revokes_for_itself_only_and_the_platform_for_all() -> None:
    keys = Keys()
    keys.revoked = [_revoked("globex", "key-1"), _revoked(None, "key-9")]
    assert keys.verifier().verify(keys.token()).subject == "key-1"
    with pytest.raises(InvalidToken, match="was revoked"):
        keys.verifier().verify(keys.token(sub="key-9"))


def test_a_revocation_holds_within_a_second_and_goes_on_holding_while_the_edge_is_away() -> None:
    keys, clock = Keys(), [100.0]
    verifier = keys.verifier(lambda: clock[0])
    assert verifier.verify(keys.token()).subject == "key-1"
    keys.revoked = [_revoked("acme", "key-1")]
    clock[0] = 101.0
    for away in (False, True):
        keys.away = away
        clock[0] += 10.0
        with pytest.raises(InvalidToken, match="was revoked"):
            verifier.verify(keys.token())


def test_an_unknown_key_is_refused() -> None:
    keys = Keys()
    with pytest.raises(InvalidToken, match="doesn't publish"):
        keys.verifier().verify(keys.token(kid="k2"))


def test_a_tenants_token_acts_for_its_tenant_only() -> None:
    keys = Keys()
    principal = keys.verifier().verify(keys.token())
    assert [principal.may_act_for(tenant, "tenant:deploy") for tenant in ("acme", "globex")] == [True, False]
    admin = keys.verifier().verify(keys.token(scope="platform:admin", tenant=None))
    assert admin.may_act_for("globex", "tenant:deploy") is True
