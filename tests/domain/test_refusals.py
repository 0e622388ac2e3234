"""Every word of a cloud that is known has one meaning, in the sentences that Pulumi's providers print; what isn't known is its own outcome."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.refusals import CODES, CONSEQUENCES, RefusalKind, read

PRINTED = [
    # pulumi-aws: the Terraform provider's text around the AWS SDK's
    ("creating EC2 Instance: operation error EC2: RunInstances, https response error StatusCode: 500, api error InsufficientInstanceCapacity: There is no Spot",
     RefusalKind.NO_CAPACITY, "InsufficientInstanceCapacity"),
    ("operation error EC2: RunInstances, https response error StatusCode: 400, RequestID: x, api error SpotMaxPriceTooLow: Your Spot request price of 0.01 is",
     RefusalKind.PRICE_TOO_LOW, "SpotMaxPriceTooLow"),
    ("api error MaxSpotInstanceCountExceeded: Max spot instance count exceeded", RefusalKind.QUOTA, "MaxSpotInstanceCountExceeded"),
    ("api error Unsupported: Your requested instance type (m9.large) is not supported in your requested", RefusalKind.NOT_OFFERED, "Unsupported"),
    ("api error UnauthorizedOperation: You are not authorized to perform this operation.", RefusalKind.DENIED, "UnauthorizedOperation"),
    ("exceeded maximum number of attempts, 25, api error RequestLimitExceeded: Request limit exceeded.", RefusalKind.THROTTLED, "RequestLimitExceeded"),
    # pulumi-azure-native: autorest's
    ('Status=409 Code="SkuNotAvailable" Message="The requested VM size is currently not', RefusalKind.NO_CAPACITY, "SkuNotAvailable"),
    ('autorest/azure: Service returned an error. Code="AllocationFailed" Message="Allocation failed.', RefusalKind.NO_CAPACITY, "AllocationFailed"),
    ('Code="OperationNotAllowed" Message="It results in exceeding approved LowPriorityCores quota."', RefusalKind.QUOTA, "OperationNotAllowed"),
    ('Code="OperationNotAllowed" Message="since the provided max price \'0.01 USD\' is lower"', RefusalKind.PRICE_TOO_LOW,
     "OperationNotAllowed"),
    ('Status=429 Code="TooManyRequests" Message="The request is being throttled"', RefusalKind.THROTTLED, "TooManyRequests"),
    # pulumi-gcp: googleapi's
    ("Error waiting for instance to create: The zone 'projects/p/zones/europe-west4-a' does not have enough resources available to fulfill the request.",
     RefusalKind.NO_CAPACITY, "ZONE_RESOURCE_POOL_EXHAUSTED"),
    ("googleapi: Error 403: Quota 'PREEMPTIBLE_CPUS' exceeded.  Limit: 8.0 in region europe-west4., quotaExceeded", RefusalKind.QUOTA, "quotaExceeded"),
    ("googleapi: Error 403: Quota exceeded for quota metric 'Queries', rateLimitExceeded", RefusalKind.THROTTLED, "rateLimitExceeded"),
    ("googleapi: Error 400: Machine type with name 'n9' does not exist in zone 'europe-west4-a'., invalid", RefusalKind.NOT_OFFERED, "invalid"),
    # ours
    ("it gave way to what couldn't wait: a machine of the workload that goes or fails", RefusalKind.GAVE_WAY, "lease"),
    ("acme_web_3 no longer holds the lease (fencing token 3)", RefusalKind.GAVE_WAY, "lease"),
    ("refused by the inline proxy: Spotlane boundary [residency]: Region aws/us-east-1", RefusalKind.DENIED, "boundary"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "kind", "code"), PRINTED, ids=[f"{kind}-{number}" for number, (_, kind, _) in enumerate(PRINTED)])
def test_a_providers_sentence_is_read_by_its_code(line: str, kind: RefusalKind, code: str) -> None:
    found = read(["update failed", line])
    assert (found.kind, found.code, found.text) == (kind, code, line)


@pytest.mark.parametrize("code", sorted(CODES))
def test_each_code_alone_means_what_the_table_says(code: str) -> None:
    assert read([f"{code}: some text"]).kind is CODES[code]


def test_every_kind_has_its_consequence_and_only_throttling_is_tried_again() -> None:
    assert set(CONSEQUENCES) == set(RefusalKind)
    assert [kind for kind, consequence in CONSEQUENCES.items() if consequence.again] == [RefusalKind.THROTTLED]
    assert [kind for kind, consequence in CONSEQUENCES.items() if consequence.whole_region] == [RefusalKind.QUOTA]
    assert [kind for kind, consequence in CONSEQUENCES.items() if not consequence.excluded] == [RefusalKind.GAVE_WAY]


@given(st.lists(st.text(alphabet="abc :;'\"=", max_size=40), max_size=5))
def test_what_isnt_known_is_unknown_and_keeps_its_first_line(lines: list[str]) -> None:
    found = read(lines)
    assert (found.kind, found.code) == (RefusalKind.UNKNOWN, "")
    assert found.text == next((line for line in lines if line), "")
