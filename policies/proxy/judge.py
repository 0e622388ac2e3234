"""Whose call it is and whether it may be made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from domain.boundary.call import Access, Call
from domain.boundary.decide import Findings, decide
from domain.boundary.record import Outcome
from policies.proxy.books import PLATFORM, Books, TenantBook
from policies.proxy.decode import decode
from policies.proxy.decode_aws import access_key
from policies.proxy.decode_azure import is_management
from policies.proxy.hosts import KnownHost
from policies.proxy.platform import RULE as OWN
from policies.proxy.platform import Own
from policies.proxy.request import ApiRequest, Refused

# What the platform does before a tenant has an account, and to give it one. Nothing of it has a place.
_MANAGEMENT_SERVICES = frozenset(
    {"organizations", "sts", "account", "iam", "budgets", "ce", "cloudresourcemanager", "serviceusage", "cloudbilling", "orgpolicy", "arm"}
    | {"iamcredentials", "billingbudgets", "monitoring"}
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided. ``rule`` and ``message`` are empty when the call is allowed without an exemption."""

    call: Call
    allowed: bool
    rule: str = ""
    message: str = ""
    digest: str = ""
    findings: Findings | None = None
    """All that the boundary says, where it was asked."""
    outcome: Outcome | None = None
    """What the audit calls it, where it is neither plainly allowed nor denied."""


def judge(request: ApiRequest, host: KnownHost, principal: str, books: Books, now: datetime, own: Own | None = None) -> Verdict:
    """The verdict on a request; ``own`` is what the platform keeps for itself. Raises :class:`Refused` for one that can't be read."""
    if own is not None and principal == PLATFORM and _by_platform(request, books) and own.uses(request):
        return Verdict(_of_platform(request, host), True, OWN)
    if host.kind == "platform":
        return Verdict(_of_platform(request, host), False, "account", f"{request.host} is the platform's own; of it, only what its settings name may be used.")
    call = decode(request, host, principal)
    if host.kind in {"prices", "login"}:
        return Verdict(call, True)
    if call.access == "metadata" and host.kind != "cloudflare":
        return _catalogue(call, principal, books)
    if host.kind == "cloudflare":
        if principal == PLATFORM:
            return Verdict(call, True)
        return Verdict(call, False, "account", "Cloudflare is the platform's. A tenant's credential can't call it.")
    if host.kind == "aws":
        call = replace(call, account=_aws_account(request, call, books))
    if call.account is None:
        return _without_account(call, principal, books)
    owner = books.owner(call.cloud, call.account)
    if owner is None:
        return _unowned(call, principal, books)
    if principal not in {PLATFORM, owner.name}:
        return _anothers(call, principal)
    if principal != PLATFORM and _guards(call):
        return Verdict(call, False, "account", f"{call.service}:{call.action} is about the account's guard rails, which are the platform's.")
    return _by_boundary(replace(call, tenant=owner.name), owner, now)


def _catalogue(call: Call, principal: str, books: Books) -> Verdict:
    """What a cloud sells is told to everyone, but not by way of another tenant's account: there stand that tenant's images, too."""
    owner = books.owner(call.cloud, call.account) if call.account and principal != PLATFORM else None
    return Verdict(call, True) if owner is None or owner.name == principal else _anothers(call, principal)


def _anothers(call: Call, principal: str) -> Verdict:
    return Verdict(call, False, "account", f"Account {call.account!r} isn't tenant {principal!r}'s.")


def _by_platform(request: ApiRequest, books: Books) -> bool:
    """Whether nothing says that another than the platform signed."""
    signed = access_key(request)
    return signed is None or books.session_account(signed[0]) is None


def _of_platform(request: ApiRequest, host: KnownHost) -> Call:
    """What the platform does with its own state and key. Of the path no more is told than which stack or key it names."""
    access: Access = "read" if request.method in {"GET", "HEAD"} else "delete" if request.method == "DELETE" else "write"
    return Call("api", PLATFORM, "", host.cloud, host.service, request.method, access, "global", resource=request.path)


