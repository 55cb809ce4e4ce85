"""The form into which a visitor pastes the code, for apps without a reachable callback."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from failing_storage import FailingStorage
from visitor import Visitor

from flask_openrouter.emulator import Emulator


def open_form(visitor: Visitor, path: str = "/openrouter/code") -> tuple[str, str]:
    """Visit the form; return the link to OpenRouter and the form's state."""
    page = visitor.get(path)
    assert page.status_code == 200
    (link,) = re.findall(r'href="([^"]*/auth\?[^"]*)"', page.text)
    (state,) = re.findall(r'name="state" value="([^"]*)"', page.text)
    return unescape(link), state


def paste(visitor: Visitor, state: str, code: str, **headers: str):
    return visitor.post("/openrouter/code", data={"state": state, "code": code}, headers=headers)


def test_a_visitor_connects_by_pasting_the_code(visitor: Visitor, emulator: Emulator) -> None:
    link, state = open_form(visitor, "/openrouter/code?next=/guarded")
    assert "callback_url" not in link

    landed = paste(visitor, state, f"  {emulator.approve_headless(link)}\n")

    assert (landed.status_code, landed.location) == (303, "/guarded")
    assert visitor.key is not None


def test_a_whole_address_is_accepted(visitor: Visitor, emulator: Emulator) -> None:
    """A browser that cannot reach the callback leaves its visitor with an address to copy."""
    address = emulator.approve(visitor.start("/guarded"))
    _, other_state = open_form(visitor)

    landed = paste(visitor, other_state, address)

    assert (landed.status_code, landed.location) == (303, "/guarded")
    assert visitor.key is not None


def test_a_paste_without_a_pending_login_is_refused(app, emulator: Emulator) -> None:
    victim, attacker = Visitor(app), Visitor(app)
    link, state = open_form(attacker)
    code = emulator.approve_headless(link)

    for answer in (paste(victim, state, code), paste(victim, "", code), paste(victim, "x", code)):
        assert answer.status_code == 400
    assert victim.key is None
    assert emulator.count("POST", "/api/v1/auth/keys") == 0
    assert paste(attacker, state, code).status_code == 303


def test_a_text_that_cannot_be_a_code_spends_nothing(visitor: Visitor, emulator: Emulator) -> None:
    for text in (
        *("", " ", "a b", "ä", "c" * 9000, "https://", "http://[", "https://x.example/?code="),
        *("https://x.example/?code=ä", "https://x.example/?code=" + "c" * 9000),
        *("https://x.example/?code=a&code=b", "https://x.example/?error=access_denied"),
    ):
        link, state = open_form(visitor)
        assert paste(visitor, state, text).status_code == 400, text
        assert paste(visitor, state, emulator.approve_headless(link)).status_code == 303, text


@pytest.mark.requirement("O19")
def test_a_pasted_address_with_escaped_ampersands_spends_nothing(
    visitor: Visitor, emulator: Emulator
) -> None:
    link, state = open_form(visitor)
    code = emulator.approve_headless(link)
    for mark in ("&amp;", "&#38;", "%26"):
        pasted = f"http://localhost/openrouter/callback?state={state}{mark}code={code}"
        assert paste(visitor, state, pasted).status_code == 400
    assert emulator.count("POST", "/api/v1/auth/keys") == 0
    assert paste(visitor, state, code).status_code == 303


def test_another_site_cannot_paste(visitor: Visitor, emulator: Emulator) -> None:
    link, state = open_form(visitor)
    code = emulator.approve_headless(link)
    answer = paste(visitor, state, code, **{"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert emulator.count("POST", "/api/v1/auth/keys") == 0


def retry_of(page: Any) -> str:
    """Return the address of another login."""
    (url,) = re.findall(r'href="([^"]*/openrouter/(?:login|code)[^"]*)"', page.text)
    return unescape(url)


@pytest.mark.requirement("W18")
def test_every_retry_leads_back_to_the_form(visitor: Visitor, emulator: Emulator) -> None:
    """OpenRouter cannot send this visitor back. The popup and the next page stay, too."""
    form = "/openrouter/code?display=popup&next=/guarded"
    for code in ("bad code!", "", "https://openrouter.ai/auth?x=1", "Z" * 43):
        _, state = open_form(visitor, form)
        # The state names a login, or the address of the form tells.
        for url, sent in (("/openrouter/code", state), (form, "no-state"), (form, state)):
            page = visitor.post(url, data={"state": sent, "code": code})
            assert page.status_code == 400, code
            assert retry_of(page) == form, (url, code)
    link, state = open_form(visitor, form)
    with emulator.faults(status=500, path="/api/v1/auth/keys"):
        page = visitor.post(form, data={"state": state, "code": emulator.approve_headless(link)})
    assert (page.status_code, retry_of(page)) == (502, form)


@pytest.mark.requirement("W18")
def test_a_key_that_is_not_saved_leads_back_to_the_form(make_app: Any, emulator: Emulator) -> None:
    visitor = Visitor(make_app({"storage": FailingStorage("set")}))
    form = "/openrouter/code?next=/guarded"
    link, state = open_form(visitor, form)
    page = visitor.post(form, data={"state": state, "code": emulator.approve_headless(link)})
    for _ in range(2):
        assert (page.status_code, retry_of(page)) == (503, form)
        (save_url,) = re.findall(r'action="([^"]*/save[^"]*)"', page.text)
        page = visitor.post(unescape(save_url))


def test_a_user_id_that_cannot_own_a_key_is_an_error_page(make_app: Any) -> None:
    app = make_app()
    app.extensions["openrouter"].app_functions.owner_loader = lambda: "x" * 256
    page = Visitor(app).get("/openrouter/code")
    assert page.status_code == 503
    assert "Error storage_unavailable," in page.text
