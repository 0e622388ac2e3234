"""What the automation service refuses or fails at.

AutomationError
├── EngineMissing        no engine program, or one too old
├── EngineFailed         an operation ended with an error; its diagnostics
│   └── PreviewRefused   the preview showed what the run may not do; nothing was updated
├── EngineDied           an engine was killed in the middle of an operation; its stack must be mended
├── EngineStopped        an operation was stopped by hand or by its deadline
├── UnknownRun           no run of that id
├── UnknownTenant        no tenant of that id
├── UnknownStack         the state backend has no such stack
├── ForeignMigration     a run names the migration of another workload than its stack's
├── InvalidSettings      a stack's settings are wrong; every fault
├── KeyReused            an idempotency key came with another request than before
├── TooManyRuns          a limit of unfinished runs is reached; nothing was taken in
├── LanesChanged         the tenants' limit can't change while runs wait by the old one
├── DatabaseAway         the runs' database can't be used; nothing was taken in
├── TrailAway            the audit trail can't be written; nothing is decided or applied until it can
├── RunEnded             a run that has ended can't be stopped; one that succeeded isn't tried again
├── MoveRefused          a move asked for leaves the boundary, or no offer serves; its findings
├── InvalidBoundary      a boundary document is wrong; every fault
└── NothingToMove        the workload isn't served, or is moving already
"""

from __future__ import annotations

from spotlane.wire import PolicyFinding


class AutomationError(Exception):
    """Base of all; the text says what, which and what to do."""


class EngineMissing(AutomationError):
    """The engine can't be started."""


class EngineFailed(AutomationError):
    """``operation`` on ``stack`` failed."""

    def __init__(self, stack: str, operation: str, diagnostics: list[str], findings: list[PolicyFinding]) -> None:
        self.stack = stack
        self.operation = operation
        self.diagnostics = diagnostics
        self.findings = findings
        super().__init__(f"{operation} of {stack} failed: " + ("; ".join(diagnostics) or "the engine gave no reason"))


class PreviewRefused(EngineFailed):
    """The preview passed its packs, but the update isn't what was asked for; ``reasons`` say why."""

    def __init__(self, stack: str, reasons: list[str]) -> None:
        super().__init__(stack, "up", reasons, [])


class EngineStopped(AutomationError):
    """``operation`` on ``stack`` was stopped; the engine let what it had in hand come to its end and wrote the state."""

    def __init__(self, stack: str, operation: str, reason: str) -> None:
        self.stack = stack
        self.operation = operation
        super().__init__(f"{operation} of {stack} was stopped: {reason}")


class EngineDied(AutomationError):
    """The engine was ended by ``signal`` in the middle of ``operation`` on ``stack``: its lock stands, and what it had in hand is unknown until repaired."""

    def __init__(self, stack: str, operation: str, signal: int) -> None:
        self.stack = stack
        self.operation = operation
        self.signal = signal
        super().__init__(f"the engine died (signal {signal}) in {operation} of {stack}; the next run of the stack repairs it first")


class KeyReused(AutomationError):
    """The idempotency key belongs to another request; nothing was accepted."""

    def __init__(self, key: str, run: str) -> None:
        self.run = run
        super().__init__(f"the idempotency key {key!r} belongs to {run}, which was asked for something else; give this request a key of its own")


class TooManyRuns(AutomationError):
    """``whose`` unfinished runs have reached their ``limit``; nothing was taken in. Asking again makes sense after ``retry_after`` seconds."""

    def __init__(self, whose: str, limit: int, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(f"{whose} has {limit} unfinished runs, its limit; try again when some have ended (`spotlane runs ls --status queued`)")


class LanesChanged(AutomationError):
    """``SPOTLANE_TENANT_RUNS`` was changed while ``waiting`` runs stand in the lanes of the old value."""

    def __init__(self, waiting: int) -> None:
        self.waiting = waiting
        super().__init__(
            f"{waiting} unfinished runs wait by another SPOTLANE_TENANT_RUNS; a stack could be worked on twice at once. "
            "Start with the value of before until they have ended, then change it"
        )


class TrailAway(AutomationError):
    """The audit trail can't be written."""

    def __init__(self, fault: str) -> None:
        super().__init__(f"the audit trail can't be written ({fault}); nothing is decided or applied meanwhile: free the disk, or run `spotlane audit verify`")


class DatabaseAway(AutomationError):
    """The runs' database doesn't answer, or takes nothing (``reason``): nothing was taken in. What was accepted before is in it and goes on when it is back."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the runs' database can't be used ({reason}); nothing was accepted. Look after SPOTLANE_DATABASE_URL and its disk, then ask again")


class RunEnded(AutomationError):
    """The run has ended; what was asked for can't be done with it any more."""


class UnknownRun(AutomationError):
    """No run has this id."""


class UnknownTenant(AutomationError):
    """The edge knows no ``tenant``."""

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        super().__init__(f"there is no tenant {tenant!r}; make it first (`spotlane tenant add`)")


class UnknownStack(AutomationError):
    """The state backend has no ``stack``."""

    def __init__(self, stack: str) -> None:
        self.stack = stack
        super().__init__(f"there is no stack {stack!r}; `pulumi stack ls` shows those that are")


class ForeignMigration(AutomationError):
    """``migration`` isn't one of the workload whose ``stack`` the run is for."""

    def __init__(self, stack: str, migration: str) -> None:
        self.stack = stack
        self.migration = migration
        super().__init__(f"migration {migration} is not of {stack}'s workload; a run works for its own workload's migrations only")


class InvalidSettings(AutomationError):
    """A run brings settings that ``stack`` can't have; ``faults`` lists every one."""

    def __init__(self, stack: str, faults: list[str]) -> None:
        self.stack = stack
        self.faults = faults
        super().__init__(f"stack {stack!r}: " + "; ".join(faults))


class MoveRefused(AutomationError):
    """The move asked for is not allowed; nothing was changed."""

    def __init__(self, workload: str, reason: str, findings: list[PolicyFinding]) -> None:
        self.workload = workload
        self.reason = reason
        self.findings = findings
        super().__init__(f"{workload} was not moved: {reason}")


class NothingToMove(AutomationError):
    """The workload can't move now."""


class InvalidBoundary(AutomationError):
    """A boundary document is wrong."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("; ".join(faults))
