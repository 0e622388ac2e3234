"""The web console in a real Chromium, on the local platform: every page, sign-in, a move seen to happen, what-if, faults, small screens, accessibility."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from demo.cast import CAST
from domain.catalog import CATALOG
from spotlane import wire
from spotlane.errors import ApiProblem
from tests.e2e.conftest import ROOT, Platform

pytestmark = pytest.mark.timeout(600)
_, GLOBEX = CAST
CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
AXE = (ROOT / "node_modules" / "axe-core" / "axe.min.js").read_text() if (ROOT / "node_modules" / "axe-core").exists() else ""
WAIT = 30_000
"""Milliseconds for a thing to appear: a busy machine is slow, a broken page never does it."""
PAGES = {
    "/": "Overview",
    "/workloads": "Workloads",
    "/moves": "Moves",
    "/prices": "Prices now",
    "/boundaries": "Boundary of",
    "/audit": "Audit",
    "/tenants": "Keys",
}
"""By address, what the page shows."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage", "--host-resolver-rules=MAP *.localhost 127.0.0.1"]
        )
        yield running
        running.close()


def address(platform: Platform) -> str:
    return platform.stage.environ["SPOTLANE_API_URL"].replace("//api.", "//console.").removesuffix("/v1")


def sign_in(page: Page, platform: Platform) -> None:
    page.goto(address(platform))
    page.get_by_label("API key").fill((platform.stage.home / "platform.key").read_text().strip())
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("status").filter(has_text="live")).to_be_visible(timeout=WAIT)


class Told(list[str]):
    """What the page complained of."""


