"""Where a name is reached: DNS, or the resolver that ``SPOTLANE_RESOLVER_URL`` names (the local cloud's host map)."""

from __future__ import annotations

import os
from types import TracebackType

from spotlane.errors import Unreachable
from spotlane.exchange import Http, TransportError

_TIMEOUT_SECONDS = 5.0


class Resolver:
    """Looks names up over one kept connection; thread-safe. Without ``SPOTLANE_RESOLVER_URL`` names are left to DNS.

    >>> with Resolver({}) as names:
    ...     names.address("tcp-web-acme.workloads.example.com", 5432)
    ('tcp-web-acme.workloads.example.com', 5432)
    """

    def __init__(self, environ: dict[str, str] | None = None) -> None:
        self._url = (os.environ if environ is None else environ).get("SPOTLANE_RESOLVER_URL")
        self._http = Http(_TIMEOUT_SECONDS) if self._url else None

    def __enter__(self) -> Resolver:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        if self._http is not None:
            self._http.close()

    def address(self, host: str, port: int) -> tuple[str, int]:
        """The address to connect to for ``host:port``. Raises :class:`Unreachable` where the resolver doesn't know it."""
        if self._http is None or self._url is None:
            return host, port
        try:
            answer = self._http.get(self._url, params={"host": host})
        except TransportError as error:
            raise Unreachable("resolver", self._url, str(error), "look at `spotlane local status`") from error
        if answer.status_code == 404:
            raise Unreachable("name", host, "the host map doesn't know it", "is the workload's address deployed? see `spotlane workload show`")
        found = answer.json()
        return str(found["address"]), int(found.get("port") or port)
