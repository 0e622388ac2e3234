"""Whether an audit log is what was written: every byte, in order, from the first record to the last head that anyone keeps."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.heads import Head, genuine
from audit.segments import segments
from domain.boundary.record import FIELDS, GENESIS, line, record_hash


@dataclass(slots=True)
class Report:
    """What a verification found; sound where ``faults`` is empty."""

    records: int = 0
    heads: int = 0
    seq: int = 0
    hash: str = GENESIS
    faults: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether nothing was found."""
        return not self.faults


def verify(path: Path, heads: Iterable[Head] = (), anchors: Iterable[Head] = (), key: Ed25519PublicKey | None = None, limit: int = 20) -> Report:
    """Verifies all segments of the log against themselves, its own signed heads (``key``) and the anchors kept elsewhere. At most ``limit`` faults."""
    report = Report()
    wanted: dict[int, list[tuple[str, Head]]] = {}
    signed = list(heads)
    for head in signed:
        if key is None or not genuine(head, key):
            report.faults.append(f"the head of record {head.seq} isn't signed by the log's key")
        wanted.setdefault(head.seq, []).append(("the signed head", head))
    for head in anchors:
        wanted.setdefault(head.seq, []).append(("the anchor", head))
    report.heads = sum(len(each) for each in wanted.values())
    if signed and [head.seq for head in signed] != sorted({head.seq for head in signed}):
        report.faults.append("the signed heads aren't in order")
    for segment in segments(path):
        if segment.exists():
            _segment(segment, report, wanted, limit)
    for seq, each in sorted(wanted.items()):
        if seq > report.seq:
            report.faults += [f"{which} of {head.at} names record {seq}, the log ends at {report.seq}: records were dropped" for which, head in each]
    report.faults = report.faults[:limit]
    return report


def _segment(path: Path, report: Report, wanted: dict[int, list[tuple[str, Head]]], limit: int) -> None:
    with path.open("rb") as file:
        for number, text in enumerate(file, 1):
            where = f"{path.name}:{number}"
            entry = _entry(text)
            if entry is None:
                report.faults.append(f"{where}: not a record as it was written")
            else:
                if entry["seq"] != report.seq + 1:
                    report.faults.append(f"{where}: record {entry['seq']} follows {report.seq}")
                if entry["prev"] != report.hash:
                    report.faults.append(f"{where}: record {entry['seq']} isn't bound to the one before")
                if entry["hash"] != record_hash(entry):
                    report.faults.append(f"{where}: record {entry['seq']} was changed")
                report.records += 1
                report.seq, report.hash = entry["seq"], entry["hash"]
                for which, head in wanted.get(report.seq, ()):
                    if head.hash != report.hash:
                        report.faults.append(f"{where}: record {report.seq} isn't the one that {which} of {head.at} names: the chain was written anew")
            if len(report.faults) > limit:
                return


def _entry(text: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(text)
        if tuple(entry) != FIELDS or line(entry) != text or not isinstance(entry["seq"], int):
            return None
    except (ValueError, TypeError, KeyError):
        return None
    return dict(entry)
