"""The example app in people's hands: focus, touch, scrolling, drafts, text from the right."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from chat_visitor import CHAT, answered
from tab import Site, Tab

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the test dependencies")
expect = sync_api.expect

ANSWER = ".message.assistant .text"
FOCUS = "document.activeElement.id"
DIRECTION = "e => getComputedStyle(e).direction"
TOUCH = {"has_touch": True, "is_mobile": True, "viewport": {"width": 375, "height": 700}}


@pytest.fixture
def touch_tab(browser: Any, site: Site) -> Any:
    site.control("POST", "reset")
    context = browser.new_context(**TOUCH)
    context.set_default_timeout(10_000)
    tab = Tab(context.new_page(), site)
    tab.watch()
    yield tab
    context.close()
    assert tab.unexpected() == []


def prompt(tab: Tab) -> Any:
    return tab.page.get_by_label("Message", exact=True)


def press(tab: Tab, button: Any) -> None:
    """As with the keyboard: a click of the mouse moves the focus by itself."""
    button.focus()
    tab.page.keyboard.press("Enter")


def new_chat(tab: Tab) -> None:
    tab.page.get_by_role("link", name="New chat").click()
    tab.page.wait_for_url(tab.site.app_url + "/")
    tab.page.locator("#model:enabled").wait_for()


def test_a_button_that_goes_away_does_not_take_the_focus_along(tab: Tab, site: Site) -> None:
    tab.expected.append("status of 502")
    tab.connect()
    page = tab.page

    def assert_focus_is_kept(count: int) -> None:
        expect(page.locator("#stop")).to_be_focused()
        tab.wait_for_answer(count)
        expect(prompt(tab)).to_be_focused()

    prompt(tab).fill("one two three four")
    press(tab, page.get_by_role("button", name="Send"))
    assert_focus_is_kept(1)
    press(tab, page.get_by_role("button", name="Try again"))
    assert_focus_is_kept(1)
    press(tab, page.get_by_role("button", name="Edit"))
    page.keyboard.type("five ")
    page.keyboard.press("Enter")
    assert_focus_is_kept(1)
    site.control("POST", "faults", path=CHAT, status=503)
    tab.send("six")
    press(tab, page.get_by_role("alert").get_by_role("button", name="Try again"))
    assert_focus_is_kept(2)


def test_escape_closes_what_is_open_before_it_stops_the_answer(tab: Tab) -> None:
    tab.connect()
    tab.send("a b c d e f g h i j k l m n o p q r s t u v w x y z")
    page = tab.page
    page.wait_for_url(re.compile("/c/"))
    page.get_by_role("button", name="This conversation").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Rename")).to_be_hidden()
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    page.keyboard.press("Escape")
    tab.wait_for_answer()
    expect(page.locator(".note")).to_contain_text("Stopped")


def test_an_answer_can_be_read_while_it_grows_and_the_end_is_one_click_away(tab: Tab) -> None:
    tab.connect()
    page = tab.page
    page.set_viewport_size({"width": 1120, "height": 620})
    button = page.get_by_role("button", name="Go to the end")
    expect(button).to_be_hidden()
    tab.site.control("POST", "faults", **answered("line\n\n" * 60))
    tab.send("long")
    tab.wait_for_answer()
    expect(button).to_be_hidden()
    page.evaluate("scrollTo(0, 0)")
    expect(button).to_be_visible()
    tab.send("one two three four five six seven eight nine ten")
    expect(button).to_be_hidden()
    page.locator(ANSWER, has_text="Thank").wait_for()
    page.mouse.wheel(0, -1500)
    expect(button).to_be_visible()
    tab.wait_for_answer(2)
    top = page.evaluate("scrollY")
    assert top < page.evaluate("document.documentElement.scrollHeight") - 1000, "left alone"
    button.click()
    expect(button).to_be_hidden()
    assert page.evaluate("scrollY") > top
    assert page.evaluate(FOCUS) == "prompt"


def test_what_was_typed_survives_a_reload_and_stays_in_its_conversation(tab: Tab) -> None:
    tab.connect()
    tab.send("first")
    tab.wait_for_answer()
    page = tab.page
    prompt(tab).fill("half a thought")
    page.get_by_role("button", name="Try again").click()
    tab.wait_for_answer()
    page.reload()
    assert prompt(tab).input_value() == "half a thought"
    new_chat(tab)
    assert prompt(tab).input_value() == ""
    page.locator("#conversations a").click()
    page.locator("#model:enabled").wait_for()
    assert prompt(tab).input_value() == "half a thought"
    page.keyboard.press("Enter")
    tab.wait_for_answer(2)
    page.reload()
    tab.wait_for_answer(2)
    assert prompt(tab).input_value() == ""


def test_a_refused_question_does_not_turn_up_in_another_conversation(tab: Tab, site: Site) -> None:
    tab.expected.append("status of 502")
    tab.connect()
    tab.send("first")
    tab.wait_for_answer()
    site.control("POST", "faults", path=CHAT, status=503)
    tab.send("refused")
    tab.page.locator(".problem").wait_for()
    new_chat(tab)
    assert prompt(tab).input_value() == ""


def test_the_next_person_at_this_browser_finds_no_draft(tab: Tab) -> None:
    tab.connect()
    prompt(tab).fill("a secret thought")
    tab.page.get_by_role("link", name=re.compile("sk-or-v1-…")).click()
    tab.page.get_by_role("button", name="Disconnect").click()
    tab.page.get_by_role("link", name="Connect again").click()
    tab.page.get_by_role("button", name="Approve").click()
    tab.page.locator("#model:enabled").wait_for()
    assert prompt(tab).input_value() == ""


def test_on_a_touch_screen_enter_begins_a_new_line(touch_tab: Tab) -> None:
    touch_tab.connect()
    page = touch_tab.page
    prompt(touch_tab).fill("one")
    page.keyboard.press("Enter")
    page.keyboard.type("two")
    assert prompt(touch_tab).input_value() == "one\ntwo"
    page.get_by_role("button", name="Send").tap()
    touch_tab.wait_for_answer()
    assert page.evaluate(FOCUS) != "prompt", "no keyboard slides over the answer"
    for button in page.locator(".message button:visible").all():
        assert button.bounding_box()["height"] >= 36
    page.get_by_role("button", name="Edit").tap()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Edit your question")).to_be_visible()


def test_on_a_phone_the_title_and_the_whole_price_are_in_sight(touch_tab: Tab) -> None:
    touch_tab.connect()
    table = "| Library | Notes |\n|---|---|\n| Flask | A framework for people who like it small |\n"
    touch_tab.site.control("POST", "faults", **answered(table, cost=0.0123, tokens=41_234))
    touch_tab.page.set_viewport_size({"width": 320, "height": 640})
    prompt(touch_tab).fill("A question whose title needs a little more than the width of a phone")
    touch_tab.page.get_by_role("button", name="Send").tap()
    touch_tab.wait_for_answer()
    totals = touch_tab.page.locator("#totals")
    expect(totals).to_have_text("$0.01 · 41,234 tokens")
    assert totals.evaluate("e => e.scrollWidth <= e.clientWidth"), "not cut off"
    assert touch_tab.page.locator("#title").bounding_box()["width"] > 200
    row = touch_tab.page.get_by_role("row").last.bounding_box()
    assert row["height"] < 100, "cells scroll sideways before they become towers"


def test_arabic_and_hebrew_run_from_the_right_and_code_from_the_left(tab: Tab) -> None:
    tab.connect()
    page = tab.page
    answer = "שלום\n\n- אחד\n\n> שתיים\n\n```python\nx = 1\n```\n"
    tab.site.control("POST", "faults", **answered(answer))
    prompt(tab).fill("שאלה")
    assert prompt(tab).evaluate(DIRECTION) == "rtl"
    page.keyboard.press("Enter")
    tab.wait_for_answer()
    # Twice: as it came in, and as the server renders it later.
    for _ in range(2):
        for selector in (".user .text", ANSWER, f"{ANSWER} li", "#title", "#conversations a"):
            assert page.locator(selector).evaluate(DIRECTION) == "rtl", selector
        assert page.locator(".code pre").evaluate(DIRECTION) == "ltr"
        quote = page.locator("blockquote").evaluate("e => getComputedStyle(e).borderRightWidth")
        assert quote == "3px"
        page.reload()


def test_the_picker_opens_at_once_and_keeps_its_size(tab: Tab) -> None:
    tab.connect()
    tab.send("hello")
    tab.wait_for_answer()
    page = tab.page
    page.reload()
    waiting: list[Any] = []
    page.route("**/models", lambda route: waiting.append(route))
    page.get_by_role("button", name="Model:").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Loading the models")
    page.wait_for_timeout(50)
    waiting[0].continue_()
    expect(page.get_by_role("option")).to_have_count(8)
    height = dialog.bounding_box()["height"]
    page.get_by_role("combobox").fill("nothing like it")
    expect(page.locator("#found")).to_have_text("No model matches.")
    assert dialog.bounding_box()["height"] == height


def test_the_countdown_is_not_read_out_but_its_end_is(tab: Tab, site: Site) -> None:
    tab.expected.append("status of 429")
    tab.connect()
    site.control("POST", "faults", path=CHAT, status=429, headers={"Retry-After": "2"})
    tab.send("hello")
    retry = tab.page.get_by_role("alert").get_by_role("button", name="Try again")
    expect(retry).to_have_attribute("aria-live", "off")
    status = tab.page.get_by_role("status").first
    expect(status).to_be_empty()
    expect(status).to_have_text("You can try again now.")


def test_a_slow_model_is_waited_for_in_words(tab: Tab, site: Site) -> None:
    tab.connect()
    site.control("POST", "faults", path=CHAT, delay=3)
    tab.send("hello")
    answer = tab.page.locator(ANSWER)
    words = "e => (s => [s.content, s.visibility])(getComputedStyle(e, '::before'))"
    content, before = answer.evaluate(words)
    assert "Waiting for the first word" in content
    assert before == "hidden", "most answers begin at once"
    tab.page.wait_for_timeout(2200)
    assert answer.evaluate(words)[1] == "visible"
    tab.wait_for_answer()
    assert answer.evaluate(words)[0] == "none"


def test_renaming_begins_with_the_old_title_selected(tab: Tab) -> None:
    tab.connect()
    tab.send("an old title")
    tab.wait_for_answer()
    page = tab.page
    page.get_by_role("button", name="This conversation").click()
    page.get_by_role("button", name="Rename").click()
    page.keyboard.type("New")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("New")


def test_an_idea_is_shown_and_asked_without_marks(tab: Tab) -> None:
    tab.connect()
    ideas = tab.page.locator(".idea")
    for idea in ideas.all():
        assert "`" not in idea.inner_text()
    ideas.last.click()
    assert prompt(tab).input_value() == ideas.last.inner_text()
    assert tab.page.evaluate(FOCUS) == "prompt"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_consent_on_a_phone_has_both_buttons_in_sight(
    open_tab: Callable[..., Tab], site: Site, scheme: str
) -> None:
    tab = open_tab(color_scheme=scheme)
    tab.page.set_viewport_size({"width": 375, "height": 667})
    tab.page.goto(site.app_url)
    tab.page.get_by_role("link", name="Connect OpenRouter").click()
    for name in ("Approve", "Deny"):
        box = tab.page.get_by_role("button", name=name).bounding_box()
        assert box["y"] + box["height"] <= 667
    assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
