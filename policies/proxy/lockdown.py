"""``python -m policies.proxy.lockdown``: nftables rules for the host that runs the engine, because environment variables are advice.

Whoever calls clouds runs as one user and reaches loopback only; the inline proxy runs as another and is the only one to reach the internet. See docs/egress.md.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence

_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}|\d{1,10}")

TEMPLATE = """#!/usr/sbin/nft -f
# Written by python -m policies.proxy.lockdown; load with: nft -f FILE, as often as you like: the first two lines take away what stood before.
add table inet spotlane
delete table inet spotlane
table inet spotlane {{
  set callers {{ type uid; elements = {{ {callers} }} }}

  chain output {{
    type filter hook output priority filter; policy accept;
    # The proxy itself goes where it decides to go: HTTPS and names, nothing else.
    meta skuid {proxy} oifname != "lo" tcp dport 443 accept
    meta skuid {proxy} oifname != "lo" udp dport 53 accept
    meta skuid {proxy} oifname != "lo" tcp dport 53 accept
    meta skuid {proxy} oifname != "lo" counter log prefix "spotlane proxy denied: " reject
    # The engine, its plugins and the automation service reach loopback, and beyond it {beyond}.
    meta skuid @callers oifname "lo" accept
{exceptions}    meta skuid @callers counter log prefix "spotlane egress denied: " reject with icmpx admin-prohibited
  }}
}}
"""


def ruleset(callers: Sequence[str], proxy: str, allow: Sequence[str] = ()) -> str:
    """The rules. ``callers`` and ``proxy`` are users (names or ids); ``allow`` are ``address:port`` that callers may reach beside the proxy, such as the
    database or a state backend in the own network. Raises ``ValueError``: a caller that is the proxy would be free, and root is free whatever is written."""
    for user in (*callers, proxy):
        if not _USER.fullmatch(user):
            raise ValueError(f"{user!r} is no user name or id")
        if user in {"root", "0"}:
            raise ValueError("root can take the rules away again: run engine and proxy as users of their own")
    if not callers or proxy in callers:
        raise ValueError("the proxy needs a user of its own, or its freedom is everybody's")
    exceptions = ""
    for each in allow:
        address, _, port = each.rpartition(":")
        if not re.fullmatch(r"\d{1,3}(\.\d{1,3}){3}(/\d{1,2})?", address) or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError(f"--allow {each!r} is not ADDRESS:PORT, as in 10.0.0.5:5432")
        exceptions += f"    meta skuid @callers ip daddr {address} tcp dport {port} accept\n"
    return TEMPLATE.format(callers=", ".join(callers), proxy=proxy, exceptions=exceptions, beyond=", ".join(allow) or "nothing")


def main(argv: list[str] | None = None) -> int:
    """Exit code 0, or 2 with one line on standard error."""
    parser = argparse.ArgumentParser(prog="python -m policies.proxy.lockdown", description="nftables rules that leave the proxy as the only way out.")
    parser.add_argument("--caller", action="append", required=True, help="user that runs the engine or the automation service; may be repeated")
    parser.add_argument("--proxy", required=True, help="user that runs the inline proxy")
    parser.add_argument("--allow", action="append", default=[], metavar="ADDRESS:PORT", help="what callers may reach beside the proxy; may be repeated")
    asked = parser.parse_args(argv)
    try:
        sys.stdout.write(ruleset(asked.caller, asked.proxy, asked.allow))
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
