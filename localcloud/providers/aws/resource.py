"""The base of AWS's handlers: region, tags, finding one object."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from localcloud.providers.aws.session import AwsSession, ask, find
from localcloud.providers.aws.shapes import pairs, tag_map
from localcloud.providers.faults import NotFound, PartlyMade, Rejected
from localcloud.providers.ports import Call, Made
from localcloud.providers.values import Props


class AwsHandler(ABC):
    """Subclasses say what they take (``fields``) and implement ``create``, ``read``, ``change`` and ``delete``."""

    FIELDS: ClassVar[str] = ""
    REGIONAL: ClassVar[bool] = True
    TAGGED: ClassVar[bool] = True

    def __init__(self, session: AwsSession) -> None:
        self.session = session

    @property
    def fields(self) -> frozenset[str] | None:
        """The inputs that it carries to AWS."""
        common = ({"region"} if self.REGIONAL else set()) | ({"tags"} if self.TAGGED else set())
        return frozenset(self.FIELDS.split()) | common

    @abstractmethod
    def create(self, call: Call, inputs: Props) -> Made:
        """Makes the object and waits until it is usable."""

    @abstractmethod
    def read(self, call: Call, id: str, known: Props) -> Made | None:
        """The object as it is now."""

    @abstractmethod
    def delete(self, call: Call, id: str, known: Props) -> None:
        """Removes the object; one that is gone already is no error."""

    def change(self, call: Call, id: str, known: Props, old: Props, new: Props) -> None:  # noqa: B027  # many types have nothing but tags to change
        """Carries out the difference between two inputs, tags aside."""

    def update(self, call: Call, id: str, known: Props, old: Props, new: Props) -> Props:
        """Changes the object; its state afterwards."""
        self.change(call, id, known, old, new)
        if self.TAGGED and (old.get("tags") or {}) != (new.get("tags") or {}):
            self.retag(id, known, old.get("tags") or {}, new.get("tags") or {})
        return self.present(call, id, {**known, **new}).outputs

    def retag(self, id: str, known: Props, old: Mapping[str, str], new: Mapping[str, str]) -> None:
        """Sets EC2 tags; other services override it."""
        ec2 = self.session.client("ec2", known)
        gone = [key for key in old if key not in new]
        if gone:
            ask(ec2.delete_tags, Resources=[id], Tags=[{"Key": key} for key in gone])
        if new:
            ask(ec2.create_tags, Resources=[id], Tags=pairs(new))

    def present(self, call: Call, id: str, known: Props) -> Made:
        """The object, which must exist. Raises :class:`NotFound`."""
        made = self.read(call, id, known)
        if made is None:
            raise NotFound(f"{id} was not found after it was made or changed")
        return made

    def finished(self, call: Call, id: str, known: Props, *steps: Callable[[], object]) -> Made:
        """Runs what is left after the object exists. A failure there is :class:`PartlyMade`, so that the object isn't lost."""
        try:
            for step in steps:
                step()
            return self.present(call, id, known)
        except Rejected as error:
            raise PartlyMade(id, known, str(error)) from error

    def placed(self, props: Mapping[str, Any]) -> Props:
        """The outputs that every regional resource has."""
        return {"region": self.session.region_of(props)} if self.REGIONAL else {}


def tagged(kind: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """``TagSpecifications`` of an EC2 call."""
    tags = inputs.get("tags") or {}
    return {"TagSpecifications": [{"ResourceType": kind, "Tags": pairs(tags)}]} if tags else {}


def tags_of(item: Mapping[str, Any]) -> Props:
    """``tags`` and ``tagsAll`` of an answer's object."""
    tags = tag_map(item.get("Tags"))
    return {"tags": tags, "tagsAll": tags}


def one(operation: Callable[..., Any], member: str, **arguments: Any) -> Any:
    """The one object that a Describe call finds, None if there is none."""
    answer = find(operation, **arguments)
    items = answer[member] if answer else []
    return items[0] if items else None


def given(inputs: Mapping[str, Any], **names: str) -> dict[str, Any]:
    """``Parameter=property`` for each property that has a value."""
    return {parameter: inputs[name] for parameter, name in names.items() if inputs.get(name) is not None}
