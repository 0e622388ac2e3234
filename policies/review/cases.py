"""A boundary's own tests: YAML files of cases, each something wanted and the rules that must refuse it.

Example::

    boundary: acme.yaml
    cases:
      - name: a machine in Ireland
        resource: {type: "aws:ec2/instance:Instance", inputs: {region: eu-west-1, instanceMarketOptions: {marketType: spot}}}
        expect: []
      - name: nothing in Virginia
        region: aws/us-east-1
        expect: [residency]
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from domain.boundary.compiled import CompiledBoundary, compile
from domain.boundary.decide import decide
from domain.boundary.model import load, parse
from policies.facts.reading import Inputs
from policies.facts.resource import Resource
from policies.packs.policies import translate


class CaseFault(ValueError):
    """A case can't be understood; the message says which file, which case and what."""


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case: the rules that were expected to refuse it, and those that did."""

    file: str
    name: str
    expected: tuple[str, ...]
    found: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether they are the same."""
        return self.expected == self.found


def run(path: Path, now: datetime) -> Iterator[CaseResult]:
    """Every case of the file, or of the ``*.yaml`` files of the directory that have cases. Raises :class:`CaseFault`."""
    for file in sorted(path.glob("*.y*ml")) if path.is_dir() else [path]:
        try:
            document = yaml.safe_load(file.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            raise CaseFault(f"{file}: not YAML: {error}") from error
        if not isinstance(document, dict) or "cases" not in document:
            if not path.is_dir():
                raise CaseFault(f"{file}: has no cases")
            continue
        yield from _file(file, document, now)


def _file(file: Path, document: dict[str, Any], now: datetime) -> Iterator[CaseResult]:
    given = document.get("boundary")
    boundary = compile(parse((file.parent / given).read_text(encoding="utf-8")) if isinstance(given, str) else load(given))
    for number, case in enumerate(document["cases"], 1):
        if not isinstance(case, dict) or "expect" not in case or ("resource" in case) == ("region" in case):
            raise CaseFault(f"{file}: case {number} needs `expect`, and either `resource` or `region`")
        found = _resource(file, number, case["resource"], boundary, now) if "resource" in case else _region(file, number, str(case["region"]), boundary, now)
        yield CaseResult(file.name, str(case.get("name", f"case {number}")), tuple(sorted(case["expect"])), found)


def _region(file: Path, number: int, text: str, boundary: CompiledBoundary, now: datetime) -> tuple[str, ...]:
    cloud, _, region = text.partition("/")
    if not region:
        raise CaseFault(f"{file}: case {number}: {text!r} is not <cloud>/<region>")
    refused = boundary.refusal(cloud, region, now)
    return (refused.rule,) if refused else ()


def _resource(file: Path, number: int, given: Any, boundary: CompiledBoundary, now: datetime) -> tuple[str, ...]:
    if not isinstance(given, dict) or not isinstance(given.get("type"), str):
        raise CaseFault(f"{file}: case {number}: resource needs a type and inputs")
    resource = Resource(given["type"], str(given.get("name", "case")), Inputs(given.get("inputs") or {}), Inputs(given.get("provider") or {}, "provider"))
    call = translate(resource, "case")
    if call is None:
        raise CaseFault(f"{file}: case {number}: no rules are known for package {resource.package!r}")
    return tuple(sorted({finding.rule for finding in decide(boundary, call, now, {}).refused}))
