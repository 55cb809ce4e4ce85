"""A login in a popup: it ends on a page that closes the window."""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from failing_storage import FailingStorage
from visitor import Visitor

from flask_openrouter.emulator import Emulator


@pytest.mark.requirement("R36")
def test_a_login_in_a_popup_ends_on_a_page_that_closes_it(
    visitor: Visitor, emulator: Emulator
) -> None:
    """Neither code nor state is in its address or on the page."""
    start = visitor.get("/openrouter/login?display=popup&next=/guarded")
    callback_url = emulator.approve(start.location)
    landed = visitor.get(callback_url)
    assert (landed.status_code, landed.location) == (303, "/openrouter/connected?next=/guarded")

    page = visitor.get(landed.location)

    for (value,) in parse_qs(urlsplit(callback_url).query).values():
        assert value not in landed.location
        assert value not in page.text
    assert "popup.js" in page.text
    assert 'href="/guarded"' in page.text
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    with visitor.get("/openrouter/static/popup.js") as script:
        assert script.status_code == 200


def test_the_popup_page_leads_nowhere_else(visitor: Visitor) -> None:
    page = visitor.get("/openrouter/connected?next=https://evil.example/")
    assert "evil" not in page.text
    assert 'href="/"' in page.text


def test_a_login_may_end_on_another_site_of_the_app(make_app: Any, emulator: Emulator) -> None:
    """The content security policy of the pages allows it."""
    landing = "https://spa.example/start"
    visitor = Visitor(make_app(OPENROUTER_LOGIN_REDIRECT_URL=landing))
    assert visitor.connect(emulator).location == landing
    popup = visitor.get(emulator.approve(visitor.get("/openrouter/login?display=popup").location))
    assert f'href="{landing}"' in visitor.get(popup.location).text
    policy = visitor.get("/openrouter/code").headers["Content-Security-Policy"]
    assert "form-action 'self' https://spa.example;" in policy


def login_url_of(page: Any) -> str:
    """Return the address behind "Try again"."""
    return unescape(re.findall(r'href="([^"]*/openrouter/login[^"]*)"', page.text)[0])


def ends_in_popup(visitor: Visitor, emulator: Emulator, url: str) -> bool:
    landed = visitor.get(emulator.approve(visitor.get(url).location))
    assert landed.status_code == 303
    return "popup.js" in visitor.get(landed.location).text


@pytest.mark.requirement("W18")
def test_a_popup_stays_one_through_every_retry(
    make_app: Any, emulator: Emulator, clock: Any
) -> None:
    """Deny, a code that is refused, OpenRouter down, too late, reloads of each, then approve."""
    visitor = Visitor(make_app())
    start = "/openrouter/login?display=popup&next=/guarded"
    exchange = "/api/v1/auth/keys"

    def deny(url: str) -> str:
        return emulator.deny(url)

    def refuse(url: str) -> str:
        return visitor.callback_url(url, code="no-such-code")

    def too_late(url: str) -> str:
        callback = emulator.approve(url)
        clock.now += 601
        return callback

    for failing in (deny, refuse, too_late):
        callback = failing(visitor.get(start).location)
        for _ in range(2):
            again = login_url_of(visitor.get(callback))
            assert again == "/openrouter/login?display=popup&next=/guarded"
        assert ends_in_popup(visitor, emulator, again)
    callback = emulator.approve(visitor.get(start).location)
    with emulator.faults(status=500, path=exchange, times=None):
        again = login_url_of(visitor.get(callback))
    assert ends_in_popup(visitor, emulator, again)
    assert not ends_in_popup(visitor, emulator, "/openrouter/login?next=/guarded")


@pytest.mark.requirement("W18")
def test_a_malformed_callback_keeps_what_its_state_names(app: Any, emulator: Emulator) -> None:
    """Of this browser only."""
    visitor = Visitor(app)
    start = "/openrouter/login?display=popup&next=/guarded"
    callback = emulator.approve(visitor.get(start).location)
    for damage in ("&amp;code=", "%26code%3D", "&code=a&code=", "&code=%00", "&code=%ff", "?code="):
        damaged = callback.replace("&code=", damage)
        assert login_url_of(visitor.get(damaged)) == start, damage
        assert login_url_of(Visitor(app).get(damaged)) == "/openrouter/login"
    path, _, query = callback.partition("?")
    state, code = query.split("&")
    assert login_url_of(visitor.get(f"{path}?{code}&amp;{state}")) == start
    assert login_url_of(visitor.get(f"{path}?next=/other&display=popup")) == "/openrouter/login"
    assert "popup.js" in visitor.get(visitor.get(callback).location).text


