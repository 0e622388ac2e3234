"""The preflight: each check by itself, through whatever HTTPS_PROXY names; what fails says what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from botocore.credentials import Credentials

from automation.accounts.port import Quota
from automation.calls.fetch import FeedFault, Fetcher
from automation.calls.identities import Identities
from automation.service.preflight import Preflight
from automation.settings import AutomationSettings
from spotlane import wire
from spotlane.errors import Unreachable
from tests.automation.test_sweep import ACME, Cloud

PROXY = {"HTTPS_PROXY": "http://platform:key@127.0.0.1:1"}
EVERYWHERE = ACME.model_copy(update={"clouds": ["aws", "azure", "gcp"]})


def cloud(request: httpx.Request) -> httpx.Response:
    """All clouds as they are where nothing is wrong; other hosts as the inline proxy answers for them."""
    match request.url.host, request.headers.get("x-amz-target", "").rpartition(".")[2]:
        case "example.com", _:
            raise httpx.ProxyError("403 Forbidden")
        case "organizations.us-east-1.amazonaws.com", "DescribeOrganization":
            return httpx.Response(200, json={"Organization": {"MasterAccountId": "111111111111"}})
        case "organizations.us-east-1.amazonaws.com", "ListRoots":
            return httpx.Response(200, json={"Roots": [{"Id": "r-1", "PolicyTypes": [{"Type": "SERVICE_CONTROL_POLICY", "Status": "ENABLED"}]}]})
        case "management.azure.com" | "cloudresourcemanager.googleapis.com" | "cloudbilling.googleapis.com" | "api.cloudflare.com", _:
            return httpx.Response(200, json={})
    raise AssertionError(request.url)


class Edge:
    def __init__(self, *tenants: wire.Tenant, away: bool = False) -> None:
        self._tenants, self._away = tenants, away

    def tenants(self) -> list[wire.Tenant]:
        if self._away:
            raise Unreachable("edge API", "http://api", "refused", "start it")
        return list(self._tenants)


class Measured(Cloud):
    """An account with spot quotas."""

    def __init__(self, **limits: float) -> None:
        super().__init__()
        self._limits = limits

    def quotas(self, regions: Any) -> list[Quota]:
        return [Quota(region, limit) for region, limit in self._limits.items()]


def no_token() -> str:
    raise FeedFault("denied", "no Azure credentials")


def preflight(tmp_path: Path, **changed: Any) -> dict[tuple[str, str], wire.Check]:
    """The checks by part and name, with one thing changed."""
    answer: Callable[[httpx.Request], httpx.Response] = changed.pop("answer", cloud)
    edge = changed.pop("edge", Edge(EVERYWHERE))
    account = changed.pop("account", None)
    environment = changed.pop("environment", PROXY)
    identities: dict[str, Any] = {"aws": lambda: Credentials("a", "b"), "azure": lambda: "t", "gcp": lambda: "t", "cloudflare": "t"} | changed
    settings = AutomationSettings(home=tmp_path, api_url="http://api/v1")
    fetcher = Fetcher(httpx.Client(transport=httpx.MockTransport(answer)), sleep=lambda _: None)
    accounts = [(account, ["eu-west-1"])] if account is not None else []
    checks = Preflight(settings, edge, lambda: "v3.1", fetcher, Identities(**identities), lambda _: accounts, environment).examine()
    found = {(one.part, one.name): one for one in checks.checks}
    assert checks.ready is all(one.status != "failed" for one in found.values())
    return found


def status(found: dict[tuple[str, str], wire.Check], part: str) -> set[str]:
    return {one.status for (of, _), one in found.items() if of == part}


def test_a_platform_with_everything_in_place_is_ready(tmp_path: Path) -> None:
    found = preflight(tmp_path)
    assert {one.status for one in found.values()} == {"ok"}
    assert {part for part, _ in found} == {"engine", "proxy", "edge", "aws", "azure", "gcp", "cloudflare", "tenant acme"}


def test_without_a_proxy_nothing_is_ready(tmp_path: Path) -> None:
    check = preflight(tmp_path, environment={})["proxy", "fails closed"]
    assert (check.status, check.detail) == ("failed", "HTTPS_PROXY is not set: without the inline proxy no cloud is called")


def test_a_proxy_that_lets_everything_through_is_not_ours(tmp_path: Path) -> None:
    def open_door(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200) if request.url.host == "example.com" else cloud(request)

    check = preflight(tmp_path, answer=open_door)["proxy", "fails closed"]
    assert (check.status, check.remedy) == ("failed", "point HTTPS_PROXY at the inline proxy (docs/operations.md)")


def test_a_proxy_that_is_away_is_no_proxy_that_refuses(tmp_path: Path) -> None:
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    check = preflight(tmp_path, answer=away)["proxy", "fails closed"]
    assert (check.status, check.remedy) == ("failed", "start the proxy, and set HTTPS_PROXY and SSL_CERT_FILE (docs/operations.md)")


def test_one_clouds_missing_credentials_leave_the_others_checks(tmp_path: Path) -> None:
    found = preflight(tmp_path, azure=no_token)
    assert "ARM_OIDC_TOKEN_FILE_PATH" in found["azure", "credentials"].remedy
    assert (status(found, "azure"), status(found, "aws"), status(found, "gcp")) == ({"failed"}, {"ok"}, {"ok"})


def test_a_cloud_that_no_tenant_uses_is_not_asked(tmp_path: Path) -> None:
    assert not status(preflight(tmp_path, edge=Edge(ACME), azure=no_token), "azure")


def test_an_organisation_without_control_policies_is_a_warning_with_the_command(tmp_path: Path) -> None:
    def without(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"Roots": [{"Id": "r-1", "PolicyTypes": []}]}) if b"ListRoots" in _target(request) else cloud(request)

    check = preflight(tmp_path, answer=without)["aws", "service control policies"]
    assert check.status == "warning" and check.remedy.startswith("aws organizations enable-policy-type")


def test_a_folder_that_can_not_be_read_names_its_setting(tmp_path: Path) -> None:
    def closed(request: httpx.Request) -> httpx.Response:
        return httpx.Response(403, json={}) if request.url.host == "cloudresourcemanager.googleapis.com" else cloud(request)

    check = preflight(tmp_path, answer=closed)["gcp", "folder folders/100000000000"]
    assert check.status == "failed" and "SPOTLANE_GCP_FOLDER" in check.remedy


def test_an_edge_that_is_away_fails_and_the_clouds_are_asked_all_the_same(tmp_path: Path) -> None:
    found = preflight(tmp_path, edge=Edge(away=True))
    assert found["edge", "answers to the platform's key"].status == "failed"
    assert status(found, "aws") == {"ok"}


def test_a_missing_cloudflare_token_is_a_warning(tmp_path: Path) -> None:
    assert preflight(tmp_path, cloudflare=None)["cloudflare", "token"].status == "warning"


def test_a_region_with_too_small_a_quota_is_a_warning_and_all_of_them_a_failure(tmp_path: Path) -> None:
    name = ("tenant acme", "aws quotas (1)")
    some, none = (preflight(tmp_path, account=Measured(**limits))[name] for limits in ({"a": 2.0, "b": 64.0}, {"a": 2.0, "b": 0.0}))
    assert (some.status, some.detail) == ("warning", "too few spot vCPUs in a (2); placement will be refused there")
    assert (none.status, none.detail) == ("failed", "no region has 4 spot vCPUs free: a (2), b (0)")
    assert "L-34B43A08" in some.remedy


def _target(request: httpx.Request) -> bytes:
    return request.headers.get("x-amz-target", "").encode()
