"""``cloudflared tunnel run`` on a machine: joins the machine to its tunnel and stays.

The tunnel itself is a host map of the local edge: ``POST /tunnels/connect {token, address}`` says where the connector is, again every second, so that a
restarted edge knows it too. Flags: https://developers.cloudflare.com/cloudflare-one/networks/connectors/cloudflare-tunnel/configure-tunnels/run-parameters/.
The token is base64 of ``{"a": account, "t": tunnel id, "s": secret}``.
"""

from __future__ import annotations

import binascii
import json
import os
import socket
import sys
import time

HEARTBEAT_SECONDS = 1.0


def token_of(argv: list[str], environment: dict[str, str]) -> str:
    """The token that ``cloudflared`` was given: ``--token``, ``--token-file`` or TUNNEL_TOKEN. Raises ValueError if it is none."""
    token = environment.get("TUNNEL_TOKEN", "")
    path = environment.get("TUNNEL_TOKEN_FILE", "")
    for index, word in enumerate(argv):
        name, equals, value = word.partition("=")
        value = value if equals else (argv[index + 1] if index + 1 < len(argv) else "")
        if name == "--token":
            token = value
        elif name == "--token-file":
            path = value
    if path and not token:
        with open(path, encoding="utf-8") as file:
            token = file.read().strip()
    try:
        document = json.loads(binascii.a2b_base64(token + "=" * (-len(token) % 4)))
        if not all(document[key] for key in ("a", "t", "s")):
            raise ValueError("empty field")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError("Provided Tunnel token is not valid.") from error
    return token


def connect(edge: str, token: str, address: str) -> int:
    """Registers ``address`` as the tunnel's connector at ``edge`` (``host:port``); returns the HTTP status. Raises OSError."""
    host, _, port = edge.partition(":")
    body = json.dumps({"token": token, "address": address}).encode()
    head = f"POST /tunnels/connect HTTP/1.1\r\nHost: {edge}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(head.encode() + body)
        answer = b""
        while b"\r\n" not in answer and (chunk := connection.recv(4096)):
            answer += chunk
    try:
        return int(answer.split(b" ", 2)[1])
    except (IndexError, ValueError) as error:
        raise OSError("no HTTP answer") from error


def main(argv: list[str]) -> int:
    """Runs until killed. Says on standard error when the connection comes or goes."""
    if "--version" in argv or "version" in argv[:3]:
        print("cloudflared version 2026.11.0 (local cloud)")
        return 0
    edge, address = os.environ["LOCALCLOUD_EDGE"], os.environ["HOST"]
    try:
        token = token_of(argv, dict(os.environ))
    except (OSError, ValueError) as error:
        print(f"cloudflared: {error}", file=sys.stderr)
        return 1
    connected: str | None = None
    while True:
        try:
            status = connect(edge, token, address)
            outcome = "registered tunnel connection" if status < 300 else f"the edge answered {status}"
        except OSError as error:
            outcome = f"the edge at {edge} is away: {error}"
        if outcome != connected:
            connected = outcome
            print(f"cloudflared: {outcome}", file=sys.stderr, flush=True)
        time.sleep(HEARTBEAT_SECONDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
