"""The extension's pages in other languages, as a browser shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from accessibility import assert_accessible
from gallery import create_gallery
from live_app import live
from tab import Site, Tab

from flask_openrouter.emulator import run_in_thread
from flask_openrouter.languages import LANGUAGES

pytest.importorskip("playwright.sync_api", reason="needs the test dependencies")
PHONE = {"width": 320, "height": 640}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """The gallery instead of the example app."""
    with run_in_thread() as emulator, live(create_gallery(emulator.url)) as url:
        yield Site(url, emulator)


@pytest.mark.parametrize(
    "name",
    [
        name if name == "de" else pytest.param(name, marks=pytest.mark.every_variant)
        for name in LANGUAGES
    ],
)
def test_a_page_in_the_language_of_the_browser_fits_a_phone(
    open_tab: Callable[..., Tab], site: Site, screenshot: Callable[..., None], name: str
) -> None:
    tag = name.replace("_", "-")
    tab = open_tab(viewport=PHONE, locale=tag)
    tab.expected.append("400")
    for path in ("/openrouter/code", "/openrouter/disconnected", "/openrouter/callback?state=1"):
        tab.page.goto(site.app_url + path)
        assert tab.page.locator("html").get_attribute("lang") == tag
        assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert_accessible(tab, path)
        if path == "/openrouter/code" and name in ("de", "fr"):
            screenshot(tab, f"code-{name}", "main")
