"""The example app when something goes wrong: what a person reads, and what they can do next."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from chat_visitor import CHAT, sse
from tab import Site, Tab

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the test dependencies")
expect = sync_api.expect

ANSWER = ".message.assistant .text"
KEY_LIMIT = {"error": {"message": "Key limit exceeded. Manage it", "code": 403}}


@pytest.fixture(autouse=True)
def quick(site: Site) -> Iterator[None]:
    """Words in quick succession: here nobody watches them come in."""
    site.control("PATCH", "config", word_delay=0.01)
    yield
    site.control("PATCH", "config", word_delay=0.03)


@pytest.mark.parametrize(
    ("fault", "words", "link"),
    [
        ({"status": 402}, "no credit left", "https://openrouter.ai/settings/credits"),
        ({"status": 403, "body": KEY_LIMIT}, "reached its spending limit", "/keys/"),
        ({"status": 404}, "may no longer offer it", None),
        ({"status": 503}, "provider of this model is not answering", None),
        ({"reset": True}, "cannot be reached from here", None),
    ],
)
def test_trouble_is_told_with_the_next_step(
    tab: Tab, site: Site, fault: dict[str, Any], words: str, link: str | None
) -> None:
    tab.expected.append("status of (402|502)")
    tab.connect()
    # A connection that breaks is tried again by nobody: the question may have been taken.
    site.control("POST", "faults", path=CHAT, **fault)
    tab.send("hello")
    alert = tab.page.get_by_role("alert")
    expect(alert).to_contain_text(words)
    assert tab.page.get_by_label("Message", exact=True).input_value() == "hello", "nothing is lost"
    assert tab.page.locator(".message").count() == 0
    if link:
        href = alert.get_by_role("link").get_attribute("href")
        assert link in str(href)
    if fault.get("status") == 404:
        alert.get_by_role("button", name="Choose another model").click()
        tab.page.get_by_role("combobox").fill("nemo")
        tab.page.keyboard.press("Enter")
        tab.page.get_by_role("button", name="Send").click()
    else:
        alert.get_by_role("button", name="Try again").click()
    assert "hello" in tab.wait_for_answer()
    expect(alert).to_be_empty()
    assert tab.page.get_by_label("Message", exact=True).input_value() == ""


def test_a_rate_limit_counts_down(tab: Tab, site: Site) -> None:
    tab.expected.append("status of 429")
    tab.connect()
    site.control("POST", "faults", path=CHAT, status=429, headers={"Retry-After": "2"})
    tab.send("hello")
    retry = tab.page.get_by_role("alert").get_by_role("button", name="Try again")
    expect(retry).to_have_text(re.compile(r"Try again in [12] s"))
    expect(retry).to_be_disabled()
    expect(retry).to_have_text("Try again")
    retry.click()
    tab.wait_for_answer()


def test_a_dead_key_leads_through_login_back_to_the_same_chat(tab: Tab, site: Site) -> None:
    tab.expected.append("status of 401")
    tab.connect()
    tab.send("first")
    tab.wait_for_answer()
    url = tab.page.url
    (key,) = site.control("GET", "keys")["data"]
    site.control("DELETE", f"keys/{key['hash']}")
    tab.send("second")
    alert = tab.page.get_by_role("alert")
    expect(alert).to_contain_text("no longer accepts your key")
    alert.get_by_role("link", name="Connect OpenRouter again").click()
    tab.page.get_by_role("button", name="Approve").click()
    tab.page.wait_for_url(url)
    tab.page.locator("#model:enabled").wait_for()
    assert tab.page.get_by_label("Message", exact=True).input_value() == "second"
    tab.page.keyboard.press("Enter")
    assert "second" in tab.wait_for_answer(2)


@pytest.mark.parametrize(
    ("fault", "words", "step"),
    [
        ({"status": 401}, "not answering", "Try again"),
        ({"status": 402}, "no credit left", "Try again"),
        ({"status": 502}, "not answering", "Try again"),
        ({"reset": True}, "broke before the answer was complete", "Try again"),
    ],
)
def test_an_answer_that_breaks_off_is_kept_and_explained(
    tab: Tab, site: Site, fault: dict[str, Any], words: str, step: str
) -> None:
    tab.connect()
    site.control("POST", "faults", path=CHAT, mid_stream=True, **fault)
    tab.send("hello")
    alert = tab.page.get_by_role("alert")
    expect(alert).to_contain_text(words)
    assert tab.wait_for_answer().startswith("Hello")
    expect(tab.page.locator(".note")).to_contain_text("Broken off")
    if step == "Try again":
        alert.get_by_role("button", name=step).click()
        tab.page.locator(ANSWER, has_text="real GPT").wait_for()
        assert tab.page.locator(".message").count() == 2
    else:
        expect(alert.get_by_role("link", name=step)).to_be_visible()


def test_a_network_that_is_lost_comes_back(tab: Tab, site: Site) -> None:
    tab.expected += ["ERR_INTERNET_DISCONNECTED", "ERR_NETWORK_CHANGED", "ERR_FAILED"]
    tab.connect()
    tab.send("first")
    tab.wait_for_answer()
    tab.page.context.set_offline(True)
    tab.send("second")
    alert = tab.page.get_by_role("alert")
    expect(alert).to_contain_text("cannot be reached: check your network")
    tab.page.context.set_offline(False)
    expect(alert).to_be_empty(timeout=20_000)
    expect(tab.page.get_by_role("status").first).to_have_text("You are online again.")
    assert site.completions() == 1, "money is spent by a click only"
    assert tab.page.get_by_label("Message", exact=True).input_value() == "second"
    tab.page.get_by_role("button", name="Send").click()
    assert "second" in tab.wait_for_answer(2)


def test_a_connection_that_breaks_in_mid_answer_shows_what_the_server_kept(
    tab: Tab, site: Site
) -> None:
    """The page's own connection to the app is cut, as a phone in a tunnel would."""
    tab.connect()
    page = tab.page
    page.evaluate("""() => {
        const fetched = window.fetch;
        window.fetch = async (url, options) => {
            const answer = await fetched(url, options);
            if (!String(url).endsWith("/ask")) return answer;
            window.fetch = fetched;
            let pieces = 0;
            const cut = new TransformStream({ transform(piece, controller) {
                pieces += 1;
                if (pieces < 6) controller.enqueue(piece);
                else controller.error(new TypeError("network error"));
            } });
            return new Response(answer.body.pipeThrough(cut), answer);
        };
    }""")
    tab.send("a b c d e f g h i j k l m n o p q r s t u v w x y z")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("What arrived is kept")
    expect(alert).to_be_empty(timeout=20_000)
    kept = tab.wait_for_answer()
    assert kept.startswith("Thank")
    page.get_by_role("button", name="Try again").click()
    page.locator(ANSWER, has_text="real GPT").wait_for()


def test_an_answer_without_a_word_offers_to_ask_again(tab: Tab, site: Site) -> None:
    tab.connect()
    site.control("POST", "faults", **sse("[DONE]"))
    tab.send("hello")
    alert = tab.page.get_by_role("alert")
    expect(alert).to_contain_text("has no answer yet")
    tab.page.reload()
    alert.get_by_role("button", name="Try again").click()
    assert "hello" in tab.wait_for_answer()


def test_models_that_cannot_be_listed_can_be_tried_again(
    open_tab: Callable[..., Tab], site: Site
) -> None:
    tab = open_tab()
    tab.expected.append("status of 502")
    tab.connect()
    tab.send("hello")
    tab.wait_for_answer()
    tab.page.reload()
    # The app keeps a list for ten minutes, so the trouble is put between page and app.
    tab.page.route("**/models", lambda route: route.fulfill(status=502, json={}))
    tab.page.get_by_role("button", name="Model:").click()
    alert = tab.page.get_by_role("alert")
    expect(alert).to_contain_text("went wrong in this app")
    tab.page.unroute("**/models")
    alert.get_by_role("button", name="Try again").click()
    expect(tab.page.get_by_role("option")).to_have_count(8)
