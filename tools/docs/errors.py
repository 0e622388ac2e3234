"""The errors' page: exit codes, the SDK's errors, and every problem that a service answers, read from the sources that raise them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import reading
from reading import cell, code, table

from spotlane.cli import advice, page

_WORKERS = reading.ROOT / "components" / "edge" / "workers"
_AUTOMATION = reading.ROOT / "automation"
_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_EDGE = (
    re.compile(rf"(?:ProblemError|problem)\(\s*(\d{{3}}),\s*{_QUOTED},\s*{_QUOTED}"),
    re.compile(rf"\{{\s*status: (\d{{3}}),\s*word: {_QUOTED},\s*title: {_QUOTED}"),
)
_NAMED = (
    (409, re.compile(rf"{_QUOTED}: {_QUOTED}"), re.compile(r"^const TITLES = .*$", re.MULTILINE)),
    (401, re.compile(rf", {_QUOTED}, {_QUOTED}\)"), re.compile(r"\banswer\(.*$", re.MULTILINE)),
)
"""Words that reach a problem by a name: the status, how they are written, on which lines."""
_BY_NAME = re.compile(r"ProblemError\(\s*\d{3},\s*(?:word|reserved\.word)\b")
_UNREAD = re.compile(r"ProblemError\(\s*\d{3},\s*[^\s\"][^,]*")
_SERVICE = re.compile(rf"_problem\({_QUOTED}, {_QUOTED}, (\d{{3}})")
_WIRE = re.compile(rf'problems/([\w-]+)", title={_QUOTED}, status=(\d{{3}})')
_WHERE = {
    "api": "edge API",
    "router": "a workload's address",
    "tcp": "TCP routes",
    "ws": "WebSocket",
    "shared": "edge API",
    "auth": "edge API",
    "health": "edge",
}
"""What a room of the Workers answers."""

_PROBLEMS = """Services answer with RFC 9457 problem documents: `type` is `https://spotlane.dev/problems/<word>`, `detail` says which and what.
The word is stable, and is what a program asks for (`ApiProblem.word`); titles and details may change. The command line adds the next step."""


def written() -> str:
    """The page."""
    lines = ["# Errors", *reading.made_from("the sources that raise them")]
    lines += ["## Exit codes of the command line", *table(("code", "meaning"), [(code(number), cell(meaning)) for number, meaning in page._EXIT])]
    tree = reading.module_doc(reading.ROOT / "spotlane" / "errors.py").partition("\n\n")[2]
    lines += ["## Errors of the SDK", "", "```text", tree.strip(), "```"]
    lines += ["", "## Problems", "", _PROBLEMS]
    rows = [
        (code(word), ", ".join(map(str, sorted(statuses))), ", ".join(sorted(places)), cell("; ".join(sorted(titles))), cell(advice._BY_WORD.get(word, "")))
        for word, (statuses, places, titles) in sorted(_gathered().items())
    ]
    lines += table(("word", "status", "where", "what", "next step"), rows)
    return reading.text_of(lines)


def _gathered() -> dict[str, tuple[set[int], set[str], set[str]]]:
    """By word: statuses, who answers it, titles."""
    found: dict[str, tuple[set[int], set[str], set[str]]] = {}
    for status, word, title, where in _problems():
        statuses, places, titles = found.setdefault(word, (set(), set(), set()))
        statuses.add(status)
        places.add(where)
        titles.add(title)
    return found


def _problems() -> Iterator[tuple[int, str, str, str]]:
    for path in sorted(_WORKERS.rglob("*.ts")):
        room = path.relative_to(_WORKERS).parts[0]
        if room not in _WHERE or path.name.endswith(".test.ts"):
            continue
        text = path.read_text(encoding="utf-8")
        for pattern in _EDGE:
            yield from ((int(status), word, title, _WHERE[room]) for status, word, title in pattern.findall(text))
        for status, pattern, lines in _NAMED:
            yield from ((status, word, title, _WHERE[room]) for line in lines.findall(text) for word, title in pattern.findall(line))
        if unread := [one for one in _UNREAD.findall(text) if not _BY_NAME.match(one)]:
            raise SystemExit(f"error: {path} raises problems whose words tools/docs can't read: {', '.join(unread)}")
    for path in sorted(_AUTOMATION.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for pattern in (_SERVICE, _WIRE):
            yield from ((int(status), word, title, "automation API") for word, title, status in pattern.findall(text))
