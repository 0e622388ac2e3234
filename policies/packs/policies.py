"""The pack's policies: one that judges every resource by the whole boundary (a policy a rule would cost twenty times as much), one for the stack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    PolicyConfigSchema,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    Severity,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, UnknownValueError

from domain.boundary.call import Call
from domain.boundary.decide import decide
from domain.boundary.model import BoundaryDocumentError
from policies.facts import aws, azure, cloudflare, gcp
from policies.facts.reading import Inputs
from policies.facts.resource import Facts, Resource
from policies.packs.subject import NoBoundary, Rulebook, rulebook, stack_of, subject
from policies.packs.thaw import thaw

# Package → cloud and translator. A package that isn't here has no rules, so it is refused.
_TRANSLATORS: Mapping[str, tuple[str, Callable[[Resource], Facts]]] = {
    "aws": ("aws", aws.facts),
    "azure-native": ("azure", azure.facts),
    "gcp": ("gcp", gcp.facts),
    "cloudflare": ("cloudflare", cloudflare.facts),
}
_NO_CLOUD = frozenset({"pulumi", "spotlane"})
"""Pulumi's own resources (stack, providers, references) and our components, whose children are judged one by one."""


def translate(resource: Resource, tenant: str) -> Call | None:
    """The call that the resource makes, or None when its package is none of a cloud that we know."""
    if resource.package not in _TRANSLATORS:
        return None
    cloud, facts = _TRANSLATORS[resource.package]
    return facts(resource).call(resource, cloud, tenant)


def _judge_resource(args: ResourceValidationArgs, report: ReportViolation) -> None:
    judge_resource(args, report)


def judge_resource(args: ResourceValidationArgs, report: ReportViolation, now: datetime | None = None) -> None:
    """Reports what the boundary refuses of the resource; ``now`` (aware) ends exemptions, the present where it is left out.

    Raises ``UnknownValueError`` where something is unknown until apply.
    """
    resource = Resource(args.resource_type, args.name, Inputs(thaw(args.props)), Inputs(thaw(args.provider.props if args.provider else {}), "provider"))
    if resource.package in _NO_CLOUD:
        return
    stack = stack_of(args.urn)
    of = subject(stack)
    call = translate(resource, of.tenant)
    if call is None:
        report(
            f"[cloud] {resource.type} {resource.name!r}: no rules are known for package {resource.package!r}. Use aws, azure-native, gcp or cloudflare.", None
        )
        return
    if not of.tenant:
        if of.kind != "edge" or call.cloud != "cloudflare":
            report(
                f"[account] {resource.type} {resource.name!r} stands in stack {stack!r}, which is no tenant's. Declare it in its tenant's stack.",
                None,
            )
        return
    try:
        rules = _rulebook(of.tenant, _Frozen(args.get_config()))
    except (NoBoundary, BoundaryDocumentError, OSError, ValueError) as error:
        report(f"[boundary] {resource.type} {resource.name!r}: {error}", None)
        return
    findings = decide(rules.boundary, call, now or datetime.now(UTC), {} if of.kind == "tenant" else rules.accounts)
    for finding in findings.refused:
        where = f" ({finding.path})" if finding.path else ""
        report(f"[{finding.rule}] {finding.sentence()}{where} Boundary {findings.digest.removeprefix('sha256:')[:12]}.", None)
    if findings.unknown:
        # The engine shows this as an advisory in the preview and runs the policy again, on the real values, in the update.
        raise UnknownValueError(UNKNOWN_STRING_VALUE, [finding.path for finding in findings.unknown][:1])


def _judge_stack(args: StackValidationArgs, report: ReportViolation) -> None:
    for item in args.resources:
        if subject(stack_of(item.urn)).kind != "placement":
            return
        resource = Resource(item.resource_type, item.name, Inputs(thaw(item.props)), Inputs(thaw(item.provider.props if item.provider else {}), "provider"))
        call = translate(resource, "") if resource.package not in _NO_CLOUD else None
        for trait in call.traits if call else ():
            if trait.name == "spot" and trait.holds is False:
                report(f"[spot] {resource.type} {resource.name!r} is an on-demand machine in a placement. A placement is spot.", item.urn)


class _Frozen:
    """A policy's config, hashable by identity of its document: the engine hands an equal one with every resource."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self._key = repr(config)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Frozen) and other._key == self._key

    def __hash__(self) -> int:
        return hash(self._key)


@lru_cache(maxsize=8)
def _rulebook(tenant: str, config: _Frozen) -> Rulebook:
    return rulebook(tenant, config.config)


boundary = ResourceValidationPolicy(
    name="boundary",
    description="Every resource stays inside its tenant's data boundary.",
    enforcement_level=EnforcementLevel.MANDATORY,
    severity=Severity.CRITICAL,
    config_schema=PolicyConfigSchema(
        properties={
            "boundary": {"type": "object", "description": "The boundary document."},
            "tenant": {"type": "string", "description": "Its tenant; a stack of another tenant is refused."},
            "digest": {"type": "string", "description": "The document's digest, checked when given."},
            "accounts": {"type": "object", "description": "The tenant's accounts by cloud."},
        }
    ),
    remediation_steps="Change the resource, or have the boundary changed by its owner (`spotlane tenant add --boundary FILE`).",
    validate=_judge_resource,
)

placement = StackValidationPolicy(
    name="placement",
    description="A placement is a spot machine.",
    enforcement_level=EnforcementLevel.MANDATORY,
    severity=Severity.HIGH,
    validate=_judge_stack,
)

POLICIES = [boundary, placement]
