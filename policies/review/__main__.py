"""``python -m policies.review review|explain|test|replay|price|export`` (``spotlane policies``).

Exit codes: 0 nothing blocks; 1 something does (a mandatory finding, a failed case, a changed decision with ``--strict``); 2 it can't be told (a document
with faults, a preview that failed, a file that isn't there).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from audit.segments import entries
from domain.boundary import export
from domain.boundary.call import Accounts
from domain.boundary.compiled import CompiledBoundary, compile
from domain.boundary.export_rego import kivera_rules, rego
from domain.boundary.model import BoundaryDocumentError, load, parse
from domain.placement.whatif import Course
from domain.workload import Requirements
from policies.packs.catalogue import BY_NAME, EVERYTHING
from policies.packs.subject import subject
from policies.review import cases
from policies.review.forms import FORMS
from policies.review.history import History
from policies.review.price import Past, past, premiums
from policies.review.prices import load_prices
from policies.review.replay import Replayed, replay_placements, replay_plan, replay_records
from policies.review.report import baseline_of, load_baseline, review
from policies.review.stream import NotAStream, Stream, read

PROJECT = Path(__file__).resolve().parents[2]


class CantTell(ValueError):
    """The command can't say yes or no; the message says what is missing."""


def main(argv: list[str] | None = None) -> int:
    """Runs one command."""
    asked = _arguments().parse_args(argv)
    try:
        return int(asked.run(asked))
    except BoundaryDocumentError as error:
        sys.stderr.write("".join(f"error: boundary: {fault}\n" for fault in error.faults))
    except (CantTell, NotAStream, cases.CaseFault, OSError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
    return 2


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="spotlane policies", description="Policy as code, for people and pipelines.")
    commands = parser.add_subparsers(dest="command", required=True)

    one = commands.add_parser("review", help="previews a stack with the packs and reports what they say")
    one.add_argument("--stack", help="the stack to preview")
    one.add_argument("--events", type=Path, help="a recorded event stream instead of a preview (`-`: standard input)")
    one.add_argument("--boundary", type=Path, help="boundary document (default: the tenant's, as the pack finds it)")
    one.add_argument("--pack", default=EVERYTHING, help="pack under policies/packs, or a path (default: spotlane)")
    one.add_argument("--prices", type=Path, help="price book of `spotlane prices --json`, for costs")
    one.add_argument("--baseline", type=Path, help="findings that are known already don't block")
    one.add_argument("--write-baseline", type=Path, help="writes the findings of now as a baseline")
    one.add_argument("--format", default="markdown", help=f"comma-separated: {', '.join(FORMS)}")
    one.add_argument("--out", type=Path, help="directory for review.md, review.sarif, review.xml, review.json (default: standard output)")
    one.add_argument("--source", help="file at which SARIF shows the findings (default: the stack's settings file)")
    one.set_defaults(run=_review)

    one = commands.add_parser("explain", help="what a rule is for, how to mend it, which controls it serves")
    one.add_argument("rule", nargs="?", help="a rule's name; without it, all names")
    one.set_defaults(run=_explain)

    one = commands.add_parser("test", help="a boundary's own cases")
    one.add_argument("path", type=Path, help="YAML file, or a directory of them")
    one.set_defaults(run=_test)

    one = commands.add_parser("replay", help="recorded plans, placements and calls against a changed boundary")
    one.add_argument("--boundary", type=Path, required=True, help="the changed boundary")
    one.add_argument("--old", type=Path, help="the boundary of then, for plans")
    one.add_argument("--plan", type=Path, action="append", default=[], help="recorded event stream; may be repeated")
    one.add_argument("--audit", type=Path, action="append", default=[], help="audit log; may be repeated")
    one.add_argument("--placements", type=Path, help="placements as JSON (a list, or {items: […]})")
    one.add_argument("--tenant", help="only this tenant's records")
    one.add_argument("--strict", action="store_true", help="exit code 1 where a decision changes")
    one.add_argument("--json", action="store_true", help="one JSON document")
    one.set_defaults(run=_replay)

    one = commands.add_parser("export", help="the boundary in the words of other engines")
    one.add_argument("--boundary", type=Path, required=True)
    one.add_argument("--to", required=True, choices=sorted(EXPORTS), help="guard rail or rule engine")
    one.set_defaults(run=_export)

    one = commands.add_parser("price", help="what the boundary costs")
    one.add_argument("--boundary", type=Path, required=True)
    one.add_argument("--prices", type=Path, help="price book of `spotlane prices --json`: what it costs now")
    one.add_argument("--history", type=Path, help="recorded prices (`spotlane prices record FILE`): what it would have cost")
    one.add_argument("--days", type=float, help="only the last so many days of the recording")
    one.add_argument("--step-hours", type=float, default=6.0, help="how often placement decides in the recording (default: 6)")
    one.add_argument("--need", action="append", default=[], metavar="NAME=VCPU:GIB[:ARCH]", help="a workload; may be repeated (default: 2:4, 4:16, 8:32)")
    one.add_argument("--json", action="store_true", help="one JSON document")
    one.set_defaults(run=_price)
    return parser


