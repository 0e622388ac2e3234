"""HTTP to a cloud's REST API, through the inline proxy; what every cloud but AWS is called by."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from localcloud.providers.faults import Unreachable
from localcloud.providers.ports import ProviderSettings

_TIMEOUT_SECONDS = 120.0


class Rest:
    """One cloud's API. ``fault`` makes an error of ours of an answer of 4xx or 5xx."""

    def __init__(self, settings: ProviderSettings, base: str, fault: Callable[[httpx.Response], Exception], headers: Mapping[str, str] | None = None) -> None:
        self._settings = settings
        self._base = base
        self._fault = fault
        self._headers = dict(headers or {})
        self._http: httpx.Client | None = None

    def call(self, method: str, path: str, **options: Any) -> Any:
        """The answer's JSON, None for an empty one. Raises the cloud's fault, or :class:`Unreachable`."""
        answer = self.send(method, path, **options)
        return answer.json() if answer.content else None

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The answer. Raises as :meth:`call` does."""
        url = path if path.startswith("https://") else self._base + path
        headers = {**self._headers, **options.pop("headers", {})}
        if not self._settings.proxy_url:
            url, headers = self._direct(url, headers)
        try:
            answer = self._client().request(method, url, headers=headers, **options)
        except httpx.TransportError as error:
            via = self._settings.proxy_url.rpartition("@")[2] or url
            raise Unreachable(f"{method} {urlsplit(url).path}: nothing answered through {via} ({type(error).__name__}); see `spotlane local status`") from error
        if answer.is_error:
            raise self._fault(answer)
        return answer

    def _client(self) -> httpx.Client:
        if self._http is None:
            limits = httpx.Limits(max_connections=16, max_keepalive_connections=4)
            if self._settings.proxy_url:
                import ssl

                trust = ssl.create_default_context(cafile=str(self._settings.ca_file))
                self._http = httpx.Client(proxy=self._settings.proxy_url, verify=trust, timeout=_TIMEOUT_SECONDS, limits=limits, trust_env=False)
            else:
                self._http = httpx.Client(timeout=_TIMEOUT_SECONDS, limits=limits, trust_env=False)
        return self._http

    def _direct(self, url: str, headers: dict[str, str]) -> tuple[str, dict[str, str]]:
        split = urlsplit(url)
        for pattern, upstream in self._settings.upstreams.items():
            if fnmatch.fnmatch(split.netloc, pattern):
                return upstream + url[len(f"https://{split.netloc}") :], {**headers, "host": split.netloc}
        raise Unreachable(f"no upstream is known for {split.netloc}")


def snake(name: str) -> str:
    """``accountId`` → ``account_id``; digits stay with their word (``contentSha256`` → ``content_sha256``)."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def camel(name: str) -> str:
    """``account_id`` → ``accountId``."""
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def renamed(value: Any, rename: Callable[[str], str]) -> Any:
    """``value`` with every key of every object renamed; nothing that is None stays."""
    if isinstance(value, Mapping):
        return {rename(key): renamed(item, rename) for key, item in value.items() if item is not None and not key.startswith("__")}
    if isinstance(value, list):
        return [renamed(item, rename) for item in value]
    return value


def overlaid(inputs: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
    """``inputs`` with what the cloud says of them now: the parts that were declared, as they stand there."""
    return {name: _overlaid(value, answer[name]) if name in answer else value for name, value in inputs.items()}


def _overlaid(mine: Any, theirs: Any) -> Any:
    if isinstance(mine, Mapping) and isinstance(theirs, Mapping):
        return {key: _overlaid(value, theirs[key]) if key in theirs else value for key, value in mine.items()}
    if isinstance(mine, list) and isinstance(theirs, list) and len(mine) == len(theirs):
        return [_overlaid(one, other) for one, other in zip(mine, theirs, strict=True)]
    return theirs


def refused_by_proxy(document: Any) -> str | None:
    """What the inline proxy says in a denial: problem details (RFC 9457) with ``findings``, or None if it isn't one."""
    if not isinstance(document, dict) or not str(document.get("type", "")).startswith("https://spotlane.dev/problems/"):
        return None
    findings = [f"{finding.get('rule')}: {finding.get('message')}" for finding in document.get("findings") or [] if isinstance(finding, dict)]
    return "; ".join(findings) or str(document.get("detail") or document.get("title") or "no reason given")
