"""The example app in a browser: no text, no version and no word about money is lost."""

from __future__ import annotations

import pytest
from accessibility import assert_accessible
from chat_visitor import CHAT, answered, sse
from tab import Site, Tab

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the test dependencies")
pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
pytestmark = pytest.mark.every_variant
expect = sync_api.expect

ANSWER = ".message.assistant .text"


@pytest.fixture
def connected(tab: Tab) -> Tab:
    tab.connect()
    return tab


@pytest.mark.requirement("C4")
def test_versions_of_an_answer_and_of_a_question_can_be_paged(connected: Tab, site: Site) -> None:
    page = connected.page
    connected.send("first question")
    connected.wait_for_answer()
    site.emulator.add_fault(**answered("the second answer"))
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(ANSWER)).to_have_text("the second answer")
    versions = page.locator(".assistant .versions")
    expect(versions).to_contain_text("2 of 2")
    assert_accessible(connected, "versions")
    page.get_by_role("button", name="Earlier version").click()
    expect(versions).to_contain_text("1 of 2")
    expect(page.locator(ANSWER)).to_contain_text("first question")
    expect(page.get_by_role("button", name="Later version")).to_be_focused()
    page.reload()
    expect(versions).to_contain_text("1 of 2")
    # An edited question has versions, too, each with its own answers.
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Edit your question").fill("another question")
    page.get_by_role("button", name="Send again").click()
    expect(page.locator(ANSWER)).to_contain_text("another question")
    expect(page.locator(".user .versions")).to_contain_text("2 of 2")
    page.get_by_role("button", name="Earlier version").click()
    expect(page.locator(".user .text")).to_have_text("first question")
    expect(versions).to_contain_text("1 of 2")


@pytest.mark.requirement("C4")
def test_the_earlier_answer_stays_until_the_new_one_is_whole(connected: Tab, site: Site) -> None:
    page = connected.page
    site.emulator.add_fault(**answered("the good answer"))
    connected.send("question")
    connected.wait_for_answer()
    site.emulator.add_fault(path=CHAT, mid_stream=True, status=502)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_contain_text("not answering")
    expect(page.locator(ANSWER)).to_have_text("the good answer")
    expect(page.locator(".versions")).to_contain_text("1 of 2")
    page.get_by_role("button", name="Later version").click()
    expect(page.locator(".note")).to_contain_text("Broken off")
    page.get_by_role("button", name="Earlier version").click()
    expect(page.locator(ANSWER)).to_have_text("the good answer")


@pytest.mark.requirement("C4")
def test_a_refused_edit_keeps_the_text_that_was_typed(connected: Tab, site: Site) -> None:
    connected.expected.append("status of 402")
    page = connected.page
    connected.send("question")
    connected.wait_for_answer()
    for _ in range(2):
        site.emulator.add_fault(path=CHAT, status=402)
    page.get_by_label("Message", exact=True).fill("a draft")
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Edit your question").fill("a better question")
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_role("alert")).to_contain_text("no credit left")
    expect(page.get_by_label("Edit your question")).to_have_value("a better question")
    page.get_by_role("button", name="Try again").last.click()
    expect(page.get_by_role("alert")).to_contain_text("no credit left")
    expect(page.get_by_label("Edit your question")).to_have_value("a better question")
    page.get_by_role("button", name="Send again").click()
    expect(page.locator(ANSWER)).to_contain_text("a better question")
    connected.wait_for_answer()
    page.reload()
    expect(page.get_by_label("Message", exact=True)).to_have_value("a draft")


@pytest.mark.requirement("C3")
def test_a_long_paste_is_never_cut_silently(connected: Tab) -> None:
    page = connected.page
    box = page.get_by_label("Message", exact=True)
    limit = int(str(box.get_attribute("data-limit")))
    box.fill("x" * (limit + 5))
    hint = page.locator("#limit")
    expect(hint).to_have_text("5 characters too many: a message can have 100,000.")
    assert_accessible(connected, "too long")
    page.keyboard.press("Enter")
    assert page.evaluate("document.getElementById('prompt').value.length") == limit + 5
    expect(page.locator(".message:visible")).to_have_count(0)
    box.fill("x" * 12_000)
    expect(hint).to_be_empty()
    page.keyboard.press("Enter")
    connected.wait_for_answer()
    assert len(page.locator(".user .text").inner_text()) == 12_000
    # Nor are instructions cut: those that are too long cannot be used.
    page.get_by_role("button", name="This conversation").click()
    page.get_by_role("button", name="Instructions", exact=True).click()
    page.keyboard.insert_text("x" * 4_001)
    page.get_by_role("button", name="Use").click()
    instructions = page.get_by_role("textbox", name="Instructions")
    expect(instructions).to_have_value("x" * 4_001)
    reason = "1 character too many: instructions can have 4,000."
    assert instructions.evaluate("e => e.validationMessage") == reason
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#instructions-note")).to_be_hidden()


