"""The PROXY protocol, versions 1 and 2: who the client of a relayed connection is. https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt.

A header is read before anything else and never beyond its end. What breaks the format is refused: a half-understood address is worse than none.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple

Version = Literal["off", "v1", "v2"]
Exactly = Callable[[int], Awaitable[bytes]]
"""Reads exactly so many bytes; raises asyncio.IncompleteReadError at an early end."""

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V1_LIMIT = 107
"""Longest line of version 1, its end included (section 2.1)."""
V2_LIMIT = 2048
"""Longest address block and TLVs that are taken; the format allows 65535, Spectrum sends 12 or 36."""

_FAMILIES = {0x11: (4, 12), 0x21: (16, 36)}
"""Family and protocol (TCP over IPv4, IPv6) to the length of an address and of the block."""


class ProxyProtocolError(ValueError):
    """The connection doesn't begin with a valid header of the version that is expected."""


class Ends(NamedTuple):
    """A client's connection: (address, port) of who began it and of what it was made to."""

    source: tuple[str, int]
    destination: tuple[str, int]


async def read_header(exactly: Exactly, version: Version) -> Ends | None:
    """The ends that a header of ``version`` names, None where it names none (UNKNOWN, LOCAL, or another family). Raises :class:`ProxyProtocolError`."""
    if version == "v1":
        return parse_v1(await _line(exactly))
    head = await exactly(16)
    return parse_v2(head, await exactly(v2_length(head)))


async def _line(exactly: Exactly) -> bytes:
    """The first line. Read byte by byte: what follows belongs to the service."""
    line = await exactly(len(b"PROXY "))
    if line != b"PROXY ":
        raise ProxyProtocolError("no PROXY header of version 1")
    while not line.endswith(b"\r\n"):
        if len(line) >= V1_LIMIT:
            raise ProxyProtocolError(f"a header of version 1 has {V1_LIMIT} bytes at most")
        line += await exactly(1)
    return line


def parse_v1(line: bytes) -> Ends | None:
    """The ends of a whole version 1 line. Raises :class:`ProxyProtocolError`."""
    if len(line) > V1_LIMIT or not line.endswith(b"\r\n"):
        raise ProxyProtocolError("a header of version 1 is one line of 107 bytes at most")
    try:
        words = line[:-2].decode("ascii").split(" ")
    except UnicodeDecodeError as error:
        raise ProxyProtocolError("a header of version 1 is ASCII") from error
    if words[:2] == ["PROXY", "UNKNOWN"]:
        return None
    if len(words) != 6 or words[0] != "PROXY" or words[1] not in ("TCP4", "TCP6"):
        raise ProxyProtocolError("not of the form PROXY TCP4|TCP6 <source> <destination> <source port> <destination port>")
    family = 4 if words[1] == "TCP4" else 6
    source, destination = (_address(word, family) for word in words[2:4])
    return Ends((source, _port(words[4])), (destination, _port(words[5])))


def _address(text: str, family: int) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise ProxyProtocolError(f"{text!r} is no address") from error
    if address.version != family:
        raise ProxyProtocolError(f"{text!r} is no IPv{family} address")
    return str(address)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or (len(text) > 1 and text[0] == "0") or int(text) > 65535:
        raise ProxyProtocolError(f"{text!r} is no port")
    return int(text)


def v2_length(head: bytes) -> int:
    """How many bytes follow the 16 of a version 2 header. Raises :class:`ProxyProtocolError`."""
    if head[:12] != SIGNATURE:
        raise ProxyProtocolError("no PROXY header of version 2")
    if head[12] >> 4 != 2:
        raise ProxyProtocolError(f"version {head[12] >> 4} of the PROXY protocol isn't known")
    length: int = struct.unpack("!H", head[14:16])[0]
    if length > V2_LIMIT:
        raise ProxyProtocolError(f"{length} bytes of addresses and extensions; {V2_LIMIT} are taken")
    return length


def parse_v2(head: bytes, block: bytes) -> Ends | None:
    """The ends of a whole version 2 header. Raises :class:`ProxyProtocolError`."""
    length = v2_length(head)
    if len(block) != length:
        raise ProxyProtocolError(f"{len(block)} bytes of addresses where {length} were announced")
    command, family = head[12] & 0x0F, head[13]
    if command == 0:
        return None
    if command != 1:
        raise ProxyProtocolError(f"command {command} isn't known")
    if family not in _FAMILIES:
        return None
    size, least = _FAMILIES[family]
    if length < least:
        raise ProxyProtocolError(f"{length} bytes of addresses where the family has {least}")
    source, destination = (str(ipaddress.ip_address(block[at : at + size])) for at in (0, size))
    ports: tuple[int, int] = struct.unpack("!HH", block[2 * size : 2 * size + 4])
    return Ends((source, ports[0]), (destination, ports[1]))


def encode(version: Version, ends: Ends | None) -> bytes:
    """The header of ``version`` for a connection with these ends; None says that they aren't known. Empty for ``off``."""
    if version == "off":
        return b""
    families = set() if ends is None else {ipaddress.ip_address(address).version for address, _ in ends}
    if ends is None or len(families) != 1:
        return b"PROXY UNKNOWN\r\n" if version == "v1" else SIGNATURE + b"\x20\x00\x00\x00"
    (source, source_port), (destination, destination_port) = ends
    four = families == {4}
    if version == "v1":
        return f"PROXY {'TCP4' if four else 'TCP6'} {source} {destination} {source_port} {destination_port}\r\n".encode()
    packed = b"".join(ipaddress.ip_address(address).packed for address in (source, destination))
    block = packed + struct.pack("!HH", source_port, destination_port)
    return SIGNATURE + bytes([0x21, 0x11 if four else 0x21]) + struct.pack("!H", len(block)) + block
