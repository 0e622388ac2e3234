"""``fidelity``: the local providers' replacement rules against facts taken from the real providers (``--data DIR`` with ``replacement.json``).

One row a type in use: how many paths agree, which the facts have and the rules lack, which the rules have besides. A path that replaces under a condition
counts as agreed where the rule has a condition for it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import Result
from localcloud.providers.replacement import RULES, Rule

SAMPLES = 1
NEEDS_DATA = True
_OF_ALL = frozenset({"region"})
"""What the engine's side of every AWS type handles by itself (a change of region)."""


@dataclass(frozen=True)
class Row:
    """One type. ``unknown`` where the facts say nothing of it."""

    type: str
    agreed: int
    missing: tuple[str, ...]
    besides: tuple[str, ...]
    unknown: bool = False


def options(parser: argparse.ArgumentParser) -> None:
    """Where the facts are."""
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="directory that holds replacement.json")


def run(samples: int, arguments: argparse.Namespace) -> Result:
    """Prints the table on standard error; the figures are the result."""
    facts: dict[str, Any] = json.loads((arguments.data / "replacement.json").read_text())
    rows = [compared(token, rule, facts.get(token)) for token, rule in sorted(RULES.items())]
    for row in rows:
        verdict = "not among the facts" if row.unknown else "agrees" if not (row.missing or row.besides) else "DIFFERS"
        told = [f"{word} {', '.join(paths)}" for word, paths in (("lacks", row.missing), ("has besides", row.besides)) if paths]
        sys.stderr.write(f"{row.type:78} {row.agreed:4} paths  {verdict}{': ' if told else ''}{'; '.join(told)}\n")
    known = [row for row in rows if not row.unknown]
    claims = {"types_that_differ": float(sum(bool(row.missing or row.besides) for row in known)), "types_compared": float(len(known))}
    others = {"types_not_among_the_facts": float(len(rows) - len(known)), "paths_agreed": float(sum(row.agreed for row in known))}
    return Result("fidelity", claims, 1, {"facts": "replacement.json", "types_in_use": len(rows)}, others)


def compared(token: str, rule: Rule, fact: dict[str, Any] | None) -> Row:
    """The rule of a type against its fact."""
    if fact is None:
        return Row(token, 0, (), (), unknown=True)
    sentences = [text for text in (*fact.get("conditional", []), *fact.get("only_when_configured", [])) if "refused" not in text]
    conditional = {_plain(re.split(r"[ (:]", text.strip())[0]) for text in sentences} - {""}
    always = {_plain(path) for path in (*fact.get("replace", []), *fact.get("nested", []))} - _OF_ALL
    ours, when = {_plain(path) for path in rule.paths} - _OF_ALL, {_plain(path) for path in rule.when}
    # azure-native replaces for everything below a named property; what the bridges name below one that is named already adds nothing.
    missing = {path for path in always - ours - when if not any(path.startswith(f"{one}.") for one in ours)} | (conditional - ours - when - _OF_ALL)
    return Row(token, len((always | conditional) & (ours | when)), tuple(sorted(missing)), tuple(sorted(ours - always - conditional)))


def _plain(path: str) -> str:
    return path.replace("[]", "").replace("[*]", "")
