"""Google's errors: ``{"error": {"code", "message", "status", "errors": [...]}}``.

Source: https://cloud.google.com/apis/design/errors (status words) and https://cloud.google.com/compute/docs/reference/rest/v1 (reasons of Compute Engine).
"""

from __future__ import annotations

from localcloud.clouds.documents import Json
from localcloud.clouds.exchange import HttpAnswer, json_answer

_STATUS = {400: "INVALID_ARGUMENT", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ALREADY_EXISTS", 412: "FAILED_PRECONDITION", 503: "UNAVAILABLE"}
_REASON = {400: "invalid", 403: "forbidden", 404: "notFound", 409: "alreadyExists", 412: "conditionNotMet", 503: "backendError"}


class GoogleError(Exception):
    """A refusal in Google's words; ``status`` and ``reason`` follow from the HTTP ``code`` unless given."""

    def __init__(self, code: int, message: str, *, status: str = "", reason: str = "") -> None:
        self.code = code
        self.message = message
        self.status = status or _STATUS[code]
        self.reason = reason or _REASON[code]
        super().__init__(f"{self.status}: {message}")

    def answer(self) -> HttpAnswer:
        """As Google writes it."""
        detail: Json = {"message": self.message, "domain": "global", "reason": self.reason}
        return json_answer(self.code, {"error": {"code": self.code, "message": self.message, "status": self.status, "errors": [detail]}})


def not_found(path: str) -> GoogleError:
    """Compute Engine's answer for a resource that isn't there."""
    return GoogleError(404, f"The resource '{path}' was not found")


def exists(path: str) -> GoogleError:
    """Compute Engine's answer for a name that is taken."""
    return GoogleError(409, f"The resource '{path}' already exists")


def in_use(path: str, user: str) -> GoogleError:
    """Compute Engine's answer for a resource that another needs."""
    kind = path.split("/")[-2].rstrip("s")
    return GoogleError(400, f"The {kind} resource '{path}' is already being used by '{user}'", reason="resourceInUseByAnotherResource")
