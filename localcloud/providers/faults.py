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
    """The name is taken, or the object is in use. ``repeated``: perhaps by this very call, which was tried before and not answered well."""

    repeated = False


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


_BOUNDARY = "Spotlane boundary ["
"""How the inline proxy's refusals begin, in whatever form of the vendor's they come."""


def of_status(status: int, message: str, code: str = "") -> CloudFault:
    """The fault of an HTTP answer of ``status`` (400 and above)."""
    if _BOUNDARY in message:
        return Denied(f"refused by the inline proxy: {message[message.index(_BOUNDARY) :]}", code)
    kinds: dict[int, type[CloudFault]] = {401: Denied, 403: Denied, 404: NotFound, 409: Conflict, 410: NotFound}
    return kinds.get(status, Rejected)(message, code)
