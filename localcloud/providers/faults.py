"""The providers' errors.

::

    CloudFault
    ├── NotFound            the cloud has no such object
    ├── Conflict            the name is taken, or the object is in use
    ├── Denied              the cloud or the inline proxy refuses the call
    ├── Unreachable         no answer: the proxy or the cloud is down
    ├── Rejected            any other refusal of the cloud
    ├── Unsupported         the local cloud doesn't have this resource type, property or function
    ├── Cancelled           the engine was told to stop
    ├── TimedOut            the resource's timeout passed
    └── PartlyMade          the object exists but could not be finished
"""

from __future__ import annotations

from typing import Any


class CloudFault(Exception):
    """A call failed. ``code`` is the cloud's own word for it."""

    def __init__(self, message: str, code: str = "") -> None:
        self.code = code
        super().__init__(message)


class NotFound(CloudFault):
    """The cloud has no such object."""


class Conflict(CloudFault):
    """The name is taken, or the object is in use."""


class Denied(CloudFault):
    """Refused by a boundary rule or the cloud's own permissions."""


class Unreachable(CloudFault):
    """Nothing answered."""


class Rejected(CloudFault):
    """The cloud refused the request."""


class Unsupported(CloudFault):
    """The local cloud doesn't have it."""


class Cancelled(CloudFault):
    """The engine asked to stop."""


class TimedOut(CloudFault):
    """The resource's timeout passed."""


class PartlyMade(CloudFault):
    """The object ``id`` exists with ``outputs``, but something after its creation failed."""

    def __init__(self, id: str, outputs: dict[str, Any], message: str) -> None:
        self.id = id
        self.outputs = outputs
        super().__init__(message)


def refused_by_proxy(document: Any) -> str | None:
    """What the inline proxy says in a denial: problem details (RFC 9457) with ``findings``, or None if it isn't one."""
    if not isinstance(document, dict) or not str(document.get("type", "")).startswith("https://spotlane.dev/problems/"):
        return None
    findings = [f"{finding.get('rule')}: {finding.get('message')}" for finding in document.get("findings") or [] if isinstance(finding, dict)]
    return "; ".join(findings) or str(document.get("detail") or document.get("title") or "no reason given")
