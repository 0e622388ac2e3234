"""Tells the edge what this machine's journal says of the service, the agent, the tunnel and the boot. Only the standard library of Ubuntu 24.04's python3.

Reads ``journalctl --follow --output=json`` (systemd.io/JOURNAL_EXPORT_FORMATS). Lines are numbered from 1; the last one that the edge took is kept with its
cursor, so that a restart tells nothing twice. The values of the machine's own secrets never leave it.
"""

import collections
import http.client
import importlib
import json
import os
import random
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

agent = importlib.import_module((__package__ + "." if __package__ else "") + "agent")
"""The program beside this one, which each machine has."""

SETTINGS = "/etc/spotlane/machine.json"
BOOT = "cloud-final.service"
"""What cloud-init runs our boot in. Of its lines only our own are told."""
UNITS = {"spotlane-workload.service": "workload", "spotlane-agent.service": "agent", BOOT: "agent", "cloudflared.service": "tunnel"}
LINES, BYTES, CHARACTERS = 200, 48 * 1024, 2048
"""Of one batch, of one batch as JSON, of one line."""
WAITING = 1000
"""Lines that wait for the edge; beyond it the oldest are given up."""
EVERY_SECONDS = 2.0
MOST_SECONDS = 60.0
LAST_SECONDS = 0.3
"""What the journal is given for its last lines when the machine goes down."""
FINAL = (401, 403, 404, 409, 410)
"""The edge wants no more lines of this machine."""


class Line(NamedTuple):
    """One line, as it is told, with its number and the journal's cursor."""

    number: int
    cursor: str
    entry: dict[str, str]


def clean(message: object, secrets: Iterable[str]) -> str:
    """A journal's MESSAGE as text: bytes decoded, secrets masked, without colours and control characters, at most CHARACTERS long."""
    parts: list[Any] = message if isinstance(message, list) else [message]
    if parts and all(isinstance(part, int) for part in parts):
        text = bytes(parts).decode(errors="replace")
    else:
        text = " ".join("" if part is None else str(part) for part in parts)
    text = re.sub(r"\x1b\[[0-?]*[ -/]*[@-~]", "", text)
    # Once the colours are gone: one within a secret would hide it. The longest first: one secret may be part of another.
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return re.sub(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff]", "\ufffd", text)[:CHARACTERS]


def line_of(text: bytes, number: int, secrets: Iterable[str]) -> Line | None:
    """Line ``number`` from one object of journalctl's; None for what isn't told."""
    found = json.loads(text)
    # journald's own field first: what stands in UNIT, and how often, is up to whoever writes the line, a service too.
    unit = next((name for key in ("_SYSTEMD_UNIT", "UNIT") if (name := str(found.get(key))) in UNITS), "")
    message = clean(found.get("MESSAGE"), secrets)
    if not unit or (unit == BOOT and not message.startswith("spotlane-boot: ")):
        return None
    at = datetime.fromtimestamp(int(found["__REALTIME_TIMESTAMP"]) / 1e6, UTC).isoformat(timespec="milliseconds")
    return Line(number, found["__CURSOR"], {"at": at.replace("+00:00", "Z"), "unit": UNITS[unit], "message": message})


def batch(waiting: Iterable[Line]) -> list[Line]:
    """As many of the first lines as one batch holds, and at least one."""
    taken: list[Line] = []
    size = 0
    for line in waiting:
        size += len(json.dumps(line.entry, ensure_ascii=False).encode()) + 2
        if taken and (len(taken) == LINES or size > BYTES):
            break
        taken.append(line)
    return taken


