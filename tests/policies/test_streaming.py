"""Bodies that carry nothing to decide on pass as they come, in bounded memory; those that do are read whole first."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from policies.proxy.clients import BodyBudget
from policies.proxy.exchange import STREAM_LIMIT, Head, passes_through
from policies.proxy.hosts import KnownHost, classify
from policies.proxy.request import Refused
from tests.policies.attempts import S3
from tests.policies.stage import AWS_ACCOUNT, LONG_ANSWER, Stage, signed, staged, tunnel

MIB = 1024 * 1024
BUCKET = "bkt.s3.eu-west-1.amazonaws.com"


@pytest.fixture(params=[False, True], ids=["HTTP/1.1", "HTTP/2"])
def http2(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("streaming")) as found:
        form = {"Action": "AssumeRole", "Version": "2011-06-15", "RoleArn": f"arn:aws:iam::{AWS_ACCOUNT}:role/x", "RoleSessionName": "s"}
        with found.client() as client:
            assert client.post("https://sts.eu-west-1.amazonaws.com/", data=form).status_code == 200
        yield found


@pytest.fixture(autouse=True)
def _forgotten(stage: Stage) -> None:
    stage.seen.clear()


def peak(stage: Stage) -> int:
    """The most memory that the proxy's process has held, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{stage.process.pid}/status").read_text())
    assert found
    return int(found[1]) * 1024


def test_an_object_longer_than_what_is_read_whole_passes_in_bounded_memory(stage: Stage, http2: bool) -> None:
    with stage.client(http2=http2) as client:
        assert client.put(f"https://{BUCKET}/small", content=b"x", headers=signed("eu-west-1", "ASIATENANT", "s3")).status_code == 200
        before = peak(stage)

        def chunks() -> Iterator[bytes]:
            for number in range(64):
                yield bytes([number]) * MIB

        headers = signed("eu-west-1", "ASIATENANT", "s3") | {"content-length": str(64 * MIB)}
        assert client.put(f"https://{BUCKET}/big?partNumber=1&uploadId=u", content=chunks(), headers=headers).status_code == 200
    assert stage.seen[-1][2] == b"".join(bytes([number]) * MIB for number in range(64))
    assert peak(stage) - before < 16 * MIB


def test_an_answer_of_any_length_passes_in_bounded_memory(stage: Stage, http2: bool) -> None:
    before = peak(stage)
    with (
        stage.client(http2=http2) as client,
        client.stream("GET", f"https://{BUCKET}/long-{http2}", headers=signed("eu-west-1", "ASIATENANT", "s3")) as answer,
    ):
        assert sum(len(part) for part in answer.iter_bytes()) == 2 * LONG_ANSWER
    assert peak(stage) - before < 16 * MIB


