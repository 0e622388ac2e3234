"""Clients of the AWS APIs for one provider config: credentials, assumed roles, endpoints, the inline proxy, and AWS's errors made ours."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import botocore.exceptions
import botocore.session
from botocore.config import Config

from localcloud.providers.faults import CloudFault, Conflict, Denied, NotFound, Rejected, Unreachable, of_status
from localcloud.providers.ports import ProviderSettings
from localcloud.providers.values import Props

MADE_UP_KEY = "LOCALCLOUD"
"""Access key where neither config nor environment has one; the local AWS takes it for the management account's."""
_RENEW_BEFORE = 300.0
"""Seconds before its expiry at which an assumed role's session is renewed."""
_DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True)
class Credentials:
    """``expires`` on the wall clock, in seconds since the epoch; None for a long-lived key."""

    key: str
    secret: str
    token: str | None = None
    expires: float | None = None


class Clients:
    """Makes clients of every service; shared by all configs, so that a service's model is loaded once (EC2's takes half a second)."""

    def __init__(self, settings: ProviderSettings) -> None:
        self._settings = settings
        self._session: Any = botocore.session.Session()
        self._session.set_config_variable("profile", None)
        self._lock = threading.RLock()
        self._clients: dict[tuple[object, ...], Any] = {}
        self._sessions: dict[tuple[object, ...], Credentials] = {}

    def client(self, service: str, region: str, credentials: Credentials, endpoint: str | None = None) -> Any:
        """A client, made once for these arguments. Thread-safe."""
        key = (service, region, credentials, endpoint)
        with self._lock:
            if key not in self._clients:
                if len(self._clients) > 512:
                    self._clients.clear()
                self._clients[key] = self._make(service, region, credentials, endpoint)
            return self._clients[key]

    def _make(self, service: str, region: str, credentials: Credentials, endpoint: str | None) -> Any:
        settings = self._settings
        options: dict[str, Any] = {"connect_timeout": 5, "read_timeout": 60, "retries": {"mode": "standard", "max_attempts": 3}, "max_pool_connections": 32}
        if settings.proxy_url:
            options["proxies"] = {"https": settings.proxy_url, "http": settings.proxy_url}
        client: Any = self._session.create_client(
            service,
            region_name=region,
            aws_access_key_id=credentials.key,
            aws_secret_access_key=credentials.secret,
            aws_session_token=credentials.token,
            endpoint_url=endpoint,
            verify=str(settings.ca_file) if settings.proxy_url else True,
            config=Config(**options),
        )
        if not settings.proxy_url and endpoint is None:
            client.meta.events.register("before-send", self._redirect)
        return client

    def _redirect(self, request: Any, **_: Any) -> None:
        """Without the proxy, a call goes to the upstream of its host, which is told the host's name."""
        url = urlsplit(request.url)
        upstream = next((base for pattern, base in self._settings.upstreams.items() if fnmatch(url.netloc, pattern)), None)
        if upstream is None:
            raise Unreachable(f"no upstream for {url.netloc} and no inline proxy; every call to a cloud goes through the proxy")
        base = urlsplit(upstream)
        request.headers["Host"] = url.netloc
        request.url = urlunsplit((base.scheme, base.netloc, url.path, url.query, ""))

    def assume(self, role: str, external_id: str | None, session_name: str, region: str, base: Credentials) -> Credentials:
        """The session of ``role``, kept until shortly before it expires."""
        key = (role, external_id, session_name, base)
        with self._lock:
            held = self._sessions.get(key)
            if held is not None and (held.expires is None or held.expires - _RENEW_BEFORE > time.time()):
                return held
            arguments = {"RoleArn": role, "RoleSessionName": session_name} | ({"ExternalId": external_id} if external_id else {})
            answer = ask(self.client("sts", region, base).assume_role, **arguments)["Credentials"]
            session = Credentials(answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"], answer["Expiration"].timestamp())
            self._sessions[key] = session
            return session


class AwsSession:
    """One provider config (https://www.pulumi.com/registry/packages/aws/installation-configuration/): whom and where its calls are for."""

    def __init__(self, clients: Clients, config: Mapping[str, Any]) -> None:
        self._clients = clients
        self.config = dict(config)
        self.region = str(config.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or _DEFAULT_REGION)
        self._endpoints: dict[str, str] = {}
        for entry in config.get("endpoints") or []:
            self._endpoints.update(entry)
        self._account: str | None = None

    def client(self, service: str, props: Mapping[str, Any] | None = None) -> Any:
        """The client of ``service`` in the resource's own region (property ``region``, since version 7 of the provider) or the provider's."""
        region = self.region_of(props or {})
        return self._clients.client(service, region, self._credentials(), self._endpoints.get(service.replace("-", "")))

    def region_of(self, props: Mapping[str, Any]) -> str:
        """Where a resource stands."""
        return str(props.get("region") or self.region)

    @property
    def account(self) -> str:
        """The account that calls are for (STS GetCallerIdentity)."""
        if self._account is None:
            self._account = str(ask(self.client("sts").get_caller_identity)["Account"])
            allowed = self.config.get("allowedAccountIds")
            if allowed and self._account not in allowed:
                raise Denied(f"account {self._account} is not among the provider's allowedAccountIds {allowed}")
        return self._account

    def arn(self, service: str, props: Mapping[str, Any], resource: str) -> str:
        """``arn:aws:<service>:<region>:<account>:<resource>``."""
        return f"arn:aws:{service}:{self.region_of(props)}:{self.account}:{resource}"

    @property
    def default_tags(self) -> dict[str, str]:
        """``defaultTags.tags`` of the provider."""
        tags: dict[str, str] = (self.config.get("defaultTags") or {}).get("tags") or {}
        return tags

    def _credentials(self) -> Credentials:
        key = self.config.get("accessKey") or os.environ.get("AWS_ACCESS_KEY_ID") or MADE_UP_KEY
        secret = self.config.get("secretKey") or os.environ.get("AWS_SECRET_ACCESS_KEY") or MADE_UP_KEY
        held = Credentials(str(key), str(secret), self.config.get("token") or os.environ.get("AWS_SESSION_TOKEN"))
        roles: list[Props] = [*(self.config.get("assumeRoles") or [])] + (
            [self.config["assumeRole"]] if isinstance(self.config.get("assumeRole"), dict) else []
        )
        for role in roles:
            if role.get("roleArn"):
                held = self._clients.assume(role["roleArn"], role.get("externalId"), role.get("sessionName") or "pulumi", self.region, held)
        return held


def ask(operation: Callable[..., Any], **arguments: Any) -> Any:
    """Calls a client's method. AWS's errors come out as :class:`~localcloud.providers.faults.CloudFault`."""
    try:
        return operation(**arguments)
    except botocore.exceptions.ClientError as error:
        raise fault(error) from error
    except (botocore.exceptions.HTTPClientError, botocore.exceptions.ResponseStreamingError) as error:
        raise Unreachable(f"AWS doesn't answer: {error}; is the local cloud up (`spotlane local status`)?") from error
    except (botocore.exceptions.ParamValidationError, botocore.exceptions.BotoCoreError) as error:
        raise Rejected(str(error)) from error


def find(operation: Callable[..., Any], **arguments: Any) -> Any:
    """As :func:`ask`, but None for what doesn't exist."""
    try:
        return ask(operation, **arguments)
    except NotFound:
        return None


_GONE = ("NotFound", "NoSuchEntity", "NoSuchPublicAccessBlockConfiguration", "AccountNotFoundException", "PolicyNotFoundException", "Malformed")
_TAKEN = ("AlreadyExists", "Duplicate", "DependencyViolation", "InUse", "DeleteConflict", "Conflict")
_REFUSED = ("UnauthorizedOperation", "AccessDenied", "AuthFailure", "InvalidClientTokenId", "SignatureDoesNotMatch", "ExpiredToken")


def fault(error: botocore.exceptions.ClientError) -> CloudFault:
    """AWS's error as ours, by its code (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html)."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    text = f"{error.response.get('Error', {}).get('Message', '') or error} ({error.operation_name})"
    if "Spotlane boundary" in text:
        return of_status(403, text, code)
    if code == "403" or any(word in code for word in _REFUSED):
        return Denied(text, code)
    if any(word in code for word in _GONE) and not code.startswith("MalformedPolicy"):
        return NotFound(text, code)
    if any(word in code for word in _TAKEN):
        return Conflict(text, code)
    return Rejected(text, code)
