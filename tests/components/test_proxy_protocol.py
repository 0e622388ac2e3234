"""The PROXY protocol's headers: what is understood, what is refused, and that nothing beyond a header is read."""

from __future__ import annotations

import asyncio
import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.relay.proxy_protocol import SIGNATURE, Ends, ProxyProtocolError, Version, encode, parse_v1, parse_v2, read_header

FOUR = Ends(("203.0.113.7", 51000), ("198.51.100.2", 5432))
SIX = Ends(("2001:db8::7", 51000), ("2001:db8::2", 5432))
VERSIONS = st.sampled_from(["v1", "v2"])
PORTS = st.integers(0, 65535)
ENDS = st.one_of(
    st.builds(Ends, st.tuples(st.ip_addresses(v=4).map(str), PORTS), st.tuples(st.ip_addresses(v=4).map(str), PORTS)),
    st.builds(Ends, st.tuples(st.ip_addresses(v=6).map(str), PORTS), st.tuples(st.ip_addresses(v=6).map(str), PORTS)),
)


def read(sent: bytes, version: Version) -> tuple[Ends | None, bytes]:
    """What a header says, and what is left of ``sent`` after it."""

    async def run() -> tuple[Ends | None, bytes]:
        reader = asyncio.StreamReader()
        reader.feed_data(sent)
        reader.feed_eof()
        return await read_header(reader.readexactly, version), await reader.read()

    return asyncio.run(run())


def v2(family: int, block: bytes, command: int = 0x21, length: int | None = None) -> bytes:
    """A version 2 header."""
    return SIGNATURE + bytes([command, family]) + struct.pack("!H", len(block) if length is None else length) + block


BLOCK_4 = ipaddress.ip_address("203.0.113.7").packed + ipaddress.ip_address("198.51.100.2").packed + struct.pack("!HH", 51000, 5432)


@pytest.mark.parametrize(
    ("sent", "version", "expected"),
    [
        (b"PROXY TCP4 203.0.113.7 198.51.100.2 51000 5432\r\n", "v1", FOUR),
        (b"PROXY TCP6 2001:db8::7 2001:db8::2 51000 5432\r\n", "v1", SIX),
        (b"PROXY UNKNOWN\r\n", "v1", None),
        (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "v1", None),
        (v2(0x11, BLOCK_4), "v2", FOUR),
        (v2(0x11, BLOCK_4 + b"\x04\x00\x01x"), "v2", FOUR),
        (v2(0x00, b"", command=0x20), "v2", None),
        (v2(0x31, b"\0" * 216), "v2", None),
        (v2(0x12, BLOCK_4), "v2", None),
    ],
    ids=["tcp4", "tcp6", "unknown", "unknown-with-rest", "v2-tcp4", "v2-extensions", "v2-local", "v2-unix", "v2-udp"],
)
def test_a_header_tells_who_the_client_is_and_leaves_the_rest_unread(sent: bytes, version: Version, expected: Ends | None) -> None:
    assert read(sent + b"PROXY is also what the service may be sent\r\n", version) == (expected, b"PROXY is also what the service may be sent\r\n")


@pytest.mark.parametrize(
    ("sent", "version"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "v1"),
        (b"proxy tcp4 203.0.113.7 198.51.100.2 51000 5432\r\n", "v1"),
        (b"PROXY TCP4 203.0.113.7 198.51.100.2 51000\r\n", "v1"),
        (b"PROXY TCP4 203.0.113.7  198.51.100.2 51000 5432\r\n", "v1"),
        (b"PROXY TCP4 2001:db8::7 2001:db8::2 51000 5432\r\n", "v1"),
        (b"PROXY TCP4 203.0.113.700 198.51.100.2 51000 5432\r\n", "v1"),
        (b"PROXY TCP4 203.0.113.07 198.51.100.2 51000 5432\r\n", "v1"),
        (b"PROXY TCP4 203.0.113.7 198.51.100.2 65536 5432\r\n", "v1"),
        (b"PROXY TCP4 203.0.113.7 198.51.100.2 051000 5432\r\n", "v1"),
        (b"PROXY TCP4 203.0.113.7 198.51.100.2 +1 5432\r\n", "v1"),
        ("PROXY TCP4 203.0.113.7 198.51.100.2 ٣ 5432\r\n".encode(), "v1"),
        (b"PROXY UDP4 203.0.113.7 198.51.100.2 51000 5432\r\n", "v1"),
        (b"PROXY TCP4 " + b"1" * 200 + b"\r\n", "v1"),
        (v2(0x11, BLOCK_4), "v1"),
        (b"PROXY TCP4 203.0.113.7 198.51.100.2 51000 5432\r\n", "v2"),
        (v2(0x11, BLOCK_4, command=0x11), "v2"),
        (v2(0x11, BLOCK_4, command=0x2F), "v2"),
        (v2(0x11, BLOCK_4[:-1]), "v2"),
        (v2(0x21, BLOCK_4), "v2"),
        (v2(0x11, b"\0" * 40, length=65535), "v2"),
    ],
)
def test_what_breaks_the_format_is_refused(sent: bytes, version: Version) -> None:
    with pytest.raises(ProxyProtocolError):
        read(sent, version)


@pytest.mark.parametrize(
    ("sent", "version"), [(b"PROXY TCP4 203.0.113.7", "v1"), (b"PRO", "v1"), (SIGNATURE, "v2"), (v2(0x11, BLOCK_4)[:-3], "v2"), (b"", "v2")]
)
def test_a_header_that_breaks_off_is_no_header(sent: bytes, version: Version) -> None:
    with pytest.raises(asyncio.IncompleteReadError):
        read(sent, version)


@given(ENDS, VERSIONS, st.binary(max_size=64))
def test_what_is_encoded_is_read_back(ends: Ends, version: Version, rest: bytes) -> None:
    assert read(encode(version, ends) + rest, version) == (ends, rest)


@given(VERSIONS)
def test_ends_of_two_families_or_none_are_unknown(version: Version) -> None:
    mixed = Ends(FOUR.source, SIX.destination)
    assert encode(version, mixed) == encode(version, None)
    assert read(encode(version, None), version) == (None, b"")


@given(st.binary(max_size=300))
def test_any_line_is_understood_or_refused_and_nothing_else(line: bytes) -> None:
    for parse in (parse_v1, lambda sent: parse_v2(sent[:16].ljust(16, b"\0"), sent[16:])):
        try:
            ends = parse(line)
        except ProxyProtocolError:
            continue
        assert ends is None or all(0 <= port <= 65535 and ipaddress.ip_address(address) for address, port in ends)
