"""The edge's signature as a machine checks it."""

from __future__ import annotations

import pytest

from spotlane import origin

KEY = "0b" * 32
NOW = 1_800_000_003
HEADER = f"t={NOW},v1=f68db1a9a5a6cb1721fbe809b4178f9bb66fe275e91b7d0f9744d9f6513ba4cf"
"""What the edge's OriginSigner makes of the same key, placement and time (components/edge/workers/shared/origin.test.ts)."""


def test_the_edges_signature_is_taken_for_a_minute_either_way() -> None:
    assert [origin.verify(HEADER, KEY, "acme_web_3", NOW + late) for late in (-61, -60, 0, 60, 61)] == [False, True, True, True, False]


@pytest.mark.parametrize(
    "header",
    [None, "", "t=", HEADER.upper(), HEADER + "0", " " + HEADER, HEADER.replace("f68d", "f68e"), HEADER.replace(str(NOW), str(NOW + 1)), f"{HEADER},{HEADER}"],
)
def test_anything_else_is_refused(header: str | None) -> None:
    assert not origin.verify(header, KEY, "acme_web_3", NOW)


def test_a_signature_is_good_for_one_placement_and_under_one_key() -> None:
    assert not origin.verify(HEADER, KEY, "acme_web_4", NOW)
    assert not origin.verify(HEADER, "0c" * 32, "acme_web_3", NOW)
