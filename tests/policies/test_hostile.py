"""Nothing of what tries to get around the proxy reaches an upstream; what is denied is recorded with its reason."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.policies.attempts import (
    ARM,
    AWS,
    AZURE,
    EC2,
    GCE,
    GOOGLE,
    GROUP,
    HTTP,
    SPOT_INSTANCE,
    TUNNELS,
    Attempt,
    by,
    connect,
    form,
    google,
    put,
    request,
    run,
)
from tests.policies.stage import Stage, staged

BOUNDARY = {
    "name": "strict",
    "residency": {"regimes": ["gdpr"]},
    "spotOnly": True,
    "encryption": {"disks": True},
    "network": {"publicAddresses": "none", "openIngress": False, "instanceMetadataV2": True},
}
INSIDE = [*HTTP, *AZURE, *GOOGLE, *AWS]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    home: Path = tmp_path_factory.mktemp("hostile")
    with staged(home) as found:
        tenant = home / "proxy" / "tenants" / "acme.json"
        tenant.write_text(json.dumps(json.loads(tenant.read_text()) | {"boundary": BOUNDARY}))
        body = b"Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fx&RoleSessionName=s"
        sts = "sts.eu-west-1.amazonaws.com"
        assert tunnelled(found, sts, request(sts, "POST", "/", body, "Content-Type: application/x-www-form-urlencoded")).startswith(b"HTTP/1.1 200")
        found.seen.clear()
        yield found


COLLECTED = datetime.now(UTC)


def dated(data: bytes) -> bytes:
    """The request as if it were signed now: the attempts are written when the tests are collected, which is more than a signature's life ago in a long run."""
    found = re.search(rb"x-amz-date: (\d{8}T\d{6}Z)", data)
    if found is None:
        return data
    signed_at = datetime.strptime(found[1].decode(), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if abs(signed_at - COLLECTED) > timedelta(minutes=5):
        return data
    now = datetime.now(UTC)
    return data.replace(found[1], f"{now:%Y%m%dT%H%M%SZ}".encode()).replace(f"/{signed_at:%Y%m%d}/".encode(), f"/{now:%Y%m%d}/".encode())


def told(plain: socket.socket | ssl.SSLSocket, data: bytes) -> bytes:
    """What comes back, to the end of the first answer or of the connection."""
    plain.settimeout(5)
    answer = b""
    with contextlib.suppress(OSError):
        plain.sendall(dated(data))
        plain.shutdown(socket.SHUT_WR) if not isinstance(plain, ssl.SSLSocket) else None
    with contextlib.suppress(OSError):
        while b"\r\n\r\n" not in answer and (more := plain.recv(65536)):
            answer += more
    return answer


def opened(stage: Stage, host: str) -> socket.socket:
    plain = socket.create_connection(("127.0.0.1", stage.port), timeout=10)
    plain.sendall(connect(f"{host}:443"))
    assert plain.recv(4096).startswith(b"HTTP/1.1 200")
    return plain


def tunnelled(stage: Stage, host: str, data: bytes) -> bytes:
    context = ssl.create_default_context(cafile=str(stage.home / "proxy" / "ca.pem"))
    with opened(stage, host) as plain, context.wrap_socket(plain, server_hostname=host) as tls:
        return told(tls, data)


def forwarded(stage: Stage) -> list[tuple[str, str, bytes]]:
    """What reached the upstream since it was last asked."""
    seen = stage.seen.copy()
    stage.seen.clear()
    return seen


def denials(stage: Stage) -> list[dict[str, Any]]:
    return [entry for entry in stage.entries() if entry["verdict"] == "deny"]


@pytest.mark.parametrize("attempt", TUNNELS, ids=lambda attempt: attempt.name)
def test_no_tunnel_where_none_may_be(stage: Stage, attempt: Attempt) -> None:
    before = len(denials(stage))
    with socket.create_connection(("127.0.0.1", stage.port), timeout=10) as plain:
        answer = told(plain, attempt.data)
    assert not answer.startswith(b"HTTP/1.1 2")
    assert forwarded(stage) == []
    assert len(denials(stage)) == before + attempt.recorded


@pytest.mark.parametrize("attempt", INSIDE, ids=lambda attempt: attempt.name)
def test_nothing_of_it_is_forwarded_and_its_reason_is_recorded(stage: Stage, attempt: Attempt) -> None:
    before = len(denials(stage))
    answer = tunnelled(stage, attempt.host, attempt.data)
    assert forwarded(stage) == []
    assert not answer.startswith((b"HTTP/1.1 2", b"HTTP/1.1 5")), answer
    (entry,) = denials(stage)[before:]
    assert entry["rule"]
    assert entry["why"]


def test_the_suite_holds_at_least_sixty_distinct_attempts() -> None:
    assert len({attempt.data for attempt in [*TUNNELS, *INSIDE]}) == len(TUNNELS) + len(INSIDE) >= 60


@pytest.mark.parametrize(
    ("host", "data"),
    [
        (ARM, put(GROUP, {"location": "westeurope", "tags": {"Location": "x", "a_b": "c"}})),
        (GCE, google("zones/europe-west1-b/instances", {**SPOT_INSTANCE, "labels": {"a_b": "c"}, "metadata": {"items": [{"key": "user_data", "value": "x"}]}})),
        (EC2, form(EC2, run(MetadataOptions__HttpTokens="required"))),
        (
            "kms.eu-west-1.amazonaws.com",
            request(
                "kms.eu-west-1.amazonaws.com", "POST", "/", b'{"Description": "d", "Tags": [{"TagKey": "a", "TagValue": "b"}]}',
                "X-Amz-Target: TrentService.CreateKey", *by("kms"),
            ),
        ),
        (
            "monitoring.eu-west-1.amazonaws.com",
            request(
                "monitoring.eu-west-1.amazonaws.com", "POST", "/service/GraniteServiceVersion20100801/operation/PutMetricData", b"\xa1\x69Namespace\x61a",
                "smithy-protocol: rpc-v2-cbor", *by("monitoring"),
            ),
        ),
    ],
    ids=["azure", "google", "ec2", "kms", "cloudwatch"],
)  # fmt: skip
def test_their_honest_sisters_are_forwarded(stage: Stage, host: str, data: bytes) -> None:
    assert tunnelled(stage, host, data).startswith(b"HTTP/1.1 200")
    assert len(forwarded(stage)) == 1


def test_another_name_or_none_in_tls_ends_the_handshake(stage: Stage) -> None:
    context = ssl.create_default_context(cafile=str(stage.home / "proxy" / "ca.pem"))
    context.check_hostname = False
    for name in ("api.cloudflare.com", None):
        with opened(stage, ARM) as plain, pytest.raises((ssl.SSLError, OSError)), context.wrap_socket(plain, server_hostname=name) as tls:
            tls.sendall(request(ARM, "GET", "/subscriptions"))
            assert tls.recv(1) == b""
            raise ssl.SSLError("closed")
    assert forwarded(stage) == []


def test_plain_text_inside_the_tunnel_is_not_passed_on(stage: Stage) -> None:
    with opened(stage, ARM) as plain:
        assert not told(plain, request(ARM, "GET", "/subscriptions")).startswith(b"HTTP/1.1 2")
    assert forwarded(stage) == []


def test_a_second_request_in_one_packet_is_judged_for_itself(stage: Stage) -> None:
    context = ssl.create_default_context(cafile=str(stage.home / "proxy" / "ca.pem"))
    with opened(stage, ARM) as plain, context.wrap_socket(plain, server_hostname=ARM) as tls:
        tls.settimeout(5)
        tls.sendall(put(GROUP, {"location": "westeurope"}) + put(GROUP, {"location": "eastus"}))
        answer = b""
        while answer.count(b"HTTP/1.1 ") < 2 and (more := tls.recv(65536)):
            answer += more
    assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"200", b"403"]
    assert [body for _, _, body in forwarded(stage)] == [b'{"location": "westeurope"}']


def test_a_signed_write_that_comes_again_later_is_a_replay(stage: Stage) -> None:
    data = form(EC2, run(MetadataOptions__HttpTokens="required"))
    assert tunnelled(stage, EC2, data).startswith(b"HTTP/1.1 200")
    assert len(forwarded(stage)) == 1
    time.sleep(5.2)
    assert b"the same signed request came before" in tunnelled(stage, EC2, data)
    assert forwarded(stage) == []
