"""The example app when something goes wrong: what the page says, and the next step."""

from __future__ import annotations

import re
from typing import Any

import pytest
from chat_visitor import CHAT, sse
from held_model import HeldModel
from tab import Site, Tab

from flask_openrouter.emulator.catalogue import MODELS

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the test dependencies")
expect = sync_api.expect

ANSWER = ".message.assistant .text"
KEY_LIMIT = {"error": {"message": "Key limit exceeded. Manage it", "code": 403}}


def test_each_problem_is_explained_with_the_next_step(tab: Tab, site: Site) -> None:
    tab.expected.append("status of (402|502)")
    tab.connect()
    faults: tuple[tuple[dict[str, Any], str, str | None], ...] = (
        ({"status": 402}, "no credit left", "/settings/credits"),
        ({"status": 403, "body": KEY_LIMIT}, "reached its spending limit", "/keys/"),
        ({"status": 404}, "may no longer offer it", None),
        ({"status": 503}, "provider of this model is not answering", None),
        # A broken connection is not tried again, because the question may have been accepted.
        ({"reset": True}, "cannot be reached from here", None),
    )
    prompt = tab.page.get_by_label("Message", exact=True)
    alert = tab.page.get_by_role("alert")
    for fault, words, link in faults:
        tab.new_chat()
        site.emulator.add_fault(path=CHAT, **fault)
        tab.send("hello")
        expect(alert).to_contain_text(words)
        assert prompt.input_value() == "hello", "nothing is lost"
        assert tab.page.locator(".message").count() == 0
        if link:
            assert link in str(alert.get_by_role("link").get_attribute("href"))
        if fault.get("status") == 404:
            alert.get_by_role("button", name="Choose another model").click()
            tab.page.get_by_role("combobox").fill("nemo")
            tab.page.keyboard.press("Enter")
            tab.page.get_by_role("button", name="Send").click()
        else:
            alert.get_by_role("button", name="Try again").click()
        assert "hello" in tab.wait_for_answer()
        expect(alert).to_be_empty()
        assert prompt.input_value() == ""


def test_a_rate_limit_counts_down_and_only_its_end_is_announced(tab: Tab, site: Site) -> None:
    tab.expected.append("status of 429")
    # The page's clock runs as usual, until it jumps to the end of the wait.
    tab.page.clock.install()
    tab.connect()
    site.emulator.add_fault(path=CHAT, status=429, headers={"Retry-After": "3000"})
    tab.send("hello")
    retry = tab.page.get_by_role("alert").get_by_role("button", name="Try again")
    expect(retry).to_have_text(re.compile(r"^Try again in (3000|2\d\d\d) s$"))
    expect(retry).to_be_disabled()
    expect(retry).to_have_attribute("aria-live", "off")
    status = tab.page.get_by_role("status").first
    expect(status).to_be_empty()
    tab.page.clock.fast_forward(3_000_000)
    expect(retry).to_have_text("Try again")
    expect(status).to_have_text("You can try again now.")
    retry.click()
    tab.wait_for_answer()


def test_after_a_key_is_deleted_a_new_login_returns_to_the_same_chat(tab: Tab, site: Site) -> None:
    tab.expected.append("status of 401")
    tab.connect()
    tab.send("first")
    tab.wait_for_answer()
    url = tab.page.url
    site.delete_key()
    tab.send("second")
    alert = tab.page.get_by_role("alert")
    expect(alert).to_contain_text("no longer accepts your key")
    alert.get_by_role("link", name="Connect OpenRouter again").click()
    tab.page.get_by_role("button", name="Approve").click()
    tab.page.wait_for_url(url)
    tab.wait_until_ready()
    assert tab.page.get_by_label("Message", exact=True).input_value() == "second"
    tab.page.keyboard.press("Enter")
    assert "second" in tab.wait_for_answer(2)


def test_an_answer_that_breaks_off_is_kept_and_explained(tab: Tab, site: Site) -> None:
    tab.connect()
    faults: tuple[tuple[dict[str, Any], str], ...] = (
        ({"status": 401}, "You are still connected"),
        ({"status": 402}, "no credit left"),
        ({"status": 502}, "not answering"),
        ({"reset": True}, "broke before the answer was complete"),
    )
    alert = tab.page.get_by_role("alert")
    for fault, words in faults:
        tab.new_chat()
        site.emulator.add_fault(path=CHAT, mid_stream=True, **fault)
        tab.send("hello")
        expect(alert).to_contain_text(words)
        assert tab.wait_for_answer().startswith("Hello")
        expect(tab.page.locator(".note")).to_contain_text("Broken off")
        alert.get_by_role("button", name="Try again").click()
        tab.page.locator(ANSWER, has_text="real GPT").wait_for()
        assert tab.page.locator(".message").count() == 2


