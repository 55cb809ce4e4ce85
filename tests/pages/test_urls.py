"""``safe_next`` returns only addresses that a browser keeps on this origin. Paths of the routes."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pytest
from flask import Flask, Response, g
from hostile_next import BENIGN, HOSTILE, OWN_ROUTES, offsite
from hypothesis import example, given
from hypothesis import strategies as st
from visitor import NAVIGATE, Visitor

from flask_openrouter.emulator import Emulator
from flask_openrouter.pages.urls import (
    MAX_NEXT_LENGTH,
    home_url,
    next_of_request,
    own_path,
    safe_next,
)

OWN_PATH = "/openrouter"


# Slashes, dots, controls and their escapes, put together in every order.
_PIECES = st.sampled_from(
    [
        *("/", "\\", "//", "%2f", "%5C", "%252f", ".", "..", "%2e", "@", ":", "?", "#"),
        *("\t", "\n", "\r", "\x00", " ", "\x7f", "\xa0", "\u2028", "\ufeff", "\ud800", "\uff0f"),
        *("%00", "%09", "%0a", "%20", "%7f", "%c3%a4", "%ff", "%", "a", "ä", "😀", "evil.example"),
        *("http:", "https://", "javascript:", "openrouter", "login", "[", "]", "{", '"', "<", "|"),
    ]
)


_ADDRESSES = st.builds("{}{}".format, st.sampled_from(["", "/"]), st.lists(_PIECES).map("".join))


def test_the_lists_of_addresses_are_complete() -> None:
    assert len(set(HOSTILE)) >= 355
    assert len(BENIGN) >= 21


def test_the_oracle_reads_addresses_as_browsers_do() -> None:
    """Each was compared with Node's WHATWG ``URL``."""
    destinations = {
        "/a": None,
        "a//evil.example": None,
        "?u=//evil.example": None,
        "http://localhost/a": None,
        "HTTP://LOCALHOST:80/a": None,
        "http:/a": None,
        "/.//evil.example": None,
        "//evil.example": "http://evil.example",
        "/\\evil.example/a": "http://evil.example",
        "\\\\\\evil.example": "http://evil.example",
        "\x00 /\t/evil.example": "http://evil.example",
        "ht\ntps:evil.example": "https://evil.example",
        "https://localhost/": "https://localhost",
        "http://localhost@evil.example": "http://localhost@evil.example",
        "http://localhost:81/": "http://localhost:81",
        "javascript:alert(1)": "javascript:alert(1)",
    }
    assert {location: offsite(location) for location in destinations} == destinations


def test_no_hostile_address_leaves_the_origin() -> None:
    returned = {value: safe_next(value, own_path=OWN_PATH) for value in HOSTILE}
    assert {value: url for value, url in returned.items() if url and offsite(url)} == {}


def test_benign_addresses_keep_their_query_and_fragment() -> None:
    assert {value: safe_next(value, own_path=OWN_PATH) for value in BENIGN} == BENIGN


def test_only_text_is_an_address() -> None:
    for value in (None, 7, b"/a", ["/a"], {"/a": 1}, object()):
        assert safe_next(value, own_path=OWN_PATH) is None, value


def test_a_login_never_leads_to_a_route_of_the_extension() -> None:
    assert {value for value in OWN_ROUTES if safe_next(value, own_path=OWN_PATH)} == set()


def test_repeated_slashes_do_not_hide_a_route_of_the_extension() -> None:
    """Werkzeug redirects to the address with one slash."""
    for value in ("/a//o/login", "/a///O//login", "/a/%2Fo/login", "/a//o"):
        assert safe_next(value, own_path="/a/o") is None, value
        assert safe_next(f"{value}x", own_path="/a/o/login") is not None, value


def test_the_routes_of_the_extension_may_have_a_variable_in_their_path() -> None:
    """Those of another language are routes of the extension as well."""
    own_path = "/App/<string(length=2):lang_code>/openrouter"
    for lang in ("en", "de", "D%45", "xx-yy"):
        for end in ("", "/login", "//callback?code=1", "/%6Cogin", "#a"):
            value = f"/app/{lang}/OpenRouter{end}"
            assert safe_next(value, own_path=own_path) is None, value
    for value in ("/de/openrouter/login", "/app/de/openrouters", "/app/openrouter", "/app/a/b"):
        assert safe_next(value, own_path=own_path) == value
    assert safe_next("/app/a/b/openrouter/x", own_path=own_path) == "/app/a/b/openrouter/x"
    assert safe_next("/app/a/b/openrouter/x", own_path="/app/<path:tenant>/openrouter") is None
    assert safe_next("/app/a/b/login", own_path="/app/<lang>/<tenant>") is None


def test_the_routes_of_the_extension_may_have_a_name_that_is_not_ascii() -> None:
    assert safe_next("/öffnen/login", own_path="/öffnen") is None
    assert safe_next("/%C3%B6ffnen/login", own_path="/öffnen") is None
    assert safe_next("/öffnend", own_path="/öffnen") == "/%C3%B6ffnend"


@pytest.mark.requirement("R102")
def test_the_length_limit_applies_to_the_encoded_address() -> None:
    longest = "/" + "a" * 1023
    assert safe_next(longest, own_path=OWN_PATH) == longest
    assert safe_next(longest + "a", own_path=OWN_PATH) is None
    assert safe_next("/" + "ä" * 170, own_path=OWN_PATH) is not None
    assert safe_next("/" + "ä" * 171, own_path=OWN_PATH) is None


