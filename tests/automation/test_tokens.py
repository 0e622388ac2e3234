"""Tokens of the edge: signature, expiry, issuer and scopes decide; the keys are fetched once and again for an unknown one."""

from __future__ import annotations

import json
import time

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from automation.http.tokens import InvalidToken, TokenVerifier

ISSUER = "https://auth.example.com"


class Keys:
    """The edge's JWKS endpoint; counts how often it is asked."""

    def __init__(self) -> None:
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.asked = 0
        self.revoked: list[str] = []

    def verifier(self) -> TokenVerifier:
        def answer(_: httpx.Request) -> httpx.Response:
            self.asked += 1
            document = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.private.public_key()))
            return httpx.Response(200, json={"keys": [{**document, "kid": "k1", "alg": "ES256", "use": "sig"}], "revoked": self.revoked})

        return TokenVerifier("http://edge/jwks", ISSUER, 30.0, httpx.Client(transport=httpx.MockTransport(answer)))

    def token(self, kid: str = "k1", **claims: object) -> str:
        body = {"iss": ISSUER, "sub": "key-1", "exp": int(time.time()) + 60, "scope": "tenant:read tenant:deploy", "tenant": "acme", **claims}
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


@pytest.mark.parametrize("claims", [{"exp": 1}, {"iss": "https://elsewhere"}])
def test_an_expired_or_foreign_token_is_refused(claims: dict[str, object]) -> None:
    keys = Keys()
    with pytest.raises(InvalidToken):
        keys.verifier().verify(keys.token(**claims))


@pytest.mark.parametrize("revoked", ["key-1", "one-token"])
def test_a_revoked_subjects_token_and_a_revoked_token_are_refused(revoked: str) -> None:
    keys = Keys()
    keys.revoked = [revoked]
    with pytest.raises(InvalidToken, match="was revoked"):
        keys.verifier().verify(keys.token(jti="one-token"))
    assert keys.verifier().verify(keys.token(sub="key-2", jti="another")).subject == "key-2"


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
