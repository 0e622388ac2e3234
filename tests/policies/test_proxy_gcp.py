"""Google's calls as the proxy judges them: only the methods that the stacks need, each by the account and the place that it names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.policies.stage import Stage, staged

KMS = "https://cloudkms.googleapis.com/v1/projects/acme-1/locations/europe-west1/keyRings"
KEY = f"{KMS}/r/cryptoKeys/k"
INSTANCE = "https://compute.googleapis.com/compute/v1/projects/acme-1/zones/europe-west1-b/instances/web"
IAM = "https://iam.googleapis.com/v1/projects/acme-1/serviceAccounts/a@acme-1.iam.gserviceaccount.com"
CREDENTIALS = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts"
BUDGETS = "https://billingbudgets.googleapis.com/v1/billingAccounts/0-1-2/budgets"
CHANNELS = "https://monitoring.googleapis.com/v3/projects/acme-1/notificationChannels"
MAPPED = {"attributeMapping": {"google.subject": "assertion.sub"}, "oidc": {"issuerUri": "https://issuer.example.com"}}
POOLS = "https://iam.googleapis.com/v1/projects/acme-1/locations/global/workloadIdentityPools"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("proxy")) as found:
        yield found


def asked(stage: Stage, method: str, url: str, body: Any = None, **who: str) -> httpx.Response:
    with stage.client(**who) as client:
        return client.request(method, url, json=body)


@pytest.mark.parametrize(
    ("method", "url", "body"),
    [
        ("POST", f"{KMS}?keyRingId=r", {}),
        ("POST", f"{KMS}/r/cryptoKeys?cryptoKeyId=k", {"purpose": "ENCRYPT_DECRYPT", "labels": {"tenant": "acme"}}),
        ("PATCH", f"{KEY}?updateMask=rotationPeriod", {}),
        ("GET", f"{KEY}:getIamPolicy?options.requestedPolicyVersion=3", None),
        ("POST", f"{KEY}:setIamPolicy", {"policy": {"bindings": []}}),
        ("GET", f"{KEY}/cryptoKeyVersions", None),
        ("POST", f"{KEY}/cryptoKeyVersions/1:destroy", {}),
        ("POST", BUDGETS, {"budgetFilter": {"projects": ["projects/123456789012"]}}),
        ("POST", CHANNELS, {"type": "email", "labels": {"email_address": "a@example.com"}, "userLabels": {"cost_center": "1"}}),
        ("POST", f"{CREDENTIALS}/a@acme-1.iam.gserviceaccount.com:generateAccessToken", {"scope": ["x"]}),
        ("POST", f"{POOLS}/p/providers?workloadIdentityPoolProviderId=automation", MAPPED),
        # Who is let in by federation is named by a project's number, and is no resource of anybody's.
        ("POST", f"{IAM}:setIamPolicy", {"policy": {"bindings": [{"role": "r", "members": ["principal://iam.googleapis.com/projects/9/x/subject/s"]}]}}),
        # An action's body is a part of an instance: what it doesn't hold stays as it is.
        ("POST", f"{INSTANCE}/setMetadata", {"fingerprint": "x", "items": [{"key": "enable-oslogin", "value": "true"}]}),
        ("POST", f"{INSTANCE}/setLabels", {"labelFingerprint": "x", "labels": {"tenant": "acme"}}),
        ("POST", f"{INSTANCE}/setScheduling", {"provisioningModel": "SPOT"}),
    ],
)
def test_what_the_stacks_call_passes(stage: Stage, method: str, url: str, body: Any) -> None:
    answer = asked(stage, method, url, body)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("method", "url", "body", "rule"),
    [
        ("POST", f"{KMS.replace('europe-west1', 'us-central1')}?keyRingId=r", {}, "residency"),
        ("POST", f"{KMS.replace('europe-west1', 'global')}?keyRingId=r", {}, "residency"),
        ("POST", f"{KMS.replace('acme-1', 'unknown-1')}?keyRingId=r", {}, "account"),
        ("POST", f"{KEY}:decrypt", {"ciphertext": "x"}, "request"),
        ("POST", f"{KEY}/cryptoKeyVersions:import", {}, "request"),
        ("POST", f"{KMS}/r/importJobs?importJobId=i", {}, "request"),
        ("GET", CHANNELS.replace("notificationChannels", "timeSeries"), None, "request"),
        ("POST", f"{CREDENTIALS}/a@acme-1.iam.gserviceaccount.com:signJwt", {}, "request"),
        ("POST", f"{CREDENTIALS}/a@unknown-1.iam.gserviceaccount.com:signBlob", {}, "request"),
        ("POST", f"{INSTANCE}/setScheduling", {"provisioningModel": "STANDARD"}, "spot"),
        ("POST", f"{INSTANCE}/attachDisk", {"source": "projects/globex-1/zones/europe-west1-b/disks/d"}, "account"),
    ],
)
def test_what_they_do_not_call_is_refused(stage: Stage, method: str, url: str, body: Any, rule: str) -> None:
    before = len(stage.seen)
    answer = asked(stage, method, url, body)
    assert (answer.status_code, f"[{rule}]" in answer.text) == (403, True), answer.text
    assert len(stage.seen) == before


def test_a_tenant_gets_no_token_of_another_tenants_account(stage: Stage) -> None:
    own, other = (f"{CREDENTIALS}/a@{project}.iam.gserviceaccount.com:generateAccessToken" for project in ("acme-1", "globex-1"))
    acme = {"principal": "acme", "key": "k-acme"}
    assert asked(stage, "POST", own, {"scope": ["x"]}, **acme).status_code == 200
    refused = asked(stage, "POST", other, {"scope": ["x"]}, **acme)
    assert (refused.status_code, "isn't tenant 'acme''s" in refused.text) == (403, True)


NEW = "https://compute.googleapis.com/compute/v1/projects/in-the-making-1/global"


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("GET", f"{NEW}/networks/default"),
        ("GET", f"{NEW}/firewalls?filter=network+eq+{quote(NEW, safe='')}%2Fnetworks%2Fdefault"),
        ("DELETE", f"{NEW}/firewalls/default-allow-ssh"),
        ("DELETE", f"{NEW}/networks/default"),
        ("GET", f"{NEW}/operations/operation-1"),
        ("POST", "https://serviceusage.googleapis.com/v1/projects/in-the-making-1/services:batchEnable"),
    ],
)
def test_a_project_in_the_making_loses_its_default_network(stage: Stage, method: str, url: str) -> None:
    answer = asked(stage, method, url, {"serviceIds": ["compute.googleapis.com"]} if method == "POST" else None)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("method", "url", "body", "who"),
    [
        ("DELETE", f"{NEW}/networks/production", None, {}),
        ("DELETE", f"{NEW}/firewalls/deny-in", None, {}),
        ("DELETE", f"{NEW}/firewalls/default", None, {}),
        ("GET", f"{NEW}/networks", None, {}),
        ("POST", f"{NEW}/networks", {"name": "default"}, {}),
        ("PATCH", f"{NEW}/networks/default", {"autoCreateSubnetworks": True}, {}),
        ("POST", f"{NEW}/networks/default/addPeering", {"name": "p"}, {}),
        ("POST", f"{NEW}/firewalls", {"name": "default-allow-ssh", "sourceRanges": ["0.0.0.0/0"]}, {}),
        ("DELETE", f"{NEW.removesuffix('/global')}/regions/europe-west4/subnetworks/default", None, {}),
        ("DELETE", f"{NEW}/networks/default", None, {"principal": "acme", "key": "k-acme"}),
    ],
)
def test_nothing_else_is_done_to_a_project_that_is_no_tenants(stage: Stage, method: str, url: str, body: Any, who: dict[str, str]) -> None:
    assert asked(stage, method, url, body, **who).status_code in (403, 407)
