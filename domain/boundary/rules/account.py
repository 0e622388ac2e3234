"""Every account that a call names belongs to the call's tenant."""

from __future__ import annotations

from collections.abc import Iterator

from domain.boundary.call import Accounts, Call
from domain.boundary.compiled import CompiledBoundary
from domain.boundary.finding import Finding

RULE = "account"


def judge_account(boundary: CompiledBoundary, call: Call, accounts: Accounts) -> Iterator[Finding]:
    """Refuses accounts that aren't the tenant's. A cloud without a list of accounts is judged at the API only, where every account is listed."""
    own = accounts.get(call.cloud)
    for cloud, named_by_boundary in boundary.boundary.accounts.items():
        if cloud == call.cloud:
            # What stack and proxy know is narrowed, never widened.
            listed = frozenset(name.lower() if cloud == "azure" else name for name in named_by_boundary)
            own = listed if own is None else own & listed
    if own is None:
        if call.point == "api" and call.account is not None:
            yield _finding(call, call.account, "")
        return
    if call.account is not None and call.account not in own:
        yield _finding(call, call.account, "")
    for named in call.accounts:
        if named.value is not None and named.value not in own and named.value != call.account:
            yield _finding(call, named.value, named.path)


def _finding(call: Call, account: str, path: str) -> Finding:
    owner = f"tenant {call.tenant!r}" if call.tenant else "the platform"
    return Finding(
        RULE,
        "critical",
        f"{call.service}:{call.action} names account {account!r}, which isn't {owner}'s.",
        path,
        "Use an account that the tenant's stack made.",
    )
