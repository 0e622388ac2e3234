"""The next step after an error: pure. A sentence for people that names a command where one helps."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from spotlane.errors import AnswerNotUnderstood, ApiProblem, NotSignedIn, SpotlaneError, StillRunning

_BY_WORD = {
    "lease-held": "a migration is under way; wait for its end (`spotlane watch`), then try again",
    "price-moved": "prices moved since the decision; look again with `spotlane plan`",
    "stale-decision": "the workload changed since the decision; look again with `spotlane plan`",
    "invalid-boundary": "mend the boundary's document; docs/boundary.schema.json describes it",
    "idempotency-key-reused": "the same key was used for another request; try again with the request as it was first",
    "run-ended": "see what became of it with `spotlane runs show`",
    "move-refused": "see which offers are allowed, and why the others aren't, with `spotlane explain`",
    "nothing-to-move": "see why it stays with `spotlane explain`",
    "stopping": "wait until it is gone (`spotlane watch`), then try again",
    "unknown-stack": "see which stacks stand with `spotlane runs ls`",
}

NOT_A_CALL = frozenset({"unknown-call", "method-not-allowed", "unexpected-answer"})
"""Words of answers to a call that the service doesn't have."""


def next_step(error: SpotlaneError) -> str | None:
    """What to do about ``error``; None where its own words say it."""
    if isinstance(error, NotSignedIn):
        return "sign in with `spotlane login`, or set SPOTLANE_API_URL and SPOTLANE_API_KEY"
    if isinstance(error, AnswerNotUnderstood):
        return "bring this program to the platform's version: pip install --upgrade 'spotlane[cli]'"
    if isinstance(error, StillRunning):
        return "look at it with `spotlane watch`"
    return _after_refusal(error) if isinstance(error, ApiProblem) else None


def _after_refusal(error: ApiProblem) -> str | None:
    if error.word in _BY_WORD:
        return _BY_WORD[error.word]
    match error.problem.status:
        case 401:
            return "your session has ended, or its key was revoked; sign in again with `spotlane login`"
        case 403:
            return "the key lacks the scope; see its scopes with `spotlane key ls`, or ask an administrator for one that has it"
        case 404 | 405 if error.word in NOT_A_CALL:
            return "the platform doesn't know this call: it is older than this program, or SPOTLANE_API_URL isn't its API"
        case 429:
            return "too many requests; wait a minute and try again"
        case status if status >= 500:
            return "the platform failed, not your request; try again, and look with `spotlane doctor`"
    return None


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that ``name`` was most likely meant for; None where none is near."""
    names = sorted(known)
    beginning = [one for one in names if one.startswith(f"{name}-")]
    if len(beginning) == 1:  # the workload's name without its tenant's
        return beginning[0]
    found = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return found[0] if found else None
