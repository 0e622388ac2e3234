"""JSON over HTTP to a cloud's own host, through the inline proxy."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from typing import Any

import httpx

from localcloud.providers.faults import Unreachable
from localcloud.providers.ports import ProviderSettings

_AGAIN = frozenset({429, 500, 502, 503, 504})
_PAUSES = (0.2, 1.0)
"""Seconds before the second and the third try."""
_PATIENCE_SECONDS = 5.0
_TIMEOUT = httpx.Timeout(60.0, connect=5.0)


@dataclass(frozen=True)
class Answer:
    """``document`` is the JSON body, None where there is none; ``text`` the body as it came. ``repeated``: a try before had failed at the server's end, and may
    have had its effect."""

    status: int
    document: Any
    headers: Mapping[str, str]
    text: str
    repeated: bool = False


class Rest:
    """Calls of one process; keeps connections. Thread-safe."""

    def __init__(self, settings: ProviderSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None

    def call(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, busy: Callable[[Answer], bool] = lambda answer: False, **body: Any
    ) -> Answer:
        """One call, again where the server failed or asks for patience, as the clouds' SDKs do; ``busy`` knows a cloud's own way to ask for it.

        ``body`` as for :meth:`_once`. Raises :class:`Unreachable`.
        """
        for tried, pause in enumerate(_PAUSES):
            answer = self._once(method, url, headers, **body)
            if answer.status not in _AGAIN and not busy(answer):
                return replace(answer, repeated=tried > 0)
            asked = answer.headers.get("retry-after", "")
            time.sleep(min(float(asked), _PATIENCE_SECONDS) if asked.isdigit() else pause)
        return replace(self._once(method, url, headers, **body), repeated=True)

    def _once(self, method: str, url: str, headers: Mapping[str, str] | None = None, **body: Any) -> Answer:
        """One try; ``body`` is httpx's ``json``, ``content``, ``files``, ``data`` or ``params``. Raises :class:`Unreachable`, never for a status."""
        target, sent = httpx.URL(url), dict(headers or {})
        if not self._settings.proxy_url:
            upstream = next((base for pattern, base in self._settings.upstreams.items() if fnmatch(target.host, pattern)), None)
            if upstream is None:
                raise Unreachable(f"no upstream for {target.host} and no inline proxy; every call to a cloud goes through the proxy")
            base = httpx.URL(upstream)
            sent["host"] = target.host
            target = target.copy_with(scheme=base.scheme, host=base.host, port=base.port)
        try:
            response = self._opened().request(method, target, headers=sent, **body)
        except httpx.ProxyError as error:
            raise Unreachable(f"the inline proxy refuses the connection to {httpx.URL(url).host}: {error}") from error
        except httpx.HTTPError as error:
            raise Unreachable(f"{httpx.URL(url).host} doesn't answer ({error!r}); is the local cloud up (`spotlane local status`)?") from error
        try:
            document = response.json() if response.content else None
        except ValueError:
            document = None
        return Answer(response.status_code, document, response.headers, response.text)

    def _opened(self) -> httpx.Client:
        with self._lock:
            if self._client is None:
                options: dict[str, Any] = {"timeout": _TIMEOUT, "trust_env": False, "limits": httpx.Limits(max_connections=64, max_keepalive_connections=32)}
                if self._settings.proxy_url:
                    trusted = ssl.create_default_context(cafile=str(self._settings.ca_file))
                    options |= {"proxy": self._settings.proxy_url, "verify": trusted}
                self._client = httpx.Client(**options)
            return self._client
