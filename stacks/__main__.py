"""The one Pulumi program: chooses what to declare by the stack's kind. The engine runs this directory (``main: stacks/`` in Pulumi.yaml)."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

# The engine puts this directory first on the path; our packages are beside it, and its modules must not be found by their bare names.
_HERE = Path(__file__).resolve().parent
sys.path[:] = [str(_HERE.parent), *(entry for entry in sys.path if Path(entry or ".").resolve() != _HERE)]

import pulumi  # noqa: E402  # after the path is set

from stacks.settings import SettingsError, load_settings, parse_stack_name  # noqa: E402

PROGRAMS = {
    "edge": "stacks.edge",
    "tenant": "stacks.tenant",
    "region": "stacks.region",
    "relay": "stacks.relay",
    "address": "stacks.address",
    "placement": "stacks.placement",
}
"""The module that declares each kind of stack; only the one needed is imported, so that only the SDKs needed are loaded."""


def declare_stack() -> None:
    """Declares the current stack. A wrong name or wrong settings end the run with one message, before any resource is declared."""
    stack = pulumi.get_stack()
    try:
        name = parse_stack_name(stack)
        document: Any = pulumi.Config("spotlane").get_object("settings")
        settings = load_settings(stack, document)
        importlib.import_module(PROGRAMS[name.kind]).declare(name, settings)
    except SettingsError as error:
        raise pulumi.RunError(str(error)) from None


declare_stack()
