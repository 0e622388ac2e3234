"""The base of Google's handlers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from localcloud.providers.faults import Conflict, NotFound, Rejected
from localcloud.providers.gcp.google import Google
from localcloud.providers.ports import Call, Made
from localcloud.providers.values import Props


class GcpHandler(ABC):
    """Subclasses say what they take (``FIELDS``) and where they stand (``PLACES``)."""

    FIELDS: ClassVar[str] = ""
    PLACES: ClassVar[tuple[str, ...]] = ("project",)

    def __init__(self, google: Google) -> None:
        self.google = google

    @property
    def fields(self) -> frozenset[str] | None:
        """The inputs that it carries to Google; ``deletionPolicy`` is the provider's own."""
        return frozenset([*self.FIELDS.split(), *self.PLACES, "deletionPolicy"])

    @abstractmethod
    def create(self, call: Call, inputs: Props) -> Made:
        """Makes the object and waits until it is usable."""

    @abstractmethod
    def read(self, call: Call, id: str, known: Props) -> Made | None:
        """The object as it is now."""

    @abstractmethod
    def update(self, call: Call, id: str, known: Props, old: Props, new: Props) -> Props:
        """Changes the object; its state afterwards."""

    @abstractmethod
    def remove(self, call: Call, id: str, known: Props) -> None:
        """Removes the object."""

    def delete(self, call: Call, id: str, known: Props) -> None:
        """Removes the object, unless its ``deletionPolicy`` says otherwise; one that is gone already is no error."""
        policy = known.get("deletionPolicy")
        if policy == "PREVENT":
            raise Rejected(f"{id}: deletionPolicy is PREVENT; set it to DELETE and update before destroying")
        if policy == "ABANDON":
            return
        try:
            self.remove(call, id, known)
        except NotFound:
            return

    def present(self, call: Call, id: str, known: Props) -> Made:
        """The object, which must exist."""
        made = self.read(call, id, known)
        if made is None:
            raise NotFound(f"{id} was not found after it was made or changed")
        return made

    def kept(self, known: Mapping[str, Any]) -> Props:
        """The provider's own settings, which Google doesn't know."""
        return {"deletionPolicy": known["deletionPolicy"]} if known.get("deletionPolicy") else {}


class ComputeHandler(GcpHandler):
    """A named object of Compute Engine; ``COLLECTION`` is its place in a path. Subclasses translate it both ways."""

    COLLECTION: ClassVar[str] = ""

    def parent(self, inputs: Mapping[str, Any]) -> str:
        """``projects/<p>/<place>/<collection>``."""
        project = self.google.project_of(inputs)
        if "zone" in self.PLACES:
            place = f"zones/{self.google.zone_of(inputs)}"
        else:
            place = f"regions/{self.google.region_of(inputs)}" if "region" in self.PLACES else "global"
        return f"projects/{project}/{place}/{self.COLLECTION}"

    @abstractmethod
    def body(self, inputs: Props) -> Props:
        """The document of an insert."""

    @abstractmethod
    def state(self, document: Props, known: Props) -> Props:
        """The outputs of a document."""

    def create(self, call: Call, inputs: Props) -> Made:
        parent = self.parent(inputs)
        id = f"{parent}/{inputs['name']}"
        try:
            self.google.change(call, "POST", parent, self.body(inputs))
        except Conflict as conflict:
            if not (call.resumed or conflict.repeated):
                raise
        return self.present(call, id, inputs)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        path = "projects/" + id.partition("projects/")[2] if "projects/" in id else id
        document = self.google.find(self.google.compute(path))
        if document is None:
            return None
        parts = path.split("/")
        placed: Props = {"project": parts[1], "name": document["name"]}
        if "zone" in self.PLACES:
            placed["zone"] = parts[3]
        elif "region" in self.PLACES:
            placed["region"] = parts[3]
        if document.get("selfLink"):
            placed["selfLink"] = document["selfLink"]
        if document.get("creationTimestamp"):
            placed["creationTimestamp"] = document["creationTimestamp"]
        return Made(path, {**self.state(document, known), **placed, **self.kept(known)})

    def update(self, call: Call, id: str, known: Props, old: Props, new: Props) -> Props:
        before, after = self.body(old), self.body(new)
        changed = {name: after.get(name) for name in set(before) | set(after) if before.get(name) != after.get(name)}
        if changed:
            self.patch(call, id, known, changed)
        return self.present(call, id, {**known, **new}).outputs

    def patch(self, call: Call, id: str, known: Props, changed: Props) -> None:
        """Carries out the changed fields of the document."""
        self.google.change(call, "PATCH", id, changed)

    def remove(self, call: Call, id: str, known: Props) -> None:
        self.google.change(call, "DELETE", id)


def filled(**fields: Any) -> Props:
    """The fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}
