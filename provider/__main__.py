"""``PulumiPlugin.yaml``'s program: serves the component provider to the engine that started it."""

from __future__ import annotations

import sys
from pathlib import Path

# The engine starts it by its directory: the project stands one level up.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pulumi.provider import main  # after the path is set

from provider.server import ComponentProvider  # as above

if __name__ == "__main__":
    main(ComponentProvider(), sys.argv[1:])
