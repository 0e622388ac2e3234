from __future__ import annotations

from pathlib import Path

from localcloud.providers.ports import Made
from localcloud.providers.record import CreationRecord

URN = "urn:pulumi:test::providers::aws:ec2/vpc:Vpc::vpc"


def test_a_creation_that_was_never_acknowledged_is_given_again_even_after_a_restart(tmp_path: Path) -> None:
    record = CreationRecord(tmp_path / "providers.sqlite")
    first = record.begin(URN, {"cidrBlock": "10.0.0.0/16"})
    record.made(URN, Made("vpc-1", {"arn": "arn"}))
    record.close()
    again = CreationRecord(tmp_path / "providers.sqlite")
    second = again.begin(URN, {"cidrBlock": "10.0.0.0/16"})
    again.close()
    assert (first.made, first.resumed) == (None, False)
    assert (second.made, second.resumed, second.token) == (Made("vpc-1", {"arn": "arn"}), True, first.token)


def test_an_acknowledged_creation_or_one_with_other_inputs_starts_anew(tmp_path: Path) -> None:
    record = CreationRecord(tmp_path / "providers.sqlite")
    token = record.begin(URN, {"cidrBlock": "10.0.0.0/16"}).token
    record.made(URN, Made("vpc-1", {}))
    assert record.begin(URN, {"cidrBlock": "10.1.0.0/16"}).made is None
    record.forget(URN)
    fresh = record.begin(URN, {"cidrBlock": "10.0.0.0/16"})
    record.close()
    assert (fresh.made, fresh.resumed, fresh.token != token) == (None, False, True)


def test_the_record_is_for_its_owner_only(tmp_path: Path) -> None:
    CreationRecord(tmp_path / "providers.sqlite").close()
    assert (tmp_path / "providers.sqlite").stat().st_mode & 0o777 == 0o600
