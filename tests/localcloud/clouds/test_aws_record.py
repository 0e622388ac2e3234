"""AWS's record is made smaller at a start, and nothing that a customer can see is different for it."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlencode

import pytest

from localcloud.clouds.aws.compaction import Compaction, without_user_data
from localcloud.clouds.aws.record import Call, Record
from localcloud.clouds.exchange import HttpAnswer, HttpRequest
from tests.localcloud.clouds.conftest import Served
from tests.localcloud.clouds.test_aws import described, template, tenant


def launch(token: str = "once") -> HttpRequest:
    return HttpRequest(
        "POST", "ec2.eu-west-1.amazonaws.com", "/", "", {}, urlencode({"Action": "RunInstances", "ClientToken": token, "UserData": "x" * 999}).encode()
    )


def kept(record: Record) -> list[tuple[int, bytes]]:
    return [(entry.seq, entry.request.body) for entry in record.entries() if isinstance(entry, Call)]


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    record = Record(tmp_path / "aws.sqlite")
    for token in ("first", "second", "third"):
        record.add_call(launch(token), record.next_seed(), 0.0)
    yield record
    record.close()


def test_a_launch_loses_its_user_data_only() -> None:
    assert without_user_data(launch()).body == b"Action=RunInstances&ClientToken=once"


def test_a_launch_is_shrunk_when_all_its_instances_are_gone() -> None:
    compaction = Compaction()
    compaction.launched(Call(7, 1, 0.0, launch()), HttpAnswer(200, b"<instanceId>i-1</instanceId><instanceId>i-2</instanceId>", {}))

    assert compaction.shrunk({"i-1"}.__contains__) == {}
    assert list(compaction.shrunk({"i-1", "i-2"}.__contains__)) == [7]


def test_a_seed_is_not_given_again_though_the_last_call_is_forgotten(record: Record, tmp_path: Path) -> None:
    given = record.next_seed()
    record.compact([3], {1: without_user_data(launch("first"))})
    again = Record(tmp_path / "aws.sqlite")

    assert kept(again) == [(1, b"Action=RunInstances&ClientToken=first"), (2, launch("second").body)]
    assert again.next_seed() == given
    again.close()


class Dying(Mapping[int, HttpRequest]):
    """Entries of which the second never comes."""

    def __getitem__(self, seq: int) -> HttpRequest:
        if seq == 2:
            raise KeyboardInterrupt
        return without_user_data(launch())

    def __iter__(self) -> Iterator[int]:
        return iter((1, 2))

    def __len__(self) -> int:
        return 2


def test_a_compaction_that_does_not_end_leaves_the_record_whole(record: Record) -> None:
    before = kept(record)

    with pytest.raises(KeyboardInterrupt):
        record.compact([3], Dying())

    assert kept(record) == before


def bodies(served: Served) -> list[bytes]:
    (path,) = [
        one for one in (served.state.home / "clouds").rglob("*") if one.is_file() and one.name.startswith("aws") and not one.name.endswith(("-wal", "-shm"))
    ]
    with sqlite3.connect(path) as database:
        found = [body for (body,) in database.execute("select body from calls where kind = 'call' order by seq")]
    database.close()
    return [body for body in found if b"Action=RunInstances" in body]


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Served]:
    """Clouds with a record in which nothing else stands."""
    one = Served(tmp_path)
    one.start()
    yield one
    one.close()


def test_ids_and_addresses_survive_a_restart_after_a_compaction(alone: Served) -> None:
    ec2 = tenant(alone, "compacted")
    wanted = template(ec2)
    bulky = base64.b64encode(b"#!/bin/sh\nsleep 1000\n" + b"# boot\n" * 1000).decode()
    gone, stays = (ec2.run_instances(MinCount=1, MaxCount=1, LaunchTemplate=wanted, UserData=bulky)["Instances"][0]["InstanceId"] for _ in range(2))
    ec2.terminate_instances(InstanceIds=[gone])
    before = json.dumps([described(ec2, gone), described(ec2, stays)], default=str)

    for _ in range(2):  # the first start compacts, the second replays what is left
        alone.kill()
        alone.start()
        assert json.dumps([described(ec2, gone), described(ec2, stays)], default=str) == before

    assert [b"UserData=" in body for body in bodies(alone)] == [False, True]
    later = ec2.run_instances(MinCount=1, MaxCount=1, LaunchTemplate=wanted)["Instances"][0]
    assert later["InstanceId"] not in (gone, stays)
    assert described(ec2, later["InstanceId"])["PrivateIpAddress"] != described(ec2, stays)["PrivateIpAddress"]


def test_what_a_change_stamps_is_the_same_after_a_restart_however_long_it_took(tmp_path: Path) -> None:
    """Each look at the clock is a minute after the one before, as if the change took so long."""
    program = """
import sys, time
from pathlib import Path
from localcloud.clouds.aws import emulation
from localcloud.clouds.exchange import HttpRequest

class Clock:
    now = 1.8e9
    monotonic = staticmethod(time.monotonic)
    @classmethod
    def time(cls):
        cls.now += 60
        return cls.now

emulation.time = Clock
made = emulation.Emulation(Path(sys.argv[1]), lambda request, scope, answer: None)
credential = "Credential=LOCAL/20260101/eu-west-1/ec2/aws4_request"
signed = {"content-type": "application/x-www-form-urlencoded", "authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=0"}
def asked(form):
    return made.call(HttpRequest("POST", "ec2.eu-west-1.amazonaws.com", "/", "", signed, form.encode())).body.decode()
if sys.argv[2] == "make":
    asked("Action=CreateVolume&Version=2016-11-15&AvailabilityZone=eu-west-1a&Size=1")
print(asked("Action=DescribeVolumes&Version=2016-11-15").partition("<createTime>")[2].partition("<")[0])
made.close()
"""

    def told(what: str) -> str:
        env = {**os.environ, "PYTHONPATH": os.getcwd()}
        return subprocess.run([sys.executable, "-c", program, str(tmp_path / "aws.sqlite"), what], capture_output=True, text=True, env=env, check=True).stdout

    made = told("make")
    assert made.startswith("2027-01-15T")
    assert told("look") == made
