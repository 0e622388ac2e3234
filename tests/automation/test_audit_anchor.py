"""Heads of the proxy's audit chain, anchored at the edge: what somebody who owns the machine does to the log shows by them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog

from audit.__main__ import main
from audit.log import AuditLog
from automation.service.audit import AuditAnchor
from domain.boundary.call import Call
from spotlane.errors import ApiProblem, SpotlaneError
from spotlane.wire import AuditHead, Problem

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
CALL = Call("api", "platform", "acme", "aws", "ec2", "RunInstances", "write", "regional", resource="web", account="123456789012")


class Edge:
    """An edge that keeps heads, and may be away."""

    def __init__(self) -> None:
        self.heads: list[AuditHead] = []
        self.away = False

    def put_audit_head(self, head: AuditHead) -> None:
        if self.away:
            raise SpotlaneError("the edge is away")
        kept = next((each for each in self.heads if (each.point, each.member, each.seq) == (head.point, head.member, head.seq)), head)
        if kept.hash != head.hash:
            raise ApiProblem(Problem(type="https://spotlane.dev/problems/anchor-conflict", title="Another record is anchored under this number", status=409))
        self.heads.append(head)


def write(home: Path, count: int, outcome: str = "deny", log: str = "proxy/audit.jsonl") -> None:
    kept = AuditLog(home / log)
    for _ in range(count):
        kept.record(CALL, outcome, "spot" if outcome == "deny" else "", "", "sha256:1", NOW)  # type: ignore[arg-type]  # one of its outcomes
    kept.close()


def anchor_of(home: Path, edge: Edge) -> AuditAnchor:
    return AuditAnchor({"api": home / "proxy" / "audit.jsonl"}, "local", edge)  # type: ignore[arg-type]  # only put_audit_head is asked of it


def verified(home: Path, edge: Edge) -> int:
    (home / "anchors.json").write_text(json.dumps([head.model_dump(mode="json", by_alias=True) for head in edge.heads]))
    return main(["--home", str(home), "verify", "--anchors", str(home / "anchors.json")])


def cut(home: Path) -> None:
    log = home / "proxy" / "audit.jsonl"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-1]))
    (home / "proxy" / "audit.heads.jsonl").unlink()


def gone(home: Path) -> None:
    for path in (home / "proxy").iterdir():
        path.unlink()


def anew(home: Path) -> None:
    gone(home)
    write(home, 6, "allow")


def anew_and_longer(home: Path) -> None:
    gone(home)
    write(home, 60, "allow")


def gone_beside_another(home: Path) -> None:
    gone(home)
    write(home, 1, log="audit/local/place.jsonl")


def test_a_log_that_nobody_touched_agrees_with_its_anchors(tmp_path: Path) -> None:
    edge = Edge()
    for count in (3, 3):
        write(tmp_path, count)
        anchor_of(tmp_path, edge).anchor()
    assert [head.seq for head in edge.heads] == [3, 6]
    assert verified(tmp_path, edge) == 0


@pytest.mark.parametrize(("harm", "code"), [(cut, 1), (anew, 1), (anew_and_longer, 1), (gone_beside_another, 1), (gone, 2)])
def test_what_the_machines_owner_does_to_the_log_shows_by_the_anchors(tmp_path: Path, harm: Callable[[Path], None], code: int) -> None:
    edge = Edge()
    write(tmp_path, 6)
    anchor_of(tmp_path, edge).anchor()
    harm(tmp_path)
    assert verified(tmp_path, edge) == code


@pytest.mark.parametrize("harm", [cut, anew, anew_and_longer])
def test_without_anchors_the_same_would_pass_unseen(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    write(tmp_path, 6)
    harm(tmp_path)
    assert verified(tmp_path, Edge()) == 0


def test_a_head_is_anchored_once_and_again_when_the_edge_was_away(tmp_path: Path) -> None:
    edge = Edge()
    anchor = anchor_of(tmp_path, edge)
    anchor.anchor()
    write(tmp_path, 2)
    edge.away = True
    with pytest.raises(SpotlaneError):
        anchor.anchor()
    edge.away = False
    anchor.anchor()
    anchor.anchor()
    assert [head.seq for head in edge.heads] == [2]


def test_a_chain_that_became_shorter_is_not_anchored(tmp_path: Path) -> None:
    edge = Edge()
    anchor = anchor_of(tmp_path, edge)
    write(tmp_path, 3)
    anchor.anchor()
    cut(tmp_path)
    anchor.anchor()
    assert [head.seq for head in edge.heads] == [3]


def test_a_chain_written_anew_is_an_error_in_the_log_and_holds_up_no_other(tmp_path: Path) -> None:
    edge = Edge()
    write(tmp_path, 6)
    anchor_of(tmp_path, edge).anchor()
    anew(tmp_path)
    write(tmp_path, 2, log="audit/local/place.jsonl")
    both = AuditAnchor({"api": tmp_path / "proxy/audit.jsonl", "place": tmp_path / "audit/local/place.jsonl"}, "local", edge)  # type: ignore[arg-type]  # as above
    with structlog.testing.capture_logs() as logged:
        both.anchor()
        both.anchor()
    assert [(line["event"], line["record"]) for line in logged] == [("the audit log was written anew", 6)]
    assert [(head.point, head.seq) for head in edge.heads] == [("api", 6), ("place", 2)]
