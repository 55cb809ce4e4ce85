"""The example app in a real browser, from the first visit to the last."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chat_visitor import CHAT, answered
from held_model import HeldModel
from tab import Site, Tab

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the test dependencies")
expect = sync_api.expect

PROMPT = "How does my own key pay for this answer?"
ANSWER = ".message.assistant .text"


def choose_model(page: Any, search: str) -> None:
    page.get_by_role("button", name="Model:").click()
    page.get_by_role("combobox", name="Search models").fill(search)
    page.keyboard.press("Enter")


def test_a_visitor_connects_chats_exports_and_disconnects(
    tab: Tab, site: Site, model: HeldModel, screenshot: Callable[..., None], tmp_path: Path
) -> None:
    page = tab.page
    # The first page explains what connecting means.
    page.goto(site.app_url)
    expect(page.get_by_text("spending limit of $5")).to_be_visible()
    page.get_by_role("link", name="Connect OpenRouter").click()
    page.wait_for_url(f"{site.emulator.url}/auth?**")
    screenshot(tab, "consent")
    page.get_by_role("button", name="Approve").click()
    page.wait_for_url(f"{site.app_url}/")

    # Ask, and stop in the middle of the answer.
    tab.wait_until_ready()
    model.hold(after="question")
    tab.send(PROMPT)
    page.locator(ANSWER, has_text="question").wait_for()
    page.get_by_role("button", name="Stop").click()
    stopped = tab.wait_for_answer()
    model.release()
    expect(page.locator(".assistant .note")).to_have_text("Stopped · price not reported")
    assert page.evaluate("document.activeElement.id") == "prompt"
    page.wait_for_url(re.compile(r"/c/[\w-]{16}$"))
    expect(page.locator("#conversations [aria-current]")).to_have_text(PROMPT)

    # Try again: the whole answer replaces the half one, with its price.
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".assistant .note")).to_have_text(re.compile(r"^\$0\.0\d+ · \d+ tokens$"))
    whole = tab.wait_for_answer()
    assert PROMPT in whole
    assert len(whole) > len(stopped)
    expect(page.get_by_role("status").first).to_contain_text("Answer finished · $0.0")

    # Another model, another question.
    choose_model(page, "claude-sonnet-4.5")
    expect(page.locator("#model-name")).to_have_text("Claude Sonnet 4.5")
    tab.send("And what happens when I disconnect?")
    tab.wait_for_answer(2)
    expect(page.locator(".assistant .author").last).to_have_text("Claude Sonnet 4.5")
    first, second = (dollars(page, n) for n in (0, 1))
    total = float(page.locator("#totals").inner_text().split()[0].lstrip("$"))
    assert total == pytest.approx(first + second, rel=0.1), "rounded"

    # After a reload everything is still there, and the model is remembered.
    page.reload()
    assert tab.wait_for_answer(2)
    expect(page.locator("#model-name")).to_have_text("Claude Sonnet 4.5")
    assert site.emulator.count("POST", CHAT) == 3

    # The spending, as a chart and as a table.
    page.get_by_role("link", name="Usage").click()
    expect(page.get_by_role("img", name="Bars of what was spent")).to_be_visible()
    assert page.locator(".chart rect").count() == 1
    page.get_by_text("The same as a table").click()
    expect(page.get_by_role("table").first.get_by_role("row")).to_have_count(2)
    expect(page.get_by_role("row", name="Claude Sonnet 4.5")).to_be_visible()
    expect(page.locator("meter")).to_be_visible()

    # Rename the conversation and export it. The old title is selected, so typing replaces it.
    page.get_by_role("link", name=PROMPT).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(PROMPT)
    tab.wait_until_ready()
    page.get_by_role("button", name="This conversation").click()
    page.get_by_role("button", name="Rename").click()
    page.keyboard.type("Who pays")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Who pays")
    page.get_by_role("button", name="This conversation").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Export as Markdown").click()
    assert download.value.suggested_filename == "Who-pays.md"
    download.value.save_as(tmp_path / "export.md")
    assert "## Claude Sonnet 4.5" in (tmp_path / "export.md").read_text()

    # Disconnecting explains what it does and what it does not do.
    page.keyboard.press("Escape")
    page.get_by_role("link", name=re.compile("sk-or-v1-…")).click()
    page.get_by_label("Delete my conversations as well").check()
    page.get_by_role("button", name="Disconnect").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Disconnected")
    expect(page.get_by_text("The key still exists at OpenRouter")).to_be_visible()
    page.get_by_role("link", name="Connect again").click()
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("Your conversations will be listed here")).to_be_visible()


def dollars(page: Any, number: int) -> float:
    return float(page.locator(".assistant .note").nth(number).inner_text().split()[0].lstrip("$"))


def test_a_visitor_who_denies_can_try_again(
    tab: Tab, site: Site, screenshot: Callable[..., None]
) -> None:
    tab.expected.append(r"status of 400 .*/openrouter/callback")
    page = tab.page
    page.goto(site.app_url)
    page.get_by_role("link", name="Connect OpenRouter").click()
    page.get_by_role("button", name="Deny").click()
    page.wait_for_url(f"{site.app_url}/openrouter/callback**")
    expect(page.get_by_role("heading", level=1)).to_have_text("You declined")
    page.set_viewport_size({"width": 1120, "height": 480})
    screenshot(tab, "error")
    page.get_by_role("link", name="Try again").click()
    page.get_by_role("button", name="Approve").click()
    page.wait_for_url(f"{site.app_url}/")


def test_everything_works_from_the_keyboard(tab: Tab, site: Site, model: HeldModel) -> None:
    page = tab.page
    page.goto(site.app_url)
    _tab_to(page, "Connect OpenRouter")
    page.keyboard.press("Enter")
    page.wait_for_url("**/auth?**")
    _tab_to(page, "Approve")
    page.keyboard.press("Enter")
    tab.wait_until_ready()
    assert page.evaluate("document.activeElement.id") == "prompt"
    model.hold(after="Thank")
    page.keyboard.type("one")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    assert page.get_by_label("Message", exact=True).input_value() == "one\ntwo"
    page.keyboard.press("Enter")
    page.locator(ANSWER, has_text="Thank").wait_for()
    page.keyboard.press("Escape")
    expect(page.locator(".assistant .note")).to_contain_text("Stopped")
    model.release()
    assert page.evaluate("document.activeElement.id") == "prompt"

    _tab_to(page, "Model:")
    page.keyboard.press("Enter")
    page.keyboard.type("llama-3.3-70b-instruct")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#model-name")).to_have_text("Llama 3.3 70B Instruct")
    assert page.evaluate("document.activeElement.id") == "model"

    _tab_to(page, "Edit", "Shift+Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("three")
    page.keyboard.press("Enter")
    expect(page.locator(ANSWER)).to_contain_text("three")
    tab.wait_for_answer()
    for name in ("Copy", "This conversation", "Skip to the content"):
        _tab_to(page, name, "Shift+Tab")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    _tab_to(page, "Key")
    page.keyboard.press("Enter")
    page.wait_for_url("**/account")
    _tab_to(page, "Disconnect")
    page.keyboard.press("Enter")
    page.wait_for_url("**/disconnected**")


def _tab_to(page: Any, name: str, key: str = "Tab") -> None:
    words = "(e => e.ariaLabel || e.textContent.trim())(document.activeElement)"
    for _ in range(40):
        page.keyboard.press(key)
        if page.evaluate(words).startswith(name):
            return
    raise AssertionError(f"{name} cannot be reached with the key {key}")


@pytest.mark.requirement("R108")
def test_hostile_answers_stay_inert(tab: Tab) -> None:
    """The emulator's models quote the question. Foreign requests and errors fail the test."""
    hostile = (
        "<img src=x onerror=alert(1)><script>alert(1)</script> [x](javascript:alert(1)) "
        "![](https://evil.example/?d=1) <a href=https://evil.example>x</a>"
    )
    tab.page.on("dialog", lambda dialog: tab.complaints.append(f"dialog: {dialog.message}"))
    tab.connect()
    tab.send(hostile)
    for _ in range(2):
        assert "<script>alert(1)</script>" in tab.wait_for_answer()
        assert tab.page.locator("#log").locator("img, script, iframe, form").count() == 0
        links = tab.page.locator(f"{ANSWER} a")
        words = [link.inner_text() for link in links.all()]
        assert words == ["Image: without description", "https://evil.example"], "images are links"
        for link in links.all():
            assert "noopener" in str(link.get_attribute("rel"))
        tab.page.reload()


