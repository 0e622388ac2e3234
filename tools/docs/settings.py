"""The settings' page: of each kind of stack, of the automation service, of the relay, and the environment."""

from __future__ import annotations

from collections.abc import Iterable

import reading
from pydantic.alias_generators import to_camel
from reading import cell, code, table

from spotlane.cli import page

_STACKS = reading.ROOT / "stacks" / "settings.py"
_SERVICE = reading.ROOT / "automation" / "settings.py"
_RELAY = reading.ROOT / "components" / "relay" / "settings.py"
_KINDS = {
    "EdgeSettings": "`edge`",
    "TenantSettings": "`tenant.<tenant>`",
    "AwsTenant": "`tenant.<tenant>`: `aws`",
    "AzureTenant": "`tenant.<tenant>`: `azure`",
    "GcpTenant": "`tenant.<tenant>`: `gcp`",
    "RegionSettings": "`region.<tenant>.<cloud>.<region>`",
    "RelaySettings": "`relay.<tenant>.<cloud>.<region>`",
    "RelayedWorkload": "`relay…`: one of `workloads`",
    "AddressSettings": "`address.<tenant>.<workload>`",
    "PlacementSettings": "`placement.<tenant>.<workload>.<generation>`",
    "MachineSettings": "`placement…`: `machine`",
}
"""The stacks' settings by the class that reads them."""


def written() -> str:
    """The page."""
    stacks = {one.name: one for one in reading.classes(_STACKS)}
    unknown = [name for name, one in stacks.items() if name not in _KINDS and "Settings" in one.bases]
    if unknown:
        raise SystemExit(f"error: {_STACKS} has settings of no stack that tools/docs knows: {', '.join(unknown)}")
    lines = ["# Settings", *reading.made_from("the classes that read them")]
    lines += [
        "## Stacks",
        "",
        "One structured value of Pulumi's configuration, `spotlane:settings`, checked whole before anything is declared. Examples: `stacks/config`.",
    ]
    for name, kind in _KINDS.items():
        lines += ["", f"### {kind}", "", reading.markdown(stacks[name].doc), ""]
        lines += table(("setting", "type", "default", "what it is"), reading.field_rows(stacks[name].fields, to_camel))
    service = next(one for one in reading.classes(_SERVICE) if one.name == "AutomationSettings")
    lines += ["", "## The automation service", "", f"Environment. {reading.markdown(service.doc)}"]
    lines += table(("variable", "type", "default", "what it is"), reading.field_rows(service.fields, lambda name: f"SPOTLANE_{name.upper()}"))
    lines += ["## The command line", *table(("variable", "what it is"), _environment())]
    lines += [
        "## The local cloud",
        *table(("variable", "what it is"), [(code("SPOTLANE_PORT_BASE"), "First of eleven ports of `spotlane local up`; 7700 without it.")]),
    ]
    lines += ["## The relay", "", reading.markdown(reading.module_doc(_RELAY))]
    for one in reading.classes(_RELAY):
        if one.fields:
            lines += [
                "",
                f"### {one.name}",
                "",
                reading.markdown(one.doc),
                "",
                *table(("field", "type", "default", "what it is"), reading.field_rows(one.fields)),
            ]
    return reading.text_of(lines)


def _environment() -> Iterable[tuple[str, str]]:
    return [(code(name), cell(meaning)) for name, meaning in page._ENVIRONMENT]
