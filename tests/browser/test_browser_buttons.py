"""The pieces for pages in a real browser: how they look, and that everybody can use them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from gallery import create_gallery
from live_app import live
from tab import Site, Tab

from flask_openrouter.emulator import run_in_thread

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the test dependencies")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")

NAME = "Connect OpenRouter"
HEIGHTS = {"sm": 32, "md": 40, "lg": 48, "xl": 56}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """The gallery instead of the example app."""
    with run_in_thread() as emulator, live(create_gallery(emulator.url)) as url:
        yield Site(url, emulator.url)


def assert_accessible(page: Any) -> None:
    """Let axe look for what people could not see, hear or reach."""
    found = axe.Axe().run(page).response["violations"]
    assert found == [], json.dumps(found, indent=1)


def look_of(button: Any) -> tuple[str, str]:
    """The colours that the browser paints: text and background."""
    text, background = button.evaluate(
        "e => { const s = getComputedStyle(e); return [s.color, s.backgroundColor] }"
    )
    return text, background


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_buttons_in_both_themes(
    open_tab: Callable[..., Tab], site: Site, screenshot: Callable[..., None], scheme: str
) -> None:
    tab = open_tab(color_scheme=scheme, device_scale_factor=2)
    page = tab.page
    page.goto(site.app_url)
    assert page.get_by_role("link", name=NAME, exact=True).count() == 20
    for size, height in HEIGHTS.items():
        boxes = [link.bounding_box() for link in page.locator(f"#{size} a").all()]
        assert [box["height"] for box in boxes] == [height] * 5
        assert boxes[3]["width"] == height
    assert_accessible(page)
    page.get_by_role("link", name=NAME).nth(2).hover()
    page.wait_for_timeout(200)
    assert_accessible(page)
    page.mouse.move(0, 0)
    page.wait_for_timeout(200)
    screenshot(tab, f"buttons-{scheme}", "#md")


def test_a_forced_theme_wins_and_a_page_without_themes_stays_light(
    open_tab: Callable[..., Tab], site: Site
) -> None:
    looks = {}
    for scheme in ("light", "dark"):
        page = open_tab(color_scheme=scheme).page
        for path in ("/", "/theme/light", "/theme/dark", "/theme/auto", "/theme/none"):
            page.goto(site.app_url + path)
            looks[scheme, path] = look_of(page.locator("#md a").first)
            assert_accessible(page)
    light, dark = looks["light", "/"], looks["dark", "/"]
    assert light != dark
    for scheme in ("light", "dark"):
        assert looks[scheme, "/theme/light"] == light
        assert looks[scheme, "/theme/dark"] == dark
        assert looks[scheme, "/theme/auto"] == looks[scheme, "/"]
        assert looks[scheme, "/theme/none"] == light


def test_the_links_of_the_app_keep_their_style_and_ours_keep_theirs(tab: Tab, site: Site) -> None:
    tab.page.goto(site.app_url)
    branded = tab.page.locator("#md a").nth(2)
    before = look_of(branded)[0]
    branded.hover()
    tab.page.wait_for_timeout(200)
    assert look_of(branded)[0] == before == "rgb(255, 255, 255)"


def test_buttons_work_from_the_keyboard(tab: Tab, site: Site) -> None:
    tab.page.goto(site.app_url)
    tab.page.keyboard.press("Tab")
    focused = tab.page.locator(":focus-visible")
    assert focused.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
    tab.page.keyboard.press("Enter")
    tab.page.get_by_role("button", name="Approve").click()
    tab.page.wait_for_url(f"{site.app_url}/")


def test_usage_shows_as_a_meter_and_goes_with_the_key(tab: Tab, site: Site) -> None:
    page = tab.page
    page.goto(f"{site.app_url}/usage")
    assert page.locator("#usage").inner_text() == ""
    page.get_by_role("link", name=NAME).click()
    page.get_by_role("button", name="Approve").click()
    page.wait_for_url(f"{site.app_url}/usage")

    meter = page.get_by_role("meter", name="$20.00 left")
    sync_api.expect(meter).to_be_visible()
    assert meter.evaluate("m => [m.min, m.max, m.value]") == [0, 20, 20]
    assert_accessible(page)

    page.get_by_role("button", name="Disconnect").click()
    page.wait_for_url(f"{site.app_url}/usage")
    assert page.locator("#usage").inner_text() == ""


def test_a_dead_key_is_noticed_by_the_usage(tab: Tab, site: Site) -> None:
    page = tab.page
    page.goto(f"{site.app_url}/theme/none")
    page.locator("#md a").first.click()
    page.get_by_role("button", name="Approve").click()
    page.wait_for_url(f"{site.app_url}/theme/none")
    (key,) = site.control("GET", "keys")["data"]
    site.control("DELETE", f"keys/{key['hash']}")

    page.goto(f"{site.app_url}/usage")
    page.get_by_role("link", name="Connect OpenRouter again").click()
    page.get_by_role("button", name="Approve").click()
    page.wait_for_url(f"{site.app_url}/usage")
    sync_api.expect(page.get_by_role("meter", name="$20.00 left")).to_be_visible()
