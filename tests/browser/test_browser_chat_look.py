"""The example app's look: one accent, and what a visitor looks for is in sight."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from accessibility import assert_accessible
from chat_visitor import CHAT, MODEL, answered
from tab import Site, Tab

from example_app.database import opened

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the test dependencies")
pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
pytestmark = pytest.mark.every_variant
expect = sync_api.expect

#: The colour that the browser paints, as [red, green, blue], whatever notation the style sheet has.
PAINTED = """(e, property) => {
  const pen = new OffscreenCanvas(1, 1).getContext("2d");
  pen.fillStyle = getComputedStyle(e)[property];
  pen.fillRect(0, 0, 1, 1);
  return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
}"""
GREEN, RED = [11, 106, 102], [176, 0, 32]
INSIDE = """e => {
  const list = e.closest("#conversations, #models").getBoundingClientRect();
  const box = e.getBoundingClientRect();
  return box.top >= list.top && box.bottom <= list.bottom;
}"""


def painted(element: Any, of: str = "backgroundColor") -> list[int]:
    element.wait_for()
    element.page.wait_for_load_state()  # with the style sheets
    colour: list[int] = element.evaluate(PAINTED, of)
    return colour


def luminance(colour: list[int]) -> float:
    parts = [part / 255 for part in colour]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: list[int], other: list[int]) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def add_conversations(site: Site, count: int) -> None:
    """Add conversations with the ids ``old-0``, the latest, to ``old-…`` for the last visitor."""
    with opened(str(site.database)) as db:
        (owner,) = db.execute("SELECT owner FROM conversation ORDER BY rowid DESC").fetchone()
        for n in range(count):
            row = (f"old-{n}", owner, f"Crème brûlée, SQL-joins no. {n}", time.time() - 60 * n - 60)
            db.execute(
                "INSERT OR REPLACE INTO conversation (id, owner, title, updated_at)"
                " VALUES (?, ?, ?, ?)",
                row,
            )


@pytest.fixture
def chatting(tab: Tab) -> Tab:
    """A visitor with one conversation."""
    tab.connect()
    tab.site.emulator.add_fault(**answered("Yes."))
    tab.send("Is it?")
    tab.wait_for_answer()
    return tab


@pytest.mark.requirement("C6")
@pytest.mark.parametrize("accent", [GREEN, RED], ids=["default", "changed"])
def test_one_accent_from_the_login_to_the_error_pages(
    tab: Tab, site: Site, accent: list[int]
) -> None:
    page = tab.page
    tab.expected.append("status of 40[034]")
    if accent is RED:
        css = ":root { --openrouter-accent: #b00020; }"
        page.route("**/brand.css", lambda route: route.fulfill(content_type="text/css", body=css))
    page.goto(site.app_url)
    connect = page.get_by_role("link", name="Connect OpenRouter")
    assert painted(connect) == accent
    connect.click()
    # The consent page is OpenRouter's, which does not know the app.
    assert painted(page.get_by_role("button", name="Approve")) == GREEN
    page.get_by_role("button", name="Deny").click()
    assert painted(page.get_by_role("link", name="Try again")) == accent
    assert painted(page.get_by_role("link", name="Back to the site"), "color") == accent
    page.goto(f"{site.app_url}/nowhere")
    assert painted(page.get_by_role("link", name="Back to the chat")) == accent
    tab.connect()
    for primary in (page.get_by_role("button", name="Send"), page.locator(".new")):
        assert painted(primary) == accent
        assert contrast(painted(primary), painted(primary, "color")) > 4.5
        primary.hover()
        tab.wait_for_animations()
        assert contrast(painted(primary), painted(primary, "color")) > 4.5


@pytest.mark.requirement("C7")
def test_the_open_conversation_is_in_sight_in_a_long_list(chatting: Tab, site: Site) -> None:
    add_conversations(site, 60)
    page = chatting.page
    current = page.locator("#conversations [aria-current]")
    for number in (0, 59, 25):
        page.goto(f"{site.app_url}/c/old-{number}")
        chatting.wait_for(lambda: current.evaluate(INSIDE))
    page.set_viewport_size({"width": 390, "height": 700})
    page.get_by_role("button", name="Conversations and settings").click()
    chatting.wait_for(lambda: current.evaluate(INSIDE))


@pytest.mark.requirement("C7")
def test_the_list_of_conversations_can_be_filtered(chatting: Tab, site: Site) -> None:
    add_conversations(site, 12)
    page = chatting.page
    page.goto(site.app_url)
    chatting.wait_until_ready()
    links = page.locator("#conversations a:visible")
    filter_box = page.get_by_role("searchbox", name="Filter conversations")
    for text, count in (("sqljoins", 12), ("SQL joins 7", 1), ("creme BRULEE", 12), ("", 13)):
        filter_box.fill(text)
        expect(links).to_have_count(count)
    filter_box.fill("nothing like it")
    expect(page.locator("#unmatched")).to_have_text("No conversation matches.")
    assert_accessible(chatting, "no conversation matches")
    filter_box.press("Escape")
    expect(links).to_have_count(13)
    filter_box.fill("is it")
    filter_box.press("Enter")
    page.wait_for_url(re.compile("/c/(?!old)"))


@pytest.mark.requirement("C7")
def test_the_picker_shows_recent_models_first_and_the_choice_in_view(chatting: Tab) -> None:
    page = chatting.page
    options = page.get_by_role("option")

    def open_picker() -> None:
        page.reload()
        chatting.wait_until_ready()
        page.get_by_role("button", name="Model:").click()
        expect(options.first).to_be_visible()

    for search in ("mistral", "gpt4o"):
        open_picker()
        page.keyboard.type(search)
        expect(options.first).to_contain_text(re.compile(search.replace("4", "-4"), re.I))
        page.keyboard.press("Enter")
        page.wait_for_load_state("networkidle")
    open_picker()
    recent = page.get_by_role("group", name="Recent").get_by_role("option")
    expect(recent.first).to_contain_text("GPT-4o")
    expect(recent.first).to_have_attribute("aria-selected", "true")
    expect(recent.nth(2)).to_contain_text("Auto Router")
    assert page.locator(".model.active").evaluate(INSIDE)
    assert_accessible(chatting, "picker with recent models")
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    active = page.get_by_role("group", name="All others").locator(".active")
    expect(active).to_have_id(page.get_by_role("combobox").get_attribute("aria-activedescendant"))


@pytest.mark.requirement("C7")
def test_the_search_forgives_spelling(tab: Tab) -> None:
    tab.connect()
    page = tab.page
    names = page.get_by_role("option").locator(".model-name")
    page.get_by_role("button", name="Model:").click()
    for search in (
        "gpt4o",
        "GPT 4o",
        "gpt-4o",
        "openai/gpt_4o",
        "\uff27PT\uff14o",
        "4o gpt",
        "gpt\u20134O",
    ):
        page.get_by_role("combobox").fill("")
        page.get_by_role("combobox").fill(search)
        expect(names).to_have_text(["OpenAI: GPT-4o", "OpenAI: GPT-4o-mini"])
    page.get_by_role("combobox").fill("claude-sonnet-4-5")
    expect(names).to_have_text(["Anthropic: Claude Sonnet 4.5"])


def test_instructions_survive_a_reload_before_and_after_the_question(tab: Tab, site: Site) -> None:
    tab.connect()
    page = tab.page
    note = page.get_by_role("button", name="Instructions: Answer in French.")
    page.get_by_role("button", name="This conversation").click()
    page.get_by_role("button", name="Instructions", exact=True).click()
    assert_accessible(tab, "instructions")
    box = page.get_by_role("textbox", name="Instructions")
    box.fill("never mind")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#instructions-note")).to_be_hidden()
    page.get_by_role("button", name="This conversation").click()
    page.get_by_role("button", name="Instructions", exact=True).click()
    expect(box).to_have_value("")
    box.fill("Answer in French.")
    page.get_by_role("button", name="Use").click()
    expect(note).to_be_visible()
    page.reload()
    tab.wait_until_ready()
    expect(note).to_be_visible()
    tab.send("Who?")
    tab.wait_for_answer()
    (sent,) = [each.body["messages"] for each in site.emulator.requests if each.path == CHAT]
    assert sent[0] == {"role": "system", "content": "Answer in French."}
    page.reload()
    expect(note).to_be_visible()
    page.get_by_role("link", name="New chat").click()
    tab.wait_until_ready()
    expect(page.locator("#instructions-note")).to_be_hidden()


@pytest.mark.requirement("C8")
@pytest.mark.parametrize("noticed_by", ["question", "meter"])
def test_after_a_revoked_key_the_welcome_page_says_what_happened(
    chatting: Tab, site: Site, noticed_by: str
) -> None:
    chatting.expected.append("status of 401")
    page, conversation = chatting.page, chatting.page.url
    site.delete_key()
    if noticed_by == "question":
        chatting.send("And now?")
        expect(page.get_by_role("alert")).to_contain_text("no longer accepts your key")
    else:
        page.goto(f"{site.app_url}/usage")
        expect(page.get_by_role("link", name="Connect OpenRouter again")).to_be_visible()
    for url in (conversation, site.app_url):
        page.goto(url)
        expect(page.get_by_role("heading", level=1)).to_have_text("Your key no longer works")
        expect(page.locator(".lead")).to_contain_text("Your conversations are kept")
    assert_accessible(chatting, "revoked")
    page.goto(conversation)
    page.get_by_role("link", name="Connect OpenRouter again").click()
    page.get_by_role("button", name="Approve").click()
    expect(page.locator(".message.assistant .text")).to_have_text("Yes.")
    # Who leaves by themselves reads no reproach.
    page.goto(f"{site.app_url}/account")
    page.get_by_role("button", name="Disconnect").click()
    page.goto(site.app_url)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Chat with the model you like")


@pytest.mark.requirement("C10")
def test_the_open_conversation_stands_out(chatting: Tab) -> None:
    page = chatting.page
    current, side = page.locator("#conversations [aria-current]"), page.locator("#side")
    for scheme, least in (("light", 1.1), ("dark", 1.5)):
        page.emulate_media(color_scheme=scheme)
        chatting.wait_for_animations()
        assert contrast(painted(current), painted(side)) > least
        assert contrast(painted(current, "color"), painted(current)) > 4.5
        # The bar at its edge has the accent.
        expect(current).to_have_css("box-shadow", re.compile("inset"))
        assert contrast(painted(page.locator(".new")), painted(side)) > 3


@pytest.mark.requirement("C10")
def test_an_error_has_one_primary_action(tab: Tab) -> None:
    tab.expected.append("status of (402|502)")
    tab.connect()
    for status, first in ((402, "Add credit"), (503, "Try again"), (404, "Choose another model")):
        tab.site.emulator.add_fault(path=CHAT, status=status)
        tab.send("hello")
        expect(tab.page.locator(".problem .actions .primary")).to_have_text(re.compile(first))
        expect(tab.page.locator(".problem .actions > :first-child")).to_contain_text(first)
        expect(tab.page.locator(".composer #prompt")).to_have_value("hello")


@pytest.mark.requirement("C10")
def test_no_void_below_a_question_and_no_ring_before_the_keyboard_is_used(chatting: Tab) -> None:
    page = chatting.page
    bubble = page.locator(".user .text").bounding_box()
    author = page.locator(".assistant .author").bounding_box()
    assert 8 <= author["y"] - bubble["y"] - bubble["height"] <= 20
    edit = page.get_by_role("button", name="Edit")
    edit.focus()
    expect(edit).to_have_css("opacity", "1")
    assert edit.bounding_box()["x"] > author["x"] + 200, "beside the name, not upon it"
    page.reload()
    chatting.wait_until_ready()
    prompt = page.get_by_label("Message", exact=True)
    expect(prompt).to_be_focused()
    for element in (prompt, page.locator(".box")):
        expect(element).to_have_css("outline-style", "none")
    page.keyboard.press("Tab")
    focused = page.locator(":focus-visible")
    expect(focused).to_have_id("model")
    expect(focused).to_have_css("outline-style", "solid")
    page.emulate_media(forced_colors="active")
    prompt.focus()
    expect(page.locator(".box")).to_have_css("outline-style", "solid")


@pytest.mark.requirement("C10")
def test_without_javascript_conversations_can_be_read_and_renamed(
    open_tab: Callable[..., Tab], site: Site
) -> None:
    tab = open_tab(java_script_enabled=False)
    page = tab.page
    page.goto(f"{site.app_url}/openrouter/login?next=/")
    page.get_by_role("button", name="Approve").click()
    # Playwright finds no text in <noscript>.
    expect(page.locator("noscript .notice")).to_be_visible()
    for name in ("Message", "Filter conversations"):
        expect(page.get_by_label(name, exact=True)).to_be_hidden()
    page.request.post(f"{site.app_url}/ask", data={"model": MODEL, "text": "Dinner"})
    page.goto(site.app_url)
    page.get_by_role("link", name="Dinner").click()
    page.get_by_role("button", name="This conversation").click()
    page.get_by_role("button", name="Rename").click()
    page.get_by_label("Title").fill("Dessert")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Dessert")