def test_markdown_is_shown_as_it_arrives(tab: Tab, model: HeldModel) -> None:
    tab.connect()
    model.hold(after="two")
    tab.send("Look:\n\n- **one**\n- two\n\n```python\nx = 1  # note\n```\n\nDone")
    page = tab.page
    page.locator(f"{ANSWER} li strong").wait_for()
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    expect(page.locator(".code")).to_have_count(0)
    model.release()
    tab.wait_for_answer()
    live = page.locator(ANSWER).inner_html()
    page.reload()
    tab.wait_for_answer()
    assert page.locator(ANSWER).inner_html() == live, "the same as when it was rendered at once"
    expect(page.locator(".code .mi")).to_have_text("1")


def test_screen_readers_hear_paragraphs_and_not_every_word(tab: Tab) -> None:
    tab.connect()
    page = tab.page
    page.evaluate("""() => {
        window.heard = [];
        new MutationObserver((records) => records.forEach((r) => r.addedNodes.forEach((n) =>
            window.heard.push(n.textContent)))).observe(document.getElementById("spoken"),
            {childList: true});
    }""")
    tab.send("one\n\ntwo\n\nthree")
    answer = tab.wait_for_answer()
    heard = page.evaluate("window.heard")
    assert 3 <= len(heard) <= 6
    assert " ".join(" ".join(heard).split()) == " ".join(answer.split())
    assert page.locator("#log").get_attribute("aria-live") is None
    assert page.locator("#spoken").get_attribute("aria-live") == "polite"


