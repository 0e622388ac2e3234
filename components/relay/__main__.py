"""``python3 -m relay <settings.json>``: runs until SIGTERM; SIGHUP reads the settings' workloads again."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import urllib.parse

from .relay import Relay
from .routes import EdgeRoutes
from .settings import LOOPBACK, RelaySettings, SettingsError, load
from .status import serve
from .streams import Dialer


def read(path: str) -> RelaySettings:
    """The settings in ``path``. Raises OSError or SettingsError."""
    with open(path, encoding="utf-8") as file:
        return load(file.read(), os.environ.get("HOST", LOOPBACK))


def dialer(settings: RelaySettings) -> Dialer:
    """Tunnels open where the edge is asked: over TLS on its port, without it where the edge is asked without."""
    edge = urllib.parse.urlsplit(settings.edge)
    tls = edge.scheme == "https"
    return Dialer(settings.dial, settings.dial_seconds, settings.headers, tls=tls, port=edge.port or (443 if tls else 80))


async def run(path: str) -> None:
    """The relay, until it is told to end."""
    settings = read(path)
    relay = Relay(settings, EdgeRoutes(settings.edge), dialer(settings))
    await relay.start()
    status = await serve(relay, settings.status)
    ended, again = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    loop.add_signal_handler(signal.SIGHUP, again.set)
    print(f"spotlane-relay: {len(settings.workloads)} workloads", flush=True)
    while not ended.is_set():
        waits = [asyncio.create_task(ended.wait()), asyncio.create_task(again.wait())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if again.is_set():
            again.clear()
            try:
                await relay.apply(read(path))
            except (OSError, SettingsError) as error:
                print(f"spotlane-relay: the settings were not taken: {error}", flush=True)
    status.close()
    await relay.stop(settings.stop_seconds)


def main() -> int:
    """Exit code 2: the settings are wrong."""
    if len(sys.argv) != 2:
        print("usage: python3 -m relay <settings.json>", file=sys.stderr)
        return 2
    try:
        asyncio.run(run(sys.argv[1]))
    except (OSError, SettingsError) as error:
        print(f"spotlane-relay: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
