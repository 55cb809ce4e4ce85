"""The main path in three engines: Chromium, Firefox and WebKitGTK."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from chromium import Chromium
from doc_blocks import ROOT, blocks
from engines import Driver, Visitor, Window
from firefox import firefox
from flask import Flask, Response, render_template_string
from gallery import create_gallery
from live_app import live
from tab import Site
from visitor import fingerprint
from webkit import webkit

from flask_openrouter import current_openrouter, requires_openrouter_key
from flask_openrouter.emulator import run_in_thread

PAGE = """<!doctype html>
<html lang="en">
<title>App</title>
<link rel="icon" href="data:,">
<script type="module" src="/popup.js"></script>
{{ openrouter_styles() }}
{{ openrouter_disconnect_button(next="/home") if current_openrouter else openrouter_button() }}
"""
POLICY = "default-src 'self'; img-src data:; form-action 'self'"
#: Workers that fetch each page themselves, as many do. With options, WebKit sends a callback twice.
WORKER = "addEventListener('fetch', (event) => event.respondWith(fetch(event.request%s)));"
WORKERS = {"plain": "", "options": ", {headers: Object.fromEntries(event.request.headers)}"}
(POPUP,) = (
    block.code
    for block in blocks("js")
    if block.page == ROOT / "docs" / "frontend.md" and "window.open" in block.code
)


def create_app(emulator_url: str) -> Flask:
    app = create_gallery(emulator_url)
    scripts = {name: WORKER % options for name, options in WORKERS.items()}
    scripts["popup"] = POPUP

    @app.get("/home")
    def home() -> Response:
        return Response(render_template_string(PAGE), headers={"Content-Security-Policy": POLICY})

    @app.get("/guarded")
    @requires_openrouter_key
    def guarded() -> str:
        return f"key {fingerprint(current_openrouter.api_key)}"

    @app.get("/<name>.js")
    def script(name: str) -> Response:
        headers = {"Content-Security-Policy": POLICY}
        return Response(scripts[name], mimetype="text/javascript", headers=headers)

    return app


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    # The app is on "localhost", and OpenRouter on 127.0.0.1: two sites.
    with run_in_thread() as emulator, live(create_app(emulator.url), "localhost") as url:
        yield Site(url, emulator)


ENGINES = ("chromium", "firefox", "webkit")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Take every engine through one login, and with ``--every-variant`` through all tests."""
    is_full = metafunc.config.getoption("every_variant")
    if "new_driver" in metafunc.fixturenames:
        if (
            not is_full
            and metafunc.function is not test_the_guard_connects_and_a_button_disconnects
        ):
            metafunc.parametrize("new_driver", ENGINES[:1], indirect=True, scope="module")
        else:
            metafunc.parametrize("new_driver", ENGINES, indirect=True, scope="module")


@pytest.fixture(scope="module")
def new_driver(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], Driver]]:
    if request.param == "chromium":
        browser = request.getfixturevalue("browser")
        yield lambda: Chromium(browser)
    else:
        engine = {"firefox": firefox, "webkit": webkit}[request.param]
        with engine(tmp_path_factory.mktemp(request.param)) as new:
            yield new


@pytest.fixture
def visitor(new_driver: Callable[[], Driver], site: Site) -> Iterator[Visitor]:
    site.emulator.reset()
    with closing(new_driver()) as driver:
        yield Visitor(driver)


def approve(window: Window, site: Site) -> None:
    window.wait_for(f"location.href.startsWith('{site.emulator.url}/auth?')")
    window.click("Approve")


def see_guarded_page(window: Window, site: Site) -> None:
    window.wait_for_url(f"{site.app_url}/guarded")
    window.wait_for_text("key ")


def test_the_guard_connects_and_a_button_disconnects(visitor: Visitor, site: Site) -> None:
    window = visitor.window
    window.open(f"{site.app_url}/guarded")
    approve(window, site)
    see_guarded_page(window, site)

    window.open(f"{site.app_url}/home")
    window.click("Disconnect")
    window.wait_for_text("Connect OpenRouter")
    window.open(f"{site.app_url}/guarded")
    window.wait_for(f"location.href.startsWith('{site.emulator.url}/auth?')")
    assert site.emulator.count("POST", "/api/v1/auth/keys") == 1


@pytest.mark.requirement("W18", "A4")
def test_a_popup_stays_one_after_a_refusal(visitor: Visitor, site: Site) -> None:
    window = visitor.window
    window.open(f"{site.app_url}/home")
    window.click("Connect OpenRouter")
    popup = visitor.wait_for_windows(2)
    popup.click("Deny")
    popup.wait_for_text("You declined")
    popup.click("Try again")
    approve(popup, site)
    visitor.wait_for_windows(1)
    window.wait_for_text("Disconnect")
    assert window.run("location.pathname") == "/home"


@pytest.mark.requirement("W1", "W8")
@pytest.mark.parametrize("worker", WORKERS)
def test_a_login_goes_through_a_service_worker_of_the_app(
    visitor: Visitor, site: Site, worker: str
) -> None:
    window = visitor.window
    window.open(f"{site.app_url}/home")
    ready = f"navigator.serviceWorker.register('/{worker}.js')"
    window.wait_for(f"{ready}.then(() => navigator.serviceWorker.ready).then(Boolean)")
    window.open(f"{site.app_url}/guarded")
    approve(window, site)
    see_guarded_page(window, site)
    assert window.run("Boolean(navigator.serviceWorker.controller)")
    assert site.emulator.count("POST", "/api/v1/auth/keys") == 1


@pytest.mark.requirement("W20")
def test_the_buttons_have_their_sizes(visitor: Visitor, site: Site, tmp_path: Path) -> None:
    window = visitor.window
    window.open(site.app_url)
    heights = "[...document.querySelectorAll('p a')].map((a) => a.getBoundingClientRect().height)"
    expected = [height for height in (32, 40, 48, 56) for _ in range(5)]
    assert window.run(heights) == expected
    assert window.run("document.documentElement.style.fontSize = '10px'")
    assert window.run(heights) == expected
    # For a person who wants to look: pytest --basetemp=…
    (tmp_path / "buttons.png").write_bytes(window.driver.screenshot(window.handle))