@pytest.mark.requirement("W18")
def test_a_script_is_given_the_login_that_it_tried_to_load(visitor: Visitor) -> None:
    for url in ("/openrouter/login?display=popup&next=/a", "/openrouter/code?next=/a"):
        answer = visitor.get(url, **{"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"})
        assert (answer.json["error"], answer.json["login_url"]) == ("not_a_visit", url)


@pytest.mark.requirement("W18")
def test_an_address_that_openrouter_refuses_keeps_the_popup(make_app: Any) -> None:
    visitor = Visitor(make_app(), "http://app.example")
    page = visitor.get("/openrouter/login?display=popup&next=/guarded")
    assert page.status_code == 400
    assert login_url_of(page) == "/openrouter/login?display=popup&next=/guarded"


@pytest.mark.requirement("W18")
def test_a_key_that_is_saved_later_closes_the_popup(make_app: Any, emulator: Emulator) -> None:
    storage = FailingStorage("set")
    visitor = Visitor(make_app({"storage": storage}))
    start = visitor.get("/openrouter/login?display=popup&next=/guarded")
    page = visitor.get(emulator.approve(start.location))
    for _ in range(2):
        assert page.status_code == 503
        (save_url,) = re.findall(r'action="([^"]*/save[^"]*)"', page.text)
        page = visitor.post(unescape(save_url))
    storage.failing.clear()
    saved = visitor.post(unescape(save_url))
    assert saved.location == "/openrouter/connected?next=/guarded"
    assert "popup.js" in visitor.get(saved.location).text
    assert "popup" in login_url_of(visitor.post(unescape(save_url)))


@pytest.mark.requirement("W18")
def test_a_pasted_code_ends_in_the_popup_too(visitor: Visitor, emulator: Emulator) -> None:
    form = visitor.get("/openrouter/code?display=popup&next=/guarded").text
    (state,) = re.findall(r'name="state" value="([^"]+)"', form)
    (url,) = re.findall(r'href="([^"]+/auth\?[^"]+)"', form)
    data = {"state": state, "code": emulator.approve_headless(unescape(url))}
    landed = visitor.post("/openrouter/code", data=data)
    assert landed.location == "/openrouter/connected?next=/guarded"
    assert "popup.js" in visitor.get(landed.location).text


@pytest.mark.requirement("A4")
def test_the_page_has_a_script_only_right_after_a_login_in_a_popup(
    app: Any, emulator: Emulator
) -> None:
    """Another site may link to it, and its script would open any page of this site."""
    link = "/openrouter/connected?next=/any/page"
    stranger, connected, other = (Visitor(app) for _ in range(3))
    connected.connect(emulator, "/any/page")
    landed = other.get(
        emulator.approve(other.get("/openrouter/login?display=popup&next=/guarded").location)
    )
    for visitor in (stranger, connected, other):
        page = visitor.get(link, **{"Sec-Fetch-Site": "cross-site"})
        assert page.status_code == 200
        assert "script" not in page.text
        assert "script" not in page.headers["Content-Security-Policy"]
        assert 'href="/any/page"' in page.text
        assert "Set-Cookie" not in page.headers
    assert "popup.js" in other.get(landed.location).text
    # Once for each login.
    assert "popup.js" not in other.get(landed.location).text
    assert other.get(landed.location).status_code == 200


@pytest.mark.requirement("A4", "R45", "R47")
def test_nothing_but_a_visit_uses_the_proof_up(visitor: Visitor, emulator: Emulator) -> None:
    start = visitor.get("/openrouter/login?display=popup&next=/guarded")
    landed = visitor.get(emulator.approve(start.location))
    assert visitor.client.head(landed.location).status_code == 200
    for headers in ({"Sec-Purpose": "prefetch"}, {"Sec-Fetch-Dest": "iframe"}):
        assert "popup.js" not in visitor.get(landed.location, **headers).text
    assert "popup.js" in visitor.get(landed.location).text


@pytest.mark.requirement("A4")
def test_a_proof_of_another_browser_or_time_is_none(
    app: Any, emulator: Emulator, clock: Any
) -> None:
    visitor = Visitor(app)
    start = visitor.get("/openrouter/login?display=popup&next=/guarded")
    landed = visitor.get(emulator.approve(start.location))
    assert "popup.js" not in Visitor(app).get(landed.location).text
    clock.now += 601
    assert "popup.js" not in visitor.get(landed.location).text


@pytest.mark.requirement("A4", "R49")
def test_visits_from_another_site_push_out_no_login(visitor: Visitor, emulator: Emulator) -> None:
    own = visitor.start("/own")
    for number in range(8):
        visitor.get(
            f"/openrouter/login?display=popup&next=/{number}", **{"Sec-Fetch-Site": "cross-site"}
        )
        visitor.get("/openrouter/connected?next=/openrouter/login")
    assert visitor.get(emulator.approve(own)).location == "/own"
