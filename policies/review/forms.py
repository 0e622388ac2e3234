"""A review in the forms that people and pipelines read: Markdown, SARIF 2.1.0, JUnit XML, JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from xml.etree import ElementTree

from policies.packs.catalogue import BY_NAME
from policies.review.report import Change, Review, ReviewFinding

_SARIF_LEVEL = {"critical": "error", "high": "error", "medium": "warning", "low": "note"}
_SECURITY_SEVERITY = {"critical": "9.5", "high": "8.0", "medium": "5.0", "low": "2.0"}
"""GitHub's code scanning orders by this figure (0-10)."""
_SIGNS = {"create": "+", "delete": "-", "update": "~", "replace": "±", "create-replacement": "+", "delete-replaced": "-"}


def markdown(review: Review, source: str = "") -> str:
    """For a pull request's comment."""
    blocking = len(review.blocking)
    verdict = f"**{blocking} finding{'s' if blocking != 1 else ''} block this change**" if blocking else "**Nothing blocks this change**"
    lines = [
        f"## Policy review of `{review.stack}`",
        "",
        verdict + (f", under boundary `{review.boundary}` (`{review.digest[:19]}`)." if review.digest else "."),
        "",
    ]
    if review.errors:
        lines += ["The preview failed:", "", *(f"- {_cell(error)}" for error in review.errors[:5]), ""]
    if review.findings:
        lines += ["| severity | rule | resource | property | why | mend |", "|---|---|---|---|---|---|"]
        for one in review.findings:
            severity = f"{one.severity}{' (advisory)' if one.level == 'advisory' else ''}{' (known)' if one.known else ''}"
            lines.append(f"| {severity} | `{one.rule}` | `{one.name}` | {f'`{one.path}`' if one.path else ''} | {_cell(one.message)} | {_cell(one.mend)} |")
        lines.append("")
    lines += _changes(review)
    if review.exempted:
        lines += ["### Exemptions that applied", "", "| rule | resource | owner | reason | until |", "|---|---|---|---|---|"]
        lines += [f"| `{one.rule}` | `{one.name}` | {_cell(one.owner)} | {_cell(one.reason)} | {one.expires:%Y-%m-%d} |" for one in review.exempted]
        lines.append("")
    if review.unknown:
        lines += ["### Unknown until apply", "", "Judged on the real values by the update, before anything is made.", ""]
        lines += [f"- `{one.name}`: `{one.path}`" + (f" (`{one.rule}`)" if one.rule else "") for one in review.unknown]
        lines.append("")
    judged = sum(bool(policies) for policies in review.coverage.values())
    lines += ["### Coverage", "", f"{judged} of {len(review.coverage)} changed resources were judged."]
    lines += [f"- not judged: `{name}`" for name in review.unjudged]
    return "\n".join(lines) + "\n"


def _changes(review: Review) -> list[str]:
    if not review.changes:
        return ["Nothing changes.", ""]
    before, after, missing = review.cost
    lines = ["### Changes", "", "| | resource | type | USD per 30 days |", "|---|---|---|---|"]
    lines += [f"| {_SIGNS.get(one.op, one.op)} | `{one.name}` | `{one.type}` | {_cost(one)} |" for one in review.changes]
    total = f"Machines: {before:.2f} → {after:.2f} USD per 30 days ({after - before:+.2f})."
    return [*lines, "", total + (f" {missing} without a known price." if missing else ""), ""]


def _cost(change: Change) -> str:
    if not change.priced:
        return ""
    sides = [
        "-" if op == change.op else "unknown" if figure is None else f"{figure:.2f}" for op, figure in (("create", change.before), ("delete", change.after))
    ]
    return " → ".join(sides)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def sarif(review: Review, source: str = "Pulumi.yaml") -> str:
    """SARIF 2.1.0 (OASIS). A Pulumi resource has no line of its own: the finding stands at the stack's file, and at its URN as logical location."""
    used = sorted({one.rule for one in review.findings})
    rules = [_sarif_rule(name) for name in used]
    results = [
        {
            "ruleId": one.rule,
            "ruleIndex": used.index(one.rule),
            "level": "note" if one.level == "advisory" else _SARIF_LEVEL[one.severity],
            "message": {"text": f"{one.message} {one.mend}".strip() if one.mend not in one.message else one.message},
            "locations": [
                {
                    "physicalLocation": {"artifactLocation": {"uri": source}, "region": {"startLine": 1}},
                    "logicalLocations": [{"name": one.name, "fullyQualifiedName": one.urn + (f"#{one.path}" if one.path else ""), "kind": "resource"}],
                }
            ],
            "partialFingerprints": {"spotlaneFinding/v1": one.fingerprint},
            "baselineState": "unchanged" if one.known else "new",
            "properties": {"path": one.path, "resourceType": one.type, "enforcement": one.level},
        }
        for one in review.findings
    ]
    invocation = {"executionSuccessful": not review.errors, "properties": {"stack": review.stack, "boundary": review.boundary, "digest": review.digest}}
    driver = {"name": "spotlane policies", "informationUri": "https://www.pulumi.com/docs/iac/using-pulumi/crossguard/", "rules": rules}
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "invocations": [invocation], "results": results, "columnKind": "unicodeCodePoints"}],
    }
    return json.dumps(document, indent=2) + "\n"


