"""Bearer tokens of the platform's own identity at Google, by Application Default Credentials: a federation's file, an attached account, or a token given."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import google.auth
import requests
from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request

from automation.calls.fetch import FeedFault

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"


class GoogleToken:
    """Gives tokens that are good for some minutes at least. Its calls take proxy and CA from ``environment``, as every other."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._credentials: Credentials | None = None
        self._lock = threading.Lock()

    def __call__(self) -> str:
        """A token. Raises :class:`FeedFault` where there is no identity or Google doesn't take it."""
        if given := self._environment.get("GOOGLE_OAUTH_ACCESS_TOKEN"):
            return given
        with self._lock:
            try:
                if self._credentials is None:
                    self._credentials, _ = google.auth.default(scopes=[_SCOPE])
                if not self._credentials.valid:
                    self._credentials.refresh(Request(self._session()))  # type: ignore[no-untyped-call]  # the library types only a part of itself
            except GoogleAuthError as error:
                raise FeedFault("denied", f"no Google credentials ({error}); set GOOGLE_APPLICATION_CREDENTIALS to a federation's file") from error
            return str(self._credentials.token)

    def _session(self) -> requests.Session:
        session = requests.Session()
        if bundle := self._environment.get("SSL_CERT_FILE"):
            session.verify = bundle
        return session
