"""The whole job in a real browser: emulator and example app as processes, Chromium in front."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from tab import Site, Tab

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the test dependencies")

PHONE = {"width": 320, "height": 640}
PROMPT = "How does my own key pay for this answer?"


def test_connect_chat_reload_disconnect(
    tab: Tab, site: Site, screenshot: Callable[..., None]
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
    tab: Tab, site: Site, screenshot: Callable[..., None]
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


def test_dark_and_on_a_phone(open_tab: Callable[..., Tab], screenshot: Callable[..., None]) -> None:
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