def test_an_upload_that_is_denied_is_answered_before_any_of_it_was_sent(stage: Stage) -> None:
    head = [f"PUT /key HTTP/1.1\r\nHost: bkt.s3.us-east-1.amazonaws.com\r\nContent-Length: {STREAM_LIMIT}\r\nExpect: 100-continue"]
    head += [f"{name}: {value}" for name, value in signed("us-east-1", "ASIATENANT", "s3").items()]
    with tunnel(stage, "bkt.s3.us-east-1.amazonaws.com") as tls:
        tls.sendall(("\r\n".join(head) + "\r\n\r\n").encode())
        answer = b""
        while part := tls.recv(65536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 403")
    assert b"<Code>AccessDenied</Code>" in answer
    assert (stage.entries()[-1]["verdict"], stage.entries()[-1]["rule"]) == ("deny", "residency")
    assert stage.seen == []


def test_an_upload_that_breaks_off_is_never_whole_at_the_upstream(stage: Stage) -> None:
    head = [f"PUT /key HTTP/1.1\r\nHost: {BUCKET}\r\nContent-Length: {MIB}"]
    head += [f"{name}: {value}" for name, value in signed("eu-west-1", "ASIATENANT", "s3").items()]
    with tunnel(stage, BUCKET) as tls:
        tls.sendall(("\r\n".join(head) + "\r\n\r\n").encode() + b"x" * 1000)
    limit = time.monotonic() + 60
    while not stage.seen and time.monotonic() < limit:
        time.sleep(0.02)
    with stage.client() as client:
        assert client.put(f"https://{BUCKET}/next", content=b"y", headers=signed("eu-west-1", "ASIATENANT", "s3")).status_code == 200
    assert [len(body) < MIB for _, _, body in stage.seen] == [True, True]
    assert stage.seen[-1][2] == b"y"


def test_a_bodys_bytes_beyond_its_length_are_another_request_and_judged_as_one(stage: Stage) -> None:
    head = [f"PUT /key HTTP/1.1\r\nHost: {BUCKET}\r\nContent-Length: 4"]
    head += [f"{name}: {value}" for name, value in signed("eu-west-1", "ASIATENANT", "s3").items()]
    hidden = "DELETE /other HTTP/1.1\r\nHost: bkt.s3.us-east-1.amazonaws.com\r\n\r\n"
    with tunnel(stage, BUCKET) as tls:
        tls.sendall(("\r\n".join(head) + "\r\n\r\nbody" + hidden).encode())
        answers = b""
        while part := tls.recv(65536):
            answers += part
            if answers.count(b"HTTP/1.1") == 2:
                break
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200", b"400"]
    assert [(method, body) for method, _, body in stage.seen] == [("PUT", b"body")]


def test_what_is_decided_on_is_read_whole_and_has_the_old_limit(stage: Stage, http2: bool) -> None:
    with stage.client(http2=http2) as client:
        answer = client.put(f"https://{S3}/bucket?tagging", content=b"x" * (8 * MIB + 1), headers=signed("eu-west-1", "ASIATENANT", "s3"))
    assert answer.status_code == 413
    assert stage.seen == []


def head(method: str, target: str, host: str, length: str | None = "10", **headers: str) -> tuple[Head, KnownHost]:
    known = classify(host)
    assert known
    lines = [(b"host", host.encode()), *((name.encode(), value.encode()) for name, value in headers.items())]
    return Head(method.encode(), target.encode(), lines + ([(b"content-length", length.encode())] if length is not None else [])), known


@pytest.mark.parametrize(
    ("method", "target", "host"),
    [
        ("PUT", "/key", BUCKET),
        ("PUT", "/bucket/a/key", S3),
        ("PUT", "/key?partNumber=1&uploadId=u&x-id=UploadPart", BUCKET),
        ("PUT", "/client/v4/accounts/a/workers/scripts/s", "api.cloudflare.com"),
    ],
)
def test_the_bytes_of_objects_and_scripts_pass(method: str, target: str, host: str) -> None:
    assert passes_through(*head(method, target, host))
    assert not passes_through(*head(method, target, host, None))


@pytest.mark.parametrize(
    ("method", "target", "host", "headers"),
    [
        ("PUT", "/", BUCKET, {}),
        ("PUT", "/bucket", S3, {}),
        ("PUT", "/bucket/", S3, {}),
        ("PUT", "/key?tagging", BUCKET, {}),
        ("PUT", "/key?%74agging", BUCKET, {}),
        ("PUT", "/key?acl", BUCKET, {}),
        ("POST", "/key?uploads", BUCKET, {}),
        ("POST", "/bucket?delete", S3, {}),
        ("PUT", "/service/x/operation/y", S3, {}),
        ("PUT", "/key", BUCKET, {"x-amz-target": "x"}),
        ("PUT", "/key", BUCKET, {"smithy-protocol": "rpc-v2-cbor"}),
        ("POST", "/", "ec2.eu-west-1.amazonaws.com", {}),
        ("PUT", "/subscriptions/s", "management.azure.com", {}),
        ("POST", "/compute/v1/projects/p/zones/z/instances", "compute.googleapis.com", {}),
    ],
)
def test_whatever_else_is_read_whole(method: str, target: str, host: str, headers: dict[str, str]) -> None:
    assert not passes_through(*head(method, target, host, **headers))


def test_a_length_that_is_none_or_too_much_is_refused() -> None:
    with pytest.raises(Refused, match="longer than"):
        passes_through(*head("PUT", "/key", BUCKET, str(STREAM_LIMIT + 1)))
    with pytest.raises(Refused, match="no number"):
        passes_through(*head("PUT", "/key", BUCKET, "+1"))


class Told:
    """An exchange that tells its body in parts."""

    def __init__(self, *parts: bytes) -> None:
        self.head = Head(b"PUT", b"/", [])
        self.parts = parts

    async def body(self, _deadline: float) -> AsyncIterator[bytes]:
        for part in self.parts:
            yield part


def test_all_clients_together_hold_no_more_than_the_budget() -> None:

    async def scene() -> None:
        budget = BodyBudget(100)
        assert len(await budget.whole(Told(b"x" * 60), 80, 1.0, "platform")) == 60  # type: ignore[arg-type]  # only asked for its body
        with pytest.raises(Refused) as refused:
            await budget.whole(Told(b"y" * 30, b"y" * 30), 80, 1.0, "platform")  # type: ignore[arg-type]
        assert (refused.value.status, budget.held) == (429, 60)
        budget.release(60, "platform")
        assert len(await budget.whole(Told(b"y" * 30, b"y" * 30), 80, 1.0, "platform")) == 60  # type: ignore[arg-type]

    asyncio.run(scene())


def test_one_tenant_holds_a_quarter_of_the_budget() -> None:

    async def scene() -> None:
        budget = BodyBudget(100)
        assert len(await budget.whole(Told(b"x" * 25), 80, 1.0, "acme")) == 25  # type: ignore[arg-type]  # only asked for its body
        with pytest.raises(Refused, match="more than 25 bytes") as refused:
            await budget.whole(Told(b"y"), 80, 1.0, "acme")  # type: ignore[arg-type]
        assert (refused.value.status, budget.held) == (429, 25)
        assert len(await budget.whole(Told(b"z" * 25), 80, 1.0, "globex")) == 25  # type: ignore[arg-type]
        assert len(await budget.whole(Told(b"p" * 50), 80, 1.0, "platform")) == 50  # type: ignore[arg-type]
        for size, principal in ((25, "acme"), (25, "globex"), (50, "platform")):
            budget.release(size, principal)
        assert len(await budget.whole(Told(b"x" * 25), 80, 1.0, "acme")) == 25  # type: ignore[arg-type]

    asyncio.run(scene())
