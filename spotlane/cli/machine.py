"""The lines of a workload's machines, for ``spotlane logs --machine``: those that are kept, and those that come."""

from __future__ import annotations

import re

from spotlane import wire
from spotlane.cli import output
from spotlane.client import Client

_LINES, _AT_ONCE = 200, 1000
"""Lines that are shown where nothing is said, and as many as the edge gives at once."""
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What would steer the reader's terminal, or turn the order of what is read."""


def show(client: Client, workload: str, placement: str | None, *, follow: bool, tail: int | None, json: bool) -> None:
    """Prints a machine's last lines, and with ``follow`` what comes until Ctrl-C. Raises :class:`spotlane.errors.SpotlaneError`."""
    found = _last(client, workload, placement, _LINES if tail is None else tail)
    tell = output.progress if json or follow else output.say
    if not found.told:
        tell(f"the machines of {workload} tell no lines; put `logs: true` into its file and apply it: `spotlane workload apply -f FILE`")
        return
    page = _Page(json=json)
    page.missing = _before(found)
    for one in found.lines:
        page.line(one)
    if not follow:
        if not found.lines and tail != 0:
            tell(f"no lines of {found.placement} are kept; they are for a day" if found.placement else f"{workload} has no machine, and no lines are kept")
        return
    for one in client.follow_machine_logs(workload, placement=placement, since=found):
        page.line(one)


def _last(client: Client, workload: str, placement: str | None, count: int) -> wire.MachineLogs:
    """The last ``count`` lines that are kept."""
    found = client.machine_logs(workload, placement=placement, limit=min(max(count, 1), _AT_ONCE))
    if count <= _AT_ONCE or found.placement is None:
        return found.model_copy(update={"lines": found.lines[len(found.lines) - min(count, len(found.lines)) :]})
    lines: list[wire.LogLine] = []
    after = 0
    while (more := client.machine_logs(workload, placement=found.placement, after=after, limit=_AT_ONCE)).lines:
        lines += more.lines
        after = more.next
    return more.model_copy(update={"lines": lines[-count:]})


def _before(found: wire.MachineLogs) -> int:
    """How many lines before the first are lost, of those that were asked for."""
    return found.lost - (found.lines[-1].number - found.lines[0].number + 1 - len(found.lines)) if found.lines else 0


class _Page:
    """Lines as they are printed: documents, or texts under the name of their machine, with what was lost between them."""

    def __init__(self, *, json: bool) -> None:
        self._json = json
        self.missing = 0
        """How many lines before the next one are lost."""
        self._before: wire.LogLine | None = None

    def line(self, one: wire.LogLine) -> None:
        """Prints a line."""
        before, self._before = self._before, one
        if self._json:
            output.record(one)
            return
        if before is None or before.placement != one.placement:
            output.progress(f"{one.placement}:")
        else:
            self.missing = one.number - before.number - 1
        if self.missing:
            output.progress(f"  ({self.missing} line{'s' if self.missing > 1 else ''} lost)")
        self.missing = 0
        output.line(f"{one.at:%Y-%m-%d %H:%M:%S}  {one.unit:<8}  {_CONTROL.sub(_shown, one.message)}")


def _shown(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
