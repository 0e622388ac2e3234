"""The program ``spotlane``: the command line where its extra is installed, else how to get it."""

from __future__ import annotations

import sys
from importlib.util import find_spec

_NEEDED = ("typer", "rich", "yaml", "keyring")


def main() -> None:
    """Entry point of the installed program."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        sys.stderr.write(f"error: the command line isn't installed here ({', '.join(missing)} missing)\n  next: pip install 'spotlane[cli]'\n")
        sys.exit(2)
    from spotlane.cli.main import main as command_line  # the SDK alone lacks what it needs

    command_line()


if __name__ == "__main__":
    main()
