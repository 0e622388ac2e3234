"""Injected faults: in the cloud's own words, for the calls that were named, as often as was asked."""

from __future__ import annotations

from typing import Any

import pytest

from domain.refusals import RefusalKind, read
from localcloud.clouds.exchange import HttpAnswer, HttpRequest
from localcloud.clouds.faults import ANSWERED, CAPACITY, CODES, PRICE, FaultError, Faults, FaultyMarket, faulty

SIGNED = "AWS4-HMAC-SHA256 Credential=AKIA/20260101/eu-west-1/ec2/aws4_request, SignedHeaders=host, Signature=0"


def ec2(action: str) -> HttpRequest:
    headers = {"content-type": "application/x-www-form-urlencoded", "authorization": SIGNED}
    return HttpRequest("POST", "ec2.eu-west-1.amazonaws.com", "/", "", headers, f"Action={action}&Version=2016-11-15".encode())


def vm(method: str = "PUT") -> HttpRequest:
    path = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/web"
    return HttpRequest(method, "management.azure.com", path, "api-version=1", {}, b'{"location": "westeurope"}')


def instance(method: str = "POST") -> HttpRequest:
    return HttpRequest(method, "compute.googleapis.com", "/compute/v1/projects/p/zones/europe-west4-a/instances", "", {}, b"{}")


CALLS = {"aws": ec2("RunInstances"), "azure": vm(), "gcp": instance()}


class Cloud:
    """Counts what reaches it."""

    def __init__(self) -> None:
        self.calls = 0

    def handle(self, request: HttpRequest) -> HttpAnswer:
        self.calls += 1
        return HttpAnswer(200)


class Plenty:
    """A market with everything."""

    def spot_price(self, *of: str) -> float | None:
        return 0.01

    def has_capacity(self, *of: str) -> bool:
        return True


@pytest.mark.parametrize("code", sorted(ANSWERED))
def test_a_clouds_front_answers_in_its_own_words_which_are_read_as_what_they_mean(code: str) -> None:
    faults, cloud = Faults(), Cloud()
    faults.add({"code": code, "count": 1})
    known = ANSWERED[code]
    handle = faulty(known.cloud, cloud.handle, faults)
    answer = handle(CALLS[known.cloud])
    assert (answer.status, cloud.calls) == (known.status, 1 if known.after else 0)
    kind = read([answer.body.decode()]).kind
    assert kind is not RefusalKind.UNKNOWN or known.status >= 500
    assert handle(CALLS[known.cloud]).status == 200, "it was asked for once"


@pytest.mark.parametrize("code", sorted({*CAPACITY, *PRICE}))
def test_capacity_and_price_are_what_the_market_answers(code: str) -> None:
    faults = Faults()
    cloud = faults.add({"code": code, "count": 1}).cloud
    market = FaultyMarket(Plenty(), faults)
    answers = [(market.spot_price(cloud, "r", "z", "t"), market.has_capacity(cloud, "r", "z", "t")) for _ in range(2)]
    assert answers[0] == ((0.01, False) if code in CAPACITY else (1e6, True))
    assert answers[1] == (0.01, True)


def test_only_the_calls_that_were_named_meet_it() -> None:
    faults, cloud = Faults(), Cloud()
    faults.add({"code": "RequestLimitExceeded", "region": "eu-west-1", "operation": "CreateVpc"})
    handle = faulty("aws", cloud.handle, faults)
    assert [handle(ec2(action)).status for action in ("RunInstances", "DescribeVpcs", "CreateVpc")] == [200, 200, 503]
    faults.clear()
    faults.add({"code": "RequestLimitExceeded", "region": "us-east-1"})
    assert handle(ec2("CreateVpc")).status == 200


@pytest.mark.parametrize("request_", [ec2("DescribeInstances"), ec2("AssumeRole"), vm("GET"), instance("GET")])
def test_reading_never_meets_a_fault(request_: HttpRequest) -> None:
    faults, cloud = Faults(), Cloud()
    for code in CODES:
        faults.add({"code": code})
    kind = "aws" if "amazonaws" in request_.host else "azure" if "azure" in request_.host else "gcp"
    assert faulty(kind, cloud.handle, faults)(request_).status == 200


def test_chance_is_seeded() -> None:
    def met(seed: int) -> list[int]:
        faults = Faults()
        faults.add({"code": "VcpuLimitExceeded", "chance": 0.3, "seed": seed})
        handle = faulty("aws", Cloud().handle, faults)
        return [handle(ec2("RunInstances")).status for _ in range(50)]

    assert met(7) == met(7) != met(8)
    assert 5 <= met(7).count(400) <= 25


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ({"code": "Nope"}, "code: 'Nope' is none of"),
        ({"code": "SkuNotAvailable", "cloud": "aws"}, "cloud: SkuNotAvailable is a word of azure's"),
        ({"code": "SkuNotAvailable", "count": 0}, "count: 0 is no number"),
        ({"code": "SkuNotAvailable", "chance": 2}, "chance: 2 is no number"),
        ({"code": "SkuNotAvailable", "often": 2}, "often: no such field"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_with_what_is_wrong(document: dict[str, Any], fault: str) -> None:
    faults = Faults()
    with pytest.raises(FaultError, match=fault):
        faults.add(document)
    assert faults.listed() == []
