"""Checks that no lock file names a registry: whoever installs brings their own."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements.lock", "package-lock.json")
_HOST = re.compile(
    r"https?://(?!.*(github\.com|opencollective|patreon|tidelift|buymeacoffee|paypal|feross|dotenvx|sponsors|ko-fi))|\"resolved\"|--index-url|--extra-index-url"
)


def main() -> int:
    """Exit code 1 where a lock names a host to install from."""
    found = 0
    for name in LOCKS:
        for number, line in enumerate((ROOT / name).read_text().splitlines(), 1):
            if _HOST.search(line):
                sys.stderr.write(f"error: {name}:{number} names a host: {line.strip()[:120]}\n")
                found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
