"""The web console in a real Chromium, on the local platform: every page, sign-in, a move seen to happen, what-if, faults, small screens, accessibility."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from demo.cast import CAST
from domain.catalog import CATALOG
from spotlane import wire
from spotlane.errors import ApiProblem
from spotlane.transport import send
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


def sign_in(page: Page, platform: Platform, how: str = "live") -> None:
    page.goto(address(platform))
    page.get_by_label("API key").fill((platform.stage.home / "platform.key").read_text().strip())
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("status").filter(has_text=how)).to_be_visible(timeout=WAIT)


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


def serious(page: Page, within: str = "html") -> list[str]:
    """What axe finds grave in the element ``within``: rule and the first element."""
    page.evaluate(AXE)
    found: dict[str, Any] = page.evaluate("within => axe.run(within)", within)
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
    tenant, name = GLOBEX.tenant, GLOBEX.workload
    expect(page.get_by_role("group", name="Engine runs")).to_contain_text(f"up placement.{tenant}.{name}.", timeout=WAIT)
    expect(page.get_by_text("Nothing caps it.")).to_be_visible(timeout=WAIT)
    assert serious(page) == []


def test_a_workloads_page_tells_its_caps_and_its_tenants_and_what_they_have_raised(page: Page, platform: Platform) -> None:
    shared = {"month": "2026-03", "usdPerHour": 0.05, "hoursLeft": 200, "unknownHours": 0}
    caps = [
        {"owner": GLOBEX.tenant, "capUsd": 500, "paidUsd": 120, "projectedUsd": 130, "standing": "within", **shared},
        {"owner": GLOBEX.id, "capUsd": 40, "paidUsd": 33, "projectedUsd": 43, "standing": "headed-over", **shared},
        {"owner": "another-globex", "capUsd": 7, "paidUsd": 1, "projectedUsd": 2, "standing": "within", **shared},
    ]
    raised = {"owner": GLOBEX.id, "tenant": GLOBEX.tenant, "workload": GLOBEX.id, "month": "2026-03", "percent": 80}
    raised |= {"capUsd": 40, "paidUsd": 32.5, "projectedUsd": 43, "marketAt": "2026-03-20T10:00:00Z", "raisedAt": "2026-03-20T10:00:01Z"}
    page.route("**/v1/spend**", lambda route: route.fulfill(json={"marketNow": "2026-03-21T00:00:00Z", "items": caps}))
    page.route("**/v1/alerts**", lambda route: route.fulfill(json={"items": [raised], "next": None}))
    page.goto(f"{address(platform)}/workloads/{GLOBEX.id}")
    told = page.get_by_role("group", name="Monthly caps")
    expect(told).to_contain_text("headed over it", timeout=WAIT)
    expect(told).to_contain_text("$500.00")
    expect(told).not_to_contain_text("another-globex")
    expect(page.get_by_role("group", name="Alerts of caps")).to_contain_text("80 %")
    assert serious(page) == []


def test_a_machines_log_is_followed_as_plain_text_with_what_was_lost(page: Page, platform: Platform) -> None:
    workload = platform.edge.workload(GLOBEX.id)
    assert workload.placement is not None
    machine = workload.placement.id
    token = platform.edge.placement_credentials(machine).access_token

    def tell(first: int, *lines: tuple[str, str]) -> None:
        entries = [{"at": "2026-03-20T10:05:07.250Z", "unit": unit, "message": message} for unit, message in lines]
        batch = {"placement": machine, "first": first, "lines": entries}
        answer = send(platform.edge.http, "edge API", "POST", f"{platform.edge.api_url}/logs", headers={"authorization": f"Bearer {token}"}, json=batch)
        assert answer.json() == {"next": first + len(lines)}

    page.clock.install()
    page.goto(f"{address(platform)}/workloads/{GLOBEX.id}")
    section = page.locator("section", has=page.get_by_role("heading", name="Machine log"))
    expect(section).to_contain_text("doesn't tell what it writes. Put logs: true into the workload's file", timeout=WAIT)
    platform.edge.put_workload(GLOBEX.id, workload.spec.model_copy(update={"logs": True}))
    try:
        expect(section).to_contain_text(f"{machine} has written nothing yet.", timeout=WAIT)
        tell(1, ("agent", "up"))
        page.clock.run_for(2000)
        lines = page.get_by_role("log", name=f"Lines of {machine}").locator("> div")
        expect(lines).to_have_text(["03-20 10:05:07 agent up"], timeout=WAIT)
        tell(3, ("workload", "<b>bold</b> \x1b[2J"))
        page.clock.run_for(2000)
        expect(lines).to_have_text(["03-20 10:05:07 agent up", "1 line was lost", "03-20 10:05:07 workload <b>bold</b> \\x1b[2J"], timeout=WAIT)
    finally:
        platform.edge.put_workload(GLOBEX.id, workload.spec)
    assert serious(page, "section:has(.log)") == []
    expect(section.get_by_label("Machine", exact=True)).to_have_value(machine)
    section.get_by_label("Unit").select_option("agent")
    with page.expect_download() as saved:
        section.get_by_role("button", name="Save").click()
    assert saved.value.path().read_text() == "2026-03-20T10:05:07.250Z agent    up\n-- 1 line was lost --\n"
    section.get_by_role("button", name="Close").click()
    expect(lines).to_have_count(0)


def test_each_rule_says_what_it_asks_and_which_exemptions_hold(page: Page, platform: Platform) -> None:
    document = {
        "exemptions": [
            {"rule": "encryption", "resource": "scratch-*", "owner": "ops", "reason": "a cache", "expires": "2999-12-31"},
            {"rule": "encryption", "resource": "old-*", "owner": "ops", "reason": "a cache", "expires": "2020-12-31"},
        ]
    }
    held = [one.model_dump(mode="json", by_alias=True) for one in platform.edge.tenants() if one.id == GLOBEX.tenant]
    held[0]["boundary"] |= document
    page.route("**/v1/tenants?**", lambda route: route.fulfill(json={"items": held, "next": None}))
    page.goto(f"{address(platform)}/boundaries")
    rules = page.get_by_role("group", name=f"Rules of {GLOBEX.tenant}")
    expect(rules).to_contain_text("data stays in the jurisdiction of gdpr", timeout=WAIT)
    expect(rules.get_by_role("row").filter(has_text="encryption")).to_contain_text("1, the last until 2999-12-31 23:59")
    expect(rules.get_by_role("row").filter(has_text="account")).to_contain_text("can't be exempted")
    expect(page.get_by_role("group", name=f"Exemptions of {GLOBEX.tenant}")).to_contain_text("has ended")
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
    runs = page.get_by_role("group", name="Engine runs")
    expect(runs).to_be_visible(timeout=WAIT)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(urlsplit(request.url).path + "?" + urlsplit(request.url).query))

    def seen() -> None:
        expect(page.get_by_role("heading", name="Under way")).to_be_visible(timeout=WAIT)
        expect(runs.get_by_role("row").nth(1)).to_contain_text(re.compile("queued|running|succeeded"), timeout=WAIT)

    migration = moved(platform, elsewhere, seen)
    assert migration.decision.offer is not None
    there = migration.decision.offer
    expect(page.get_by_text(f"{there.cloud.upper()} {there.region}").first).to_be_visible(timeout=WAIT)
    expect(page.get_by_role("heading", name="Under way")).to_be_hidden(timeout=WAIT)
    expect(runs).to_contain_text(f"up placement.{GLOBEX.tenant}.{GLOBEX.workload}.{migration.id.rpartition('_')[2]}", timeout=WAIT)
    # Told, not polled: only what has changed was asked for, no list again and again.
    assert f"/v1/workloads/{GLOBEX.id}?" in asked
    assert f"/v1/migrations/{migration.id}?" in asked
    assert [one for one in asked if one.startswith(("/v1/workloads?", "/v1/migrations?"))] == []


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
    tab.goto("about:blank")  # else its own stream may have signed it out before it comes again
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Revoke browser").click()
    expect(page.get_by_role("button", name="Revoke browser")).to_have_count(0, timeout=WAIT)
    tab.goto(address(platform))
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


def test_without_the_stream_it_asks_again_and_while_the_api_is_away_keeps_what_it_had(browser: Browser, platform: Platform) -> None:
    context = browser.new_context()
    opened = context.new_page()
    opened.route("**/v1/changes", lambda route: route.abort())
    sign_in(opened, platform, "every 2 s")
    expect(opened.get_by_role("link", name="api", exact=True)).to_be_visible(timeout=WAIT)
    opened.route("**/v1/**", lambda route: route.abort())
    expect(opened.get_by_role("alert")).to_contain_text("can't be reached", timeout=WAIT)
    expect(opened.get_by_role("link", name="api", exact=True)).to_be_visible()
    opened.unroute_all()
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


FOCUSED = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const style = getComputedStyle(one);
  const box = one.getBoundingClientRect();
  const seen = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 && box.width > 0 && box.height > 0;
  return [window.reachable.indexOf(one), seen, one.outerHTML.slice(0, 120)];
}"""
REACHABLE = """() => {
  window.reachable = [...document.querySelectorAll("a[href], button:not([disabled]), input, select, textarea, [tabindex='0']")];
  return window.reachable.map((one) => one.outerHTML.slice(0, 120));
}"""
FROM_THE_TOP = """() => {
  document.body.tabIndex = -1;
  document.body.focus();  // the next Tab goes on from here, not from what had the focus last
  document.body.removeAttribute("tabindex");
  scrollTo(0, 0);
}"""


