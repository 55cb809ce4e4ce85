"""Chromium, and the example app with a model whose answers a test can hold."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chat_visitor import example_at
from components import require
from held_model import HeldModel, held_model
from live_app import PATIENCE, live
from tab import PATIENCE_MS, Site, Tab

from example_app import chat, highlight

ROOT = Path(__file__).parents[2]
CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
DESKTOP = {"width": 1120, "height": 930}


@pytest.fixture(scope="module", autouse=True)
def colours_take_their_time() -> Iterator[None]:
    """A slow machine would leave out the colours of code, which these tests look at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(highlight, "MAX_TIME", 3600)
        yield


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("chat")
    with (
        pytest.MonkeyPatch.context() as patch,
        # Both on "localhost", where they share the browser's cookies.
        held_model("localhost") as model,
        live(example_at(model.emulator.url, folder), "localhost") as app_url,
    ):
        # A question after "Stop" waits as long as this machine takes to notice the stop.
        patch.setattr(chat, "PATIENCE", PATIENCE)
        yield Site(app_url, model.emulator, model, folder / "chat.db")


# One browser for this folder, which is why the folder is a package. Playwright's event loop runs
# until the browser is closed, and while it runs, no other test of this process can use asyncio.
@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs the test dependencies")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        require("chromium", "not on PATH (apt install chromium)")
    sync_api.expect.set_options(timeout=PATIENCE_MS)
    with sync_api.sync_playwright() as playwright:
        # A busy machine needs half a minute for this alone.
        browser = playwright.chromium.launch(
            executable_path=program, args=CHROMIUM_OPTIONS, timeout=4 * PATIENCE_MS
        )
        yield browser
        browser.close()


@pytest.fixture
def open_tab(browser: Any, site: Site) -> Iterator[Callable[..., Tab]]:
    """Open tabs of new visitors. Errors, warnings and foreign requests in them fail the test."""
    site.emulator.reset()
    tabs = []

    def open_one(**options: object) -> Tab:
        context = browser.new_context(**{"viewport": DESKTOP, **options})
        context.set_default_timeout(PATIENCE_MS)
        tab = Tab(context.new_page(), site)
        tab.watch()
        tabs.append(tab)
        return tab

    yield open_one
    if site.model:
        site.model.release()
    for tab in tabs:
        tab.page.context.close()
        assert tab.unexpected() == []


@pytest.fixture
def tab(open_tab: Callable[..., Tab]) -> Tab:
    return open_tab()


@pytest.fixture
def model(site: Site) -> HeldModel:
    """The model of the example app."""
    assert site.model is not None
    return site.model


@pytest.fixture
def screenshot(tmp_path: Path) -> Callable[..., None]:
    wanted = os.environ.get("UPDATE_SCREENSHOTS") == "1"
    folder = ROOT / "docs" / "images" if wanted else tmp_path
    folder.mkdir(parents=True, exist_ok=True)

    def take(tab: Tab, name: str, selector: str | None = None) -> None:
        tab.page.mouse.move(0, 0)
        tab.wait_for_animations()
        subject = tab.page if selector is None else tab.page.locator(selector)
        subject.screenshot(path=folder / f"{name}.png", animations="disabled", caret="hide")

    return take
