"""The text of the pages: nothing from the address or from OpenRouter is in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape, unescape
from itertools import product
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from cases import case
from flask import Flask, Response
from misbehaving import Act, MisbehavingProvider, answer
from page_checks import Page, assert_harmless
from visitor import Visitor
from werkzeug.test import create_environ

MakeApp = Callable[..., Flask]


XSS = (
    "<svg/onload=alert(1)>", "<script>alert(1)</script>", '"-alert()-"', "'-alert()-'",
    '"><img src=x onerror=alert(1)>', "'><svg onload=alert(1)>", "</title><script>x</script>",
    "</style><script>x</script>", "<!--<img src=--><img src=x onerror=x//>", "<iframe src=//evil>",
    "javascript:alert(document.domain)", "JaVaScRiPt:alert(2)", "data:text/html,<script>3</script>",
    "{{8191*131}}", "{{config}}", "${8191*131}", "<%= 8191*131 %>", "{% debug %}", "#{8191*131}",
    "{{''.__class__}}",
    "+ADw-script+AD4-alert(1)+ADw-/script+AD4-", "\x00<b>nul</b>", "\u202etxt.exe", "\ufeff<b>bom",
    "\u2028alert(4)", "<a href=//evil.example>here</a>", "<meta http-equiv=refresh content=0>",
    "<base href=//evil.example>", "evil\r\nX-Injected: 1", "`${alert(5)}`", "\x1b[2Jevil",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(6)>", "%3Csvg%3E-raw",
)  # fmt: skip


class Answer(Response):
    """A response without a test client: that of older releases reads the host itself."""

    @property
    def text(self) -> str:
        return self.get_data(as_text=True)


def callback(visitor: Visitor, **values: str) -> Any:
    return visitor.get(visitor.callback_url(visitor.start("/mine"), **values))


def responses_to(payload: str, visitor: Visitor) -> list[Any]:
    """Return the responses to requests that have this payload in every possible place."""
    foreign = Visitor(visitor.app, "http://app.example")
    host = payload.encode().decode("latin-1").replace("\r\n", "")
    get = visitor.get
    return [
        callback(visitor, error=payload),
        callback(visitor, error="access_denied", error_description=payload, error_uri=payload),
        callback(visitor, code=payload),
        callback(visitor, code="any-code", iss=payload),
        callback(visitor, **{f"code{payload}": "x"}),
        get(f"/openrouter/callback?{urlencode({'state': payload, 'code': payload})}"),
        get(f"/openrouter/callback?{quote(payload)}"),
        get(f"/openrouter/disconnected?{urlencode({'key': payload, 'next': payload})}"),
        get(f"/openrouter/connected?{urlencode({'next': payload})}"),
        get(f"/openrouter/code?{urlencode({'next': payload, 'state': payload})}"),
        visitor.post("/openrouter/code", data={"code": payload, "state": payload}),
        visitor.post(f"/openrouter/save?{urlencode({'next': payload})}"),
        get(f"/openrouter/status?{urlencode({'next': payload, 'callback': payload})}"),
        get(f"/openrouter/login?{urlencode({'next': payload})}", **{"Sec-Purpose": "prefetch"}),
        get(f"/openrouter/login/{quote(payload, safe='')}"),
        get(f"/openrouter/callback/{quote(payload, safe='')}?code=x"),
        foreign.get(f"/openrouter/login?{urlencode({'next': payload})}"),
        Answer.from_app(visitor.app, create_environ("/openrouter/login", headers={"Host": host})),
    ]


@pytest.mark.requirement("R56")
def test_nothing_from_the_address_is_on_a_page(app: Flask) -> None:
    for payload in XSS:
        clean = payload.strip("\r\n")
        for number, shown in enumerate(responses_to(payload, Visitor(app))):
            body = shown.text
            with case(payload, number):
                for form in (clean, escape(clean), unescape(clean), quote(clean)):
                    if form != clean or re.search(r"\W", clean):
                        assert form not in body
                assert str(8191 * 131) not in body
                assert "X-Injected" not in str(shown.headers)
                assert shown.headers.get("X-Injected") is None


@pytest.mark.requirement("R56")
def test_a_next_that_looks_like_code_is_at_most_part_of_a_link(app: Flask) -> None:
    """It is a path of this origin, percent-encoded, and in no text."""
    visitor = Visitor(app, "http://app.example")
    for payload in XSS:
        answer = visitor.get(f"/openrouter/login?{urlencode({'next': f'/{payload}'})}")
        page = Page(answer.text)
        assert payload not in page.text
        assert_harmless(page)
        assert not re.search(r"<svg|<img|<b>|onerror=|\{\{", answer.text)


def answer_with(status: int, payload: str) -> Act:
    """Return a response of OpenRouter with this payload in its body and headers."""
    error = {"code": status, "message": payload}
    body = {"error": error, "message": payload, "key": payload + "\n"}
    return answer(status, body, {"X-Request-Id": quote(payload), "Retry-After": "7"})


@pytest.mark.requirement("R56")
def test_nothing_from_openrouter_is_on_a_page(make_app: MakeApp) -> None:
    cases = [*product((200, 400, 403, 429, 500), XSS[::3])]
    acts = [answer_with(status, payload) for status, payload in cases]
    with MisbehavingProvider(acts) as provider:
        visitor = Visitor(make_app(OPENROUTER_BASE_URL=provider.url))
        for number, (status, payload) in enumerate(cases, 1):
            page = callback(visitor, code="any-code")
            with case(status, payload):
                assert len(provider.exchanges) == number
                assert page.status_code in (400, 502)
                for form in (payload, escape(payload), quote(payload)):
                    assert form not in page.text


@pytest.mark.requirement("R56")
def test_pages_are_utf_8_and_not_sniffed(visitor: Visitor) -> None:
    for shown in (callback(visitor, error="x"), visitor.get("/openrouter/disconnected")):
        assert shown.content_type == "text/html; charset=utf-8"
        assert shown.headers["X-Content-Type-Options"] == "nosniff"