class Teller:
    """Lines on their way. ``read`` runs beside ``tell``."""

    def __init__(self, settings: dict[str, Any], directory: str) -> None:
        self.settings = settings
        self.secrets = [value for key in ("placementToken", "tunnelToken", "originKey") if len(value := settings.get(key) or "") >= 6]
        self.path = os.path.join(directory, "told.json")
        try:
            with open(self.path, encoding="utf-8") as file:
                kept = json.load(file)
            self.cursor, self.number = str(kept["cursor"]), int(kept["number"])
        except (OSError, ValueError, KeyError):
            self.cursor, self.number = "", 0
        self.waiting: collections.deque[Line] = collections.deque(maxlen=WAITING)
        self.lock = threading.Lock()

    def command(self) -> list[str]:
        """What is read: from behind the last line that the edge took, else from the first one."""
        words = ["journalctl", "--follow", "--no-tail", "--all", "--output=json", "--output-fields=MESSAGE,UNIT,_SYSTEMD_UNIT"]
        return [*words, *["--unit=" + unit for unit in UNITS], *(["--after-cursor=" + self.cursor] if self.cursor else [])]

    def read(self, source: Iterable[bytes]) -> None:
        """Takes lines in until ``source`` ends."""
        number = self.number
        for text in source:
            try:
                line = line_of(text, number + 1, self.secrets)
            except (ValueError, KeyError):
                continue
            if line is not None:
                number = line.number
                with self.lock:
                    self.waiting.append(line)

    def tell(self) -> float | None:
        """Sends one batch, if there is one. The seconds until the next; None where the edge wants no more. Raises OSError where it can't be reached."""
        with self.lock:
            lines = batch(self.waiting)
        if not lines:
            return EVERY_SECONDS
        document = {"placement": self.settings["placement"], "first": lines[0].number, "lines": [line.entry for line in lines]}
        body = json.dumps(document, ensure_ascii=False).encode()
        status, answer, told = agent.post(self.settings["logUrl"], self.settings["placementToken"], "spotlane-journal", body)
        if status in FINAL:
            say(f"no more lines are told: answered {status} {answer[:200].decode(errors='replace')}")
            return None
        if status == 429 and told.get("retry-after", "").isdigit():
            return min(max(float(told["retry-after"]), 1.0), MOST_SECONDS)
        if status == 429 or status >= 500 or status == 408:
            raise OSError(f"answered {status}")
        if status >= 300:
            # Not these lines, now or later: a batch that is refused must not hold up the next.
            say(f"{len(lines)} lines were refused: answered {status} {answer[:200].decode(errors='replace')}")
        self.took(lines[-1])
        return EVERY_SECONDS if len(lines) < LINES else 0.0

    def took(self, last: Line) -> None:
        """Forgets what needn't be told again."""
        with self.lock:
            while self.waiting and self.waiting[0].number <= last.number:
                self.waiting.popleft()
        agent.keep(self.path, {"cursor": last.cursor, "number": last.number})


def say(text: str) -> None:
    """One line in the journal, which isn't told."""
    print("spotlane-journal: " + text, flush=True)


def run(teller: Teller, ended: threading.Event, reads: threading.Thread) -> int:
    """Tells until ``ended``, and then what is left; 0 where the edge wants no more, 1 where the journal can't be read any more."""
    wait = 1.0
    while True:
        last = ended.is_set() or not reads.is_alive()
        if ended.is_set():
            time.sleep(LAST_SECONDS)
        try:
            pause = teller.tell()
            wait = 1.0
        except (OSError, http.client.HTTPException) as error:
            say(f"not told: {error}")
            pause, wait = wait * random.uniform(0.75, 1.25), min(wait * 2, MOST_SECONDS)
        if pause is None:
            return 0
        if last and pause > 0:
            return 0 if ended.is_set() else 1
        until = time.monotonic() + pause
        while reads.is_alive() and not ended.wait(min(0.5, max(0.0, until - time.monotonic()))) and time.monotonic() < until:
            pass


def main() -> int:
    """Runs until SIGTERM."""
    with open(SETTINGS, encoding="utf-8") as file:
        settings = json.load(file)
    teller = Teller(settings, os.environ.get("STATE_DIRECTORY", "/var/lib/spotlane-journal"))
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: ended.set())
    with subprocess.Popen(teller.command(), stdout=subprocess.PIPE) as journal:
        assert journal.stdout is not None
        reads = threading.Thread(target=teller.read, args=(journal.stdout,), daemon=True)
        reads.start()
        try:
            return run(teller, ended, reads)
        finally:
            journal.terminate()


if __name__ == "__main__":
    raise SystemExit(main())
