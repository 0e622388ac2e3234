"""Refusals in each vendor's own form, so that SDKs show the finding and don't retry: always 4xx, but 503 where the audit log can't be written."""

from __future__ import annotations

import json
from xml.sax.saxutils import escape

from policies.proxy.hosts import KnownHost


def refusal(host: KnownHost | None, status: int, rule: str, message: str) -> tuple[int, str, bytes]:
    """Status, content type and body of a refusal."""
    text = f"Spotlane boundary [{rule}]: {message}"
    kind = host.cloud if host else ""
    if host and kind == "aws" and host.service == "ec2":
        error = f"<Code>UnauthorizedOperation</Code><Message>{escape(text)}</Message>"
        body = f"<Response><Errors><Error>{error}</Error></Errors><RequestID>spotlane</RequestID></Response>"
        return status, "text/xml;charset=UTF-8", body.encode()
    if host and kind == "aws" and host.service in {"iam", "sts", "autoscaling"}:
        error = f"<Type>Sender</Type><Code>AccessDenied</Code><Message>{escape(text)}</Message>"
        body = f"<ErrorResponse><Error>{error}</Error><RequestId>spotlane</RequestId></ErrorResponse>"
        return status, "text/xml", body.encode()
    if host and kind == "aws" and host.service == "s3":
        return status, "application/xml", f"<Error><Code>AccessDenied</Code><Message>{escape(text)}</Message></Error>".encode()
    if kind == "aws":
        return 400 if status == 403 else status, "application/x-amz-json-1.1", json.dumps({"__type": "AccessDeniedException", "message": text}).encode()
    if kind == "azure":
        document: object = {
            "error": {"code": "RequestDisallowedByPolicy", "message": text, "additionalInfo": [{"type": "SpotlaneBoundary", "info": {"rule": rule}}]}
        }
    elif kind == "gcp":
        document = {
            "error": {
                "code": status,
                "status": "PERMISSION_DENIED",
                "message": text,
                "errors": [{"reason": "forbidden", "message": text, "domain": "spotlane"}],
            }
        }
    elif kind == "cloudflare":
        document = {"success": False, "errors": [{"code": 10000, "message": text}], "messages": [], "result": None}
    else:
        document = {"error": text}
    return status, "application/json", json.dumps(document).encode()
