"""Cloudflare's API v4: the envelope ``{"success", "errors", "result"}`` opened, its errors made ours, and names between the two spellings.

Format: https://developers.cloudflare.com/fundamentals/api/how-to/make-api-calls/ and …/reference/errors.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from localcloud.providers.faults import CloudFault, Conflict, NotFound, of_status
from localcloud.providers.rest import Answer, Rest

_BASE = "https://api.cloudflare.com/client/v4"
_SINGULAR = {"originDirects": "origin_direct", "ingresses": "ingress", "audTags": "aud_tag"}
"""Lists that Pulumi names in the plural, unlike the API."""
_PLURAL = {wire: name for name, wire in _SINGULAR.items()}
_GONE = {1002, 7003, 7404, 10006, 10007, 10009, 10013, 10023, 10200, 11000, 81044, 100114}
"""Codes of a missing object that don't always come with status 404."""


class Api:
    """Calls for one provider config (https://www.pulumi.com/registry/packages/cloudflare/installation-configuration/)."""

    def __init__(self, rest: Rest, config: Mapping[str, Any]) -> None:
        self._rest = rest
        self._base = str(config.get("baseUrl") or os.environ.get("CLOUDFLARE_BASE_URL") or _BASE).rstrip("/")
        self._token = str(config.get("apiToken") or os.environ.get("CLOUDFLARE_API_TOKEN") or "")
        self._key = (
            str(config.get("email") or os.environ.get("CLOUDFLARE_EMAIL") or ""),
            str(config.get("apiKey") or os.environ.get("CLOUDFLARE_API_KEY") or ""),
        )

    def request(self, method: str, path: str, *, token: str = "", headers: Mapping[str, str] | None = None, **body: Any) -> Any:
        """The ``result`` of one call. ``token`` stands in for the provider's own. Raises :class:`CloudFault`."""
        answer = self._rest.call(method, self._base + path, {**self._credentials(token), **(headers or {})}, **body)
        document = answer.document
        if answer.status >= 400 or (isinstance(document, dict) and document.get("success") is False):
            raise _fault(answer)
        return document.get("result") if isinstance(document, dict) and "result" in document else document

    def raw(self, path: str) -> str | None:
        """The body of a GET that has no envelope, None if there is nothing."""
        answer = self._rest.call("GET", self._base + path, self._credentials(""))
        if answer.status == 404:
            return None
        if answer.status >= 400:
            raise _fault(answer)
        return answer.text

    def find(self, path: str, **options: Any) -> Any:
        """The result of a GET, None if there is none."""
        try:
            return self.request("GET", path, **options)
        except NotFound:
            return None

    def _credentials(self, token: str) -> dict[str, str]:
        if token or self._token or not self._key[1]:
            return {"authorization": f"Bearer {token or self._token or 'local-cloud'}"}
        return {"x-auth-email": self._key[0], "x-auth-key": self._key[1]}


def _fault(answer: Answer) -> CloudFault:
    errors = (answer.document or {}).get("errors") if isinstance(answer.document, dict) else None
    if not errors:
        return of_status(answer.status, answer.text[:500] or f"HTTP {answer.status}")
    texts = [str(error.get("message", "")) + "".join(f" ({inner.get('message')})" for inner in error.get("error_chain") or []) for error in errors]
    code = int(errors[0].get("code") or 0)
    text = "; ".join(texts)
    if code in _GONE and answer.status in (400, 404):
        return NotFound(text, str(code))
    if "already" in text and answer.status in (400, 409):
        return Conflict(text, str(code))
    return of_status(max(answer.status, 400), text, str(code or ""))


def to_wire(value: Any, name: str = "") -> Any:
    """Properties as the API spells them: ``scriptName`` → ``script_name``. Keys of free maps (``exports``, ``files``) are kept."""
    if isinstance(value, Mapping):
        if name in _FREE:
            return {key: to_wire(item) for key, item in value.items() if item is not None}
        return {wire_name(key): to_wire(item, key) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [to_wire(item, name) for item in value]
    return value


def from_wire(value: Any, name: str = "") -> Any:
    """The API's fields as properties: ``script_name`` → ``scriptName``."""
    if isinstance(value, Mapping):
        if name in _FREE:
            return {key: from_wire(item) for key, item in value.items() if item is not None}
        return {property_name(key): from_wire(item, property_name(key)) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [from_wire(item, name) for item in value]
    return value


_FREE = frozenset({"exports", "files"})


def wire_name(name: str) -> str:
    """``contentSha256`` → ``content_sha256``."""
    return _SINGULAR.get(name) or re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


def property_name(name: str) -> str:
    """``content_sha256`` → ``contentSha256``."""
    return _PLURAL.get(name) or re.sub(r"_([a-z0-9])", lambda match: match.group(1).upper(), name)
