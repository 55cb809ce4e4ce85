"""``safe_next``: what it returns, a browser keeps on this origin."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, urlsplit

import pytest
from flask import Response
from hostile_next import BENIGN, HOSTILE, OWN_ROUTES, offsite
from hypothesis import example, given
from hypothesis import strategies as st

from flask_openrouter.pages.urls import MAX_NEXT_LENGTH, safe_next

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


def test_the_lists_are_as_long_as_they_should_be() -> None:
    assert len(set(HOSTILE)) >= 355
    assert len(BENIGN) >= 21


@pytest.mark.parametrize(
    ("location", "where"),
    [
        ("/a", None),
        ("a//evil.example", None),
        ("?u=//evil.example", None),
        ("http://localhost/a", None),
        ("HTTP://LOCALHOST:80/a", None),
        ("http:/a", None),
        ("/.//evil.example", None),
        ("//evil.example", "http://evil.example"),
        ("/\\evil.example/a", "http://evil.example"),
        ("\\\\\\evil.example", "http://evil.example"),
        ("\x00 /\t/evil.example", "http://evil.example"),
        ("ht\ntps:evil.example", "https://evil.example"),
        ("https://localhost/", "https://localhost"),
        ("http://localhost@evil.example", "http://localhost@evil.example"),
        ("http://localhost:81/", "http://localhost:81"),
        ("javascript:alert(1)", "javascript:alert(1)"),
    ],
)
def test_the_oracle_reads_addresses_as_browsers_do(location: str, where: str | None) -> None:
    """Each was compared with Node's WHATWG ``URL``."""
    assert offsite(location) == where


@pytest.mark.parametrize("value", HOSTILE)
def test_nothing_hostile_leaves_the_origin(value: str) -> None:
    url = safe_next(value, own_path=OWN_PATH)
    assert url is None or offsite(url) is None


@pytest.mark.parametrize(("value", "url"), BENIGN.items())
def test_benign_addresses_survive_with_query_and_fragment(value: str, url: str) -> None:
    assert safe_next(value, own_path=OWN_PATH) == url


@pytest.mark.parametrize("value", [None, 7, b"/a", ["/a"], {"/a": 1}, object()])
def test_only_text_is_an_address(value: object) -> None:
    assert safe_next(value, own_path=OWN_PATH) is None


@pytest.mark.parametrize("value", OWN_ROUTES)
def test_own_routes_are_no_place_to_land_on(value: str) -> None:
    assert safe_next(value, own_path=OWN_PATH) is None


@pytest.mark.parametrize("value", ["/a//o/login", "/a///O//login", "/a/%2Fo/login", "/a//o"])
def test_own_routes_behind_slashes_that_are_taken_for_one_are_no_place_either(value: str) -> None:
    """Werkzeug redirects to the address with one slash."""
    assert safe_next(value, own_path="/a/o") is None
    assert safe_next(f"{value}x", own_path="/a/o/login") is not None


def test_own_routes_may_have_a_name_that_is_not_ascii() -> None:
    assert safe_next("/öffnen/login", own_path="/öffnen") is None
    assert safe_next("/%C3%B6ffnen/login", own_path="/öffnen") is None
    assert safe_next("/öffnend", own_path="/öffnen") == "/%C3%B6ffnend"


@pytest.mark.requirement("R102")
def test_the_longest_address_is_measured_as_it_is_sent() -> None:
    longest = "/" + "a" * 1023
    assert safe_next(longest, own_path=OWN_PATH) == longest
    assert safe_next(longest + "a", own_path=OWN_PATH) is None
    assert safe_next("/" + "ä" * 170, own_path=OWN_PATH) is not None
    assert safe_next("/" + "ä" * 171, own_path=OWN_PATH) is None


@pytest.mark.parametrize(
    "value", ["/%2fevil.example", "/%2F/evil.example", "/%2f%2fevil", "/a/%2e%2e/b", "/a%2f..%2fb"]
)
def test_what_a_server_in_front_decodes_is_refused_too(value: str) -> None:
    """A browser would keep it on the origin; a proxy that decodes and redirects might not."""
    assert offsite(value) is None
    assert safe_next(value, own_path=OWN_PATH) is None


@pytest.mark.parametrize("code_point", [*range(0x21), 0x5C, 0x7F, *range(0x80, 0xA1)])
def test_no_control_character_passes_anywhere(code_point: int) -> None:
    """A blank alone may be inside, where it is encoded."""
    for value in (f"/{chr(code_point)}/evil.example", f"{chr(code_point)}/a"):
        assert safe_next(value, own_path=OWN_PATH) in (None, "/%20/evil.example")
    for value in (f"/a{chr(code_point)}", f"/a?b={chr(code_point)}", f"/a#{chr(code_point)}"):
        url = safe_next(value, own_path=OWN_PATH)
        assert (url is None) == (chr(code_point) != " ")


@given(st.one_of(_ADDRESSES, st.text(max_size=60), st.text(max_size=60).map("/".__add__)))
@example("/%\t2f/evil.example")
@example("/%25%32%66evil.example")
def test_what_is_returned_stays_on_the_origin_whoever_reads_it(value: str) -> None:
    """A browser, a second reading, and Werkzeug while it makes the header: one and the same."""
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
def test_any_path_segment_survives_once_it_is_quoted(text: str) -> None:
    segment = quote(f"x{text}", safe="")
    url = safe_next(f"/a/{segment}?q={segment}#{segment}", own_path=OWN_PATH)
    if re.search(r"[\x00-\x1f\x7f\\]|/\.\.?(/|$)", text):
        # Refused once decoded, for servers in front decode.
        assert url is None
    else:
        assert url == f"/a/{segment}?q={segment}#{segment}"
