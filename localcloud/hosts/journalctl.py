"""``journalctl`` on a machine, as far as our programs ask it: entries of units as JSON, from behind a cursor, followed.

python -S -m localcloud.hosts.journalctl --machine DIR --output=json [--follow] [--after-cursor=C] [--unit=U…]
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

from localcloud.hosts.journald import BEFORE, NOW, entries

LOOK_SECONDS = 0.2


def main(argv: list[str]) -> int:
    """Exit code as journalctl's: 0, or 1 for what isn't played here."""
    os.chdir(argv[argv.index("--machine") + 1])
    units, after, follow = set(), 0, False
    for word in argv[2:]:
        name, _, value = word.partition("=")
        if name in ("--unit", "-u"):
            units.add(value if "." in value else value + ".service")
        elif name == "--after-cursor":
            after = int(value)
        elif name == "--follow":
            follow = True
        elif word not in ("--output=json", "--no-tail", "--all", "--no-pager") and name != "--output-fields":
            print(f"journalctl: {word!r} isn't played by a machine of the local cloud", file=sys.stderr)
            return 1
    for entry in _journal(follow):
        number = int(entry["__CURSOR"])
        if number > after:
            after = number
            if not units or units & {entry["_SYSTEMD_UNIT"], entry.get("UNIT")}:
                print(json.dumps(entry), flush=True)
    return 0


def _journal(follow: bool) -> Iterator[dict[str, Any]]:
    """The entries from the first on, with ``follow`` those that come, too. Where a file is begun anew, some come twice."""
    while True:
        yield from entries(BEFORE)
        with contextlib.suppress(FileNotFoundError), open(NOW, encoding="utf-8") as file:
            begun = ""
            while True:
                for part in file:
                    begun += part
                    if begun.endswith("\n"):
                        yield json.loads(begun)
                        begun = ""
                if not follow or os.stat(NOW).st_ino != os.fstat(file.fileno()).st_ino:
                    break
                time.sleep(LOOK_SECONDS)
        if not follow:
            return
        time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
