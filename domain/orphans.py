"""What lies in a tenant's accounts that no stack owns. Pure.

Everything that the stacks declare carries the tags of ``components.naming``; a placement's name its stack. What bears them and isn't in that stack's state
was left by an engine that died where nobody could mend it, by a state that was lost, or by somebody's hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field

from domain.catalog import CloudName

MANAGED_BY = "spotlane"
"""Value of the tag ``managed-by`` on everything that the stacks declare."""


@dataclass(frozen=True, slots=True)
class CloudResource:
    """One resource as its cloud lists it. ``kind`` is the cloud's own word; ``id`` is as Pulumi's state has it, compared without case.

    ``implied`` ones come into being with another (a machine's disk), so that no state ever holds them: they are judged by their stack alone.
    """

    cloud: CloudName
    account: str
    region: str
    kind: str
    id: str
    tags: Mapping[str, str] = field(default_factory=dict)
    implied: bool = False


@dataclass(frozen=True, slots=True)
class Orphan:
    """A resource without an owner. ``stack`` is the one that its tags name, ``reason`` is ``no-stack`` or ``not-in-state``."""

    resource: CloudResource
    stack: str
    reason: str

    @property
    def sentence(self) -> str:
        """The reason for people."""
        if self.reason == "no-stack":
            return f"its stack {self.stack} doesn't exist"
        return f"the state of its stack {self.stack} doesn't hold it"


def owner(resource: CloudResource, tenant: str) -> str | None:
    """Name of the stack that should own the resource, by its tags and its place; None for what isn't the tenant's or isn't ours."""
    tags = resource.tags
    if tags.get("managed-by") != MANAGED_BY or tags.get("tenant") != tenant:
        return None
    parts = tags.get("placement", "").split("_")
    if len(parts) == 3 and parts[0] == tenant and parts[2].isdigit():
        return f"placement.{tenant}.{parts[1]}.{parts[2]}"
    return f"region.{tenant}.{resource.cloud}.{resource.region}"


def orphans(found: Iterable[CloudResource], tenant: str, held: Mapping[str, Set[str] | None], busy: Set[str]) -> list[Orphan]:
    """Those of ``found`` that no stack owns, in their order.

    ``held`` gives for each stack that :func:`owner` names the ids of its state in lower case (None: there is no such stack), ``busy`` the stacks that are
    worked on. Both must have been read *after* the clouds were: a resource that its run had made by then is in the state, or its stack still busy.
    """
    judged = []
    for resource in found:
        stack = owner(resource, tenant)
        if stack is None or stack in busy:
            continue
        ids = held.get(stack)
        if ids is None:
            judged.append(Orphan(resource, stack, "no-stack"))
        elif not resource.implied and resource.id.lower() not in ids:
            judged.append(Orphan(resource, stack, "not-in-state"))
    return judged
