"""What can go wrong for a user of the SDK.

SpotlaneError
├── InvalidDocument      a file or value that the user gave is wrong (every fault listed)
├── Unreachable          no answer from a service; safe to try again
├── NotSignedIn          no key, or a key that isn't known
├── SessionEnded         a WebSocket session is over (spotlane.websocket)
├── ApiProblem           the service answered with a problem (RFC 9457)
├── AnswerNotUnderstood  the service speaks of what this version doesn't know
└── StillRunning         a wait reached its limit; what it waited for goes on
"""

from __future__ import annotations

from dataclasses import dataclass

from spotlane.wire import PolicyFinding, Problem


class SpotlaneError(Exception):
    """Base of all. The text says what, which and what to do."""


@dataclass(frozen=True)
class Fault:
    """One fault of a document: where (``line`` from 1, or None) and what."""

    field: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line is not None else ""
        return f"{where}{self.field}: {self.message}"


class InvalidDocument(SpotlaneError):
    """``source`` (a file or a name) is wrong; ``faults`` lists every one."""

    def __init__(self, source: str, faults: list[Fault]) -> None:
        self.source = source
        self.faults = faults
        super().__init__(f"{source}: " + "; ".join(str(fault) for fault in faults))


class Unreachable(SpotlaneError):
    """``service`` at ``url`` gave no answer."""

    def __init__(self, service: str, url: str, cause: str, advice: str) -> None:
        self.service = service
        self.url = url
        super().__init__(f"the {service} at {url} does not answer ({cause}); {advice}")


class NotSignedIn(SpotlaneError):
    """No usable API key."""


class ApiProblem(SpotlaneError):
    """A service refused; ``problem`` carries its words, ``word`` the stable last part of its type."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.word = problem.type.rsplit("/", 1)[-1]
        super().__init__(f"{problem.title}: {problem.detail}" if problem.detail else problem.title)

    @property
    def findings(self) -> list[PolicyFinding]:
        """Findings of the boundary's rules, where the refusal came from them."""
        return self.problem.findings or []


class AnswerNotUnderstood(SpotlaneError):
    """``service`` answered what this version of the SDK can't read: ``faults`` says where, never with a value."""

    def __init__(self, service: str, faults: list[Fault]) -> None:
        self.service = service
        self.faults = faults
        told = "; ".join(str(fault) for fault in faults[:3])
        super().__init__(f"the {service} answered what this version of spotlane doesn't understand ({told}): the platform is newer than this program")


class StillRunning(SpotlaneError):
    """``what`` had not ended after ``seconds``."""

    def __init__(self, what: str, seconds: float) -> None:
        self.what = what
        self.seconds = seconds
        super().__init__(f"{what} had not ended after {seconds:.0f} s; it goes on, ask again")
