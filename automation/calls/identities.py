"""The platform's own identities at the clouds, from the environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from botocore.credentials import Credentials
from botocore.session import get_session

from automation.calls.arm_token import ArmToken
from automation.calls.fetch import Fetcher
from automation.calls.google_token import GoogleToken


@dataclass(frozen=True)
class Identities:
    """Each is asked before its use, so that short-lived ones are renewed; nothing is called before."""

    aws: Callable[[], Credentials | None]
    azure: Callable[[], str]
    gcp: Callable[[], str]
    cloudflare: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, environment: Mapping[str, str], fetcher: Fetcher) -> Identities:
        """Those that ``environment`` names, in the variables of Pulumi's providers."""
        tokens = ArmToken(fetcher, environment), GoogleToken(environment)
        return cls(get_session().get_credentials, *tokens, environment.get("CLOUDFLARE_API_TOKEN"))
