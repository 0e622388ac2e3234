"""What a stack takes from the stacks that it stands on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi


class Foundation:
    """Another stack of this project, by its name; its outputs must be there.

    Example::

        region = Foundation("region.acme.aws.eu-west-1")
        subnet = region.entry("subnet_ids", "eu-west-1a")
    """

    def __init__(self, stack: str) -> None:
        self._stack = stack
        # The project's name with its organisation; backends without organisations call theirs "organization".
        self._reference = pulumi.StackReference(f"{pulumi.get_organization()}/{pulumi.get_project()}/{stack}")

    def output(self, key: str, advice: str = "") -> pulumi.Output[Any]:
        """The output ``key``. A stack without it fails the run with one message."""
        return self._reference.outputs.apply(lambda outputs: require(self._stack, outputs or {}, key, advice))

    def optional(self, key: str) -> pulumi.Output[Any]:
        """The output ``key``, or None where the stack hasn't it."""
        return self._reference.outputs.apply(lambda outputs: (outputs or {}).get(key))

    def entry(self, key: str, entry: str) -> pulumi.Output[Any]:
        """One entry of the output ``key``, a mapping."""
        return self._reference.outputs.apply(lambda outputs: require_entry(self._stack, require(self._stack, outputs or {}, key), key, entry))


def require(stack: str, outputs: Mapping[str, Any], key: str, advice: str = "") -> Any:
    """``outputs[key]``. Raises ``pulumi.RunError`` naming the stack."""
    if outputs.get(key) is None:
        raise pulumi.RunError(f"stack {stack!r} has no output {key!r}; " + (advice or f"bring it up first: pulumi up -s {stack}"))
    return outputs[key]


def require_entry(stack: str, mapping: Mapping[str, Any], key: str, entry: str) -> Any:
    """``mapping[entry]``. Raises ``pulumi.RunError`` naming what there is."""
    if entry not in mapping:
        known = ", ".join(sorted(mapping)) or "none"
        raise pulumi.RunError(f"stack {stack!r} has no {entry!r} among its {key} ({known}); add it to the stack's settings and bring it up")
    return mapping[entry]
