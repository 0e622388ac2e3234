"""The packs' policies: one that judges every resource by all rules of the pack (a policy a rule would cost twenty times as much), one for the stack."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyConfigSchema,
    PolicyPack,
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
from domain.boundary.finding import Finding
from domain.boundary.model import BoundaryDocumentError
from policies.facts import aws, azure, cloudflare, gcp
from policies.facts.reading import UNKNOWN, Inputs
from policies.facts.resource import Facts, Resource
from policies.packs.catalogue import EVERYTHING, PACKS, rules_of
from policies.packs.extra import findings, stack_findings
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


def judge_resource(args: ResourceValidationArgs, report: ReportViolation, now: datetime | None = None, pack: str = "boundary") -> None:
    """Reports what the pack's rules refuse of the resource; ``now`` (aware) ends exemptions, the present where it is left out.

    Raises ``UnknownValueError`` where something is unknown until apply.
    """
    resource = Resource(args.resource_type, args.name, Inputs(thaw(args.props)), Inputs(thaw(args.provider.props if args.provider else {}), "provider"))
    if resource.package in _NO_CLOUD:
        return
    rules = rules_of(pack)
    stack = stack_of(args.urn)
    of = subject(stack)
    call = translate(resource, of.tenant)
    if call is None:
        if "cloud" in rules:
            report(f"[cloud] {resource.type} {resource.name!r}: no rules are known for package {resource.package!r}. Use {', '.join(_TRANSLATORS)}.", None)
        return
    if not of.tenant:
        if "account" in rules and (of.kind != "edge" or call.cloud != "cloudflare"):
            report(f"[account] {resource.type} {resource.name!r} stands in stack {stack!r}, which is no tenant's. Declare it in its tenant's stack.", None)
        return
    if pack == "hygiene":
        _raise_unknown(_told(findings(resource, of, None, rules), rules, "", report))
        return
    try:
        book = _rulebook(of.tenant, _Frozen(args.get_config()))
    except (NoBoundary, BoundaryDocumentError, OSError, ValueError) as error:
        report(f"[boundary] {resource.type} {resource.name!r}: {error}", None)
        return
    # What the tenant's own stack makes has no account yet.
    now = now or datetime.now(UTC)
    said = decide(book.boundary, call, now, {} if of.kind == "tenant" else book.accounts)
    digest = said.digest.removeprefix("sha256:")[:12]
    unknown = _told((*said.refused, *said.unknown, *findings(resource, of, book.boundary.boundary, rules, now)), rules, f" Boundary {digest}.", report)
    _raise_unknown(unknown)


def _raise_unknown(unknown: list[Finding]) -> None:
    """The engine shows this as an advisory in the preview and runs the policy again, on the real values, in the update."""
    if unknown:
        raise UnknownValueError(UNKNOWN_STRING_VALUE, [finding.path for finding in unknown][:1])


def _told(found: Iterable[Finding], rules: frozenset[str], tail: str, report: ReportViolation) -> list[Finding]:
    """Reports those of the pack's rules; gives back what is unknown until apply."""
    unknown = []
    for finding in found:
        if finding.rule not in rules:
            continue
        if finding.unknown:
            unknown.append(finding)
        else:
            where = f" ({finding.path})" if finding.path else ""
            report(f"[{finding.rule}] {finding.sentence()}{where}{tail}", None)
    return unknown


ON_DEMAND_TAG = "on-demand"
"""What a placement's stack tags a machine with that was decided to be bought on demand: one that is so by mistake has none. The boundary is asked besides."""


def judge_stack(args: StackValidationArgs, report: ReportViolation, pack: str = "boundary") -> None:
    """Reports what only the whole stack shows: on-demand machines in a placement, machines without their tenant's network."""
    rules = rules_of(pack)
    known: list[tuple[Resource, str]] = []
    of = subject(stack_of(args.resources[0].urn)) if args.resources else subject("")
    if of.kind != "placement":
        return
    for item in args.resources:
        resource = Resource(item.resource_type, item.name, Inputs(thaw(item.props)), Inputs(thaw(item.provider.props if item.provider else {}), "provider"))
        if resource.package in _NO_CLOUD:
            continue
        known.append((resource, item.urn))
        call = translate(resource, "") if "spot" in rules else None
        bought = call is not None and ON_DEMAND_TAG in (call.tags or ())
        for trait in call.traits if call and not bought else ():
            if trait.name == "spot" and trait.holds is False:
                report(
                    f"[spot] {resource.type} {resource.name!r} is an on-demand machine in a placement. A placement is spot, unless it was decided "
                    f"otherwise: then its machine has the tag {ON_DEMAND_TAG!r}.",
                    item.urn,
                )
    for resource, finding in stack_findings([resource for resource, _ in known], of):
        if finding.rule in rules:
            report(f"[{finding.rule}] {finding.sentence()}", next(urn for one, urn in known if one is resource))


