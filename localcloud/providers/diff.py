"""What differs between two sets of inputs, and what of a resource's real state has drifted from its inputs. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from localcloud.providers.values import Props, Unknown


@dataclass(frozen=True)
class Change:
    """One changed place. ``path`` as Pulumi writes it; ``kind`` what happens to it."""

    path: str
    kind: Literal["add", "delete", "update"]

    @property
    def top(self) -> str:
        """The input that it belongs to."""
        return self.path.split(".", 1)[0].split("[", 1)[0]


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """The changed places, as deep as both sides have the same shape. An unknown new value counts as changed."""
    return [change for change in _mapping(old, new, "") if not change.path.startswith("__")]


def _mapping(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[Change]:
    for name in sorted(set(old) | set(new)):
        yield from _value(old.get(name), new.get(name), _step(path, name))


def _value(old: Any, new: Any, path: str) -> Iterator[Change]:
    if same(old, new):
        return
    if old is None:
        yield Change(path, "add")
    elif new is None:
        yield Change(path, "delete")
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        yield from _mapping(old, new, path)
    elif isinstance(old, list) and isinstance(new, list):
        for number in range(max(len(old), len(new))):
            yield from _value(old[number] if number < len(old) else None, new[number] if number < len(new) else None, f"{path}[{number}]")
    else:
        yield Change(path, "update")


def same(one: Any, other: Any) -> bool:
    """Whether two values mean the same to a cloud: JSON documents by content, lists of scalars in any order (the providers' sets), ids without case."""
    if isinstance(one, Unknown) or isinstance(other, Unknown):
        return False
    if one == other:
        return True
    if isinstance(one, str) and isinstance(other, str):
        if one[:1] in "{[" and other[:1] in "{[" and one and other:
            return _json(one) is not None and _json(one) == _json(other)
        if one.startswith("/") and other.startswith("/"):
            return one.casefold() == other.casefold()
        return _is_link(one) and _is_link(other) and _resource_path(one) == _resource_path(other)
    if _empty(one) and _empty(other):
        return True
    if isinstance(one, list) and isinstance(other, Mapping) and all(isinstance(item, str) for item in one):
        return sorted(item.casefold() for item in one) == sorted(str(key).casefold() for key in other)  # azure-native: a set of ids that ARM shows as a map
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return all(same(one.get(name), other.get(name)) for name in set(one) | set(other))
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        if all(isinstance(item, str | int | float | bool) for item in (*one, *other)):
            return sorted(map(str, one)) == sorted(map(str, other))
        return all(same(mine, theirs) for mine, theirs in zip(one, other, strict=True))
    if isinstance(one, bool) or isinstance(other, bool):
        return str(one).lower() == str(other).lower()
    return isinstance(one, str | int | float) and isinstance(other, str | int | float) and str(one) == str(other)


def drifted(inputs: Props, state: Mapping[str, Any], maps: frozenset[str]) -> Props:
    """``inputs`` as the cloud has them now: each value that ``state`` contradicts is replaced by the real one; what ``state`` doesn't tell is kept.

    A field that the program never set is left out, so that a cloud's own defaults are no drift. ``maps`` are the inputs whose keys are the program's own
    (tags, labels): in those, an added key is drift too.
    """
    return {name: _real(value, state[name], name in maps) if name in state else value for name, value in inputs.items() if state.get(name, value) is not None}


def _real(wanted: Any, real: Any, is_map: bool = False) -> Any:
    if same(wanted, real):
        return wanted
    if isinstance(wanted, Mapping) and isinstance(real, Mapping):
        if is_map:
            return dict(real)
        return {name: _real(value, real[name]) if name in real else value for name, value in wanted.items()}
    if isinstance(wanted, list) and isinstance(real, list) and len(wanted) == len(real):
        return [_real(mine, theirs) for mine, theirs in zip(wanted, real, strict=True)]
    return real


def _empty(value: Any) -> bool:
    return value is None or value in ({}, [])


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _is_link(text: str) -> bool:
    return text.startswith(("https://", "projects/"))


def _resource_path(link: str) -> str:
    """``https://www.googleapis.com/compute/v1/projects/p/…``, the same under another host, and ``projects/p/…`` name one resource."""
    _, found, rest = link.partition("projects/")
    return rest if found else link


def _step(path: str, name: str) -> str:
    if not name.replace("_", "").replace("-", "").isalnum():
        return f'{path}["{name}"]'
    return f"{path}.{name}" if path else name
