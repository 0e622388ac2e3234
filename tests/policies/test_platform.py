"""What the platform itself keeps, its engine's state and key, by the settings that name it: that and nothing beside passes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from policies.proxy.platform import own
from policies.proxy.request import ApiRequest
from tests.policies.stage import AWS_ACCOUNT, Stage, signed, staged

KEY = "projects/platform-1/locations/europe-west4/keyRings/spotlane/cryptoKeys/state"
R2 = "0123456789abcdef.r2.cloudflarestorage.com"
BACKENDS = {
    "s3": "s3://state?region=eu-central-1",
    "r2": f"s3://state?endpoint=https://{R2}&region=auto&s3ForcePathStyle=true",
    "gs": "gs://state",
    "azblob": "azblob://state?storage_account=spotlane",
    "cloud": "https://api.pulumi.com",
}
PROVIDERS = {
    "awskms": "awskms://alias/state?region=eu-central-1",
    "gcpkms": f"gcpkms://{KEY}",
    "azurekeyvault": "azurekeyvault://spotlane.vault.azure.net/keys/state",
    "hashivault": "hashivault://state",
}


def asked(url: str, method: str = "GET", headers: dict[str, str] | None = None, body: bytes = b"") -> ApiRequest:
    host, _, rest = url.partition("/")
    path, _, query = f"/{rest}".partition("?")
    return ApiRequest(method, host, path, query, headers or {}, body)


@pytest.mark.parametrize(
    ("backend", "url", "passes"),
    [
        ("s3", "state.s3.eu-central-1.amazonaws.com/.pulumi/stacks/a.json", True),
        ("s3", "s3.eu-central-1.amazonaws.com/state/.pulumi/stacks/a.json", True),
        ("s3", "s3.eu-central-1.amazonaws.com/state?list-type=2", True),
        ("s3", "s3.eu-central-1.amazonaws.com/state-of-acme/secret", False),
        ("s3", "s3.eu-central-1.amazonaws.com/", False),
        ("s3", "s3.us-east-1.amazonaws.com/state/a", False),
        ("s3", "s3.eu-central-1.amazonaws.com/state/../acme/a", False),
        ("s3", "s3.eu-central-1.amazonaws.com/state%2f..%2facme/a", False),
        ("r2", f"{R2}/state/.pulumi/meta.yaml", True),
        ("r2", f"state.{R2}/.pulumi/meta.yaml", True),
        ("r2", f"{R2}/other/a", False),
        ("gs", "storage.googleapis.com/storage/v1/b/state/o?prefix=.pulumi", True),
        ("gs", "storage.googleapis.com/upload/storage/v1/b/state/o?uploadType=media", True),
        ("gs", "storage.googleapis.com/state/.pulumi/stacks/a.json", True),
        ("gs", "storage.googleapis.com/storage/v1/b/acme/o", False),
        ("gs", "storage.googleapis.com/batch/storage/v1", False),
        ("azblob", "spotlane.blob.core.windows.net/state/.pulumi/a", True),
        ("azblob", "spotlane.blob.core.windows.net/?comp=list", False),
        ("azblob", "acme.blob.core.windows.net/state/a", False),
        ("cloud", "api.pulumi.com/api/stacks/org/spotlane/a", True),
        ("cloud", "app.pulumi.com/", False),
    ],
)
def test_only_the_bucket_that_the_setting_names_is_the_platforms(backend: str, url: str, passes: bool) -> None:
    assert own({"PULUMI_BACKEND_URL": BACKENDS[backend]}).uses(asked(url)) is passes


@pytest.mark.parametrize(
    ("provider", "request_", "passes"),
    [
        ("awskms", asked("kms.eu-central-1.amazonaws.com/", "POST", {"x-amz-target": "TrentService.Encrypt"}, b'{"KeyId": "alias/state"}'), True),
        ("awskms", asked("kms.eu-central-1.amazonaws.com/", "POST", {"x-amz-target": "TrentService.Decrypt"}, b'{"CiphertextBlob": "x"}'), True),
        ("awskms", asked("kms.eu-central-1.amazonaws.com/", "POST", {"x-amz-target": "TrentService.Encrypt"}, b'{"Plaintext": "x"}'), False),
        ("awskms", asked("kms.eu-central-1.amazonaws.com/", "POST", {"x-amz-target": "TrentService.Encrypt"}, b'{"KeyId": "alias/acme"}'), False),
        ("awskms", asked("kms.eu-central-1.amazonaws.com/", "POST", {"x-amz-target": "TrentService.ScheduleKeyDeletion"}, b'{"KeyId": "alias/state"}'), False),
        (
            "awskms",
            asked("kms.eu-central-1.amazonaws.com/", "POST", {"x-amz-target": "TrentService.Encrypt"}, b'{"KeyId": "alias/state", "KeyId": "x"}'),
            False,
        ),
        ("awskms", asked("kms.eu-west-1.amazonaws.com/", "POST", {"x-amz-target": "TrentService.Encrypt"}, b'{"KeyId": "alias/state"}'), False),
        ("gcpkms", asked(f"cloudkms.googleapis.com/v1/{KEY}:decrypt", "POST"), True),
        ("gcpkms", asked(f"cloudkms.googleapis.com/v1/{KEY}:setIamPolicy", "POST"), False),
        ("gcpkms", asked(f"cloudkms.googleapis.com/v1/{KEY}2:decrypt", "POST"), False),
        ("azurekeyvault", asked("spotlane.vault.azure.net/keys/state/0a1b/decrypt?api-version=7.4", "POST"), True),
        ("azurekeyvault", asked("spotlane.vault.azure.net/keys/state/0a1b?api-version=7.4", "DELETE"), False),
        ("azurekeyvault", asked("spotlane.vault.azure.net/keys/acme/0a1b/decrypt", "POST"), False),
        ("azurekeyvault", asked("spotlane.vault.azure.net/secrets/state/decrypt", "POST"), False),
        ("hashivault", asked("vault.example.com/v1/transit/decrypt/state", "PUT"), True),
        ("hashivault", asked("vault.example.com/v1/transit/keys/state", "POST"), False),
        ("hashivault", asked("vault.example.com/v1/secret/data/state", "POST"), False),
    ],
)
def test_of_the_key_that_the_setting_names_only_its_use_is_the_platforms(provider: str, request_: ApiRequest, passes: bool) -> None:
    found = own({"SPOTLANE_SECRETS_PROVIDER": PROVIDERS[provider], "VAULT_ADDR": "https://vault.example.com"})
    assert found.uses(request_) is passes


@pytest.mark.parametrize("settings", [{}, {"PULUMI_BACKEND_URL": "file:///var/lib/spotlane/state", "SPOTLANE_SECRETS_PROVIDER": "passphrase"}])
def test_a_state_in_files_under_a_passphrase_needs_no_cloud(settings: dict[str, str]) -> None:
    found = own(settings)
    assert (found.stores, found.keys) == ((), ())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"PULUMI_BACKEND_URL": "s3://state"}, "names no region: add region=NAME"),
        ({"PULUMI_BACKEND_URL": "s3://"}, "names no bucket"),
        ({"PULUMI_BACKEND_URL": "ftp://state"}, "names no bucket that the proxy knows"),
        ({"PULUMI_BACKEND_URL": "azblob://state"}, "names no storage account"),
        ({"SPOTLANE_SECRETS_PROVIDER": "awskms://alias/state"}, "names no region"),
        ({"SPOTLANE_SECRETS_PROVIDER": "hashivault://state"}, "with VAULT_ADDR"),
        ({"SPOTLANE_SECRETS_PROVIDER": "plain://x"}, "names no key that the proxy knows"),
    ],
)
def test_a_setting_that_names_nothing_is_refused_with_what_it_lacks(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        own(settings)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    settings = {"PULUMI_BACKEND_URL": BACKENDS["r2"], "SPOTLANE_SECRETS_PROVIDER": PROVIDERS["awskms"]}
    with staged(tmp_path_factory.mktemp("platform"), settings) as found:
        yield found


@pytest.fixture(autouse=True)
def _forgotten(request: pytest.FixtureRequest) -> None:
    if "stage" in request.fixturenames:
        request.getfixturevalue("stage").seen.clear()


def kms(key: str, body: bytes) -> dict[str, str]:
    return signed("eu-central-1", key, "kms") | {"x-amz-target": "TrentService.Decrypt", "content-type": "application/x-amz-json-1.1"}


def test_the_engine_reads_and_writes_its_state_through_the_proxy_and_the_audit_says_so(stage: Stage) -> None:
    with stage.client() as client:
        assert client.put(f"https://{R2}/state/.pulumi/stacks/a.json", content=b"{}").status_code == 200
        assert client.get(f"https://{R2}/other/.pulumi/stacks/a.json").status_code == 403
    assert [where for _, where, _ in stage.seen] == [f"{R2}/state/.pulumi/stacks/a.json"]
    assert [(one["cloud"], one["service"], one["verdict"], one["rule"]) for one in stage.entries()[-2:]] == [
        ("cloudflare", "state", "allow", "platform"),
        ("cloudflare", "state", "deny", "account"),
    ]


def test_a_tenants_credential_doesnt_reach_the_platforms_state(stage: Stage) -> None:
    with stage.client("acme", "k-acme") as client, pytest.raises(Exception, match="403"):
        client.get(f"https://{R2}/state/.pulumi/stacks/a.json")
    assert stage.seen == []


def test_the_key_is_used_by_the_platforms_own_credentials_and_not_in_a_tenants_session(stage: Stage) -> None:
    form = {"Action": "AssumeRole", "Version": "2011-06-15", "RoleArn": f"arn:aws:iam::{AWS_ACCOUNT}:role/x", "RoleSessionName": "s"}
    body = json.dumps({"CiphertextBlob": "AQ=="}).encode()
    url = "https://kms.eu-central-1.amazonaws.com/"
    with stage.client() as client:
        assert client.post("https://sts.eu-west-1.amazonaws.com/", data=form).status_code == 200
        assert client.post(url, content=body, headers=kms("AKIAPLATFORM", body)).status_code == 200
        assert (stage.entries()[-1]["rule"], stage.entries()[-1]["tenant"]) == ("platform", "")
        client.post(url, content=body, headers=kms("ASIATENANT", body))
        assert (stage.entries()[-1]["rule"], stage.entries()[-1]["tenant"]) == ("", "acme"), "a tenant's session is judged as the tenant's"


def test_the_proxy_doesnt_start_with_a_setting_that_it_cant_read(tmp_path: Path) -> None:
    with pytest.raises((AssertionError, ValueError)), staged(tmp_path, {"PULUMI_BACKEND_URL": "s3://state", "AWS_REGION": "", "AWS_DEFAULT_REGION": ""}):
        pass