def test_a_message_can_be_copied_edited_and_sent_again(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(permissions=["clipboard-read", "clipboard-write"])
    tab.connect()
    tab.send("Look: **one**\n\n```python\nx = 1\n```\n\nDone")
    tab.wait_for_answer()
    page = tab.page
    copied = "navigator.clipboard.readText()"
    page.get_by_role("button", name="Copy code").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate(copied) == "x = 1\n"
    page.locator(".assistant [data-do=copy]").click()
    expect(page.get_by_role("status").first).to_have_text("Copied")
    page.wait_for_function(f"{copied}.then((t) => t.includes('**one**'))")
    tab.send("second")
    tab.wait_for_answer(2)

    page.get_by_role("button", name="Edit").first.click()
    box = page.get_by_label("Edit your question")
    assert box.input_value().startswith("Look: **one**")
    page.keyboard.press("Escape")
    expect(box).to_have_count(0)
    page.get_by_role("button", name="Edit").first.click()
    box.fill("something else")
    page.get_by_role("button", name="Send again").click()
    assert "something else" in tab.wait_for_answer()
    assert page.locator(".message").count() == 2
    page.reload()
    expect(page.locator(".message")).to_have_count(2)


def test_several_conversations_side_by_side(tab: Tab, site: Site) -> None:
    tab.connect()
    page = tab.page
    for text in ("first", "second"):
        tab.send(text)
        tab.wait_for_answer()
        # The menu of a new conversation is complete without a reload.
        page.get_by_role("button", name="This conversation").click()
        page.get_by_role("button", name="Rename").click()
        expect(page.get_by_label("Title")).to_have_value(text)
        page.keyboard.press("Escape")
        expect(page.get_by_role("button", name="This conversation")).to_be_focused()
        page.get_by_role("link", name="New chat").click()
        page.wait_for_url(f"{site.app_url}/")
        tab.wait_until_ready()
    links = page.locator("#conversations a")
    assert [link.inner_text() for link in links.all()] == ["second", "first"]
    links.last.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("first")
    tab.wait_until_ready()
    page.get_by_role("button", name="This conversation").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Keep it").click()
    page.get_by_role("button", name="This conversation").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.wait_for_url(f"{site.app_url}/")
    expect(page.locator("#conversations a")).to_have_text(["second"])


def test_another_tab_shows_an_unfinished_answer_and_its_end(
    tab: Tab, site: Site, model: HeldModel
) -> None:
    tab.connect()
    model.hold(after="Thank")
    tab.send("one two three")
    tab.page.wait_for_url(re.compile("/c/"))
    second = Tab(tab.page.context.new_page(), site)
    second.page.goto(tab.page.url)
    expect(second.page.locator(".message.assistant[data-state='writing']")).to_have_count(1)
    model.release()
    answer = tab.wait_for_answer()
    assert second.wait_for_answer() == answer
    assert "real GPT" in answer


def test_money_adds_up(tab: Tab, site: Site) -> None:
    tab.connect()
    for number in (1, 2):
        site.emulator.add_fault(**answered(f"**{number}**", cost=0.25, tokens=1000))
        tab.send("how much?")
        tab.wait_for_answer(number)
    expect(tab.page.locator(".note").last).to_have_text("$0.25 · 1,000 tokens")
    expect(tab.page.locator("#totals")).to_have_text("$0.50 · 2,000 tokens")
