"""A recording: what feeds saw comes back from the replay; it is whole at every moment, and goes on after a restart."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.credentials import Credentials

from automation.calls.fetch import Fetcher
from automation.feeds import __main__ as program
from automation.feeds import recorder as under_test
from automation.feeds.aws import AwsFeed
from automation.feeds.azure import AzureFeed
from automation.feeds.book import Book
from automation.feeds.collection import Collection
from automation.feeds.gcp import GcpFeed
from automation.feeds.recorder import Recorder, RecordingFault
from domain.catalog import CATALOG, OfferRef
from domain.prices import Quote, Unknown
from localcloud.market import Market, MarketSettings
from localcloud.market.http import app
from localcloud.market.replay import ReplaySource
from tests.localcloud.market.transport import AppTransport

START = datetime(2026, 3, 10, 8, tzinfo=UTC)
HERE = OfferRef("aws", "eu-west-1", "eu-west-1a", "m5.large")
HOUR = timedelta(hours=1)


def quote(spot: float = 0.05, hours: float = 0, offer: OfferRef = HERE) -> Quote:
    return Quote(offer, spot, 0.1, "test", START + hours * HOUR, 0.001)


def rows(path: Path) -> list[tuple[object, ...]]:
    return [(one["zone"], one["timestamp"], one["spot_usd_h"]) for one in pq.read_table(path).to_pylist()]


def test_what_live_feeds_of_three_clouds_saw_is_what_the_replay_sells(tmp_path: Path) -> None:
    market = Market.open(tmp_path / "home", MarketSettings(seed=3, start=START, running=False))
    fetcher = Fetcher(httpx.Client(transport=AppTransport(app(market))), sleep=lambda _: None)
    feeds = [AwsFeed(fetcher, lambda: Credentials("key", "secret")), AzureFeed(fetcher), GcpFeed(fetcher, {"GOOGLE_API_KEY": "key"})]
    hours = iter([36, 36])
    path = tmp_path / "seen.parquet"

    def wait(_: float) -> bool:
        step = next(hours, None)
        if step is not None:
            market.advance(step * 3600)
        return step is None

    said: list[str] = []
    assert program.record(Collection(feeds, Book()), Recorder(path), wait, 1.0, said.append)
    replay = ReplaySource(path)
    for hours_in in (0, 36, 72):
        at = START + timedelta(hours=hours_in)
        for cloud in ("aws", "azure", "gcp"):
            for region in CATALOG.regions(cloud):
                pools = market.pools(cloud, region.name)
                assert replay.pools(cloud, region.name) == tuple(sorted(pools))
                order = [pools.index(pool) for pool in replay.pools(cloud, region.name)]
                seen, sold = replay.spot(cloud, region.name, at.timestamp()), market.spot(cloud, region.name, at.timestamp())
                assert seen == pytest.approx([sold[row] for row in order], abs=2e-6)
                seen, sold = replay.on_demand(cloud, region.name, at.timestamp()), market.on_demand(cloud, region.name, at.timestamp())
                assert seen == pytest.approx([sold[row] for row in order], abs=2e-6)
    assert len(said) == 3 and "0 held back" in said[0]


def test_only_changes_are_kept_with_their_source_and_unknown_is_null(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "seen.parquet")
    recorder.keep([replace(quote(), on_demand=Unknown(), interruptions_per_hour=Unknown())], {})
    assert recorder.keep([replace(quote(hours=1), on_demand=Unknown())], {}) == 0
    [row] = pq.read_table(recorder.path).to_pylist()
    assert (row["on_demand_usd_h"], row["interruptions_per_hour"], row["source"]) == (None, None, "test")


def test_what_is_in_doubt_is_left_out(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "seen.parquet")
    recorder.keep([quote(), replace(quote(9.0, offer=HERE._replace(zone="eu-west-1b")), doubtful="a jump")], {})
    assert rows(recorder.path) == [("eu-west-1a", START, 0.05)]


def test_what_a_cloud_no_longer_prices_is_no_longer_sold_but_only_if_it_told_all(tmp_path: Path) -> None:
    recorder, other = Recorder(tmp_path / "seen.parquet"), HERE._replace(zone="eu-west-1b")
    recorder.keep([quote(), quote(offer=other)], {})
    assert recorder.keep([quote(hours=1)], {}) == 0
    assert recorder.keep([quote(hours=2)], {"aws": START + 2 * HOUR}) == 1
    assert rows(recorder.path)[-1] == ("eu-west-1b", START + 2 * HOUR, None)


def test_another_run_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    path = tmp_path / "seen.parquet"
    Recorder(path).keep([quote()], {})
    again = Recorder(path)
    assert (again.keep([quote(hours=1)], {}), again.keep([quote(0.06, 2)], {}), again.rows) == (0, 1, 2)
    assert rows(path) == [("eu-west-1a", START, 0.05), ("eu-west-1a", START + 2 * HOUR, 0.06)]


def test_row_groups_fill_up_before_another_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "_ROWS", 3)
    recorder = Recorder(tmp_path / "seen.parquet")
    for hour in range(7):
        recorder.keep([quote(0.05 + hour / 100, hour)], {})
    file = pq.ParquetFile(recorder.path)
    assert [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)] == [3, 3, 1]
    assert [row[2] for row in rows(recorder.path)] == pytest.approx([0.05 + hour / 100 for hour in range(7)])


def test_a_file_that_is_no_recording_of_ours_is_left_alone(tmp_path: Path) -> None:
    other, text = tmp_path / "other.parquet", tmp_path / "text.parquet"
    pq.write_table(pa.table({"cloud": ["aws"]}), other)
    text.write_text("prices")
    for path, message in ((other, "its columns are cloud"), (text, "is no parquet file"), (tmp_path / "none" / "x.parquet", "make it first")):
        before = path.read_bytes() if path.exists() else None
        with pytest.raises(RecordingFault, match=message):
            Recorder(path)
        assert (path.read_bytes() if path.exists() else None) == before


_WRITER = """
import sys, itertools
from datetime import timedelta
from pathlib import Path
from tests.automation.feeds.test_recorder import quote
from automation.feeds.recorder import Recorder
recorder = Recorder(Path(sys.argv[1]))
for hour in itertools.count():
    recorder.keep([quote(0.05 + hour % 7 / 100, hour)], {})
    print(hour, flush=True)
