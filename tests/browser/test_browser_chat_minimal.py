"""The example in one file, in a real browser: every state, and what goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from accessibility import assert_accessible
from chat_visitor import CHAT, sse
from held_model import HeldModel, held_model
from live_app import live
from tab import Site, Tab

from example_app.minimal import create_app

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the test dependencies")
pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
expect = sync_api.expect


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """The minimal app instead of the chat."""
    with held_model("localhost") as model:
        config = {"SECRET_KEY": "for tests only, thirty-two characters"}
        config |= {"OPENROUTER_BASE_URL": model.emulator.url, "OPENROUTER_EMULATOR": True}
        with live(create_app(config), "localhost") as url:
            yield Site(url, model.emulator, model)


def connect(tab: Tab) -> None:
    tab.page.goto(tab.site.app_url)
    tab.page.get_by_role("link", name="Connect OpenRouter").click()
    tab.page.get_by_role("button", name="Approve").click()
    tab.page.wait_for_url(f"{tab.site.app_url}/")


def ask(tab: Tab, text: str) -> None:
    tab.page.get_by_label("Question").fill(text)
    tab.page.get_by_role("button", name="Send").click()


def test_a_visitor_connects_chats_and_disconnects(tab: Tab, site: Site, model: HeldModel) -> None:
    page = tab.page
    page.goto(site.app_url)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert_accessible(tab, f"welcome, {scheme}")
    connect(tab)
    log = page.get_by_role("log")
    model.hold(after="Thank")
    ask(tab, "first <b>question</b>")
    expect(log).to_contain_text("Thank")
    expect(log).not_to_contain_text("real GPT")
    expect(page.get_by_role("button", name="Send")).to_be_disabled()
    model.release()
    expect(log).to_contain_text("real GPT")
    expect(page.get_by_role("button", name="Send")).to_be_enabled()
    expect(page.get_by_label("Question")).to_have_value("")
    ask(tab, "second")
    expect(log).to_contain_text("message 2 of our conversation")
    expect(page.get_by_role("button", name="Send")).to_be_enabled()
    assert log.locator("b").count() == 0
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert_accessible(tab, f"chat, {scheme}")
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # A reload begins a new chat, and asks nothing again.
    page.reload()
    expect(log).to_be_empty()
    assert site.emulator.count("POST", CHAT) == 2
    page.get_by_role("button", name="Disconnect").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Disconnected")
    connect(tab)
    expect(log).to_be_empty()


def test_each_problem_is_in_plain_words_and_the_question_is_kept(tab: Tab, site: Site) -> None:
    tab.expected.append("status of (401|402|429|502)")
    connect(tab)
    page = tab.page
    alert, question = page.get_by_role("alert"), page.get_by_label("Question")
    for status, words in ((402, "No credit left"), (429, "Too many requests"), (503, "not work")):
        site.emulator.add_fault(path=CHAT, status=status)
        ask(tab, "hello")
        expect(alert).to_contain_text(words)
        expect(question).to_have_value("hello")
        expect(page.get_by_role("link", name="Connect in a new tab")).to_have_count(0)
    assert_accessible(tab, "problem")
    # After a new login in another tab, this one goes on.
    ask(tab, "first")
    expect(page.get_by_role("log")).to_contain_text("real GPT")
    expect(page.locator("#problem")).to_be_empty()
    site.delete_key()
    ask(tab, "second")
    link = page.get_by_role("link", name="Connect in a new tab")
    expect(alert).to_contain_text("Connect OpenRouter again")
    assert_accessible(tab, "dead key")
    with page.context.expect_page() as opened:
        link.click()
    # It closes itself.
    with opened.value.expect_event("close"):
        opened.value.get_by_role("button", name="Approve").click()
    expect(question).to_have_value("second")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("log")).to_contain_text("message 2 of our conversation")


def test_an_answer_that_breaks_off_or_is_empty_says_so(tab: Tab, site: Site) -> None:
    connect(tab)
    log = tab.page.get_by_role("log")
    site.emulator.add_fault(path=CHAT, mid_stream=True, status=402)
    ask(tab, "hello")
    expect(log).to_contain_text("No credit left. The answer ended early.")
    thoughts = {"choices": [{"delta": {"reasoning": "hmm"}, "finish_reason": "length"}]}
    site.emulator.add_fault(**sse(thoughts, "[DONE]"))
    ask(tab, "hello")
    expect(log).to_contain_text("it reached its length limit")


def test_a_server_that_is_gone_is_explained(tab: Tab, open_tab: Callable[..., Tab]) -> None:
    tab.expected.append("ERR_INTERNET_DISCONNECTED")
    connect(tab)
    tab.page.context.set_offline(True)
    ask(tab, "hello")
    expect(tab.page.get_by_role("alert")).to_contain_text("It did not work")
    expect(tab.page.get_by_label("Question")).to_have_value("hello")