@pytest.mark.requirement("C1")
def test_an_answer_can_be_continued(connected: Tab, site: Site) -> None:
    page = connected.page
    half = {"choices": [{"delta": {"content": "half an"}, "finish_reason": "length"}]}
    site.emulator.add_fault(**sse(half, "[DONE]"))
    connected.send("question")
    connected.wait_for_answer()
    expect(page.locator(".note")).to_contain_text("Cut at the length limit")
    box = page.get_by_label("Message", exact=True)
    box.fill("a draft")
    page.get_by_role("button", name="Continue").click()
    connected.wait_for_answer(2)
    expect(page.locator(".user .text").last).to_have_text("Continue where you stopped.")
    expect(box).to_have_value("a draft")
    expect(page.get_by_role("button", name="Continue")).to_have_count(0)
    # A model that has only thought gets more tokens for the same question.
    connected.new_chat()
    thoughts = {"choices": [{"delta": {"reasoning": "hmm"}, "finish_reason": "length"}]}
    site.emulator.add_fault(**sse(thoughts, "[DONE]"))
    connected.send("think")
    connected.wait_for_answer()
    page.get_by_role("button", name="Continue").click()
    expect(page.locator(ANSWER)).to_contain_text("think")
    body = [r.body for r in site.emulator.requests if r.path == CHAT][-1]
    assert body["max_tokens"] == 16_384
    assert [m["content"] for m in body["messages"]] == ["think"]


@pytest.mark.requirement("C5")
def test_the_model_belongs_to_the_conversation(connected: Tab) -> None:
    page = connected.page
    connected.send("question")
    connected.wait_for_answer()
    url = page.url
    name = page.locator("#model-name")
    first = name.inner_text()
    connected.new_chat()
    choose(connected, "claude-sonnet-4.5")
    page.goto(url)
    connected.wait_until_ready()
    expect(name).to_have_text(first)
    with page.expect_response(lambda r: '"conversation"' in str(r.request.post_data)):
        choose(connected, "nemo")
    chosen = name.inner_text()
    page.reload()
    expect(name).to_have_text(chosen)


def choose(tab: Tab, search: str) -> None:
    tab.page.get_by_role("button", name="Model:").click()
    tab.page.get_by_role("option").first.wait_for()
    tab.page.get_by_role("combobox").fill(search)
    tab.page.keyboard.press("Enter")


def test_a_spent_limit_is_shown_on_every_page_until_an_answer_is_paid(
    connected: Tab, site: Site
) -> None:
    connected.expected.append("status of 402")
    page = connected.page
    notice = page.locator("#trouble")
    limit = {"error": {"message": "Key limit exceeded. Manage it", "code": 403}}
    site.emulator.add_fault(path=CHAT, status=403, body=limit)
    connected.send("question")
    expect(page.get_by_role("alert")).to_contain_text("reached its spending limit")
    for path in ("/", "/usage", "/account"):
        page.goto(site.app_url + path)
        expect(notice).to_contain_text("reached its spending limit")
        expect(notice.get_by_role("link")).to_have_attribute("href", pages_of_key(site))
        assert_accessible(connected, path)
    connected.new_chat()
    connected.send("question")
    connected.wait_for_answer()
    expect(notice).to_have_count(0)
    page.goto(f"{site.app_url}/usage")
    expect(notice).to_have_count(0)


def pages_of_key(site: Site) -> str:
    (key,) = site.emulator.ledger.keys(site.emulator.now())
    return f"{site.emulator.url}/keys/{key['hash']}"


@pytest.mark.requirement("C2")
def test_formulas_and_breaks_in_tables_are_shown_as_written(connected: Tab, site: Site) -> None:
    text = "Let \\(a_1 * b_1\\) and $x*y*z$:\n\n\\[\na \\\\\n+ b\n\\]\n\n| a |\n|---|\n| x<br>y |\n"
    site.emulator.add_fault(**answered(text))
    connected.send("question")
    for _ in range(2):
        answer = connected.wait_for_answer()
        assert "Let \\(a_1 * b_1\\) and $x*y*z$:" in answer
        assert "\\[\na \\\\\n+ b\n\\]" in answer
        assert "x\ny" in answer
        connected.page.reload()
