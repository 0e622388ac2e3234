"""Preflight: whether credentials, accounts, regions, quotas and the proxy are there before anything is made. Reads only; every call goes through the proxy."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx

from automation.accounts.port import Account
from automation.calls.fetch import FeedFault, Fetcher
from automation.calls.identities import Identities
from automation.calls.signing import JSON, signed
from automation.errors import AutomationError
from automation.settings import AutomationSettings
from domain.catalog import CLOUDS
from spotlane import wire
from spotlane.client import Client
from spotlane.errors import SpotlaneError

FORBIDDEN = "https://example.com/"
"""A host that is no cloud's: a proxy that lets it through isn't ours."""
_LEAST_VCPUS = 4.0
"""Two machines of the smallest shape: one that serves, and its successor."""
_AT_ONCE = 6


class Preflight:
    """Examines what the first move, and later ones, stand on. ``accounts`` opens a tenant's accounts with the regions of its boundary."""

    def __init__(
        self,
        settings: AutomationSettings,
        edge: Client,
        engine: Callable[[], str],
        fetcher: Fetcher,
        identities: Identities,
        accounts: Callable[[wire.Tenant], list[tuple[Account, list[str]]]],
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._settings, self._edge, self._engine, self._fetcher = settings, edge, engine, fetcher
        self._identities, self._accounts, self._environment = identities, accounts, environment

    def examine(self) -> wire.Preflight:
        """Every check, in order; a check that fails keeps none of the others from being made."""
        checks = [self._checked("engine", "version", self._engine_version), self._checked("proxy", "fails closed", self._proxy_refuses)]
        tenants: list[wire.Tenant] = []
        checks.append(self._checked("edge", "answers to the platform's key", lambda: self._tenants(tenants)))
        wanted = {cloud for tenant in tenants for cloud in tenant.clouds} if tenants else set(CLOUDS)
        probes = {"aws": self._aws, "azure": self._azure, "gcp": self._gcp}
        for cloud in CLOUDS:
            if cloud in wanted:
                checks += probes[cloud]()
        checks.append(self._checked("cloudflare", "token", self._cloudflare))
        for tenant in tenants:
            checks += self._tenant(tenant)
        return wire.Preflight(ready=all(one.status != "failed" for one in checks), checks=checks)

    def _checked(self, part: str, name: str, probe: Callable[[], str], remedy: str = "") -> wire.Check:
        """``probe`` gives what it found, raises :class:`Doubt` for a warning and another fault for a failure."""
        try:
            return wire.Check(part=part, name=name, status="ok", detail=probe())
        except Doubt as doubt:
            return wire.Check(part=part, name=name, status="warning", detail=str(doubt), remedy=doubt.remedy)
        except (FeedFault, SpotlaneError, AutomationError, Fault) as fault:
            return wire.Check(part=part, name=name, status="failed", detail=str(fault), remedy=getattr(fault, "remedy", "") or remedy)

    def _engine_version(self) -> str:
        return f"Pulumi {self._engine()}"

    def _proxy_refuses(self) -> str:
        if not self._environment.get("HTTPS_PROXY"):
            raise Fault("HTTPS_PROXY is not set: without the inline proxy no cloud is called", "start the proxy and set HTTPS_PROXY (docs/operations.md)")
        try:
            self._fetcher.get(FORBIDDEN)
        except FeedFault as fault:
            if fault.reason == "denied":
                return "refuses hosts that are no cloud's"
            raise Fault(str(fault), "start the proxy, and set HTTPS_PROXY and SSL_CERT_FILE (docs/operations.md)") from fault
        raise Fault(f"HTTPS_PROXY lets {FORBIDDEN} through: it isn't the inline proxy", "point HTTPS_PROXY at the inline proxy (docs/operations.md)")

    def _tenants(self, into: list[wire.Tenant]) -> str:
        into += self._edge.tenants()
        return f"{len(into)} tenant{'' if len(into) == 1 else 's'}"

    def _aws(self) -> Iterator[wire.Check]:
        remedy = "set AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN, or a profile (docs/real-clouds.md, 1)"
        yield self._checked("aws", "credentials", lambda: self._organization("DescribeOrganization", {}, "MasterAccountId"), remedy)
        if unit := self._settings.aws_organizational_unit:
            asked = {"OrganizationalUnitId": unit}
            yield self._checked(
                "aws",
                "organizational unit",
                lambda: self._organization("DescribeOrganizationalUnit", asked, "Name"),
                "name one: SPOTLANE_AWS_ORGANIZATIONAL_UNIT",
            )
        yield self._checked("aws", "service control policies", self._control_policies)

    def _organization(self, operation: str, asked: Mapping[str, str], shown: str) -> str:
        document = self._organizations(operation, asked)
        (found,) = (one for one in document.values() if isinstance(one, dict))
        return f"{shown} {found.get(shown, '?')}"

    def _control_policies(self) -> str:
        for root in self._organizations("ListRoots", {}).get("Roots", []):
            if any(one.get("Type") == "SERVICE_CONTROL_POLICY" and one.get("Status") == "ENABLED" for one in root.get("PolicyTypes", [])):
                return f"enabled on {root.get('Id')}"
        remedy = "aws organizations enable-policy-type --root-id r-… --policy-type SERVICE_CONTROL_POLICY"
        raise Doubt("service control policies aren't enabled on the organisation's root: boundaries would not be fences there", remedy)

    def _organizations(self, operation: str, asked: Mapping[str, str]) -> dict[str, Any]:
        credentials = self._identities.aws()
        if credentials is None:
            raise Fault("no AWS credentials")
        url, target, body = "https://organizations.us-east-1.amazonaws.com/", f"AWSOrganizationsV20161128.{operation}", json.dumps(asked)
        return self._fetcher.send(lambda: signed(credentials, "organizations", "us-east-1", url, body, JSON, target)).json()

    def _azure(self) -> Iterator[wire.Check]:
        yield self._checked("azure", "credentials", self._azure_token, "set ARM_TENANT_ID, ARM_CLIENT_ID and ARM_OIDC_TOKEN_FILE_PATH (docs/real-clouds.md, 1)")
        group = self._settings.azure_management_group
        url = f"https://management.azure.com/providers/Microsoft.Management/managementGroups/{group}?api-version=2021-04-01"
        yield self._checked("azure", f"management group {group}", lambda: self._readable(url, self._identities.azure), _setting("AZURE_MANAGEMENT_GROUP"))

    def _azure_token(self) -> str:
        self._identities.azure()
        return "Entra ID gives a token"

    def _gcp(self) -> Iterator[wire.Check]:
        yield self._checked("gcp", "credentials", self._gcp_token, "set GOOGLE_APPLICATION_CREDENTIALS to a federation's file (docs/real-clouds.md, 1)")
        folder, billing = self._settings.gcp_folder, self._settings.gcp_billing_account
        places = {
            f"folder {folder}": (f"https://cloudresourcemanager.googleapis.com/v3/{folder}", "GCP_FOLDER"),
            f"billing account {billing}": (f"https://cloudbilling.googleapis.com/v1/billingAccounts/{billing}", "GCP_BILLING_ACCOUNT"),
        }
        for name, (url, setting) in places.items():
            yield self._checked("gcp", name, partial(self._readable, url, self._identities.gcp), _setting(setting))

    def _gcp_token(self) -> str:
        self._identities.gcp()
        return "Google gives a token"

    def _cloudflare(self) -> str:
        token = self._identities.cloudflare
        if token is None:
            raise Doubt("CLOUDFLARE_API_TOKEN is not set: tunnels and addresses can't be made", "make a token (python -m stacks.permissions cloudflare)")
        self._readable("https://api.cloudflare.com/client/v4/user/tokens/verify", lambda: token)
        return "the token is active"

    def _readable(self, url: str, token: Callable[[], str]) -> str:
        self._fetcher.send(lambda: httpx.Request("GET", url, headers={"authorization": f"Bearer {token()}"}))
        return "can be read"

    def _tenant(self, tenant: wire.Tenant) -> Iterable[wire.Check]:
        """Quotas of the tenant's accounts that stand, by cloud."""
        try:
            accounts = self._accounts(tenant)
        except (FeedFault, AutomationError, SpotlaneError) as fault:
            return [wire.Check(part=f"tenant {tenant.id}", name="accounts", status="failed", detail=str(fault))]
        if not accounts:
            return [wire.Check(part=f"tenant {tenant.id}", name="accounts", status="ok", detail="none yet; the first placement makes them")]
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="preflight") as pool:
            return list(pool.map(lambda one: self._quotas(tenant.id, *one), accounts))

    def _quotas(self, tenant: str, account: Account, regions: list[str]) -> wire.Check:
        def probe() -> str:
            found = account.quotas(regions)
            short = [f"{one.region} ({one.limit:g})" for one in found if one.limit - (one.used or 0.0) < _LEAST_VCPUS]
            if short and len(short) == len(found):
                raise Fault(f"no region has {_LEAST_VCPUS:g} spot vCPUs free: {', '.join(short)}", _RAISE[account.cloud])
            if short:
                raise Doubt(f"too few spot vCPUs in {', '.join(short)}; placement will be refused there", _RAISE[account.cloud])
            return f"{len(found)} regions, at least {min((one.limit for one in found), default=0.0):g} spot vCPUs each"

        return self._checked(f"tenant {tenant}", f"{account.cloud} quotas ({account.id})", probe)


class Doubt(Exception):
    """Something that holds nothing up yet; ``remedy`` says what to do."""

    def __init__(self, detail: str, remedy: str) -> None:
        self.remedy = remedy
        super().__init__(detail)


class Fault(Exception):
    """Something that nothing can be made without."""

    def __init__(self, detail: str, remedy: str = "") -> None:
        self.remedy = remedy
        super().__init__(detail)


_RAISE = {
    "aws": "ask for more of the quota L-34B43A08 in the Service Quotas console of the region",
    "azure": "ask for more of 'Total Regional Spot vCPUs' in the portal (Quotas, Compute)",
    "gcp": "ask for more of PREEMPTIBLE_CPUS (IAM & Admin, Quotas)",
}


def _setting(name: str) -> str:
    return f"name another (SPOTLANE_{name}), or give the platform's identity its roles there (python -m stacks.permissions)"