def _aws_account(request: ApiRequest, call: Call, books: Books) -> str | None:
    """The account of the session that signed; AssumeRole acts on the account of its role."""
    if call.service == "sts" and call.action.startswith("AssumeRole"):
        return call.accounts[0].value if call.accounts else None
    signed = access_key(request)
    return books.session_account(signed[0]) if signed else None


def _without_account(call: Call, principal: str, books: Books) -> Verdict:
    if principal == PLATFORM and _managed(call) and call.scope == "global":
        return Verdict(call, True)
    if principal == PLATFORM:
        return Verdict(call, False, "account", f"{call.service}:{call.action} is in no tenant's account. Assume the role of the tenant's account first.")
    return Verdict(call, False, "account", f"{call.service}:{call.action} names no account of tenant {principal!r}.")


def _managed(call: Call) -> bool:
    return call.service in _MANAGEMENT_SERVICES and (call.service != "arm" or is_management(call.action))


_AZURE_GUARDS = ("policyassignments", "policydefinitions", "policysetdefinitions", "policyexemptions", "locks", "denyassignments")


def _guards(call: Call) -> bool:
    """Whether a call changes what a cloud itself holds an account to: whoever may, needn't keep to a boundary beside the proxy."""
    if call.access == "read":
        return False
    if call.service == "arm":
        return call.action.partition(" ")[2].removeprefix("microsoft.authorization/") in _AZURE_GUARDS
    return call.service == "orgpolicy" or (call.service == "cloudresourcemanager" and call.action.endswith(("OrgPolicy", "OrgPolicyConstraints")))


def _clears(call: Call) -> bool:
    """Whether a call is one of those by which a new project loses the network that Google makes in it: its rules let the world in."""
    if call.service != "compute":
        return False
    if call.action == "firewalls.delete":
        return call.resource.startswith("default-allow-")
    if call.action in {"networks.get", "networks.delete"}:
        return call.resource == "default"
    return call.action in {"firewalls.get", "operations.get", "operations.wait"}


def _unowned(call: Call, principal: str, books: Books) -> Verdict:
    assert call.account is not None
    in_the_making = call.scope == "global" and not call.regions and not books.claimed(call.cloud, call.account)
    if principal == PLATFORM and in_the_making and (_managed(call) or _clears(call)):
        # Identity, policy and services of an account in the making; nothing with a place until it has an owner and so a boundary.
        return Verdict(call, True)
    return Verdict(call, False, "account", f"Account {call.account!r} of {call.cloud} belongs to no tenant.")


def _by_boundary(call: Call, owner: TenantBook, now: datetime) -> Verdict:
    if owner.boundary is None:
        return Verdict(call, False, "boundary", f"The boundary of tenant {owner.name!r} can't be read: {owner.fault}.")
    findings = decide(owner.boundary, call, now, owner.accounts)
    if findings.first:
        message = " ".join(finding.sentence() for finding in findings.refused)
        outcome: Outcome = {"learning": "learn", "advisory": "advise", "block": "deny"}[owner.mode]  # type: ignore[assignment]  # its values are outcomes
        return Verdict(call, owner.mode != "block", findings.first.rule, message, owner.boundary.digest, findings, outcome)
    exempted = f"exempted:{findings.exempted[0].finding.rule}" if findings.exempted else ""
    return Verdict(call, True, exempted, "", owner.boundary.digest, findings)


def unreadable(host: KnownHost | None, principal: str, request: ApiRequest | None, refused: Refused) -> Verdict:
    """The verdict on what couldn't be read, for the audit."""
    call = Call(
        point="api",
        principal=principal,
        tenant="",
        cloud=host.cloud if host else "other",
        service=host.service if host else (request.host if request else ""),
        action=request.method if request else "CONNECT",
        access="write",
        scope="global",
    )
    return Verdict(call, False, refused.rule, refused.message)
