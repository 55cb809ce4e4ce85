"""Redirects of the routes: each leads to OpenRouter or to a page of this origin."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from attack import logins, state_of
from flask import Flask
from full_storage import FullStorage
from hostile_next import BENIGN, HOSTILE, OWN_ROUTES, offsite
from misbehaving import MisbehavingProvider, issue_key
from visitor import Visitor
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_openrouter.emulator import Emulator
from flask_openrouter.login.logins import part_of

MakeApp = Callable[..., Flask]


@pytest.fixture
def lines(every_variant: bool) -> list[bytes]:
    """Some of the hostile addresses, or all. test_urls.py gives all to the check itself."""
    chosen = HOSTILE if every_variant else HOSTILE[::15]
    return [line.encode(errors="surrogatepass") for line in chosen]


@pytest.fixture
def provider() -> Iterator[MisbehavingProvider]:
    """A provider that accepts any code, so that hundreds of logins take seconds."""
    with MisbehavingProvider(issue_key("sk-or-v1-" + "0" * 64)) as provider:
        yield provider


def finish(visitor: Visitor, authorization_url: str) -> Any:
    return visitor.get(visitor.callback_url(authorization_url, code="any-code"))


def login_with(visitor: Visitor, next_url: bytes | str, path: str = "/openrouter/login") -> Any:
    return visitor.get(f"{path}?{urlencode({'next': next_url})}")


def hrefs(page: str) -> list[str]:
    return [unescape(href) for href in re.findall(r'href="([^"]*)"', page)]


@pytest.mark.requirement("R30")
def test_next_never_leaves_the_origin_after_a_login(
    make_app: MakeApp, provider: MisbehavingProvider, lines: list[bytes]
) -> None:
    visitor = Visitor(make_app(OPENROUTER_BASE_URL=provider.url))
    for line in lines:
        start = login_with(visitor, line)
        assert start.status_code == 303, line
        landed = finish(visitor, start.location)
        assert landed.status_code == 303, line
        assert offsite(landed.location) is None, line
        assert "\\" not in landed.location
        assert landed.location.startswith("/")
    assert visitor.key is not None


@pytest.mark.requirement("R30")
def test_next_never_leaves_the_origin_after_disconnecting(
    visitor: Visitor, lines: list[bytes]
) -> None:
    for line in lines:
        in_form = visitor.post("/openrouter/disconnect", data={"next": line})
        in_query = visitor.post(f"/openrouter/disconnect?{urlencode({'next': line})}")
        for answer in (in_form, in_query):
            assert answer.status_code == 303, line
            assert offsite(answer.location) is None, line


@pytest.mark.requirement("R30")
def test_next_never_leaves_the_origin_on_error_pages(app: Flask, lines: list[bytes]) -> None:
    """No login can start over plain http on a public host, so the error page links to it again."""
    visitor = Visitor(app, "http://app.example")
    kept = 0
    for line in lines:
        page = login_with(visitor, line)
        assert page.status_code == 400, line
        for href in hrefs(page.text):
            assert href == "/" or href.startswith("/openrouter/"), line
            for next_url in parse_qs(urlsplit(href).query).get("next", []):
                kept += 1
                assert offsite(next_url) is None, line
    assert kept < 10


@pytest.mark.requirement("R30")
def test_next_never_leaves_the_origin_after_a_pasted_code(
    make_app: MakeApp, provider: MisbehavingProvider, lines: list[bytes]
) -> None:
    visitor = Visitor(make_app(OPENROUTER_BASE_URL=provider.url))
    for line in (*lines, b"/a?b=c"):
        form = login_with(visitor, line, "/openrouter/code")
        (state,) = re.findall(r'name="state" value="([^"]+)"', form.text)
        data = {"state": state, "code": "any-code"}
        landed = visitor.post(f"/openrouter/code?{urlencode({'next': line})}", data=data)
        assert landed.status_code == 303, line
        assert offsite(landed.location) is None, line
    assert landed.location == "/a?b=c"


@pytest.mark.requirement("R30")
def test_next_never_leaves_the_origin_when_a_key_is_saved_later(
    make_app: MakeApp, provider: MisbehavingProvider, lines: list[bytes]
) -> None:
    storage = FullStorage()
    storage.is_full = True
    visitor = Visitor(make_app({"storage": storage}, OPENROUTER_BASE_URL=provider.url))
    assert finish(visitor, visitor.start("/a?b=c")).status_code == 503
    for line in lines:
        page = visitor.post(f"/openrouter/save?{urlencode({'next': line})}")
        assert page.status_code == 503
        links = [*hrefs(page.text), *re.findall(r'action="([^"]*)"', page.text)]
        assert len(links) > 2
        for link in map(unescape, links):
            for next_url in parse_qs(urlsplit(link).query).get("next", []):
                assert offsite(next_url) is None, line


@pytest.mark.requirement("R30")
def test_a_repeated_next_never_leaves_the_origin(
    make_app: MakeApp, provider: MisbehavingProvider
) -> None:
    visitor = Visitor(make_app(OPENROUTER_BASE_URL=provider.url))
    for query in (
        "next=/a&next=//evil.example",
        "next=//evil.example&next=/a",
        "next[]=//evil.example",
        "NEXT=//evil.example",
        "next=/a%26next=//evil.example",
        "next=/a;next=//evil.example",
        "next",
        "next=%2F%2Fevil.example",
        "next=%252F%252Fevil.example",
    ):
        start = visitor.get(f"/openrouter/login?{query}")
        assert offsite(finish(visitor, start.location).location) is None, query


@pytest.mark.requirement("R30")
def test_next_never_leaves_the_origin_on_the_page_that_ends_a_popup(
    visitor: Visitor, lines: list[bytes]
) -> None:
    """Anybody may call its address, with any ``next``."""
    for line in lines:
        page = login_with(visitor, line, "/openrouter/connected")
        assert page.status_code == 200
        (link,) = (h for h in hrefs(page.text) if "/static/" not in h)
        assert offsite(link) is None, line
        assert link.startswith("/")


@pytest.mark.requirement("R31")
def test_a_legitimate_next_is_kept(make_app: MakeApp, provider: MisbehavingProvider) -> None:
    """By a login, by a disconnect, and by the link of an error page."""
    app = make_app(OPENROUTER_BASE_URL=provider.url)
    visitor, plain_http = Visitor(app), Visitor(app, "http://app.example")
    for line, arrives in BENIGN.items():
        assert finish(visitor, login_with(visitor, line).location).location == arrives
        answer = Visitor(app).post("/openrouter/disconnect", data={"next": line})
        assert answer.location == arrives
        (again,) = (h for h in hrefs(login_with(plain_http, line).text) if "/login" in h)
        assert parse_qs(urlsplit(again).query)["next"] == [arrives]


@pytest.mark.requirement("R32")
def test_next_is_checked_again_when_it_is_used(
    make_app: MakeApp, provider: MisbehavingProvider
) -> None:
    """The cookie may be written by an older release, or by another app with the same secret."""
    visitor = Visitor(make_app(OPENROUTER_BASE_URL=provider.url))

    cookies = visitor.app.extensions["openrouter"].login_cookies
    for line in (*HOSTILE[::15], *OWN_ROUTES):
        if re.search("[\ud800-\udfff]", line):
            continue
        authorization_url = visitor.start("/marker")
        part = part_of(state_of(authorization_url))
        with visitor.app.test_request_context():
            (login,) = [login for login in logins(visitor) if login.part == part]
            value = cookies._sign(replace(login, next_url=line))
        visitor.client.set_cookie(f"openrouter{part}", value)
        landed = finish(visitor, authorization_url)
        if not line.startswith("/") or len(line) > 400:
            assert landed.status_code in (303, 400), "not even an entry"
        elif line in OWN_ROUTES:
            assert landed.location == "/"
        else:
            assert landed.status_code == 303
        assert offsite(landed.location or "/") is None, line


@pytest.mark.requirement("R33")
def test_no_login_ends_on_a_route_of_the_extension(
    make_app: MakeApp, provider: MisbehavingProvider
) -> None:
    visitor = Visitor(make_app(OPENROUTER_BASE_URL=provider.url))
    for line in OWN_ROUTES:
        assert finish(visitor, login_with(visitor, line).location).location == "/", line
    elsewhere = make_app({"url_prefix": "/öffnen/hier"}, OPENROUTER_BASE_URL=provider.url)
    visitor = Visitor(elsewhere)
    for line in ("/öffnen/hier/login", "/%C3%B6ffnen/hier/login", "/%C3%B6ffnen%2Fhier"):
        start = login_with(visitor, line, "/öffnen/hier/login")
        assert finish(visitor, start.location).location == "/", line


@pytest.mark.requirement("R33")
def test_a_login_that_leads_to_the_login_runs_once(
    make_app: MakeApp, provider: MisbehavingProvider
) -> None:
    app = make_app(OPENROUTER_BASE_URL=provider.url, OPENROUTER_LOGIN_REDIRECT_URL="/guarded")
    visitor = Visitor(app)
    landed = finish(visitor, login_with(visitor, "/openrouter/login").location)
    assert landed.location == "/guarded"
    assert visitor.get(landed.location).status_code == 200
    assert len(provider.exchanges) == 1


def mounted(app: Flask, path: str) -> Flask:
    app.wsgi_app = DispatcherMiddleware(NotFound(), {path: app.wsgi_app})  # type: ignore[method-assign]
    return app


@pytest.mark.requirement("R34")
@pytest.mark.parametrize("settings", [{}, {"APPLICATION_ROOT": "/sub"}])
def test_a_mounted_app_redirects_as_safely(
    settings: dict[str, str], make_app: MakeApp, provider: MisbehavingProvider, lines: list[bytes]
) -> None:
    visitor = Visitor(mounted(make_app(OPENROUTER_BASE_URL=provider.url, **settings), "/sub"))
    for line in lines:
        start = login_with(visitor, line, "/sub/openrouter/login")
        landed = finish(visitor, start.location)
        assert landed.status_code == 303, line
        assert offsite(landed.location) is None, line
    for line, lands in (
        ("//evil.example", "/sub/"),
        ("/sub/openrouter/login", "/sub/"),
        ("/sub/%6fpenrouter", "/sub/"),
        ("/sub/a?b=c#d", "/sub/a?b=c#d"),
    ):
        start = login_with(visitor, line, "/sub/openrouter/login")
        assert finish(visitor, start.location).location == lands
    refused = Visitor(visitor.app).get("/sub/guarded?a=b")
    assert refused.location == "/sub/openrouter/login?next=/sub/guarded?a%3Db"


@pytest.mark.requirement("R34")
def test_an_app_behind_a_proxy_redirects_as_safely(
    make_app: MakeApp, provider: MisbehavingProvider, lines: list[bytes]
) -> None:
    app = make_app(OPENROUTER_BASE_URL=provider.url)
    app.wsgi_app = ProxyFix(app.wsgi_app, x_proto=1, x_host=1, x_prefix=1)  # type: ignore[method-assign]
    headers = {
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "app.example",
        "X-Forwarded-Prefix": "/sub",
        "Sec-Fetch-Mode": "navigate",
    }
    browser = app.test_client()
    for line in (*lines, b"/sub/openrouter/login"):
        query = urlencode({"next": line})
        start = browser.get(f"/openrouter/login?{query}", headers=headers)
        (callback_url,) = parse_qs(urlsplit(start.location).query)["callback_url"]
        assert callback_url.startswith("https://app.example/sub/openrouter/callback?state=")
        landed = browser.get(
            f"/openrouter/callback?{urlsplit(callback_url).query}&code=any", headers=headers
        )
        assert landed.status_code == 303
        base = "https://app.example/sub/openrouter/callback"
        assert offsite(landed.location, base=base) is None, line
    assert landed.location == "/sub/"


@pytest.mark.requirement("R35")
def test_redirects_are_303(visitor: Visitor, emulator: Emulator) -> None:
    """Never 301 or 308, which browsers remember, nor 307, which sends a form again."""
    refused = visitor.get("/guarded")
    posted = visitor.post("/openrouter/disconnect")
    start = visitor.get("/openrouter/login")
    landed = visitor.get(emulator.approve(start.location))
    left = visitor.post("/openrouter/disconnect", data={"a": "b"})
    statuses = [answer.status_code for answer in (refused, posted, start, landed, left)]
    assert statuses == [303] * 5


@pytest.mark.requirement("R36")
def test_the_code_leaves_the_address_bar(visitor: Visitor, emulator: Emulator) -> None:
    callback_url = emulator.approve(visitor.start("/a?b=c"))
    query = parse_qs(urlsplit(callback_url).query)

    landed = visitor.get(callback_url)

    assert landed.status_code == 303
    assert landed.location == "/a?b=c"
    for (value,) in query.values():
        assert value not in landed.text
        assert value not in str(landed.headers)
    assert visitor.get(callback_url).location == "/a?b=c"
    assert Visitor(visitor.app).get(callback_url).status_code == 400
