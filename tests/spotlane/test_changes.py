"""Changes are followed as they come, over cuts, by the SDK and by ``spotlane watch``; what can't be followed is said, or looked at now and then."""

from __future__ import annotations

import asyncio
import threading

import pytest

from spotlane import aio, client, session, wire
from spotlane.cli.status import Bell
from spotlane.errors import ApiProblem, NotSignedIn, Unreachable
from spotlane.testing.server import Served
from tests.spotlane.cli_program import GCP, Shell, furnished, shell
from tests.spotlane.test_aio import with_clients

__all__ = ["furnished", "shell"]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(aio, "_PAUSE_SECONDS", 0.0)


def moved(served: Served) -> None:
    """A move of web-acme: workload, event and migration change."""
    served.platform.market.price(GCP, 0.001)
    served.platform.tick()


def test_a_stream_begins_with_everything_and_then_tells_what_changes(furnished: Shell, spotlane_served: Served) -> None:
    changes = spotlane_served.client().changes()
    first = next(changes)
    assert (first.kind, first.tenant, first.workload) == ("everything", None, None)
    moved(spotlane_served)
    seen = [next(changes) for _ in spotlane_served.platform.changes[first.seq :]]
    assert {(one.kind, one.workload) for one in seen} >= {(kind, "web-acme") for kind in ("workload", "event", "migration")}
    assert [one.seq for one in seen] == list(range(first.seq + 1, first.seq + 1 + len(seen)))


def test_it_goes_on_after_a_number_and_only_with_the_tenant_that_was_asked_for(furnished: Shell, spotlane_served: Served) -> None:
    platform = spotlane_served.platform
    before = len(platform.changes)
    moved(spotlane_served)
    platform.changes.append(wire.Change(seq=len(platform.changes) + 1, kind="workload", subject="web-other", tenant="other", at=platform.market.now))
    assert next(spotlane_served.client().changes(after=before)).seq == before + 1
    assert next(spotlane_served.client().changes("other", after=before)).subject == "web-other"


def test_a_refusal_that_may_pass_is_tried_again_and_one_that_does_not_is_raised(furnished: Shell, spotlane_served: Served) -> None:
    platform = spotlane_served.platform
    platform.fail("GET", "/changes", 503, "unavailable", times=2)
    assert next(spotlane_served.client().changes()).kind == "everything"
    platform.fail("GET", "/changes", 429, "too-many-streams")
    with pytest.raises(ApiProblem):
        next(spotlane_served.client().changes())
    with pytest.raises(NotSignedIn):
        next(client.Client(f"{spotlane_served.url}/v1", "spk_wrong").changes())


def test_an_edge_that_is_away_for_good_is_unreachable(furnished: Shell, spotlane_served: Served) -> None:
    edge = spotlane_served.client()
    edge.workload("web-acme")  # it has its token
    away = session.Session("edge API", "http://127.0.0.1:9/v1", edge.tokens, edge.http)
    with pytest.raises(Unreachable):
        next(away.follow(wire.Change, "/changes", {}, None))


def test_the_asynchronous_client_follows_alike(furnished: Shell, spotlane_served: Served) -> None:
    async def follow(edge: aio.AsyncClient, automation: aio.AsyncAutomationClient) -> list[str]:
        kinds: list[str] = []
        async for one in edge.changes():
            kinds.append(one.kind)
            if len(kinds) == 1:
                await asyncio.to_thread(moved, spotlane_served)
            if "migration" in kinds:
                return kinds
        raise AssertionError("it doesn't end by itself")

    assert with_clients(spotlane_served, follow)[0] == "everything"


def test_who_watches_looks_again_when_something_has_changed_and_not_before(furnished: Shell, spotlane_served: Served) -> None:
    bell = Bell(spotlane_served.client(), None)
    bell.wait()
    rung = threading.Event()

    def wait() -> None:
        bell.wait()
        rung.set()

    threading.Thread(target=wait, daemon=True).start()
    assert not rung.wait(0.2)
    moved(spotlane_served)
    assert rung.wait(5)


def test_an_edge_that_tells_no_changes_is_looked_at_now_and_then(furnished: Shell, spotlane_served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spotlane.cli.status._SECONDS", 0.01)
    spotlane_served.platform.fail("GET", "/changes", 404, "unknown-call", times=9)
    bell = Bell(spotlane_served.client(), None)
    for _ in range(3):
        bell.wait()
