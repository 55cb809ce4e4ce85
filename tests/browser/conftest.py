"""Chromium, and the example app with an emulator as processes."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from components import require
from tab import Site, Tab

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


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    logs = tmp_path_factory.mktemp("logs")
    environ = {k: v for k, v in os.environ.items() if not k.startswith("FLASK_")}
    with ExitStack() as stack:

        def start(module: str, *options: str) -> str:
            with closing(socket.create_server(("127.0.0.1", 0))) as listener:
                port = listener.getsockname()[1]
            log = stack.enter_context((logs / module).open("wb"))
            process = subprocess.Popen(
                [sys.executable, "-m", module, "--port", str(port), *options],
                cwd=ROOT,
                env=environ,
                stdout=log,
                stderr=log,
            )
            stack.callback(process.wait, 10)
            stack.callback(process.terminate)
            _wait_for(port, process, logs / module)
            return f"http://localhost:{port}"

        # Both on "localhost", where they share the browser's cookies.
        emulator_url = start("flask_openrouter.emulator", "--word-delay", "0.03")
        yield Site(start("example_app", "--emulator-url", emulator_url), emulator_url)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"{process.args} did not start: {log.read_text()}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs the test dependencies")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        require("chromium", "not on PATH (apt install chromium)")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def open_tab(browser: Any, site: Site) -> Iterator[Callable[..., Tab]]:
    """Open tabs of new visitors. Whatever they complain of fails the test."""
    site.control("POST", "reset")
    tabs = []

    def open_one(**options: object) -> Tab:
        context = browser.new_context(viewport=DESKTOP, **options)
        context.set_default_timeout(10_000)
        tab = Tab(context.new_page(), site)
        tab.watch()
        tabs.append(tab)
        return tab

    yield open_one
    for tab in tabs:
        tab.page.context.close()
        assert tab.unexpected() == []


@pytest.fixture
def tab(open_tab: Callable[..., Tab]) -> Tab:
    return open_tab()


@pytest.fixture
def screenshot(tmp_path: Path) -> Callable[..., None]:
    wanted = os.environ.get("UPDATE_SCREENSHOTS") == "1"
    folder = ROOT / "docs" / "images" if wanted else tmp_path
    folder.mkdir(parents=True, exist_ok=True)

    def take(tab: Tab, name: str, selector: str | None = None) -> None:
        subject = tab.page if selector is None else tab.page.locator(selector)
        subject.screenshot(path=folder / f"{name}.png", animations="disabled", caret="hide")

    return take
