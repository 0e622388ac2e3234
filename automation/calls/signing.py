"""Requests to AWS, signed by botocore (SigV4) and sent by our HTTP stack: the wire formats without the megabytes of botocore's client models."""

from __future__ import annotations

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

FORM = "application/x-www-form-urlencoded; charset=utf-8"
JSON = "application/x-amz-json-1.1"


def signed(credentials: Credentials, service: str, region: str, url: str, body: str, content_type: str = FORM, target: str | None = None) -> httpx.Request:
    """A POST of ``body``; ``target`` is the JSON protocol's operation. The signature is good for five minutes, and for one sending through the proxy."""
    headers = {"Content-Type": content_type} | ({"X-Amz-Target": target} if target is not None else {})
    request = AWSRequest("POST", url, data=body, headers=headers)
    SigV4Auth(credentials, service, region).add_auth(request)
    return httpx.Request("POST", url, content=body.encode(), headers=dict(request.headers.items()))
