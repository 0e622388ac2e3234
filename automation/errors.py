"""What the automation service refuses or fails at.

AutomationError
├── EngineMissing        no engine program, or one too old
├── EngineFailed         an operation ended with an error; its diagnostics
│   └── PreviewRefused   the preview showed what the run may not do; nothing was updated
├── EngineStopped        an operation was stopped by hand or by its deadline
├── UnknownRun           no run of that id
├── KeyReused            an idempotency key came with another request than before
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


class KeyReused(AutomationError):
    """The idempotency key belongs to another request; nothing was accepted."""

    def __init__(self, key: str, run: str) -> None:
        self.run = run
        super().__init__(f"the idempotency key {key!r} belongs to {run}, which was asked for something else; give this request a key of its own")


class RunEnded(AutomationError):
    """The run has ended; what was asked for can't be done with it any more."""


class UnknownRun(AutomationError):
    """No run has this id."""


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
