"""Takes down everything that was put on stage, by the ways that a user would, and looks for what is left in the clouds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from demo.cast import CAST
from demo.scenario import Director
from demo.stage import Stage, StageError
from spotlane import wire
from spotlane.client import AutomationClient, Client
from spotlane.errors import SpotlaneError

_LIMIT_SECONDS = 120.0


@dataclass
class Struck:
    """What was left, and what went wrong. ``ledger`` is that of the end, once every hour is closed; None where it wasn't reached."""

    ledger: wire.Ledger | None = None
    left: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def leaked(self) -> int:
        """Resources that nothing owns any more."""
        return int(self.left.get("total", 0))


def strike(stage: Stage, edge: Client, automation: AutomationClient, director: Director) -> Struck:
    """Workloads, then the stacks beneath them, then accounts, tenants and the edge; a step that fails ends it and is a fault."""
    struck = Struck()
    try:
        for part in CAST:
            edge.delete_workload(part.id)
        for part in CAST:
            director.wait(f"the end of {part.id}", _LIMIT_SECONDS, lambda p=part: edge.workload(p.id).state is wire.WorkloadState.TERMINATED)  # type: ignore[misc]
        automation.daemon(paused=True)
        stacks = {part.tenant: list(automation.stacks(part.tenant)) for part in CAST}
        beneath = {tenant: _destroy(automation, [one for one in found if one.kind != "tenant"]) for tenant, found in stacks.items()}
        automation.tick()
        struck.ledger = edge.ledger()
        accounts: list[wire.Run] = []
        for tenant, found in stacks.items():
            struck.faults += _ended(automation, director, beneath[tenant])
            accounts += _destroy(automation, [one for one in found if one.kind == "tenant"])
        struck.faults += _ended(automation, director, accounts)
        for part in CAST:
            edge.delete_tenant(part.tenant)
        stage.destroy_edge()
        struck.left = stage.control("GET", "/resources")
        if struck.leaked:
            struck.faults.append(f"left in the clouds: {struck.left}")
    except (SpotlaneError, StageError) as error:
        struck.faults.append(str(error))
    return struck


def _destroy(automation: AutomationClient, stacks: list[wire.StackRef]) -> list[wire.Run]:
    """Runs that destroy ``stacks``, side by side."""
    return [automation.submit(wire.RunRequest(idempotency_key=f"strike:{stack.name}", stack=stack, operation="destroy")) for stack in stacks]


def _ended(automation: AutomationClient, director: Director, runs: list[wire.Run]) -> list[str]:
    """Waits for the runs; those that failed, as faults."""
    faults = []
    for run in runs:
        director.wait(f"the end of {run.stack}", _LIMIT_SECONDS, lambda r=run: automation.run(r.id).status not in ("queued", "running"))  # type: ignore[misc]
        ended = automation.run(run.id)
        if ended.status != "succeeded":
            faults.append(f"destroy of {ended.stack}: {ended.error}")
    return faults