def _review(asked: argparse.Namespace) -> int:
    if bool(asked.stack) == bool(asked.events):
        raise CantTell("give --stack (to preview) or --events (a recorded stream), one of them")
    forms = asked.format.split(",")
    if strange := [form for form in forms if form not in FORMS]:
        raise CantTell(f"--format {strange[0]}: one of {', '.join(FORMS)}")
    if not asked.out and len(forms) > 1:
        raise CantTell("several forms go into files: give --out DIRECTORY")
    stream = _stream(asked)
    boundary, accounts = _boundary_of(stream.stack, asked.boundary)
    found = review(stream, boundary, accounts, load_prices(asked.prices), load_baseline(asked.baseline), datetime.now(UTC))
    source = asked.source or _source(stream.stack)
    for form in forms:
        name, write = FORMS[form]
        if asked.out:
            asked.out.mkdir(parents=True, exist_ok=True)
            (asked.out / name).write_text(write(found, source), encoding="utf-8")
        else:
            sys.stdout.write(write(found, source))
    if asked.write_baseline:
        asked.write_baseline.write_text(baseline_of(found), encoding="utf-8")
    if found.errors:
        sys.stderr.write("".join(f"error: {error}\n" for error in found.errors))
        return 2
    if found.unjudged:
        sys.stderr.write(f"error: nobody judged {', '.join(found.unjudged)}: was a pack loaded?\n")
        return 2
    return 1 if found.blocking else 0


