"""gRPC through the proxy: a real client and a real server; what is in the table is judged as the REST call that it is, everything else is refused."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.proxy.grpc import transcoded
from policies.proxy.request import ApiRequest, Refused
from tests.policies.stage import Stage, staged

HOST = "cloudkms.googleapis.com"
KMS = "/google.cloud.kms.v1.KeyManagementService"
PLATFORM = "projects/platform-1/locations/europe-west4/keyRings/spotlane/cryptoKeys/state"
ACME = "projects/acme-1/locations/{}/keyRings/spotlane/cryptoKeys/disks"
LARGE = 3 * 1024 * 1024
"""More than several windows of HTTP/2."""


def field_of(number: int, value: bytes) -> bytes:
    """A length-delimited field."""
    size, length = b"", len(value)
    while length > 0x7F:
        size += bytes([length & 0x7F | 0x80])
        length >>= 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + value


def message(name: str, *more: bytes) -> bytes:
    return field_of(1, name.encode()) + b"".join(more)


def framed(text: bytes) -> bytes:
    return b"\0" + len(text).to_bytes(4, "big") + text


def call(path: str, text: bytes, host: str = HOST, **headers: str) -> ApiRequest:
    return ApiRequest("POST", host, path, "", {"content-type": "application/grpc", "te": "trailers", **headers}, text)


@dataclass
class Server(grpc.GenericRpcHandler):
    """Answers every method with what it got, twice, and trailers; keeps what it got."""

    seen: list[tuple[str, bytes]] = field(default_factory=list)

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        def answer(text: bytes, context: grpc.ServicerContext) -> bytes:
            self.seen.append((details.method, text))
            context.set_trailing_metadata((("spent", "1"),))
            if b"absent" in text:
                context.abort(grpc.StatusCode.NOT_FOUND, "no such key")
            return text + text

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Server, str]]:
    handler = Server()
    running = grpc.server(ThreadPoolExecutor(4), (handler,), options=[("grpc.max_receive_message_length", -1)])
    port = running.add_insecure_port("127.0.0.1:0")
    running.start()
    yield handler, f"http://127.0.0.1:{port}"
    running.stop(None).wait()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, server: tuple[Server, str]) -> Iterator[Stage]:
    settings = {"SPOTLANE_SECRETS_PROVIDER": f"gcpkms://{PLATFORM}"}
    with staged(tmp_path_factory.mktemp("grpc"), settings, {HOST: server[1], "cloudbilling.googleapis.com": server[1]}) as found:
        yield found


@pytest.fixture
def seen(server: tuple[Server, str]) -> list[tuple[str, bytes]]:
    server[0].seen.clear()
    return server[0].seen


def ask(stage: Stage, method: str, text: bytes, host: str = HOST, principal: str = "platform:k-platform") -> tuple[bytes, Any]:
    """The answer and the call that a client of gRPC makes through the proxy."""
    trusted = grpc.ssl_channel_credentials((stage.home / "proxy" / "ca.pem").read_bytes())
    options = [("grpc.http_proxy", f"http://{principal}@127.0.0.1:{stage.port}"), ("grpc.max_receive_message_length", -1)]
    with grpc.secure_channel(f"{host}:443", trusted, options) as channel:
        answer, made = channel.unary_unary(method).with_call(text, timeout=30)
        return answer, made


def test_the_engines_secrets_provider_reaches_its_key_with_its_trailers_and_nothing_is_cut(stage: Stage, seen: list[tuple[str, bytes]]) -> None:
    text = message(PLATFORM, field_of(2, b"x" * LARGE))
    answer, made = ask(stage, f"{KMS}/Encrypt", text)
    assert answer == text + text and ("spent", "1") in [(one.key, one.value) for one in made.trailing_metadata()]
    assert seen == [(f"{KMS}/Encrypt", text)]
    last = stage.entries()[-1]
    assert (last["service"], last["verdict"], last["rule"], last["resource"]) == ("cloudkms", "allow", "platform", f"/v1/{PLATFORM}:encrypt")


def test_an_error_of_the_service_comes_through_as_its_own(stage: Stage, seen: list[tuple[str, bytes]]) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        ask(stage, f"{KMS}/Decrypt", message(PLATFORM, field_of(2, b"absent")))
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.NOT_FOUND, "no such key")


def test_prices_are_public_wherever_they_are_read_from(stage: Stage, seen: list[tuple[str, bytes]]) -> None:
    ask(stage, "/google.cloud.billing.v1.CloudCatalog/ListSkus", message("services/6F81-5844-456A"), "cloudbilling.googleapis.com")
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("method", "text", "told"),
    [
        (f"{KMS}/Decrypt", message(ACME.format("europe-west4")), "decrypt of cloudkms is not among the calls"),
        (f"{KMS}/GetCryptoKey", message("projects/nobody-1/locations/europe-west4/keyRings/a/cryptoKeys/b"), "belongs to no tenant"),
        (f"{KMS}/CreateKeyRing", message("projects/acme-1/locations/europe-west4"), "none of those whose messages can be read"),
        (f"{KMS}/Encrypt", message(PLATFORM + "2"), "encrypt of cloudkms is not among the calls"),
        (f"{KMS}/Encrypt", message(PLATFORM, field_of(1, b"projects/acme-1")), "field 1 of .* stands twice"),
        (f"{KMS}/Encrypt", b"", "names no resource"),
    ],
)
def test_what_isnt_allowed_or_understood_never_reaches_the_service(stage: Stage, seen: list[tuple[str, bytes]], method: str, text: bytes, told: str) -> None:
    with pytest.raises(grpc.RpcError, match=told) as caught:
        ask(stage, method, text)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert seen == [] and stage.entries()[-1]["verdict"] == "deny"


def test_the_tenants_own_key_may_be_looked_at_inside_its_boundary(stage: Stage, seen: list[tuple[str, bytes]]) -> None:
    ask(stage, f"{KMS}/GetCryptoKey", message(ACME.format("europe-west4")))
    assert [method for method, _ in seen] == [f"{KMS}/GetCryptoKey"]
    last = stage.entries()[-1]
    assert (last["tenant"], last["account"], last["region"], last["verdict"]) == ("acme", "acme-1", "europe-west4", "allow")


ENCRYPT = framed(message(PLATFORM, field_of(2, b"x")))


@pytest.mark.parametrize(
    "asked",
    [
        call(f"{KMS}/Encrypt", ENCRYPT, **{"grpc-encoding": "gzip"}),
        call(f"{KMS}/Encrypt", b"\1" + ENCRYPT[1:]),
        call(f"{KMS}/Encrypt", ENCRYPT + framed(message("projects/acme-1"))),
        call(f"{KMS}/Encrypt", ENCRYPT[:-1]),
        call(f"{KMS}/Encrypt", b"\0\xff\xff\xff\xff"),
        call(f"{KMS}/Encrypt", framed(message("projects/a/../b"))),
        call(f"{KMS}/Encrypt", framed(message("projects/a?x=1"))),
        call(f"{KMS}/Encrypt", framed(message("projects/a:decrypt"))),
        call(f"{KMS}/Encrypt", framed(message(PLATFORM, field_of(9, b"x")))),
        call(f"{KMS}/Encrypt", framed(b"\x0b" + message(PLATFORM))),
        call(f"{KMS}/Encrypt", framed(bytes([1 << 3 | 2, 0x80 | len(PLATFORM), 0x00]) + PLATFORM.encode())),
        call(f"{KMS}/Encrypt", ENCRYPT, "cloudbilling.googleapis.com"),
        call(f"{KMS}/Encrypt", ENCRYPT, **{"content-type": "application/grpc-web+proto"}),
        call(f"{KMS}/Encrypt", ENCRYPT, **{"content-type": "application/grpc+json"}),
    ],
)
def test_a_message_that_could_be_read_in_two_ways_is_refused(asked: ApiRequest) -> None:
    with pytest.raises(Refused):
        transcoded(asked)


@given(st.binary(max_size=200))
def test_whatever_the_message_it_names_one_resource_or_is_refused(text: bytes) -> None:
    try:
        found = transcoded(call(f"{KMS}/Encrypt", framed(text)))
    except Refused:
        return
    assert found.path.startswith("/v1/") and found.path.endswith(":encrypt") and found.segments
