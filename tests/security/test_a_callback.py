"""What may stand in a callback's address, and what a visitor who declined gets.

(RFC 6749 §3.1, §4.1.2 and Appendix A.11; OWASP ASVS 5.0, 2.2.1 and 15.3.7.)
"""

from __future__ import annotations

import time
from typing import Any

import pytest
from attack import assert_refused, exchanges, parameter, pending, state_of
from flask import Flask
from leaks import leaks_in, response_bytes
from visitor import NAVIGATE, Visitor
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Response

from flask_openrouter.emulator import Emulator


@pytest.mark.requirement("R8")
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda url, code: f"{url}&code=another-code", id="two codes"),
        pytest.param(lambda url, code: f"{url}&code={code}", id="the code twice"),
        pytest.param(lambda url, code: f"{url}&code=", id="an empty code, too"),
        pytest.param(lambda url, code: f"{url}&error=access_denied", id="code and error"),
        pytest.param(lambda url, code: f"{url}&error=", id="code and empty error"),
        pytest.param(lambda url, code: f"{url}&state={'A' * 43}", id="two states"),
        pytest.param(lambda url, code: f"{url}&state={state_of(url)}", id="the state twice"),
        pytest.param(lambda url, code: url.replace("code=", "error=x&error="), id="error twice"),
        pytest.param(lambda url, code: f"{url}&iss=a&iss=b", id="issuer twice"),
        pytest.param(lambda url, code: f"{url}&%63ode=another", id="a code in disguise"),
    ],
)
def test_a_parameter_given_twice_is_an_error(
    visitor: Visitor, emulator: Emulator, change: Any
) -> None:
    callback = emulator.approve(visitor.start())
    assert_refused(visitor, emulator, change(callback, parameter(callback, "code")))
    assert visitor.get(callback).status_code == 303, "it spends no login"


@pytest.mark.requirement("R8")
def test_unknown_parameters_are_ignored(visitor: Visitor, emulator: Emulator) -> None:
    callback = emulator.approve(visitor.start("/there"))
    extra = "&scope=all&session_state=1&utm_source=x&utm_source=y&error_description=no&key=sk"
    landed = visitor.get(callback + extra)
    assert (landed.status_code, landed.location) == (303, "/there")


@pytest.mark.requirement("R9")
@pytest.mark.parametrize(
    "garbage",
    [
        "code=",
        "code",
        "code[]=x",
        "code%5B%5D=x",
        "Code=x",
        "CODE=x",
        "code.x=x",
        "code=%00abc",
        "code=abc%00",
        "code=%ff%fe",
        "code=%C3%28",
        "code=a%0d%0ab",
        "code=a%0Ab",
        "code=a%09b",
        "code=a%20b",
        "code=a+b",
        "code=%7f",
        "code=%C2%85",
        "code=%F0%9F%98%80",
        "code=%E2%80%AE",
        "code=" + "x" * 1_025,
        pytest.param("code=" + "%41" * 3_000, id="9 kB of percent signs"),
        pytest.param("&".join(f"p{number}=1" for number in range(100_000)), id="many parameters"),
    ],
)
def test_what_cannot_be_a_code_is_refused_before_it_is_used(
    visitor: Visitor, emulator: Emulator, garbage: str
) -> None:
    authorization_url = visitor.start()
    assert_refused(visitor, emulator, f"{visitor.callback_url(authorization_url)}&{garbage}")
    assert len(pending(visitor)) == 1
    assert visitor.get(emulator.approve(authorization_url)).status_code == 303


@pytest.mark.requirement("R9", "R102")
def test_ten_megabytes_are_refused_at_once(app: Flask) -> None:
    """Measured inside the server: the test's own client is slower than that."""
    environ = EnvironBuilder("/openrouter/callback", headers=NAVIGATE).get_environ()
    environ["QUERY_STRING"] = f"state={'A' * 43}&code={'x' * 10_000_000}"
    begin = time.perf_counter()
    answer = Response.from_app(app.wsgi_app, environ)
    assert time.perf_counter() - begin < 1
    assert answer.status_code == 400
    assert b"xxxx" not in answer.get_data()


@pytest.mark.requirement("R9")
def test_the_longest_code_is_sent(visitor: Visitor, emulator: Emulator) -> None:
    """All of %x21-7E, 1,024 characters: such a code may be real, so OpenRouter has to say."""
    every = "".join(map(chr, range(0x21, 0x7F)))
    code = (every * 11)[:1024]
    answer = visitor.get(visitor.callback_url(visitor.start(), code=code))
    assert answer.status_code == 400
    assert exchanges(emulator) == 1
    assert leaks_in(response_bytes(answer), {"code": code}) == []


@pytest.mark.requirement("R10")
@pytest.mark.parametrize("query", ["?error=access_denied", "", "?error=access_denied&state="])
def test_a_refusal_without_the_state_changes_nothing(
    visitor: Visitor, emulator: Emulator, query: str
) -> None:
    visitor.connect(emulator)
    authorization_url = visitor.start("/own")
    assert_refused(visitor, emulator, f"/openrouter/callback{query}")
    assert visitor.get(emulator.approve(authorization_url)).location == "/own"


@pytest.mark.requirement("R10")
def test_a_refusal_with_the_state_of_another_browser_changes_nothing(
    app: Flask, visitor: Visitor, emulator: Emulator
) -> None:
    authorization_url = visitor.start("/own")
    foreign = visitor.callback_url(Visitor(app).start(), error="access_denied")
    assert_refused(visitor, emulator, foreign)
    assert visitor.get(emulator.approve(authorization_url)).location == "/own"


@pytest.mark.requirement("R10", "F1")
@pytest.mark.parametrize("deny_style", ["bare", "error"])
def test_who_declines_is_told_so_and_keeps_the_old_key(
    visitor: Visitor, emulator: Emulator, deny_style: str
) -> None:
    visitor.connect(emulator)
    other = visitor.start("/other")
    with emulator.configured(deny_style=deny_style):
        callback = emulator.deny(visitor.start())

    answer = assert_refused(visitor, emulator, callback, spends=state_of(callback))

    assert "You declined" in answer.text
    assert visitor.key is not None
    assert_refused(visitor, emulator, callback)
    assert visitor.get(emulator.approve(other)).location == "/other"


@pytest.mark.requirement("R10")
@pytest.mark.parametrize("error", ["access_denied", "server_error", "", "x" * 4_000, "<b>", "%00"])
def test_the_words_of_the_error_are_not_shown(
    visitor: Visitor, emulator: Emulator, error: str
) -> None:
    url = visitor.callback_url(visitor.start())
    sayings = f"&error={error}&error_description=Call-our-hotline&error_uri=https://evil.example/"
    answer = visitor.get(url + sayings)
    assert answer.status_code == 400
    assert "You declined" in answer.text
    for saying in ("hotline", "evil", "<b>", "xxxx", "server_error"):
        assert saying not in answer.text
    assert exchanges(emulator) == 0