def _stream(asked: argparse.Namespace) -> Stream:
    if asked.events:
        text = sys.stdin.read() if str(asked.events) == "-" else asked.events.read_text(encoding="utf-8")
        return read(text.splitlines())
    pack = Path(asked.pack)
    if not pack.exists():
        pack = PROJECT / "policies" / "packs" / f"{asked.pack}.pack"
    if not pack.exists():
        raise CantTell(f"there is no pack {asked.pack!r} under policies/packs")
    environment = {**os.environ, "PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "1"}
    if asked.boundary:
        environment["SPOTLANE_BOUNDARY"] = str(asked.boundary.resolve())
    command = ["pulumi", "preview", "--json", "--non-interactive", "--color", "never", "--stack", asked.stack, "--policy-pack", str(pack)]
    try:
        result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    except FileNotFoundError as error:
        raise CantTell('pulumi isn\'t on the PATH; `eval "$(spotlane local env)"` puts it there') from error
    try:
        return read(result.stdout.splitlines())
    except NotAStream as error:
        raise CantTell(f"the preview failed: {(result.stderr or result.stdout).strip()[-600:] or error}") from error


def _boundary_of(stack: str, path: Path | None) -> tuple[CompiledBoundary | None, Accounts]:
    """The boundary that judged the stack, for exemptions and unknowns; None where it can't be found here (the pack had it by its config)."""
    if path:
        return compile(parse(path.read_text(encoding="utf-8"))), {}
    home, tenant = os.environ.get("SPOTLANE_HOME"), subject(stack).tenant
    file = Path(home or PROJECT / ".spotlane") / "proxy" / "tenants" / f"{tenant}.json"
    if not tenant or not file.exists():
        return None, {}
    record = json.loads(file.read_text(encoding="utf-8"))
    accounts = {cloud: frozenset(names) for cloud, names in (record.get("accounts") or {}).items() if names}
    return compile(load(record["boundary"])), accounts


def _source(stack: str) -> str:
    settings = Path("stacks") / "config" / f"Pulumi.{stack}.yaml"
    return str(settings) if settings.exists() else "Pulumi.yaml"


def _explain(asked: argparse.Namespace) -> int:
    if asked.rule is None:
        sys.stdout.write("".join(f"{rule.name:20} {rule.severity:9} {rule.title}\n" for rule in BY_NAME.values()))
        return 0
    rule = BY_NAME.get(asked.rule)
    if rule is None:
        raise CantTell(f"there is no rule {asked.rule!r}; the rules are {', '.join(BY_NAME)}")
    told = [f"{rule.name} ({rule.severity}; packs: {', '.join(rule.packs)})", "", rule.title + ".", "", *textwrap.wrap(rule.why, 100), ""]
    told += ["To mend it:", *textwrap.wrap(rule.mend, 100), "", "Helps to meet:"]
    told += [f"  {framework}: {', '.join(controls)}" for framework, controls in rule.frameworks.items()]
    sys.stdout.write("\n".join(told) + "\n")
    return 0


def _test(asked: argparse.Namespace) -> int:
    results = list(cases.run(asked.path, datetime.now(UTC)))
    if not results:
        raise CantTell(f"{asked.path}: no cases")
    for one in results:
        expected, found = (", ".join(rules) or "allowed" for rules in (one.expected, one.found))
        sys.stdout.write(f"{'ok  ' if one.passed else 'FAIL'}  {one.file}: {one.name}" + ("\n" if one.passed else f": expected {expected}, found {found}\n"))
    failed = sum(not one.passed for one in results)
    sys.stdout.write(f"{len(results)} cases, {failed} failed\n")
    return 1 if failed else 0


def _replay(asked: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    new = compile(parse(asked.boundary.read_text(encoding="utf-8")))
    old = compile(parse(asked.old.read_text(encoding="utf-8"))) if asked.old else None
    found: list[Replayed] = []
    for path in asked.plan:
        found += replay_plan(read(path.read_text(encoding="utf-8").splitlines()), old, new, now)
    for path in asked.audit:
        found += replay_records((entry for entry in entries(path) if asked.tenant in (None, entry.get("tenant"))), new, now)
    if asked.placements:
        document: Any = json.loads(asked.placements.read_text(encoding="utf-8"))
        found += replay_placements(document["items"] if isinstance(document, dict) else document, new, now)
    if not asked.plan and not asked.audit and not asked.placements:
        raise CantTell("give --plan, --audit or --placements")
    changed = [one for one in found if one.changed]
    if asked.json:
        rows = [{"point": one.point, "what": one.what, "where": one.where, "then": one.then, "now": one.now} for one in changed]
        sys.stdout.write(json.dumps({"digest": new.digest, "decisions": len(found), "changed": rows}, indent=2) + "\n")
    else:
        for one in changed:
            sys.stdout.write(f"{one.point:5}  {one.where:24} {one.what}: {', '.join(one.then) or 'allowed'} → {', '.join(one.now) or 'allowed'}\n")
        sys.stdout.write(f"{len(found)} decisions, {len(changed)} would change under {new.boundary.name} ({new.digest[:19]})\n")
    return 1 if changed and asked.strict else 0


def _price(asked: argparse.Namespace) -> int:
    boundary = compile(parse(asked.boundary.read_text(encoding="utf-8")))
    needs = dict(_need(text) for text in asked.need or ["2:4", "4:16", "8:32"])
    now = datetime.now(UTC)
    if not asked.prices and not asked.history:
        raise CantTell("give --prices (what the boundary costs now), --history (what it would have cost), or both")
    if asked.step_hours <= 0 or (asked.days is not None and asked.days <= 0):
        raise CantTell("--days and --step-hours are above 0")
    found = premiums(boundary, load_prices(asked.prices), needs, now) if asked.prices else []
    window: tuple[datetime, datetime] | None = None
    gone: list[Past] = []
    if asked.history:
        window, gone = past(boundary, History(asked.history, list(needs.values())), needs, asked.days, timedelta(hours=asked.step_hours), now)
    if asked.json:
        rows = [
            {
                "workload": one.workload, "free": one.free_offer, "freeUsdPerHour": one.free_usd_per_hour, "bound": one.bound_offer,
                "boundUsdPerHour": one.bound_usd_per_hour, "percent": one.percent, "usdPer30Days": one.usd_per_30_days, "refusedOffers": one.refused,
            }
            for one in found
        ]  # fmt: skip
        document: dict[str, Any] = {"boundary": boundary.boundary.name, "digest": boundary.digest, "workloads": rows}
        if window is not None:
            document["history"] = {
                "begin": window[0].isoformat(),
                "end": window[1].isoformat(),
                "workloads": [{"workload": one.workload, "free": _course(one.free), "bound": _course(one.bound), "percent": one.percent} for one in gone],
            }
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        for one in found:
            if one.usd_per_30_days is None:
                sys.stdout.write(f"{one.workload}: {'nothing inside the boundary serves it' if one.free_offer else 'nothing serves it at all'}\n")
            else:
                told = f"{one.bound_usd_per_hour:.4f} USD/h inside ({one.bound_offer}), {one.free_usd_per_hour:.4f} anywhere ({one.free_offer})"
                sys.stdout.write(f"{one.workload}: {told}: the boundary costs {one.usd_per_30_days:.2f} USD per 30 days ({one.percent:+.1f} %)\n")
        if window is not None:
            sys.stdout.write(f"from {window[0]:%Y-%m-%d} to {window[1]:%Y-%m-%d}, decided on every {asked.step_hours:g} h:\n")
        for past_one in gone:
            free, bound = past_one.free, past_one.bound
            if past_one.percent is None:
                sys.stdout.write(f"{past_one.workload}: {'nothing inside the boundary' if free.hours else 'nothing'} would have served it\n")
                continue
            told = f"{bound.usd:.2f} USD inside ({bound.moves} moves, {bound.unplaced_hours:.0f} h unplaced), {free.usd:.2f} anywhere ({free.moves} moves)"
            sys.stdout.write(f"{past_one.workload}: {told}: {past_one.percent:+.1f} % per hour placed\n")
    return 1 if any(one.bound_offer is None for one in found) or any(not one.bound.hours for one in gone) else 0


def _course(one: Course) -> dict[str, float | int | None]:
    charged = {"usd": one.usd, "machineUsd": one.machine_usd, "egressUsd": one.egress_usd, "movesUsd": one.moves_usd}
    return {**charged, "usdPerHour": one.usd_per_hour, "hours": one.hours, "unplacedHours": one.unplaced_hours, "moves": one.moves}


EXPORTS: dict[str, Callable[[CompiledBoundary], str]] = {
    "scp": lambda boundary: json.dumps(export.service_control_policy(boundary), indent=2) + "\n",
    "azure": lambda boundary: json.dumps({"listOfAllowedLocations": {"value": export.azure_allowed_locations(boundary)}}, indent=2) + "\n",
    "gcp": lambda boundary: json.dumps({"spec": {"rules": [{"values": {"allowedValues": export.gcp_resource_locations(boundary)}}]}}, indent=2) + "\n",
    "rego": rego,
    "kivera": lambda boundary: yaml.safe_dump({"rules": kivera_rules(boundary)}, sort_keys=False, width=200),
}


def _export(asked: argparse.Namespace) -> int:
    sys.stdout.write(EXPORTS[asked.to](compile(parse(asked.boundary.read_text(encoding="utf-8")))))
    return 0


def _need(text: str) -> tuple[str, Requirements]:
    name, _, spec = text.rpartition("=")
    parts = spec.split(":")
    try:
        return name or text, Requirements(int(parts[0]), float(parts[1]), *parts[2:3])  # type: ignore[arg-type]  # checked below
    except (ValueError, IndexError, TypeError) as error:
        raise CantTell(f"--need {text!r} is not NAME=VCPU:GIB[:x86_64|arm64], as in web=2:4") from error


if __name__ == "__main__":
    sys.exit(main())
