"""``python -m benchmarks NAME [options] [--json]``: runs one benchmark, or all.

A benchmark is a module with ``SAMPLES`` and ``run(samples) -> Result``; one that has ``options(parser)`` declares options of its own there and is called as
``run(samples, arguments)``. ``all`` takes no such options, and leaves out those that need recorded data (``NEEDS_DATA``).
"""

from __future__ import annotations

import argparse
import sys

from benchmarks import availability, clouds, fidelity, migration, placement, policy, propagation, proxy, router, runs, savings, tick
from benchmarks.report import show

BENCHMARKS = {
    "availability": availability,
    "clouds": clouds,
    "fidelity": fidelity,
    "migration": migration,
    "placement": placement,
    "policy": policy,
    "propagation": propagation,
    "proxy": proxy,
    "router": router,
    "runs": runs,
    "savings": savings,
    "tick": tick,
}


def main(argv: list[str] | None = None) -> int:
    """Exit code 2 for an unknown benchmark or option."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measures what is claimed, as ratios within one run.")
    parser.add_argument("name", choices=[*BENCHMARKS, "all"])
    parser.add_argument("--samples", type=int, help="counted samples of each side")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line instead of a table")
    arguments, rest = parser.parse_known_args(argv)
    for name in BENCHMARKS if arguments.name == "all" else [arguments.name]:
        module = BENCHMARKS[name]
        if arguments.name == "all" and getattr(module, "NEEDS_DATA", False):
            sys.stderr.write(f"{name}: left out, it needs recorded data; run it with --data DIR\n")
            continue
        own = argparse.ArgumentParser(prog=f"python -m benchmarks {name}")
        declared = getattr(module, "options", None)
        if declared is not None:
            declared(own)
        chosen = own.parse_args(rest)
        samples = arguments.samples or module.SAMPLES
        show(module.run(samples) if declared is None else module.run(samples, chosen), as_json=arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
