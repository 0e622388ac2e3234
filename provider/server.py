"""The component provider: the engine asks it for the schema, and to construct one component at a time."""

from __future__ import annotations

from pathlib import Path

import pulumi
from pulumi.provider import ConstructResult, Provider
from pydantic.alias_generators import to_camel

import spotlane
from provider.catalogue import COMPONENTS
from provider.shape import arguments, outputs
from provider.values import build, refused

SCHEMA = Path(__file__).with_name("schema.json")
"""Made by ``tools/provider/generate.py``, so that a start imports no cloud's SDK."""


class ComponentProvider(Provider):
    """Constructs the package's components in the program's own stack, with the providers that the program passes on."""

    def __init__(self) -> None:
        super().__init__(spotlane.__version__, SCHEMA.read_text(encoding="utf-8"))

    def construct(self, name: str, resource_type: str, inputs: pulumi.Inputs, options: pulumi.ResourceOptions | None = None) -> ConstructResult:
        """Constructs ``resource_type``. Raises ``InputPropertiesError`` for arguments with faults, and for what the component itself refuses."""
        offered = COMPONENTS.get(resource_type)
        if offered is None:
            raise refused([("", f"the package has no component {resource_type!r}; it has {', '.join(sorted(COMPONENTS))}")])
        component, make = offered.component_class(), offered.arguments_class()
        args = build(make, arguments(make, offered.given), inputs, offered.filled())
        try:
            made = component(name, args, options)
        except ValueError as error:
            raise refused([("", str(error))]) from error
        return ConstructResult(made.urn, {to_camel(each): getattr(made, each) for each in outputs(component)})
