"""Fuzzing of the proxy's decoders. Two questions: does anything but a verdict or a refusal come out, and is anything allowed that says something forbidden?"""

from __future__ import annotations

import contextlib
import json
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

from domain.boundary.compiled import CompiledBoundary, compile
from domain.boundary.model import load
from domain.boundary.regions import regions
from policies.proxy import cbor
from policies.proxy.books import Books
from policies.proxy.hosts import classify
from policies.proxy.judge import judge
from policies.proxy.request import ApiRequest, Refused
from tests.contracts.calls import ACCOUNTS, STRICT, THINGS

NOW = datetime(2026, 11, 24, tzinfo=UTC)


@dataclass
class Campaign:
    """What a campaign saw. ``crashes`` and ``leaks`` hold the requests; both must stay empty."""

    seed: int
    outcomes: Counter[str] = field(default_factory=Counter)
    crashes: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)


def books(directory: Path) -> Books:
    """Books with one tenant under a strict boundary."""
    (directory / "tenants").mkdir(parents=True)
    (directory / "tenants" / "acme.json").write_text(json.dumps({"tenant": "acme", "boundary": STRICT, "accounts": ACCOUNTS}))
    found = Books(directory)
    found.learn_session("ASIATENANT", "123456789012")
    return found


def campaign(seconds: float, seed: int, known: Books) -> Campaign:
    """Fuzzes for ``seconds``; the order of cases depends on ``seed`` alone."""
    draw = random.Random(seed)
    found = Campaign(seed)
    inside = compile(load(STRICT))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        thing = draw.choice(THINGS)
        changes = draw.sample(thing.changes, k=draw.choice((0, 1, 1)))
        _, request = thing.changed(*changes)
        broken = any(change.rule for change in changes)
        if draw.random() < 0.5:
            # Said otherwise, still the same: whatever was refused stays refused.
            asked, must_refuse = _rephrased(request, draw), broken
        else:
            asked, must_refuse = _damaged(request, draw), False
        _judge(asked, must_refuse, known, inside, found)
        _cbor(draw, found)
    return found


def _judge(request: ApiRequest, must_refuse: bool, known: Books, inside: CompiledBoundary, found: Campaign) -> None:
    host = classify(request.host)
    if host is None:
        found.outcomes["host refused"] += 1
        return
    try:
        verdict = judge(request, host, "platform", known, NOW)
    except Refused:
        found.outcomes["unreadable"] += 1
        return
    except Exception as error:  # noqa: BLE001  # whatever comes out is what this looks for
        found.crashes.append(f"{error!r}: {request}")
        return
    found.outcomes["allowed" if verdict.allowed else "denied"] += 1
    if verdict.allowed and (must_refuse or (verdict.call.access == "write" and _names_a_region_outside(request, inside))):
        found.leaks.append(str(request))


def _names_a_region_outside(request: ApiRequest, inside: CompiledBoundary) -> bool:
    """Read by other code than the decoders: any whole word of path, form or document that is a listed region outside, or a zone of one."""
    words = set(unquote(request.path).split("/"))
    try:
        text = request.body.decode()
    except UnicodeDecodeError:
        return False
    words.update(value for _, value in parse_qsl(text))
    with contextlib.suppress(ValueError):
        words.update(_texts(json.loads(text)))
    cloud = {"compute.googleapis.com": "gcp", "management.azure.com": "azure"}.get(request.host, "aws")
    outside = {name for of, name in regions() if of == cloud and not inside.allows(of, name, NOW)}
    return any(word in outside or (cloud != "azure" and word[: -2 if cloud == "gcp" else -1] in outside and word[-1:].isalpha()) for word in words)


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []


def _rephrased(request: ApiRequest, draw: random.Random) -> ApiRequest:
    """The same request in another spelling that a server might read alike."""
    path, query, body, headers = request.path, request.query, request.body, dict(request.headers)
    for _ in range(draw.randint(1, 3)):
        match draw.randrange(7):
            case 0:
                at = draw.randrange(len(path))
                path = path[:at] + f"%{ord(path[at]):02X}" + path[at + 1 :] if path[at].isalnum() else path
            case 1:
                body = _escaped(body, draw)
            case 2:
                query += ("&" if query else "") + draw.choice(("a=b", "alt=json", "location=westeurope", "x", "api-version=2020-01-01"))
            case 3:
                headers[draw.choice(("x-amz-target", "smithy-protocol", "content-type", "x-http-method-override"))] = draw.choice(
                    ("a", "rpc-v2-cbor", "application/json", "text/plain", "AmazonEC2.DescribeRegions", "GET")
                )
            case 4:
                body = body.replace(b"{", b" {\n", 1) + b" " * draw.randrange(3) if body[:1] == b"{" else body
            case 5:
                path = path + draw.choice(("/", "//", "/.", "/..", ";a=b", "%20"))
            case 6 if body[:1] == b"{":
                document = json.loads(body)
                items = list(document.items())
                draw.shuffle(items)
                body = json.dumps(dict(items)).encode()
            case _:
                pairs = body.split(b"&")
                draw.shuffle(pairs)
                body = b"&".join(pairs) if body.lstrip()[:1] != b"{" else body
    return ApiRequest(request.method, request.host, path, query, headers, body)


def _escaped(body: bytes, draw: random.Random) -> bytes:
    if not body:
        return body
    at = draw.randrange(len(body))
    letter = chr(body[at])
    if not letter.isalnum():
        return body
    if body.lstrip()[:1] == b"{":
        # Only inside a text is an escape the same thing, and not inside another escape.
        whole = body[:at].count(b'"') % 2 and b"\\" not in body[max(0, at - 5) : at]
        return body[:at] + f"\\u{ord(letter):04x}".encode() + body[at + 1 :] if whole else body
    return body[:at] + f"%{ord(letter):02x}".encode() + body[at + 1 :] if b"%" not in body[max(0, at - 2) : at] else body


def _damaged(request: ApiRequest, draw: random.Random) -> ApiRequest:
    """Bytes changed, taken away or put in, anywhere."""
    parts = {"method": request.method.encode(), "host": request.host.encode(), "path": request.path.encode(), "body": request.body}
    for _ in range(draw.randint(1, 8)):
        name = draw.choice(("path", "body", "body", "body", "method", "host"))
        data = bytearray(parts[name])
        at = draw.randrange(len(data) + 1)
        match draw.randrange(4):
            case 0 if data:
                data[at % len(data)] = draw.randrange(256)
            case 1:
                data[at:at] = draw.choice((b"\x00", b'"', b"{", b"[", b"&", b"=", b"%", b"\xff", b"us-east-1", b"../", b"{}" * 50, b'","location":"eastus'))
            case 2:
                del data[at : at + draw.randrange(1, 16)]
            case _:
                data[at:at] = data[at : at + draw.randrange(1, 64)]
        parts[name] = bytes(data)
    text = {name: value.decode("latin-1") for name, value in parts.items() if name != "body"}
    return ApiRequest(text["method"], text["host"], text["path"], request.query, request.headers, parts["body"])


def _cbor(draw: random.Random, found: Campaign) -> None:
    data = bytes(draw.randrange(256) for _ in range(draw.randrange(1, 40)))
    try:
        cbor.loads(data)
        found.outcomes["CBOR read"] += 1
    except cbor.CborError:
        found.outcomes["CBOR refused"] += 1
    except Exception as error:  # noqa: BLE001  # whatever comes out is what this looks for
        found.crashes.append(f"{error!r}: CBOR {data.hex()}")
