"""gRPC calls that can be judged: each as the REST call that its service publishes for it, its place read out of the message.

A method that isn't in the table isn't read here, so it isn't passed on (adr/0031). Wire formats: gRPC over HTTP/2 ("PROTOCOL-HTTP2.md" of grpc/grpc), protobuf
encoding (protobuf.dev/programming-guides/encoding); the REST forms are the ``google.api.http`` rules of the services' own .proto files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from policies.proxy.request import ApiRequest, Refused

_PART = re.compile(r"[A-Za-z0-9._-]+")
MESSAGE_LIMIT = 4 * 1024 * 1024
"""Bytes of a message: gRPC's own default for what a server takes."""


@dataclass(frozen=True, slots=True)
class Method:
    """The REST form: ``path`` holds ``{1}`` where field 1 of the message stands. ``fields`` are all that may be in the message."""

    verb: str
    path: str
    fields: frozenset[int]


_KMS = "/google.cloud.kms.v1.KeyManagementService"
_CATALOGUE = "/google.cloud.billing.v1.CloudCatalog"
METHODS: Mapping[tuple[str, str], Method] = {
    ("cloudkms.googleapis.com", f"{_KMS}/Encrypt"): Method("POST", "/v1/{1}:encrypt", frozenset({1, 2, 3, 7, 8})),
    ("cloudkms.googleapis.com", f"{_KMS}/Decrypt"): Method("POST", "/v1/{1}:decrypt", frozenset({1, 2, 3, 5, 6})),
    ("cloudkms.googleapis.com", f"{_KMS}/GetCryptoKey"): Method("GET", "/v1/{1}", frozenset({1})),
    ("cloudbilling.googleapis.com", f"{_CATALOGUE}/ListServices"): Method("GET", "/v1/services", frozenset({1, 2})),
    ("cloudbilling.googleapis.com", f"{_CATALOGUE}/ListSkus"): Method("GET", "/v1/{1}/skus", frozenset({1, 2, 3, 4, 5, 6})),
}


def transcoded(request: ApiRequest) -> ApiRequest:
    """The REST call that ``request`` is; its body isn't carried over. Raises :class:`Refused` for what isn't in the table or can't be read."""
    method = METHODS.get((request.host, request.path))
    if method is None or request.method != "POST" or request.query:
        raise Refused("request", f"the gRPC method {request.path} is none of those whose messages can be read here. Use the service's REST interface")
    if request.headers.get("content-type", "").lower() not in {"application/grpc", "application/grpc+proto"}:
        raise Refused("request", "the gRPC call is none of protobuf", 400)
    if request.headers.get("grpc-encoding", "identity").lower() != "identity":
        raise Refused("request", "compressed messages can't be judged", 400)
    fields: dict[int, bytes] = {}
    for number, value in _fields(_message(request.body)):
        if number not in method.fields:
            raise Refused("request", f"field {number} of {request.path} is none of those that can be read here")
        if number in fields:
            raise Refused("request", f"field {number} of {request.path} stands twice", 400)
        fields[number] = value
    name = fields.get(1, b"").decode("ascii", "replace")
    if "{1}" in method.path and not _named(name):
        raise Refused("request", f"the message of {request.path} names no resource", 400)
    headers = {key: value for key, value in request.headers.items() if key not in {"content-type", "te"} and not key.startswith("grpc-")}
    return replace(request, method=method.verb, path=method.path.replace("{1}", name), headers=headers, body=b"")


def _named(name: str) -> bool:
    """Whether it is a resource's name, and nothing that would make another path of it."""
    parts = name.split("/")
    return all(part not in {".", ".."} and _PART.fullmatch(part) for part in parts)


def _message(body: bytes) -> bytes:
    """The one message of a unary call. Raises :class:`Refused`."""
    if len(body) < 5 or body[0] != 0:
        raise Refused("request", "the body is no single uncompressed gRPC message", 400)
    length = int.from_bytes(body[1:5], "big")
    if length > MESSAGE_LIMIT:
        raise Refused("request", f"the message is longer than {MESSAGE_LIMIT} bytes", 413)
    if len(body) != 5 + length:
        raise Refused("request", "the body is no single uncompressed gRPC message", 400)
    return body[5:]


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Field numbers with the bytes of length-delimited ones (empty for numbers). Raises :class:`Refused`."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        value = b""
        if kind == 0:
            _, at = _varint(message, at)
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        elif kind == 2:
            length, at = _varint(message, at)
            value, at = message[at : at + length], at + length
        else:
            raise Refused("request", "the message is not protobuf", 400)
        if at > len(message) or number == 0:
            raise Refused("request", "the message is not protobuf", 400)
        yield number, value


def _varint(message: bytes, at: int) -> tuple[int, int]:
    found = 0
    for shift in range(0, 64, 7):
        if at >= len(message):
            raise Refused("request", "the message is not protobuf", 400)
        byte = message[at]
        at += 1
        found |= (byte & 0x7F) << shift
        if byte < 0x80:
            # Readers differ in what they make of a number that is written longer than it need be.
            if byte == 0 and shift:
                raise Refused("request", "a number of the message is written longer than it need be", 400)
            return found, at
    raise Refused("request", "the message is not protobuf", 400)
