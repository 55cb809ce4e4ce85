"""The example app in a browser, before a visitor connects: questions on the app's own key."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from accessibility import assert_accessible
from chat_visitor import example_at
from flask import Flask
from live_app import live
from tab import Site, Tab

from flask_openrouter.emulator import Emulator, run_in_thread

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the test dependencies")
pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
expect = sync_api.expect


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with run_in_thread() as emulator:
        yield emulator


@pytest.fixture(scope="module")
def app(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Flask:
    return example_at(emulator.url, tmp_path_factory.mktemp("trial"))


@pytest.fixture(scope="module")
def site(app: Flask, emulator: Emulator) -> Iterator[Site]:
    with live(app, "localhost") as url:
        yield Site(url, emulator)


def test_a_visitor_asks_for_free_and_then_connects(tab: Tab, site: Site, app: Flask) -> None:
    key = site.emulator.issue_key(openrouter_user_id="user_app")
    app.config.update(CHAT_FREE_KEY=key, CHAT_FREE_QUESTIONS=1)
    page = tab.page
    page.goto(site.app_url)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert_accessible(tab, f"trial, {scheme}")
    page.get_by_label("Or ask first, for free").fill("Tell me **something**")
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_role("region", name="Tell me something")).to_contain_text("something")
    expect(page.get_by_text("You have used the free questions of today")).to_be_visible()
    assert_accessible(tab, "trial, answered")
    page.get_by_role("link", name="Connect OpenRouter").click()
    page.get_by_role("button", name="Approve").click()
    page.wait_for_url(f"{site.app_url}/")
    expect(page.get_by_label("Message", exact=True)).to_be_visible()
