"""The audit trail: what was written is found again, and whatever was done to it afterwards shows."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from audit.__main__ import main
from audit.heads import Head, load_heads, public_key
from audit.log import AuditLog, AuditUnavailable
from audit.segments import entries_after, last_line, segments
from audit.verify import Report, verify
from domain.boundary.call import Call
from domain.boundary.record import FIELDS, GENESIS, line, record_hash

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
CALL = Call("api", "platform", "acme", "aws", "ec2", "RunInstances", "write", "regional", resource="web", account="123456789012")


def written(path: Path, count: int = 12, **options: int) -> AuditLog:
    log = AuditLog(path, **options)
    for number in range(count):
        denied = number % 3 == 0
        log.record(
            CALL, "deny" if denied else "allow", "spot" if denied else "", "Es ist kein Spot, é." if denied else "", "sha256:1", NOW + timedelta(minutes=number)
        )
    return log


def checked(path: Path, anchors: list[Head] | None = None) -> Report:
    heads = path.with_name("audit.heads.jsonl")
    return verify(path, load_heads(heads) if heads.exists() else [], anchors or [], public_key(path.with_suffix(".pub")))


def test_a_log_as_it_was_written_is_sound(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    written(path).close()
    report = checked(path)
    assert (report.sound, report.records, report.heads, report.seq) == (True, 12, 1, 12)
    first = json.loads(path.read_bytes().splitlines()[0])
    assert tuple(first) == FIELDS
    assert first["prev"] == GENESIS


def test_any_one_byte_that_changes_shows(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    written(path, 4).close()
    whole = path.read_bytes()
    draw = random.Random(1)
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << draw.randrange(7))]) + whole[at + 1 :])
        assert not checked(path).sound, f"byte {at}"
    path.write_bytes(whole)
    assert checked(path).sound


@pytest.mark.parametrize("change", ["dropped", "swapped", "doubled", "inserted", "blank", "other order", "other spelling"])
def test_records_that_go_come_or_move_show(tmp_path: Path, change: str) -> None:
    path = tmp_path / "audit.jsonl"
    written(path).close()
    lines = path.read_bytes().splitlines(keepends=True)
    entry = json.loads(lines[3])
    path.write_bytes(
        b"".join(
            {
                "dropped": lines[:3] + lines[4:],
                "swapped": [*lines[:3], lines[4], lines[3], *lines[5:]],
                "doubled": [*lines[:4], *lines[3:]],
                "inserted": [*lines[:4], line(entry | {"seq": 5}), *lines[4:]],
                "blank": [*lines[:4], b"\n", *lines[4:]],
                "other order": [*lines[:3], json.dumps(dict(reversed(entry.items())), separators=(",", ":")).encode() + b"\n", *lines[4:]],
                "other spelling": [*lines[:3], lines[3].replace(b"\\u00e9", "é".encode()), *lines[4:]],
            }[change]
        )
    )
    assert not checked(path).sound


def test_a_tail_that_was_dropped_shows_by_the_signed_head_and_by_the_anchor(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = written(path)
    anchor = Head("api", log.seq, log.hash, "2026-11-24T12:12:00Z")
    log.close()
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-2]))
    assert checked(path).faults == [
        "the signed head of " + load_heads(tmp_path / "audit.heads.jsonl")[0].at + " names record 12, the log ends at 10: records were dropped"
    ]
    (tmp_path / "audit.heads.jsonl").unlink()
    assert checked(path).sound
    assert checked(path, [anchor]).faults == ["the anchor of 2026-11-24T12:12:00Z names record 12, the log ends at 10: records were dropped"]


def test_a_chain_that_was_written_anew_shows(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = written(path)
    anchor = Head("api", log.seq, log.hash, "2026-11-24T12:12:00Z")
    log.close()
    before = GENESIS
    forged = []
    for text in path.read_bytes().splitlines():
        entry = json.loads(text) | {"verdict": "allow", "rule": "", "why": "", "prev": before}
        entry["hash"] = before = record_hash(entry)
        forged.append(line(entry))
    path.write_bytes(b"".join(forged))
    assert any("the signed head" in fault and "written anew" in fault for fault in checked(path).faults)
    assert verify(path, anchors=[anchor]).faults == [
        "audit.jsonl:12: record 12 isn't the one that the anchor of 2026-11-24T12:12:00Z names: the chain was written anew"
    ]


def test_a_forged_head_shows(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    written(path).close()
    heads = tmp_path / "audit.heads.jsonl"
    head = json.loads(heads.read_text())
    heads.write_text(json.dumps(head | {"seq": 11}) + "\n")
    assert "the head of record 11 isn't signed by the log's key" in checked(path).faults


def test_a_restart_goes_on_where_the_log_ended(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    written(path).close()
    path.write_bytes(path.read_bytes() + b'{"seq":13,"prev":"cut off by a cra')
    log = written(path, 3)
    assert log.seq == 15
    log.close()
    assert checked(path).sound


def test_full_segments_are_set_aside_and_the_chain_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    written(path, 20, segment_bytes=2000).close()
    log = written(path, 20, segment_bytes=2000)
    assert len(segments(path)) > 5
    assert [entry["seq"] for entry in log.after(17, 6)] == [18, 19, 20, 21, 22, 23]
    log.close()
    assert (checked(path).sound, checked(path).records) == (True, 40)
    segments(path)[2].unlink()
    assert not checked(path).sound


@pytest.mark.parametrize("harm", ["last record changed", "tail dropped", "head of another record"])
def test_a_log_that_was_harmed_while_nobody_wrote_is_not_gone_on_with(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "audit.jsonl"
    written(path).close()
    lines = path.read_bytes().splitlines(keepends=True)
    if harm == "last record changed":
        path.write_bytes(b"".join(lines[:-1]) + lines[-1].replace(b"allow", b"denyy"))
    elif harm == "tail dropped":
        path.write_bytes(b"".join(lines[:-1]))
    else:
        entry = json.loads(lines[-1]) | {"verdict": "deny"}
        path.write_bytes(b"".join(lines[:-1]) + line(entry | {"hash": record_hash(entry)}))
    with pytest.raises(AuditUnavailable, match="evidence"):
        AuditLog(path)


def test_a_second_writer_is_kept_away(tmp_path: Path) -> None:
    log = written(tmp_path / "audit.jsonl")
    with pytest.raises(AuditUnavailable):
        AuditLog(tmp_path / "audit.jsonl")
    log.close()


def test_a_file_that_is_taken_away_stops_the_log(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = written(path, 1)
    path.rename(tmp_path / "elsewhere.jsonl")
    limit = time.monotonic() + 10
    with pytest.raises(AuditUnavailable):
        while time.monotonic() < limit:
            log.record(CALL, "allow", "", "", "", NOW)
            time.sleep(0.02)
    log.close()


def test_a_disk_that_takes_nothing_records_nothing(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = written(path, 2)
    kept, log._file = log._file, os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(AuditUnavailable, match="No space"):
        log.record(CALL, "allow", "", "", "", NOW)
    os.close(log._file)
    log._file = kept
    assert log.seq == 2
    log.close()
    assert checked(path).records == 2


def test_what_was_recorded_outlives_a_kill(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from tests.audit.test_audit import *\n"
        "log = AuditLog(Path(sys.argv[1]))\n"
        "while True: print(log.record(CALL, 'allow', '', '', '', NOW)['seq'], flush=True)\n"
    )
    path = tmp_path / "audit.jsonl"
    process = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    assert process.stdout is not None
    seen = 0
    while seen < 200:
        seen = int(process.stdout.readline())
    process.kill()
    told = [int(each) for each in process.stdout.read().split()]
    process.wait()
    log = AuditLog(path)
    assert log.seq >= max(told, default=seen)
    log.close()
    assert checked(path).sound


def test_verify_and_query_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "proxy" / "audit.jsonl"
    written(path).close()
    home = ["--home", str(tmp_path)]
    assert main([*home, "verify"]) == 0
    assert "12 records, 1 heads, sound" in capsys.readouterr().out
    assert main([*home, "query", "--verdict", "deny", "--since", "2026-11-24T12:02", "--json"]) == 0
    assert [json.loads(text)["seq"] for text in capsys.readouterr().out.splitlines()] == [4, 7, 10]
    assert main(["query", *home, "--tenant", "glob*"]) == 0
    assert capsys.readouterr().out == ""
    path.write_bytes(path.read_bytes()[:-400])
    assert main([*home, "verify", "--json"]) == 1
    assert main(["--home", str(tmp_path / "nowhere"), "verify"]) == 2


def test_a_record_is_found_by_its_number_without_reading_those_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "audit.jsonl"
    written(path, 3000, segment_bytes=400_000).close()
    assert len(segments(path)) > 2
    read: list[int] = []
    parsed = json.loads
    monkeypatch.setattr("audit.segments.json.loads", lambda text: read.append(1) or parsed(text))
    for seq in [0, 1, 2, 700, 1499, 2998, 2999, 3000]:
        read.clear()
        found = [entry["seq"] for _, entry in zip(range(3), entries_after(path, seq), strict=False)]
        assert found == list(range(seq + 1, min(seq + 4, 3001)))
        assert len(read) < 300
    assert [entry["seq"] for entry in entries_after(path, 0)] == list(range(1, 3001))


def test_a_segments_last_line_is_found_from_its_end(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    for lines in ([b"a\n"], [b"a\n", b"b\n"], [b"a\n", b"x" * 200_000 + b"\n"], [b"a\n", b"half"], []):
        path.write_bytes(b"".join(lines))
        assert last_line(path) == (lines[-1] if lines else b"")


def test_half_a_head_that_a_loss_of_power_left_is_taken_away(tmp_path: Path) -> None:
    path, heads = tmp_path / "audit.jsonl", tmp_path / "audit.heads.jsonl"
    written(path).close()
    whole = heads.read_bytes()
    heads.write_bytes(whole + whole[:40])
    log = AuditLog(path)
    assert heads.read_bytes() == whole
    log.record(CALL, "allow", "", "", "sha256:1", NOW)
    log.close()
    assert (checked(path).sound, checked(path).heads) == (True, 2)


def test_a_head_that_cannot_be_read_stops_the_log(tmp_path: Path) -> None:
    path, heads = tmp_path / "audit.jsonl", tmp_path / "audit.heads.jsonl"
    written(path).close()
    heads.write_bytes(heads.read_bytes() + b"{}\n")
    with pytest.raises(AuditUnavailable, match="last line is no audit head"):
        AuditLog(path)
