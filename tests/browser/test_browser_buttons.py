"""The buttons and the usage in a real browser: their looks, the keyboard, and axe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from accessibility import assert_accessible
from gallery import create_gallery
from live_app import live
from tab import Site, Tab

from flask_openrouter.emulator import run_in_thread

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the test dependencies")
pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")

NAME = "Connect OpenRouter"
HEIGHTS = {"sm": 32, "md": 40, "lg": 48, "xl": 56}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """The gallery instead of the example app."""
    with run_in_thread() as emulator, live(create_gallery(emulator.url)) as url:
        yield Site(url, emulator)


def look_of(button: Any) -> tuple[str, str]:
    """Return the colours that the browser paints: text and background."""
    text, background = button.evaluate(
        "e => { const s = getComputedStyle(e); return [s.color, s.backgroundColor] }"
    )
    return text, background


def test_all_buttons_in_both_colour_schemes(
    open_tab: Callable[..., Tab], site: Site, screenshot: Callable[..., None]
) -> None:
    tab = open_tab(device_scale_factor=2)
    page = tab.page
    page.goto(site.app_url)
    branded = page.get_by_role("link", name=NAME).nth(2)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert page.get_by_role("link", name=NAME, exact=True).count() == 20
        for size, height in HEIGHTS.items():
            boxes = [link.bounding_box() for link in page.locator(f"#{size} a").all()]
            assert [box["height"] for box in boxes] == [height] * 5
            assert boxes[3]["width"] == height
        assert_accessible(tab, scheme)
        branded.hover()
        assert_accessible(tab, f"{scheme}, under the mouse")
        screenshot(tab, f"buttons-{scheme}", "#md")


def test_a_forced_theme_wins_and_a_page_without_themes_stays_light(tab: Tab, site: Site) -> None:
    page = tab.page
    looks = {}
    for path in ("/", "/theme/light", "/theme/dark", "/theme/auto", "/theme/none"):
        page.goto(site.app_url + path)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            tab.wait_for_animations()
            looks[scheme, path] = look_of(page.locator("#md a").first)
            if path != "/":
                assert_accessible(tab, f"{path}, {scheme}")
    light, dark = looks["light", "/"], looks["dark", "/"]
    assert light != dark
    for scheme in ("light", "dark"):
        assert looks[scheme, "/theme/light"] == light
        assert looks[scheme, "/theme/dark"] == dark
        assert looks[scheme, "/theme/auto"] == looks[scheme, "/"]
        assert looks[scheme, "/theme/none"] == light


def test_the_style_of_links_in_the_app_does_not_change_the_buttons(tab: Tab, site: Site) -> None:
    tab.page.goto(site.app_url)
    # White on near black, and white computed from the accent.
    for number, colour in [(2, "rgb(255, 255, 255)"), (4, "oklch(1 0 0)")]:
        button = tab.page.locator("#md a").nth(number)
        before = look_of(button)[0]
        button.hover()
        tab.wait_for_animations()
        assert look_of(button)[0] == before == colour


def test_the_branded_button_is_near_black_on_light_and_near_white_on_dark(
    tab: Tab, site: Site
) -> None:
    for theme, colours in [
        ("light", ("rgb(255, 255, 255)", "rgb(23, 23, 23)")),
        ("dark", ("rgb(23, 23, 23)", "rgb(250, 250, 250)")),
    ]:
        tab.page.goto(f"{site.app_url}/theme/{theme}")
        assert look_of(tab.page.locator("#md a").nth(2)) == colours


def test_buttons_work_from_the_keyboard(tab: Tab, site: Site) -> None:
    tab.page.goto(site.app_url)
    tab.page.keyboard.press("Tab")
    focused = tab.page.locator(":focus-visible")
    assert focused.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
    tab.page.keyboard.press("Enter")
    tab.page.get_by_role("button", name="Approve").click()
    tab.page.wait_for_url(f"{site.app_url}/")


def test_the_usage_is_a_meter_until_the_visitor_disconnects(tab: Tab, site: Site) -> None:
    page = tab.page
    page.goto(f"{site.app_url}/usage")
    assert page.locator("#usage").inner_text() == ""
    page.get_by_role("link", name=NAME).click()
    page.get_by_role("button", name="Approve").click()
    page.wait_for_url(f"{site.app_url}/usage")

    meter = page.get_by_role("meter", name="$20.00 left")
    sync_api.expect(meter).to_be_visible()
    assert meter.evaluate("m => [m.min, m.max, m.value]") == [0, 20, 20]
    assert_accessible(tab)

    page.get_by_role("button", name="Disconnect").click()
    page.wait_for_url(f"{site.app_url}/usage")
    assert page.locator("#usage").inner_text() == ""


def test_the_usage_of_a_deleted_key_offers_to_connect_again(tab: Tab, site: Site) -> None:
    page = tab.page
    page.goto(f"{site.app_url}/theme/none")
    page.locator("#md a").first.click()
    page.get_by_role("button", name="Approve").click()
    page.wait_for_url(f"{site.app_url}/theme/none")
    site.delete_key()

    page.goto(f"{site.app_url}/usage")
    page.get_by_role("link", name="Connect OpenRouter again").click()
    page.get_by_role("button", name="Approve").click()
    page.wait_for_url(f"{site.app_url}/usage")
    sync_api.expect(page.get_by_role("meter", name="$20.00 left")).to_be_visible()