def test_an_address_that_is_hostile_once_decoded_is_refused() -> None:
    """A browser would stay on the origin; a proxy that decodes and redirects might not."""
    for value in (
        "/%2fevil.example", "/%2F/evil.example", "/%2f%2fevil", "/a/%2e%2e/b", "/a%2f..%2fb"
    ):  # fmt: skip
        assert offsite(value) is None, value
        assert safe_next(value, own_path=OWN_PATH) is None, value


def test_no_control_character_is_accepted_anywhere() -> None:
    """A blank is accepted inside only, where it is encoded."""
    for code_point in (*range(0x21), 0x5C, 0x7F, *range(0x80, 0xA1)):
        character = chr(code_point)
        for value in (f"/{character}/evil.example", f"{character}/a"):
            url = safe_next(value, own_path=OWN_PATH)
            assert url in (None, "/%20/evil.example"), ascii(value)
        for value in (f"/a{character}", f"/a?b={character}", f"/a#{character}"):
            url = safe_next(value, own_path=OWN_PATH)
            assert (url is None) == (character != " "), ascii(value)


@given(st.one_of(_ADDRESSES, st.text(max_size=60), st.text(max_size=60).map("/".__add__)))
@example("/%\t2f/evil.example")
@example("/%25%32%66evil.example")
def test_every_reader_takes_the_returned_address_for_one_of_this_origin(value: str) -> None:
    """A browser, a second check, and Werkzeug when it makes the header."""
    url = safe_next(value, own_path=OWN_PATH)
    if url is None:
        return
    assert offsite(url) is None
    assert re.fullmatch(r"/(?!/)[!-\[\]-~]*", url)
    assert len(url) <= MAX_NEXT_LENGTH
    assert not url.lower().startswith("/openrouter/")
    assert safe_next(url, own_path=OWN_PATH) == url
    assert not unquote(urlsplit(url).path).startswith("//")
    environ = {"wsgi.url_scheme": "http", "HTTP_HOST": "localhost", "REQUEST_METHOD": "GET"}
    response = Response(status=303, headers={"Location": url})
    assert response.get_wsgi_headers(environ)["Location"] == url


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=40))
def test_every_quoted_path_segment_is_kept(text: str) -> None:
    segment = quote(f"x{text}", safe="")
    url = safe_next(f"/a/{segment}?q={segment}#{segment}", own_path=OWN_PATH)
    if re.search(r"[\x00-\x1f\x7f\\]|/\.\.?(/|$)", text):
        # Refused, because servers in front may decode it.
        assert url is None
    else:
        assert url == f"/a/{segment}?q={segment}#{segment}"


def test_the_paths_of_the_extension_and_of_the_app(make_app: Any) -> None:
    for prefix, root, own, home in (
        ("/openrouter", "", "/openrouter", "/"),
        ("/a/b", "/sub", "/sub/a/b", "/sub/"),
        ("/öffnen", "", "/öffnen", "/"),
    ):
        app = make_app({"url_prefix": prefix})
        with app.test_request_context("/", base_url=f"http://localhost{root}"):
            assert own_path() == own, prefix
            assert home_url() == home, prefix


def test_next_comes_from_the_query_or_the_form(app: Flask) -> None:
    for context in (
        app.test_request_context("/?next=/a"),
        app.test_request_context("/", method="POST", data={"next": "/a"}),
    ):
        with context:
            assert next_of_request() == "/a"
    for query in ("", "?next=", "?next=//evil.example", "?next=/openrouter/login"):
        with app.test_request_context(f"/{query}"):
            assert next_of_request() is None


def test_parameters_that_the_app_adds_to_every_address_leave_next_alone(make_app: Any) -> None:
    app = make_app()

    @app.url_defaults
    def add_language(endpoint: str, values: dict[str, Any]) -> None:
        values.setdefault("lang", "en")

    client = app.test_client()
    for request in (client.get, client.head):
        answer = request("/guarded?q=1", headers=NAVIGATE)
        assert answer.location == "/openrouter/login?lang=en&next=/guarded?q%3D1"


def test_the_prefix_may_contain_a_variable(make_app: Any, emulator: Emulator) -> None:
    """The routes are recognised, so a login never ends on a login."""
    app = make_app({"url_prefix": "/<lang>/openrouter"})

    @app.url_value_preprocessor
    def take_language(endpoint: str | None, values: dict[str, Any] | None) -> None:
        g.lang = (values or {}).pop("lang", "en")

    @app.url_defaults
    def add_language(endpoint: str, values: dict[str, Any]) -> None:
        if app.url_map.is_endpoint_expecting(endpoint, "lang"):
            values.setdefault("lang", g.lang)
            if g.lang == "de":
                values.setdefault("theme", "dark")

    visitor = Visitor(app)
    for path in ("/de/openrouter/login", "/de/openrouter/status", "/en/openrouter/login"):
        started = visitor.get(f"/de/openrouter/login?next={path}")
        assert visitor.get(emulator.approve(started.location)).location == "/"
    started = visitor.get("/de/openrouter/login?next=/de/chat")
    assert visitor.get(emulator.approve(started.location)).location == "/de/chat"


def test_the_bounds_of_a_safe_address() -> None:
    longest = "/ä" + "x" * (1024 - len("/%C3%A4"))
    assert safe_next(longest, own_path="/openrouter") == longest.replace("ä", "%C3%A4")
    assert safe_next(f"{longest}x", own_path="/openrouter") is None
    assert safe_next("/%ff", own_path="/openrouter") is None, "no UTF-8"