def walk(page: Page) -> None:
    """From the page's top to its end by Tab: everything that can be operated is reached, in the page's own order, and is seen to have the focus."""
    for _ in range(5):
        page.evaluate(FROM_THE_TOP)
        names = page.evaluate(REACHABLE)
        reached: list[int] = []
        unseen: list[str] = []
        for _ in range(len(names) + 2):
            page.keyboard.press("Tab")
            focused = page.evaluate(FOCUSED)
            if focused is None or focused[0] in reached:
                break
            place, seen, html = focused
            reached.append(place)
            unseen += [] if seen else [html]
        if page.evaluate(REACHABLE) == names:  # else something came meanwhile, and there are new places to go
            break
    assert unseen == [], "where the focus isn't seen"
    assert [names[one] for one in range(len(names)) if one not in reached] == []
    assert reached == sorted(reached)


def test_the_whole_console_is_walked_and_operated_by_keyboard(browser: Browser, platform: Platform) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    page.goto(address(platform))
    expect(page.get_by_label("API key")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_label("API key")).to_be_focused()
    page.keyboard.type((platform.stage.home / "platform.key").read_text().strip())
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="live")).to_be_visible(timeout=WAIT)
    for path, shows in [*PAGES.items(), (f"/workloads/{GLOBEX.id}", "Where it was")]:
        page.goto(address(platform) + path)
        expect(page.get_by_text(shows).first).to_be_visible(timeout=WAIT)
        expect(page.get_by_role("status").filter(has_text="live")).to_be_visible(timeout=WAIT)
        walk(page)
    page.goto(address(platform))
    expect(page.get_by_role("status").filter(has_text="live")).to_be_visible(timeout=WAIT)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    world = page.get_by_role("listbox", name="World map. ")
    expect(world.get_by_role("option").nth(len(CAST))).to_be_attached(timeout=WAIT)  # the prices are there, too
    world.focus()
    busiest = world.get_by_role("option", selected=True)
    expect(busiest).to_contain_text("here", timeout=WAIT)
    here = busiest.text_content()
    page.keyboard.press("Home")
    expect(world.get_by_role("option", selected=True)).not_to_have_text(here or "-")
    expect(world.get_by_role("option").first).to_have_attribute("aria-selected", "true")
    expect(page.locator("figcaption").first).to_contain_text(world.get_by_role("option").first.text_content() or "-")
    for _ in range(world.get_by_role("option").count()):
        page.keyboard.press("ArrowRight")
        if world.get_by_role("option", selected=True).text_content() == here:
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/workloads**")
    page.go_back()
    page.get_by_role("button", name="Theme").focus()
    before = page.evaluate("document.documentElement.dataset.theme ?? ''")
    page.keyboard.press("Space")
    page.wait_for_function("before => document.documentElement.dataset.theme !== before", arg=before)
    page.get_by_role("link", name="Tenants").focus()
    page.keyboard.press("Enter")
    expect(page.locator("main h1, main h2").first).to_be_focused()
    form = page.locator("section", has=page.get_by_role("heading", name="Globex")).locator("form")
    form.get_by_label("Name of a new key").focus()
    page.keyboard.type("by-keyboard")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Done").focus()
    page.keyboard.press("Enter")
    page.wait_for_function("document.activeElement.textContent.trim() === 'Keys'")
    revoke = page.get_by_role("button", name="Revoke by-keyboard")
    page.once("dialog", lambda dialog: dialog.dismiss())
    revoke.focus()
    page.keyboard.press("Enter")
    expect(revoke).to_be_focused()
    page.once("dialog", lambda dialog: dialog.accept())
    page.keyboard.press("Enter")
    expect(revoke).to_have_count(0, timeout=WAIT)
    page.wait_for_function("document.activeElement.textContent.trim() === 'Keys'")
    # The focus is not taken from who has gone on before the page was drawn.
    page.get_by_role("link", name="Boundaries").evaluate(
        "link => (link.click(), [...document.querySelectorAll('button')].find(one => one.textContent === 'Theme').focus())"
    )
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    expect(page.get_by_role("button", name="Theme")).to_be_focused()
    box = page.get_by_label(f"What if the boundary of {GLOBEX.tenant} were")
    box.focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("{")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.locator("form", has=box).get_by_role("alert")).to_contain_text("isn't JSON", timeout=WAIT)
    context.close()


def test_on_a_small_screen_nothing_is_cut_off(browser: Browser, platform: Platform) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740})
    opened = context.new_page()
    sign_in(opened, platform)
    for path in [*PAGES, f"/workloads/{GLOBEX.id}"]:
        opened.goto(address(platform) + path)
        expect(opened.get_by_role("status").filter(has_text="live")).to_be_visible(timeout=WAIT)
        assert opened.evaluate("document.documentElement.scrollWidth") <= 360, path
    context.close()


def test_what_is_served_is_what_was_built(platform: Platform) -> None:
    dist = ROOT / "components" / "edge" / "console" / "dist"
    assert {path.name for path in dist.iterdir()} == {"console.js", "console.css", "index.html", "icon.svg"}
    assert "http://" not in (Path(dist) / "index.html").read_text()