"""


def test_a_kill_while_it_writes_leaves_a_whole_recording_with_all_that_was_told_kept(tmp_path: Path) -> None:
    path = tmp_path / "seen.parquet"
    command, env = [sys.executable, "-c", _WRITER, str(path)], {**os.environ, "PYTHONPATH": os.getcwd()}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            if int(line) >= 20:
                break
        writer.send_signal(signal.SIGKILL)
    kept = rows(path)
    assert len(kept) >= 21
    assert kept == [("eu-west-1a", START + hour * HOUR, 0.05 + hour % 7 / 100) for hour in range(len(kept))]


def test_without_the_proxy_nothing_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    assert program.main(["record", str(tmp_path / "seen.parquet"), "--once"]) == 2
    assert "HTTPS_PROXY" in capsys.readouterr().err and not (tmp_path / "seen.parquet").exists()


def test_ctrl_c_ends_a_recording_well() -> None:
    """With a proxy that isn't there: each feed says so, and the program goes on until it is stopped."""
    env = {**os.environ, "PYTHONPATH": os.getcwd(), "HTTPS_PROXY": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    command = [sys.executable, "-m", "automation.feeds", "record", "never.parquet", "--every", "600"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env) as running:
        assert running.stderr is not None
        assert running.stderr.readline().startswith("0 quotes, 0 changes, 0 held back")
        running.send_signal(signal.SIGINT)
        assert "aws us-east-1: unavailable" in running.stderr.read()
    assert running.returncode == 0 and not Path("never.parquet").exists()


def test_a_stop_ends_a_pause_that_no_handler_could_interrupt() -> None:
    """The signal goes to another thread, as one that arrives just before the wait begins: nothing interrupts the wait itself."""
    waits = """
import signal, threading, time
from automation.feeds.__main__ import stop_by_signal
wait = stop_by_signal()
def tell():
    time.sleep(0.2)
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
threading.Thread(target=tell).start()
print(wait(5.0), wait(0.0))
"""
    env = {**os.environ, "PYTHONPATH": os.getcwd()}
    told = subprocess.run([sys.executable, "-c", waits], capture_output=True, text=True, env=env, check=True)
    assert told.stdout == "True True\n"