_REMEDIED = frozenset({"imdsv2", "disk-encryption", "ownership"})


def remediate(args: ResourceValidationArgs) -> Any:
    """Hygiene's safe changes, made on the inputs as they are, so that what is secret stays secret: IMDSv2, encrypted root disk, the tenant's tag."""
    resource = Resource(args.resource_type, args.name, Inputs(thaw(args.props)))
    of = subject(stack_of(args.urn))
    wanted = {finding.rule for finding in findings(resource, of, None, _REMEDIED)}
    if not wanted or resource.package != "aws" or not of.tenant:
        return None
    props: Any = args.props
    changed = False
    if "imdsv2" in wanted:
        options = props.get("metadataOptions")
        if options is None:
            props["metadataOptions"] = {"httpTokens": "required", "httpEndpoint": "enabled"}
        else:
            options["httpTokens"] = "required"
        changed = True
    root = resource.inputs.get("rootBlockDevice")
    if "disk-encryption" in wanted and (resource.module, resource.kind) == ("ec2", "Instance") and root is not UNKNOWN:
        if root is None:
            props["rootBlockDevice"] = {"encrypted": True}
        else:
            props["rootBlockDevice"]["encrypted"] = True
        changed = True
    if "ownership" in wanted and resource.inputs.get("tags") is not UNKNOWN:
        if resource.inputs.get("tags") is None:
            props["tags"] = {"tenant": of.tenant}
        else:
            props["tags"]["tenant"] = of.tenant
        changed = True
    return props if changed else None


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


_CONFIG = PolicyConfigSchema(
    properties={
        "boundary": {"type": "object", "description": "The boundary document."},
        "tenant": {"type": "string", "description": "Its tenant; a stack of another tenant is refused."},
        "digest": {"type": "string", "description": "The document's digest, checked when given."},
        "accounts": {"type": "object", "description": "The tenant's accounts by cloud."},
    }
)


def policies_of(pack: str) -> list[Policy]:
    """A pack's policies: all its rules merged into one for resources, and one for the stack."""
    advisory = pack == "hygiene"
    resources = ResourceValidationPolicy(
        name=pack,
        description=PACKS.get(pack, "Boundary, tenant isolation and spend in one."),  # type: ignore[call-overload]  # EVERYTHING is no pack of its own
        enforcement_level=EnforcementLevel.ADVISORY if advisory else EnforcementLevel.MANDATORY,
        severity=Severity.MEDIUM if advisory else Severity.CRITICAL,
        config_schema=None if advisory else _CONFIG,
        remediation_steps="Change the resource, or have the boundary changed by its owner (`spotlane policies explain RULE` says how).",
        validate=lambda args, report: judge_resource(args, report, None, pack),
        remediate=remediate if advisory else None,
    )
    if advisory:
        return [resources]
    stack = StackValidationPolicy(
        name="placement",
        description="A placement is a spot machine in its tenant's network.",
        enforcement_level=EnforcementLevel.MANDATORY,
        severity=Severity.HIGH,
        validate=lambda args, report: judge_stack(args, report, pack),
    )
    return [resources, stack]


def serve(pack: str) -> None:
    """Serves the pack to the engine until that ends."""
    PolicyPack(
        name=pack if pack == EVERYTHING else f"spotlane-{pack}",
        display_name=f"Spotlane {pack} {version('spotlane')}",
        description=PACKS.get(pack, "Boundary, tenant isolation and spend in one."),  # type: ignore[call-overload]  # EVERYTHING is no pack of its own
        enforcement_level=EnforcementLevel.ADVISORY if pack == "hygiene" else EnforcementLevel.MANDATORY,
        policies=policies_of(pack),
    )


boundary = policies_of("boundary")[0]
