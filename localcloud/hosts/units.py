"""systemd units as a machine's first process runs them: the keys that our boot scripts use, with systemd's meaning.

Formats: systemd.service(5), systemd.unit(5), systemd.exec(5). Imported by the machine's first process, so only the standard library.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple


class UnitError(ValueError):
    """A unit that systemd would refuse. ``unit`` is its name, ``fault`` says what and where."""

    def __init__(self, unit: str, fault: str) -> None:
        self.unit = unit
        self.fault = fault
        super().__init__(f"{unit}: {fault}")


class Command(NamedTuple):
    """A command line of a unit; with ``may_fail`` its exit code is of no account (the prefix ``-``)."""

    argv: list[str]
    may_fail: bool


class Unit(NamedTuple):
    """A service. Times in seconds."""

    name: str
    description: str
    kind: str
    pre: list[Command]
    start: list[Command]
    post: list[Command]
    stop: list[Command]
    environment: dict[str, str]
    working_directory: str
    restart: str
    restart_seconds: float
    stop_seconds: float
    mixed: bool
    """Only the main process is asked to stop (``KillMode=mixed``), the others are ended with it."""
    start_seconds: float
    burst: int
    burst_seconds: float
    remain_after_exit: bool
    directories: list[tuple[str, str]]
    """(variable, path) of Runtime-, State-, Cache- and LogsDirectory, not rebased."""
    denied: list[str]
    """Addresses that it may not reach (``IPAddressDeny=``)."""
    before: list[str]
    """Units that start after it and stop before it."""


_DIRECTORIES = {"RuntimeDirectory": ("RUNTIME_DIRECTORY", "/run"), "StateDirectory": ("STATE_DIRECTORY", "/var/lib")} | {
    "CacheDirectory": ("CACHE_DIRECTORY", "/var/cache"),
    "LogsDirectory": ("LOGS_DIRECTORY", "/var/log"),
}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "s": " "}
_VARIABLE = re.compile(r"\$\$|\$\{(\w+)\}")
_SPECIFIER = re.compile(r"%(.)")
_SPAN = re.compile(r"([0-9.]+)\s*(ms|min|m|s|h)?")
_SPAN_SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def parse_unit(name: str, text: str, base_environment: dict[str, str]) -> Unit:
    """The unit of file ``text``. ``base_environment`` is what every unit starts from; variables in commands are replaced from the unit's own.
    Raises :class:`UnitError`."""
    entries = _entries(name, text)

    def last(key: str, default: str = "") -> str:
        return entries.get(key, [default])[-1]

    environment = dict(base_environment)
    for line in entries.get("Environment", []):
        for word in _words(name, "Environment", line):
            variable, equals, value = word.partition("=")
            if not equals:
                raise UnitError(name, f"Environment={line}: {word!r} is not NAME=value")
            environment[variable] = value
    for path in entries.get("EnvironmentFile", []):
        environment.update(_environment_file(name, path))
    kind = last("Type", "simple")
    starts = [_command(name, line, environment) for line in entries.get("ExecStart", [])]
    if not starts or (len(starts) > 1 and kind != "oneshot"):
        raise UnitError(name, "needs exactly one ExecStart=, or several with Type=oneshot")
    return Unit(
        name=name,
        description=last("Description", name),
        kind=kind,
        pre=[_command(name, line, environment) for line in entries.get("ExecStartPre", [])],
        start=starts,
        post=[_command(name, line, environment) for line in entries.get("ExecStartPost", [])],
        stop=[_command(name, line, environment) for line in entries.get("ExecStop", [])],
        environment=environment,
        working_directory=last("WorkingDirectory", "/"),
        restart=last("Restart", "no"),
        restart_seconds=_seconds(name, last("RestartSec", "100ms")),
        stop_seconds=_seconds(name, last("TimeoutStopSec", "10s")),
        mixed=last("KillMode") == "mixed",
        start_seconds=_seconds(name, last("TimeoutStartSec", "90s")),
        burst=int(last("StartLimitBurst", "5")),
        burst_seconds=_seconds(name, last("StartLimitIntervalSec", "10s")),
        remain_after_exit=last("RemainAfterExit", "no").lower() in ("yes", "true", "on", "1"),
        directories=[(variable, f"{base}/{path}") for key, (variable, base) in _DIRECTORIES.items() for line in entries.get(key, []) for path in line.split()],
        denied=[address for line in entries.get("IPAddressDeny", []) for address in line.split()],
        before=[other for line in entries.get("Before", []) for other in line.split()],
    )


def _entries(name: str, text: str) -> dict[str, list[str]]:
    entries: dict[str, list[str]] = {}
    for number, raw in enumerate(text.replace("\\\n", " ").splitlines(), start=1):
        line = raw.strip()
        if not line or line[0] in "#;" or (line[0] == "[" and line[-1] == "]"):
            continue
        key, equals, value = line.partition("=")
        if not equals:
            raise UnitError(name, f"line {number}: {line!r} is not Key=value")
        if value.strip():
            entries.setdefault(key.strip(), []).append(value.strip())
        else:
            entries.pop(key.strip(), None)
    return entries


def _words(name: str, key: str, line: str) -> list[str]:
    """``line`` as systemd splits it: quotes of both kinds, C escapes in double quotes and outside, specifiers %n, %N and %%."""
    words: list[str] = []
    word: list[str] | None = None
    quote = ""
    index = 0
    while index < len(line):
        char = line[index]
        if char == "\\" and quote != "'":
            index += 1
            if index == len(line):
                raise UnitError(name, f"{key}={line}: ends in a backslash")
            word = [*(word or []), _ESCAPES.get(line[index], line[index])]
        elif quote:
            if char == quote:
                quote = ""
            else:
                word = [*(word or []), char]
        elif char in "\"'":
            quote = char
            word = word or []
        elif char.isspace():
            if word is not None:
                words.append("".join(word))
            word = None
        else:
            word = [*(word or []), char]
        index += 1
    if quote:
        raise UnitError(name, f"{key}={line}: a quote is not closed")
    if word is not None:
        words.append("".join(word))
    return [_SPECIFIER.sub(lambda match: {"%": "%", "n": name, "N": name.rpartition(".")[0]}.get(match[1], match[0]), word) for word in words]


def _command(name: str, line: str, environment: dict[str, str]) -> Command:
    bare = line.lstrip("-@:+!|")
    prefix = line[: len(line) - len(bare)]
    argv: list[str] = []
    for word in _words(name, "Exec…", bare):
        if re.fullmatch(r"\$\w+", word):
            argv.extend(environment.get(word[1:], "").split())
        else:
            argv.append(_VARIABLE.sub(lambda match: "$" if match[0] == "$$" else environment.get(match[1], ""), word))
    if not argv:
        raise UnitError(name, f"{line!r}: no command")
    return Command(argv, "-" in prefix)


def _environment_file(name: str, path: str) -> dict[str, str]:
    optional = path.startswith("-")
    try:
        with open(path.lstrip("-"), encoding="utf-8") as file:
            lines = file.read().splitlines()
    except OSError as error:
        if optional:
            return {}
        raise UnitError(name, f"EnvironmentFile={path}: {error.strerror}") from error
    found = {}
    for line in lines:
        variable, equals, value = line.strip().partition("=")
        if equals and not variable.startswith(("#", ";")):
            found[variable.strip()] = " ".join(_words(name, "EnvironmentFile", value)) if value[:1] in "\"'" else value
    return found


def _seconds(name: str, span: str) -> float:
    if span == "infinity":
        return float("inf")
    parts = _SPAN.findall(span)
    if not parts:
        raise UnitError(name, f"{span!r} is no time span; use forms such as 500ms, 2s or 1min")
    return sum(float(number) * _SPAN_SECONDS[unit] for number, unit in parts)


def locate(argv: list[str], path: str) -> list[str]:
    """``argv`` with its program as an existing file: as it stands, else by its name on ``path``.

    A real image has /usr/bin/python3 and /usr/bin/cloudflared; on this computer they may stand elsewhere.
    """
    program = argv[0]
    if os.path.isabs(program) and os.access(program, os.X_OK):
        return argv
    for folder in path.split(":"):
        candidate = os.path.join(folder, os.path.basename(program))
        if os.access(candidate, os.X_OK) and not os.path.isdir(candidate):
            return [candidate, *argv[1:]]
    return argv
