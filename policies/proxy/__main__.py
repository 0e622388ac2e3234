"""``python -m policies.proxy --home DIR [--port N]``: the inline proxy of one state directory."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from pathlib import Path
from urllib.parse import urlsplit

from audit.log import AuditLog, AuditUnavailable
from policies.proxy.authority import Authority
from policies.proxy.books import Books
from policies.proxy.platform import own
from policies.proxy.server import Proxy
from policies.proxy.upstream import Upstreams

DRAIN_SECONDS = 10.0


def main() -> int:
    """Exit codes: 0 after SIGTERM or SIGINT, 2 where it can't start; the reason is on stderr."""
    parser = argparse.ArgumentParser(prog="python -m policies.proxy", description="The inline proxy through which every cloud API call goes.")
    parser.add_argument("--home", type=Path, default=os.environ.get("SPOTLANE_HOME"), help="state directory (default: $SPOTLANE_HOME)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, help="port to listen on (default: endpoints.proxy of local.json)")
    asked = parser.parse_args()
    logging.basicConfig(level=os.environ.get("SPOTLANE_LOG_LEVEL", "INFO"), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    if asked.home is None:
        parser.error("--home or SPOTLANE_HOME names the state directory")
    try:
        port = asked.port if asked.port is not None else _port(asked.home)
        asyncio.run(serve(Path(asked.home), asked.host, port))
    except (OSError, ValueError, KeyError, AuditUnavailable) as error:
        print(f"the inline proxy can't start: {error}", file=sys.stderr)
        return 2
    return 0


async def serve(home: Path, host: str, port: int) -> None:
    """Listens until SIGTERM or SIGINT, then lets calls under way end. Prints one line when it is ready."""
    directory = home / "proxy"
    named = os.environ.get("SPOTLANE_PROXY_UPSTREAMS")
    things = own(os.environ)
    authority = Authority(directory, things.hosts)
    audit = AuditLog(directory / "audit.jsonl")
    proxy = Proxy(Books(directory), authority, audit, Upstreams(Path(named) if named else None), own=things)
    server = await asyncio.start_server(proxy.connected, host, port, limit=1 << 20)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    print(f"inline proxy on http://{host}:{server.sockets[0].getsockname()[1]}", flush=True)
    await stop.wait()
    server.close()
    await proxy.drain(DRAIN_SECONDS)
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(0)
    audit.close()


def _port(home: Path) -> int:
    path = home / "local.json"
    try:
        url = json.loads(path.read_text(encoding="utf-8"))["endpoints"]["proxy"]
    except FileNotFoundError as error:
        raise ValueError(f"{path} doesn't exist and no --port is given") from error
    port = urlsplit(str(url)).port
    if port is None:
        raise ValueError(f"{path}: endpoints.proxy {url!r} has no port")
    return port


if __name__ == "__main__":
    sys.exit(main())