def test_a_question_without_network_is_kept(tab: Tab, site: Site) -> None:
    tab.expected += ["ERR_INTERNET_DISCONNECTED", "ERR_NETWORK_CHANGED", "ERR_FAILED"]
    tab.connect()
    tab.send("first")
    tab.wait_for_answer()
    tab.page.context.set_offline(True)
    tab.send("second")
    alert = tab.page.get_by_role("alert")
    expect(alert).to_contain_text("cannot be reached: check your network")
    tab.page.context.set_offline(False)
    assert site.emulator.count("POST", CHAT) == 1, "money is spent by a click only"
    assert tab.page.get_by_label("Message", exact=True).input_value() == "second"
    tab.page.get_by_role("button", name="Send").click()
    assert "second" in tab.wait_for_answer(2)


def test_a_connection_that_breaks_in_mid_answer_shows_what_the_server_kept(
    tab: Tab, model: HeldModel
) -> None:
    """The page's own connection to the app is cut, as for a phone in a tunnel."""
    tab.connect()
    page = tab.page
    page.evaluate("""() => {
        const fetched = window.fetch;
        window.fetch = async (url, options) => {
            const response = await fetched(url, options);
            if (!String(url).endsWith("/ask")) return response;
            window.fetch = fetched;
            const pipe = new TransformStream({ start(controller) {
                window.cut = () => controller.error(new TypeError("network error"));
            } });
            return new Response(response.body.pipeThrough(pipe), response);
        };
    }""")
    model.hold(after="Thank you. You wrote:")
    tab.send("one two three")
    page.locator(ANSWER, has_text="Thank").wait_for()
    page.evaluate("cut()")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("What arrived is kept")
    stored = f"{page.url}/export.md"
    tab.wait_for(lambda: "*Stopped · " in page.request.get(stored).text())
    assert tab.wait_for_answer().startswith("Thank")
    model.release()
    alert.get_by_role("button", name="Try again").click()
    page.locator(ANSWER, has_text="real GPT").wait_for()


def test_an_empty_answer_can_be_requested_again(tab: Tab, site: Site) -> None:
    tab.connect()
    site.emulator.add_fault(**sse("[DONE]"))
    tab.send("hello")
    alert = tab.page.get_by_role("alert")
    expect(alert).to_contain_text("has no answer yet")
    tab.page.reload()
    alert.get_by_role("button", name="Try again").click()
    assert "hello" in tab.wait_for_answer()


def test_a_failed_list_of_models_can_be_requested_again(tab: Tab) -> None:
    tab.expected.append("status of 502")
    tab.connect()
    tab.send("hello")
    tab.wait_for_answer()
    tab.page.reload()
    # The app keeps the list for ten minutes, so the failure is between the page and the app.
    tab.page.route("**/models", lambda route: route.fulfill(status=502, json={}))
    # A conversation with a model does not wait for the list.
    tab.send("again")
    tab.wait_for_answer(2)
    tab.page.get_by_role("button", name="Model:").click()
    alert = tab.page.get_by_role("alert")
    expect(alert).to_contain_text("went wrong in this app")
    tab.page.unroute("**/models")
    alert.get_by_role("button", name="Try again").click()
    expect(tab.page.get_by_role("option")).to_have_count(len(MODELS))


@pytest.mark.requirement("C1", "O14")
def test_thoughts_are_shown_folded_while_and_after_the_model_thinks(tab: Tab, site: Site) -> None:
    tab.connect()
    page = tab.page
    thoughts = [{"choices": [{"delta": {"reasoning": "<i>hmm</i> "}}]}] * 3
    end = {"choices": [{"delta": {}, "finish_reason": "length"}]}
    site.emulator.add_fault(**sse(*thoughts, end, "[DONE]"))
    tab.send("hello")
    assert tab.wait_for_answer() == ""
    for _ in range(2):
        expect(page.locator(".note")).to_contain_text("Used all its tokens for thinking")
        words = page.locator(".thoughts div")
        expect(words).to_be_hidden()
        page.get_by_text("Thoughts").click()
        expect(words).to_have_text("<i>hmm</i> <i>hmm</i> <i>hmm</i>")
        expect(page.get_by_role("alert")).to_be_empty()
        page.reload()
    page.get_by_role("button", name="Try again").click()
    page.locator(ANSWER, has_text="hello").wait_for()
    tab.wait_for_answer()
    expect(page.locator(".thoughts:visible")).to_have_count(0)
