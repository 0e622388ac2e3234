"""Bearer tokens for Azure Resource Manager of the platform's service principal.

By its federated credential or secret, in the one POST of the OAuth 2.0 client credentials flow
(learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

import httpx

from automation.calls.fetch import FeedFault, Fetcher

_ARM = "https://management.azure.com"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class ArmToken:
    """Bearer tokens for Resource Manager of the platform's service principal, from the environment variables of Pulumi's provider (``ARM_*``)."""

    def __init__(self, fetcher: Fetcher, environment: Mapping[str, str]) -> None:
        self._fetcher, self._environment = fetcher, environment
        self._held: tuple[str, float] = ("", 0.0)

    def __call__(self) -> str:
        """A token that is good for a minute at least. Raises :class:`FeedFault`."""
        if given := self._environment.get("ARM_ACCESS_TOKEN"):
            return given
        if self._held[1] > time.monotonic():
            return self._held[0]
        tenant, client = self._environment.get("ARM_TENANT_ID"), self._environment.get("ARM_CLIENT_ID")
        if not tenant or not client:
            raise FeedFault("denied", "no Azure credentials; set ARM_TENANT_ID and ARM_CLIENT_ID, and ARM_OIDC_TOKEN_FILE_PATH or ARM_CLIENT_SECRET")
        form = {"grant_type": "client_credentials", "client_id": client, "scope": f"{_ARM}/.default", **self._proof()}
        url, kind = f"https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token", {"content-type": "application/x-www-form-urlencoded"}
        answer = self._fetcher.send(lambda: httpx.Request("POST", url, content=urlencode(form), headers=kind)).json()
        try:
            token, seconds = str(answer["access_token"]), float(answer["expires_in"])
        except (KeyError, TypeError, ValueError) as error:
            raise FeedFault("malformed", "login.microsoftonline.com sent no token") from error
        self._held = (token, time.monotonic() + seconds - 60)
        return token

    def _proof(self) -> dict[str, str]:
        if path := self._environment.get("ARM_OIDC_TOKEN_FILE_PATH"):
            try:
                return {"client_assertion_type": _ASSERTION, "client_assertion": Path(path).read_text(encoding="utf-8").strip()}
            except OSError as error:
                raise FeedFault("denied", f"ARM_OIDC_TOKEN_FILE_PATH: {path} can't be read ({error.strerror})") from error
        if assertion := self._environment.get("ARM_OIDC_TOKEN"):
            return {"client_assertion_type": _ASSERTION, "client_assertion": assertion}
        if secret := self._environment.get("ARM_CLIENT_SECRET"):
            return {"client_secret": secret}
        raise FeedFault("denied", "no proof for the Azure application; set ARM_OIDC_TOKEN_FILE_PATH (federated) or ARM_CLIENT_SECRET")
