"""ARM's resource ids, taken apart.

Form: ``<scope>/providers/<namespace>/<type>/<name>(/<type>/<name>)*``; scopes are a resource group, a subscription, a management group, a resource or nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote


@dataclass(frozen=True)
class Target:
    """What a path names. ``type`` is ``Namespace/type[/type]``; without ``name`` a collection, with ``verb`` an action on it."""

    path: str
    subscription: str
    group: str
    scope: str
    type: str
    name: str
    verb: str

    @property
    def id(self) -> str:
        """The resource's id."""
        return self.path.removesuffix(f"/{self.verb}") if self.verb else self.path

    @property
    def parent(self) -> str:
        """The id of the resource that this one is a child of; empty for one that stands by itself."""
        return self.id.rsplit("/", 2)[0] if self.type.count("/") > 1 else ""


def parse(raw_path: str) -> Target:
    """The target of a request's path."""
    path = unquote(raw_path).rstrip("/")
    head, _, tail = path.rpartition("/providers/")
    if "/providers/" not in path:
        head, tail = path, ""
    subscription = _after(path, "subscriptions")
    group = _after(path, "resourcegroups")
    parts = tail.split("/") if tail else []
    types, names = parts[1::2], parts[2::2]
    verb = ""
    if len(types) > len(names) and names:
        # …/virtualMachines/vm1/deallocate: whether it is an action or a collection is told by the method
        verb = types[-1]
    known = types[: len(names)] if names else types
    return Target(path, subscription, group, head, "/".join([parts[0], *known]) if parts else "", names[-1] if names else "", verb)


def _after(path: str, word: str) -> str:
    segments = path.split("/")
    lowered = [segment.lower() for segment in segments]
    return segments[lowered.index(word) + 1] if word in lowered and lowered.index(word) + 1 < len(segments) else ""
