"""The asynchronous clients: what the synchronous ones do, from the same text."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from spotlane import aio, client, wire
from spotlane.errors import ApiProblem, NotSignedIn, Unreachable
from spotlane.testing import Served
from tests.spotlane.cli_program import GCP, Shell, furnished, shell
from tools.sdk import generate

__all__ = ["furnished", "shell"]
T = TypeVar("T")


def with_clients(served: Served, work: Callable[[aio.AsyncClient, aio.AsyncAutomationClient], Awaitable[T]]) -> T:
    async def run() -> T:
        async with aio.AsyncClient.from_env(served.environment) as edge:
            async with aio.AsyncAutomationClient.from_env(edge, served.environment) as automation:
                return await work(edge, automation)

    return asyncio.run(run())


def test_it_is_what_is_generated_and_has_every_method_of_the_synchronous_one() -> None:
    assert generate.main(["--check"]) == 0
    for ours, theirs in ((aio.AsyncClient, client.Client), (aio.AsyncAutomationClient, client.AutomationClient)):
        methods = [{name: list(inspect.signature(one).parameters) for name, one in inspect.getmembers(kind, inspect.isfunction)} for kind in (ours, theirs)]
        assert {name: given for name, given in methods[0].items() if name not in ("__aenter__", "__aexit__")} == methods[1]


def test_both_read_the_same_of_a_platform(furnished: Shell, spotlane_served: Served) -> None:
    async def read(edge: aio.AsyncClient, automation: aio.AsyncAutomationClient) -> tuple[object, ...]:
        workloads = [one async for one in edge.workloads()]
        events = [one async for one in edge.events("web-acme")]
        told = [one async for one in automation.run_events("run_1")]
        return workloads, events, await automation.plan(), await automation.runs(), await automation.holds(), told

    edge, automation = spotlane_served.client(), spotlane_served.automation()
    told = list(automation.run_events("run_1"))
    same = (list(edge.workloads()), list(edge.events("web-acme")), automation.plan(), automation.runs(), automation.holds(), told)
    assert with_clients(spotlane_served, read) == same


def test_a_listing_is_read_page_by_page(furnished: Shell, spotlane_served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aio, "_PAGE", 2)

    async def read(edge: aio.AsyncClient, automation: aio.AsyncAutomationClient) -> list[int]:
        return [one.seq async for one in edge.events("web-acme")]

    assert with_clients(spotlane_served, read) == [1, 2, 3, 4, 5]


def test_a_refusal_an_unknown_key_and_silence_are_the_same_errors(spotlane_served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aio, "_BACKOFF_SECONDS", 0.0)

    async def ask(url: str, key: str) -> None:
        async with aio.AsyncClient(url, key) as edge:
            await edge.workload("web-acme")

    for url, key, error in (
        (f"{spotlane_served.url}/v1", "spk_test", ApiProblem),
        (f"{spotlane_served.url}/v1", "spk_wrong", NotSignedIn),
        ("http://127.0.0.1:9/v1", "spk_test", Unreachable),
    ):
        with pytest.raises(error):
            asyncio.run(ask(url, key))


def test_a_service_that_stumbles_is_asked_again(furnished: Shell, spotlane_served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aio, "_BACKOFF_SECONDS", 0.0)
    spotlane_served.platform.fail("GET", "/workloads/web-acme", 503, "unavailable", times=2)

    async def ask(edge: aio.AsyncClient, automation: aio.AsyncAutomationClient) -> str:
        return (await edge.workload("web-acme")).id

    assert with_clients(spotlane_served, ask) == "web-acme"


def test_events_are_followed_as_they_come(furnished: Shell, spotlane_served: Served) -> None:
    platform = spotlane_served.platform

    async def follow(edge: aio.AsyncClient, automation: aio.AsyncAutomationClient) -> list[wire.WorkloadState]:
        seen: list[wire.WorkloadState] = []
        async for one in edge.follow_events("web-acme"):
            seen.append(one.state)
            if len(seen) == 5:
                platform.market.price(GCP, 0.001)
                platform.tick()
            if len(seen) == 7:
                return seen
        raise AssertionError("it doesn't end by itself")

    assert with_clients(spotlane_served, follow)[5:] == ["MIGRATING", "RUNNING"]
    followed = spotlane_served.client().follow_events("web-acme", after=5)
    assert [next(followed).state, next(followed).state] == ["MIGRATING", "RUNNING"]