@pytest.fixture
def page(browser: Browser, platform: Platform) -> Iterator[Page]:
    """Signed in; the page must not have complained of anything by its end."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    opened = context.new_page()
    told = Told()
    opened.on("pageerror", lambda error: told.append(str(error)))
    opened.on("console", lambda message: told.append(message.text) if message.type == "error" and "Failed to load" not in message.text else None)
    opened.on("request", lambda request: told.append(f"a request to {request.url}") if ".spotlane.localhost" not in request.url else None)
    sign_in(opened, platform)
    yield opened
    context.close()
    assert told == []


def serious(page: Page) -> list[str]:
    """What axe finds grave: rule and the first element."""
    page.evaluate(AXE)
    found: dict[str, Any] = page.evaluate("axe.run()")
    return [f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in found["violations"] if one["impact"] in ("serious", "critical")]


@pytest.mark.parametrize(("path", "shows"), PAGES.items())
def test_every_page_shows_what_it_is_for_and_is_usable_by_everybody(page: Page, platform: Platform, path: str, shows: str) -> None:
    page.goto(address(platform) + path)
    expect(page.get_by_text(shows).first).to_be_visible(timeout=WAIT)
    expect(page.get_by_role("status").filter(has_text="live")).to_be_visible(timeout=WAIT)
    assert serious(page) == []
    page.emulate_media(color_scheme="dark")
    assert serious(page) == []


def test_a_workloads_page_says_where_it_is_why_and_what_it_costs(page: Page, platform: Platform) -> None:
    workload = platform.edge.workload(GLOBEX.id)
    assert workload.placement is not None
    page.get_by_role("link", name=workload.name, exact=True).first.click()
    expect(page.get_by_role("heading", name=GLOBEX.id)).to_be_visible(timeout=WAIT)
    expect(page.get_by_text(f"{workload.placement.offer.cloud.upper()} {workload.placement.offer.region}").first).to_be_visible()
    expect(page.get_by_text("Expected, all in")).to_be_visible(timeout=WAIT)
    expect(page.get_by_role("group", name="Alternatives")).to_be_visible()
    assert serious(page) == []


def moved(platform: Platform, offers: list[wire.OfferRef], seen: Callable[[], None]) -> wire.Migration:
    """A move to the first of the offers whose cloud has a machine; each attempt must be ``seen``."""
    for offer in offers[:5]:
        try:
            migration = platform.automation.move(wire.MoveRequest(workload=GLOBEX.id, offer=offer))
        except ApiProblem:
            continue
        seen()
        platform.director.wait(f"the end of {migration.id}", 180, lambda name=migration.id: platform.edge.migration(name).status != "running")  # type: ignore[misc]
        if platform.edge.migration(migration.id).status == "succeeded":
            return platform.edge.migration(migration.id)
        platform.director.quiet(GLOBEX, 120)
    raise AssertionError("none of five offers could be had")


def test_a_move_is_seen_to_happen(page: Page, platform: Platform) -> None:
    platform.director.quiet(GLOBEX, 120)
    before = platform.edge.workload(GLOBEX.id)
    assert before.placement is not None
    page.goto(f"{address(platform)}/workloads/{GLOBEX.id}")
    expect(page.get_by_role("heading", name=GLOBEX.id)).to_be_visible(timeout=WAIT)
    elsewhere = [
        quote.offer
        for quote in sorted(platform.edge.prices().quotes, key=lambda one: one.spot_usd_per_hour or 1e9)
        if quote.offer.region in platform.allowed[GLOBEX.tenant].regions.get(quote.offer.cloud, [])
        and quote.offer.cloud != before.placement.offer.cloud
        and CATALOG.machine(quote.offer.cloud, quote.offer.instance_type).memory_gib >= before.spec.resources.memory_gib
    ]
    migration = moved(platform, elsewhere, lambda: expect(page.get_by_role("heading", name="Under way")).to_be_visible(timeout=WAIT))
    assert migration.decision.offer is not None
    there = migration.decision.offer
    expect(page.get_by_text(f"{there.cloud.upper()} {there.region}").first).to_be_visible(timeout=WAIT)
    expect(page.get_by_role("heading", name="Under way")).to_be_hidden(timeout=WAIT)


def test_another_boundary_is_tried_without_being_stored(page: Page, platform: Platform) -> None:
    held = platform.edge.tenant(GLOBEX.tenant).boundary
    page.goto(f"{address(platform)}/boundaries")
    box = page.get_by_label(f"What if the boundary of {GLOBEX.tenant} were")
    expect(page.get_by_text("regions inside").first).to_be_visible(timeout=WAIT)
    button = page.locator("form", has=box).get_by_role("button")
    box.fill('{"name": "narrow", "residency": {"countries": ["NL"]}}')
    button.click()
    expect(page.get_by_text("Regions lost")).to_be_visible(timeout=WAIT)
    expect(page.get_by_role("group", name="What it would cost")).to_contain_text(GLOBEX.id, timeout=WAIT)
    assert serious(page) == []
    box.fill('{"name": "wrong", "residency": {"countries": ["ATLANTIS"]}}')
    button.click()
    expect(page.locator("form", has=box).get_by_role("alert")).to_contain_text("residency.countries[0]", timeout=WAIT)
    box.fill("{")
    button.click()
    expect(page.locator("form", has=box).get_by_role("alert")).to_contain_text("isn't JSON", timeout=WAIT)
    assert platform.edge.tenant(GLOBEX.tenant).boundary == held


def test_a_key_is_shown_once_works_and_is_refused_once_it_is_revoked(page: Page, browser: Browser, platform: Platform) -> None:
    page.goto(f"{address(platform)}/tenants")
    form = page.locator("section", has=page.get_by_role("heading", name="Globex")).locator("form")
    form.get_by_label("Name of a new key").fill("browser")
    form.get_by_role("button").click()
    shown = page.locator(".secret code")
    expect(shown).to_be_visible(timeout=WAIT)
    key = shown.inner_text()
    other = browser.new_context()
    tab = other.new_page()
    tab.goto(address(platform))
    tab.get_by_label("API key").fill(key)
    tab.get_by_role("button", name="Sign in").click()
    expect(tab.get_by_role("link", name="api", exact=True)).to_be_visible(timeout=WAIT)
    expect(tab.get_by_role("link", name="web", exact=True)).to_have_count(0)
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Revoke browser").click()
    expect(page.get_by_role("button", name="Revoke browser")).to_have_count(0, timeout=WAIT)
    tab.reload()
    expect(tab.get_by_text("Your session is over")).to_be_visible(timeout=WAIT)
    other.close()


def test_a_wrong_key_is_told_plainly(browser: Browser, platform: Platform) -> None:
    context = browser.new_context()
    opened = context.new_page()
    opened.goto(address(platform))
    assert serious(opened) == []
    opened.get_by_label("API key").fill("spk_wrong")
    opened.get_by_role("button", name="Sign in").click()
    expect(opened.get_by_role("alert")).to_contain_text("This key isn't valid", timeout=WAIT)
    context.close()


def test_a_name_that_doesnt_exist_is_answered_with_one_that_does(page: Page, platform: Platform) -> None:
    page.goto(f"{address(platform)}/workloads/{GLOBEX.id}x")
    expect(page.get_by_text("Did you mean")).to_be_visible(timeout=WAIT)
    page.get_by_role("link", name=GLOBEX.id).click()
    expect(page.get_by_role("heading", name=GLOBEX.id)).to_be_visible(timeout=WAIT)
    page.goto(f"{address(platform)}/nothing-here")
    expect(page.get_by_text("There is nothing at")).to_be_visible(timeout=WAIT)


def test_while_the_api_is_away_the_page_keeps_what_it_had_and_goes_on_by_itself(browser: Browser, platform: Platform) -> None:
    context = browser.new_context()
    opened = context.new_page()
    sign_in(opened, platform)
    expect(opened.get_by_role("link", name="api", exact=True)).to_be_visible(timeout=WAIT)
    opened.route("**/v1/**", lambda route: route.abort())
    expect(opened.get_by_role("alert")).to_contain_text("can't be reached", timeout=WAIT)
    expect(opened.get_by_role("link", name="api", exact=True)).to_be_visible()
    opened.unroute("**/v1/**")
    expect(opened.get_by_role("status").filter(has_text="live")).to_be_visible(timeout=WAIT)
    context.close()


def test_an_answer_that_the_console_doesnt_know_leaves_no_empty_page(browser: Browser, platform: Platform) -> None:
    context = browser.new_context()
    opened = context.new_page()
    sign_in(opened, platform)
    opened.route("**/v1/audit/heads**", lambda route: route.fulfill(json={"items": [{"chain": "of a newer API"}]}))
    opened.get_by_role("link", name="Audit").click()
    expect(opened.get_by_text("it may be newer than the page")).to_be_visible(timeout=WAIT)
    context.close()


def test_on_a_small_screen_nothing_is_cut_off_and_the_keyboard_reaches_everything(browser: Browser, platform: Platform) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740})
    opened = context.new_page()
    sign_in(opened, platform)
    for path in [*PAGES, f"/workloads/{GLOBEX.id}"]:
        opened.goto(address(platform) + path)
        expect(opened.get_by_role("status").filter(has_text="live")).to_be_visible(timeout=WAIT)
        assert opened.evaluate("document.documentElement.scrollWidth") <= 360, path
    opened.goto(address(platform))
    expect(opened.get_by_role("status").filter(has_text="live")).to_be_visible(timeout=WAIT)
    opened.keyboard.press("Tab")
    expect(opened.get_by_role("link", name="Skip to the content")).to_be_focused()
    context.close()


def test_what_is_served_is_what_was_built(platform: Platform) -> None:
    dist = ROOT / "components" / "edge" / "console" / "dist"
    assert {path.name for path in dist.iterdir()} == {"console.js", "console.css", "index.html", "icon.svg"}
    assert "http://" not in (Path(dist) / "index.html").read_text()
