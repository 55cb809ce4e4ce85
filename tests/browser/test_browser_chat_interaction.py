"""The example app in use: focus, touch, scrolling, drafts, and text from right to left."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from chat_visitor import CHAT, answered
from held_model import HeldModel
from tab import Site, Tab

from flask_openrouter.emulator.catalogue import MODELS

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the test dependencies")
pytestmark = pytest.mark.every_variant
expect = sync_api.expect

ANSWER = ".message.assistant .text"
FOCUS = "document.activeElement.id"
DIRECTION = "e => getComputedStyle(e).direction"
TOUCH = {"has_touch": True, "is_mobile": True, "viewport": {"width": 375, "height": 700}}


@pytest.fixture
def touch_tab(open_tab: Callable[..., Tab]) -> Tab:
    return open_tab(**TOUCH)


def prompt(tab: Tab) -> Any:
    return tab.page.get_by_label("Message", exact=True)


def press(tab: Tab, button: Any) -> None:
    """Press a button by keyboard, because a click of the mouse moves the focus itself."""
    button.focus()
    tab.page.keyboard.press("Enter")


def new_chat(tab: Tab) -> None:
    """Follow the link, as a visitor does."""
    tab.page.get_by_role("link", name="New chat").click()
    tab.page.wait_for_url(tab.site.app_url + "/")
    tab.wait_until_ready()


def test_the_focus_moves_on_when_the_pressed_button_disappears(
    tab: Tab, site: Site, model: HeldModel
) -> None:
    tab.expected.append("status of 502")
    tab.connect()
    page = tab.page

    def assert_focus_moves_on(count: int) -> None:
        expect(page.locator("#stop")).to_be_focused()
        model.release()
        tab.wait_for_answer(count)
        expect(prompt(tab)).to_be_focused()
        model.hold(after="")

    model.hold(after="")
    prompt(tab).fill("one two three four")
    press(tab, page.get_by_role("button", name="Send"))
    assert_focus_moves_on(1)
    press(tab, page.get_by_role("button", name="Try again"))
    assert_focus_moves_on(1)
    press(tab, page.get_by_role("button", name="Edit"))
    page.keyboard.type("five ")
    page.keyboard.press("Enter")
    assert_focus_moves_on(1)
    site.emulator.add_fault(path=CHAT, status=503)
    tab.send("six")
    press(tab, page.get_by_role("alert").get_by_role("button", name="Try again"))
    assert_focus_moves_on(2)


def test_escape_closes_what_is_open_before_it_stops_the_answer(tab: Tab, model: HeldModel) -> None:
    tab.connect()
    model.hold(after="Thank")
    tab.send("one two three")
    page = tab.page
    page.wait_for_url(re.compile("/c/"))
    page.locator(ANSWER, has_text="Thank").wait_for()
    page.get_by_role("button", name="This conversation").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Rename")).to_be_hidden()
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    page.keyboard.press("Escape")
    tab.wait_for_answer()
    expect(page.locator(".note")).to_contain_text("Stopped")


def test_a_menu_stays_open_when_the_conversation_gets_its_address(tab: Tab) -> None:
    tab.connect()
    page = tab.page
    waiting: list[Any] = []
    page.route("**/c/*", lambda route: waiting.append(route))
    tab.send("hello")
    tab.wait_for_answer()
    tab.wait_for(lambda: waiting)
    page.get_by_role("button", name="This conversation").click()
    expect(page.get_by_role("button", name="Instructions")).to_be_visible()
    expect(page.get_by_role("button", name="Rename")).to_have_count(0)
    waiting[0].continue_()
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def test_a_growing_answer_does_not_scroll_away_from_its_reader(tab: Tab, model: HeldModel) -> None:
    tab.connect()
    page = tab.page
    page.set_viewport_size({"width": 1120, "height": 620})
    button = page.get_by_role("button", name="Go to the end")
    expect(button).to_be_hidden()
    tab.site.emulator.add_fault(**answered("line\n\n" * 60))
    tab.send("long")
    tab.wait_for_answer()
    expect(button).to_be_hidden()
    page.evaluate("scrollTo(0, 0)")
    expect(button).to_be_visible()
    model.hold(after="Thank")
    tab.send("one two three four five six seven eight nine ten")
    expect(button).to_be_hidden()
    page.locator(ANSWER, has_text="Thank").wait_for()
    page.mouse.wheel(0, -1500)
    expect(button).to_be_visible()
    model.release()
    tab.wait_for_answer(2)
    top = page.evaluate("scrollY")
    assert top < page.evaluate("document.documentElement.scrollHeight") - 1000, "left alone"
    button.click()
    expect(button).to_be_hidden()
    assert page.evaluate("scrollY") > top
    assert page.evaluate(FOCUS) == "prompt"


def test_a_draft_survives_a_reload_and_stays_in_its_conversation(tab: Tab, site: Site) -> None:
    tab.expected.append("status of 502")
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
    tab.wait_until_ready()
    assert prompt(tab).input_value() == "half a thought"
    page.keyboard.press("Enter")
    tab.wait_for_answer(2)
    page.reload()
    tab.wait_for_answer(2)
    assert prompt(tab).input_value() == ""
    # A refused question is a draft, too.
    site.emulator.add_fault(path=CHAT, status=503)
    tab.send("refused")
    page.locator(".problem").wait_for()
    new_chat(tab)
    assert prompt(tab).input_value() == ""


def test_after_disconnecting_the_browser_holds_no_draft(tab: Tab) -> None:
    tab.connect()
    prompt(tab).fill("a secret thought")
    tab.page.get_by_role("link", name=re.compile("sk-or-v1-…")).click()
    tab.page.get_by_role("button", name="Disconnect").click()
    tab.page.get_by_role("link", name="Connect again").click()
    tab.page.get_by_role("button", name="Approve").click()
    tab.wait_until_ready()
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
    assert page.evaluate(FOCUS) != "prompt", "no on-screen keyboard covers the answer"
    for button in page.locator(".message button:visible").all():
        assert button.bounding_box()["height"] >= 36
    page.get_by_role("button", name="Edit").tap()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Edit your question")).to_be_visible()


def test_a_phone_shows_the_title_and_the_whole_price(touch_tab: Tab) -> None:
    touch_tab.connect()
    table = "| Library | Notes |\n|---|---|\n| Flask | A framework for people who like it small |\n"
    touch_tab.site.emulator.add_fault(**answered(table, cost=0.0123, tokens=41_234))
    touch_tab.page.set_viewport_size({"width": 320, "height": 640})
    prompt(touch_tab).fill("A question whose title needs a little more than the width of a phone")
    touch_tab.page.get_by_role("button", name="Send").tap()
    touch_tab.wait_for_answer()
    totals = touch_tab.page.locator("#totals")
    expect(totals).to_have_text("$0.01 · 41,234 tokens")
    assert totals.evaluate("e => e.scrollWidth <= e.clientWidth"), "not cut off"
    assert touch_tab.page.locator("#title").bounding_box()["width"] > 200
    row = touch_tab.page.get_by_role("row").last.bounding_box()
    assert row["height"] < 100, "wide tables scroll, instead of wrapping into narrow columns"


def test_hebrew_runs_from_right_to_left_and_code_from_left_to_right(tab: Tab) -> None:
    tab.connect()
    page = tab.page
    answer = "שלום\n\n- אחד\n\n> שתיים\n\n```python\nx = 1\n```\n"
    tab.site.emulator.add_fault(**answered(answer))
    prompt(tab).fill("שאלה")
    assert prompt(tab).evaluate(DIRECTION) == "rtl"
    page.keyboard.press("Enter")
    tab.wait_for_answer()
    # Twice: as it arrived, and as the server renders it later.
    for _ in range(2):
        for selector in (".user .text", ANSWER, f"{ANSWER} li", "#title", "#conversations a"):
            # The title is that of a new chat until the answer is stored.
            expect(page.locator(selector)).to_have_css("direction", "rtl")
        assert page.locator(".code pre").evaluate(DIRECTION) == "ltr"
        quote = page.locator("blockquote").evaluate("e => getComputedStyle(e).borderRightWidth")
        assert quote == "3px"
        page.reload()


def test_the_model_picker_opens_at_once_and_filters(tab: Tab) -> None:
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
    tab.wait_for(lambda: waiting)
    waiting[0].continue_()
    options = page.get_by_role("option")
    expect(options).to_have_count(len(MODELS))
    height = dialog.bounding_box()["height"]
    page.get_by_label("Free models only").check()
    expect(options.filter(has_not_text="Free")).to_have_count(0)
    expect(options.first).to_contain_text("Free")
    page.get_by_role("combobox").fill("nothing like it")
    expect(page.locator("#found")).to_have_text("No model matches.")
    assert dialog.bounding_box()["height"] == height
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert page.evaluate(FOCUS) == "model"


def test_after_two_seconds_the_page_says_that_it_waits_for_the_model(
    tab: Tab, model: HeldModel
) -> None:
    """The style sheet's timer is set by hand, so that no machine is too slow."""
    tab.connect()
    model.hold(after="")
    tab.send("hello")
    answer = tab.page.locator(ANSWER)
    words = "e => (s => [s.content, s.visibility])(getComputedStyle(e, '::before'))"

    def words_after(milliseconds: int) -> list[str]:
        answer.evaluate(
            """(e, time) => {
                const animations = e.getAnimations({subtree: true});
                const show = animations.find((a) => a.animationName === "show");
                show.pause();
                show.currentTime = time;
            }""",
            milliseconds,
        )
        found: list[str] = answer.evaluate(words)
        return found

    content, visibility = words_after(1_990)
    assert "Waiting for the first word" in content
    assert visibility == "hidden", "most answers begin at once"
    assert words_after(2_000)[1] == "visible"
    model.release()
    tab.wait_for_answer()
    assert answer.evaluate(words)[0] == "none"


def test_a_suggested_question_is_shown_without_markdown(tab: Tab) -> None:
    tab.connect()
    ideas = tab.page.locator(".idea")
    for idea in ideas.all():
        assert "`" not in idea.inner_text()
    ideas.last.click()
    assert prompt(tab).input_value() == ideas.last.inner_text()
    assert tab.page.evaluate(FOCUS) == "prompt"


def test_consent_on_a_phone_shows_both_buttons(tab: Tab, site: Site) -> None:
    tab.page.set_viewport_size({"width": 375, "height": 667})
    tab.page.goto(site.app_url)
    tab.page.get_by_role("link", name="Connect OpenRouter").click()
    for scheme in ("light", "dark"):
        tab.page.emulate_media(color_scheme=scheme)
        for name in ("Approve", "Deny"):
            box = tab.page.get_by_role("button", name=name).bounding_box()
            assert box["y"] + box["height"] <= 667
        assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
