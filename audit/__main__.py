"""``python -m audit verify|query [--home DIR]``: checks and reads the audit logs of one state directory. ``spotlane audit`` is the same.

Exit codes: 0 sound, 1 the log was tampered with, 2 it can't be read.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from audit.heads import load_heads, public_key
from audit.segments import entries
from audit.verify import Report, verify

FILTERS = ("tenant", "principal", "cloud", "service", "action", "region", "account", "resource", "verdict", "rule", "point", "digest")


def main(argv: list[str] | None = None) -> int:
    """Runs one command."""
    parser = argparse.ArgumentParser(prog="spotlane audit", description="Checks and reads the audit trail.")
    # Understood before and after the verb.
    shared = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    shared.add_argument("--home", type=Path, help="state directory (default: $SPOTLANE_HOME)")
    shared.add_argument("--log", type=Path, help="a log of its own instead of the state directory's")
    shared.add_argument("--member", help="service process under whose name this machine's logs are anchored (default: $SPOTLANE_MEMBER, or local)")
    parser.add_argument("--member", default=os.environ.get("SPOTLANE_MEMBER", "local"), help=argparse.SUPPRESS)
    parser.add_argument("--home", type=Path, default=os.environ.get("SPOTLANE_HOME"), help="state directory (default: $SPOTLANE_HOME)")
    parser.add_argument("--log", type=Path, help="a log of its own instead of the state directory's")
    commands = parser.add_subparsers(dest="command", required=True)
    checking = commands.add_parser("verify", parents=[shared], help="every byte, the chain, the signed heads and the anchors")
    checking.add_argument("--anchors", type=Path, help="heads that are kept elsewhere (JSON list or lines; `-`: standard input)")
    checking.add_argument("--json", action="store_true", help="one JSON document")
    asking = commands.add_parser("query", parents=[shared], help="records that match, oldest first")
    for name in FILTERS:
        asking.add_argument(f"--{name}", help=f"pattern with * on {name}")
    asking.add_argument("--since", help="ISO 8601, UTC")
    asking.add_argument("--until", help="ISO 8601, UTC")
    asking.add_argument("--limit", type=int, default=100, help="the newest this many (default 100)")
    asking.add_argument("--json", action="store_true", help="JSON lines")
    asked = parser.parse_args(argv)
    if asked.log is None and asked.home is None:
        parser.error("--home, --log or SPOTLANE_HOME names the log")
    logs = [asked.log] if asked.log else [log for log in _logs(Path(asked.home), asked.member) if log.exists()]
    if not logs or not all(log.exists() for log in logs):
        sys.stderr.write(f"error: no audit log in {asked.log or asked.home}\n")
        return 2
    try:
        return _verify(logs, asked) if asked.command == "verify" else _query(logs, asked)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2


def _logs(home: Path, member: str) -> list[Path]:
    """The logs of a state directory: the proxy's, and those of the service processes that have kept theirs here, ``member`` among them."""
    members = sorted({member, *(path.name for path in (home / "audit").glob("*") if path.is_dir())})
    return [home / "proxy" / "audit.jsonl", *(home / "audit" / one / f"{point}.jsonl" for one in members for point in ("plan", "place"))]


def _chain(log: Path, member: str) -> tuple[str, str]:
    """What the log's anchors are known by: its point, and the service process's name."""
    return ("api", member) if log.stem == "audit" else (log.stem, log.parent.name if log.parent.parent.name == "audit" else member)


def _verify(logs: list[Path], asked: argparse.Namespace) -> int:
    reports: dict[str, Report] = {}
    anchors = []
    if asked.anchors:
        anchors = load_heads(Path("/dev/stdin") if str(asked.anchors) == "-" else asked.anchors)
    if asked.log is None:
        # A log that is gone as a whole has lost all that was anchored of it.
        anchored = {(one.point, one.member) for one in anchors}
        logs = [log for log in _logs(Path(asked.home), asked.member) if log in logs or _chain(log, asked.member) in anchored]
    for log in logs:
        heads = log.with_name(f"{log.stem}.heads.jsonl")
        key = log.with_suffix(".pub")
        own = load_heads(heads) if heads.exists() else []
        kept = [one for one in anchors if (one.point, one.member) == _chain(log, asked.member)]
        reports[str(log)] = verify(log, own, kept, public_key(key) if key.exists() else None)
    if asked.json:
        document = {name: _document(one) for name, one in reports.items()}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        for name, one in reports.items():
            sys.stdout.write(f"{name}: {one.records} records, {one.heads} heads, {'sound' if one.sound else 'TAMPERED WITH'}\n")
            for fault in one.faults:
                sys.stdout.write(f"  {fault}\n")
    return 0 if all(one.sound for one in reports.values()) else 1


def _document(report: Report) -> dict[str, Any]:
    return {"sound": report.sound, "records": report.records, "heads": report.heads, "seq": report.seq, "faults": report.faults}


def _query(logs: list[Path], asked: argparse.Namespace) -> int:
    found = [entry for log in logs for entry in _matching(log, asked)]
    found.sort(key=lambda entry: str(entry["at"]))
    for entry in found[-asked.limit :]:
        if asked.json:
            sys.stdout.write(json.dumps(entry, separators=(",", ":")) + "\n")
        else:
            place = f"{entry['cloud']}/{entry['region'] or '-'}"
            told = f"{entry['at']}  {entry['verdict']:6} {entry['tenant'] or '-':10} {place:24} {entry['service']}:{entry['action']}"
            sys.stdout.write(told + (f"  [{entry['rule']}] {entry.get('why', '')}" if entry["rule"] else "") + "\n")
    return 0


def _matching(log: Path, asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    wanted = {name: getattr(asked, name) for name in FILTERS if getattr(asked, name)}
    for entry in entries(log):
        if (asked.since and str(entry["at"]) < asked.since) or (asked.until and str(entry["at"]) > asked.until):
            continue
        if all(fnmatchcase(str(entry.get(name) or ""), pattern) for name, pattern in wanted.items()):
            yield entry


if __name__ == "__main__":
    sys.exit(main())
