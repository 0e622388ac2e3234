"""A tenant's accounts, opened by what its stack's state says of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from automation.accounts.aws import AwsAccount
from automation.accounts.azure import AzureAccount
from automation.accounts.gcp import GcpAccount
from automation.accounts.port import Account
from automation.calls.fetch import Fetcher
from automation.calls.identities import Identities
from domain.boundary.compiled import CompiledBoundary
from stacks.tenant import home_region


class Entry:
    """Opens accounts with the platform's own identities. Nothing is called before it is needed."""

    def __init__(self, fetcher: Fetcher, identities: Identities) -> None:
        self._fetcher, self._own = fetcher, identities

    def accounts(self, outputs: Mapping[str, Any], settings: Mapping[str, Any], boundary: CompiledBoundary) -> list[Account]:
        """Those that a tenant's stack has made or taken. ``outputs`` and ``settings`` are the stack's."""
        found: list[Account] = []
        if (account := outputs.get("aws_account_id")) and (role := outputs.get("aws_role_arn")):
            external_id = (settings.get("aws") or {}).get("externalId")
            found.append(AwsAccount(self._fetcher, self._own.aws, str(account), str(role), home_region(boundary), external_id))
        if subscription := outputs.get("azure_subscription_id"):
            found.append(AzureAccount(self._fetcher, self._own.azure, str(subscription)))
        if (project := outputs.get("gcp_project_id")) and (email := outputs.get("gcp_automation_email")):
            found.append(GcpAccount(self._fetcher, self._own.gcp, str(project), str(email)))
        return found
