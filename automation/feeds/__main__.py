"""``python -m automation.feeds record FILE``: asks the live feeds again and again, and keeps what they say in FILE, until it is stopped."""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from automation.calls.fetch import Fetcher
from automation.feeds.collection import Collection
from automation.feeds.recorder import Recorder, RecordingFault

_EVERY = 300.0


def main(argv: list[str] | None = None) -> int:
    """Exit code 0 after a stop, 2 where the environment or the file won't do, 1 where ``--once`` brought no answer."""
    parser = argparse.ArgumentParser(prog="spotlane prices record", description="Keeps what the live price feeds see, for a replay (`--market FILE`).")
    parser.add_argument("what", choices=["record"], help=argparse.SUPPRESS)
    parser.add_argument("file", type=Path, metavar="FILE", help="parquet file to begin or to go on with; whole and readable at every moment")
    parser.add_argument("--every", type=float, default=_EVERY, metavar="SECONDS", help=f"pause between collections ({_EVERY:.0f})")
    parser.add_argument("--once", action="store_true", help="one collection")
    arguments = parser.parse_args(argv)
    if arguments.every <= 0:
        parser.error("--every takes a number of seconds above 0")
    if not os.environ.get("HTTPS_PROXY"):
        sys.stderr.write('error: HTTPS_PROXY is not set: without the inline proxy no cloud is asked; on the local cloud run `eval "$(spotlane local env)"`\n')
        return 2
    try:
        recorder = Recorder(arguments.file)
    except RecordingFault as fault:
        sys.stderr.write(f"error: {fault}\n")
        return 2
    wait = (lambda _: True) if arguments.once else stop_by_signal()
    answered = record(Collection.of_all_clouds(Fetcher()), recorder, wait, arguments.every, sys.stderr.write)
    return 0 if answered or not arguments.once else 1


def stop_by_signal() -> Callable[[float], bool]:
    """Waits so many seconds, or until the program was told to stop; whether it was.

    The interpreter writes to a pipe as the signal arrives. An event that a handler sets can wait for the lock that the very wait it interrupts holds,
    and no handler runs before a wait ends that began just after the signal or whose thread wasn't the one to get it.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: None)
    return lambda seconds: bool(select.select([reading], [], [], seconds)[0])


def record(collection: Collection, recorder: Recorder, wait: Callable[[float], bool], every: float, say: Callable[[str], object]) -> bool:
    """Collects and keeps until ``wait(every)`` is true; whether the last collection had an answer. What failed is told to ``say``, a line each."""
    while True:
        report = collection.collect()
        unclear = {fault.cloud for fault in report.faults} | {one.quote_offer.cloud for one in report.quarantined}
        complete = {one.offer.cloud: one.observed_at for one in report.told if one.offer.cloud not in unclear}
        added = recorder.keep(report.told, complete)
        say(f"{report.confirmed} quotes, {added} changes, {len(report.quarantined)} held back; {recorder.path} has {recorder.rows} rows\n")
        for error in report.errors:
            say(f"  {error}\n")
        if wait(every):
            return bool(report.answered)


if __name__ == "__main__":
    sys.exit(main())