def _sarif_rule(name: str) -> dict[str, Any]:
    rule = BY_NAME.get(name)
    if rule is None:
        return {"id": name, "shortDescription": {"text": f"A finding of another pack's policy {name}."}}
    tags = [f"{framework}: {control}" for framework, controls in rule.frameworks.items() for control in controls]
    return {
        "id": name,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": f"{rule.title}. {rule.why}"},
        "help": {"text": rule.mend},
        "defaultConfiguration": {"level": _SARIF_LEVEL[rule.severity]},
        "properties": {"tags": ["security", *tags], "security-severity": _SECURITY_SEVERITY[rule.severity]},
    }


def junit(review: Review, source: str = "") -> str:
    """JUnit XML: a test case for each changed resource, failed by its mandatory findings, skipped where nobody judged it."""
    by_name: dict[str, list[ReviewFinding]] = {}
    for one in review.findings:
        by_name.setdefault(one.name, []).append(one)
    types = {one.name: one.type for one in review.changes}
    names = list(dict.fromkeys([*review.coverage, *by_name]))
    failing = {name for name in names if any(one.level == "mandatory" and not one.known for one in by_name.get(name, ()))}
    skipped = [name for name in names if name in review.unjudged and name not in by_name]
    root = ElementTree.Element("testsuites")
    counts = {"tests": str(len(names)), "failures": str(len(failing)), "errors": str(len(review.errors)), "skipped": str(len(skipped))}
    suite = ElementTree.SubElement(root, "testsuite", {"name": f"spotlane policies: {review.stack}", **counts})
    for name in names:
        case = ElementTree.SubElement(suite, "testcase", name=name, classname=types.get(name, "stack"))
        if name in failing:
            told = [one for one in by_name[name] if one.level == "mandatory" and not one.known]
            failure = ElementTree.SubElement(case, "failure", message="; ".join(f"[{one.rule}] {one.message}" for one in told), type=told[0].rule)
            failure.text = "\n".join(f"[{one.rule}] ({one.severity}) {one.path}: {one.message} {one.mend}" for one in told)
        elif name in skipped:
            ElementTree.SubElement(case, "skipped", message="no policy judged it")
        if rest := [one for one in by_name.get(name, ()) if one.level == "advisory" or one.known]:
            ElementTree.SubElement(case, "system-out").text = "\n".join(f"[{one.rule}] {one.message}" for one in rest)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def as_json(review: Review, source: str = "") -> str:
    """Everything, for other programs."""
    before, after, missing = review.cost
    document = {
        "stack": review.stack,
        "boundary": review.boundary,
        "digest": review.digest,
        "blocked": bool(review.blocking or review.errors),
        "findings": [
            {
                "rule": one.rule, "severity": one.severity, "enforcement": one.level, "type": one.type, "resource": one.name, "urn": one.urn,
                "path": one.path, "why": one.message, "mend": one.mend, "known": one.known, "fingerprint": one.fingerprint,
            }
            for one in review.findings
        ],
        "changes": [
            {"op": one.op, "type": one.type, "resource": one.name, "usdPer30DaysBefore": one.before, "usdPer30DaysAfter": one.after} for one in review.changes
        ],
        "cost": {"usdPer30DaysBefore": before, "usdPer30DaysAfter": after, "machinesWithoutPrice": missing},
        "exempted": [
            {"rule": one.rule, "resource": one.name, "owner": one.owner, "reason": one.reason, "expires": one.expires.isoformat()} for one in review.exempted
        ],
        "unknown": [{"rule": one.rule, "resource": one.name, "path": one.path} for one in review.unknown],
        "coverage": {name: list(policies) for name, policies in review.coverage.items()},
        "errors": review.errors,
    }  # fmt: skip
    return json.dumps(document, indent=2) + "\n"


FORMS: Mapping[str, tuple[str, Callable[[Review, str], str]]] = {
    "markdown": ("review.md", markdown),
    "sarif": ("review.sarif", sarif),
    "junit": ("review.xml", junit),
    "json": ("review.json", as_json),
}
"""By name: the file's name and the form."""
