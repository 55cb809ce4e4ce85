"""The parameters of a callback: which are accepted, and what a visitor who declined sees.

(RFC 6749 §3.1, §4.1.2 and Appendix A.11; RFC 9207; OWASP ASVS 5.0, 2.2.1 and 15.3.7.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from attack import (
    assert_refused,
    exchanges,
    parameter,
    pending,
    state_of,
)
from cases import case
from flask import Flask
from leaks import leaks_in, response_bytes
from visitor import Visitor

from flask_openrouter.emulator import Emulator
from flask_openrouter.errors import StateMismatchError
from flask_openrouter.login.callback import read_pasted

#: How to repeat a parameter of the callback address ``url``.
REPETITIONS: dict[str, Callable[[str, str], str]] = {
    "two codes": lambda url, code: f"{url}&code=another-code",
    "the code twice": lambda url, code: f"{url}&code={code}",
    "an empty code, too": lambda url, code: f"{url}&code=",
    "code and error": lambda url, code: f"{url}&error=access_denied",
    "code and empty error": lambda url, code: f"{url}&error=",
    "two states": lambda url, code: f"{url}&state={'A' * 43}",
    "the state twice": lambda url, code: f"{url}&state={state_of(url)}",
    "error twice": lambda url, code: url.replace("code=", "error=x&error="),
    "issuer twice": lambda url, code: f"{url}&iss=a&iss=b",
    "a code in disguise": lambda url, code: f"{url}&%63ode=another",
}


@pytest.mark.requirement("R8")
def test_a_repeated_parameter_is_an_error_and_spends_no_login(
    app: Flask, emulator: Emulator
) -> None:
    for name, change in REPETITIONS.items():
        visitor = Visitor(app)
        callback = emulator.approve(visitor.start())
        with case(name):
            assert_refused(visitor, emulator, change(callback, parameter(callback, "code")))
            assert visitor.get(callback).status_code == 303


@pytest.mark.requirement("R8")
def test_unknown_parameters_are_ignored(visitor: Visitor, emulator: Emulator) -> None:
    callback = emulator.approve(visitor.start("/there"))
    extra = "&scope=all&session_state=1&utm_source=x&utm_source=y&error_description=no&key=sk"
    landed = visitor.get(callback + extra)
    assert (landed.status_code, landed.location) == (303, "/there")


@pytest.mark.requirement("R7")
def test_a_code_is_joined_to_the_callback_as_rfc_6749_requires_and_not_otherwise(
    visitor: Visitor, emulator: Emulator
) -> None:
    callback = emulator.approve(visitor.start())
    assert "&code=" in callback
    blind = callback.replace("&code=", "?code=")
    assert blind.count("?") == 2
    answer = assert_refused(visitor, emulator, blind)
    assert answer.location is None
    assert len(pending(visitor)) == 1
    assert visitor.get(callback).status_code == 303


NO_CODES = (
    *("code=", "code", "code[]=x", "code%5B%5D=x", "Code=x", "CODE=x", "code.x=x", "code=%00abc"),
    *("code=abc%00", "code=%ff%fe", "code=%C3%28", "code=a%0d%0ab", "code=a%0Ab", "code=a%09b"),
    *("code=a%20b", "code=a+b", "code=%7f", "code=%C2%85", "code=%F0%9F%98%80", "code=%E2%80%AE"),
    "code=" + "x" * 1_025,
    "code=" + "%41" * 3_000,
    "&".join(f"p{number}=1" for number in range(100_000)),
)


@pytest.mark.requirement("R9")
def test_a_value_that_cannot_be_a_code_is_refused_before_it_is_used(
    app: Flask, emulator: Emulator
) -> None:
    for garbage in NO_CODES:
        visitor = Visitor(app)
        authorization_url = visitor.start()
        with case(garbage):
            url = f"{visitor.callback_url(authorization_url)}&{garbage}"
            assert_refused(visitor, emulator, url)
            assert len(pending(visitor)) == 1
            assert visitor.get(emulator.approve(authorization_url)).status_code == 303


@pytest.mark.requirement("R9")
def test_the_longest_code_is_sent(visitor: Visitor, emulator: Emulator) -> None:
    """A code of 1,024 characters, %x21-7E, may be real, so OpenRouter has to decide."""
    every = "".join(map(chr, range(0x21, 0x7F)))
    code = (every * 11)[:1024]
    answer = visitor.get(visitor.callback_url(visitor.start(), code=code))
    assert answer.status_code == 400
    assert exchanges(emulator) == 1
    assert leaks_in(response_bytes(answer), {"code": code}) == []


@pytest.mark.requirement("R10")
def test_a_refusal_without_this_browsers_state_changes_nothing(
    app: Flask, visitor: Visitor, emulator: Emulator
) -> None:
    visitor.connect(emulator)
    authorization_url = visitor.start("/own")
    foreign = visitor.callback_url(Visitor(app).start(), error="access_denied")
    path = "/openrouter/callback"
    for url in (f"{path}?error=access_denied", path, f"{path}?error=access_denied&state=", foreign):
        with case(url):
            assert_refused(visitor, emulator, url)
    assert visitor.get(emulator.approve(authorization_url)).location == "/own"


@pytest.mark.requirement("R10", "F1")
def test_a_visitor_who_declines_sees_so_and_keeps_the_old_key(
    app: Flask, emulator: Emulator
) -> None:
    for deny_style in ("bare", "error"):
        visitor = Visitor(app)
        visitor.connect(emulator)
        other = visitor.start("/other")
        with emulator.configured(deny_style=deny_style):
            callback = emulator.deny(visitor.start())
        with case(deny_style):
            answer = assert_refused(visitor, emulator, callback, spends=state_of(callback))
            assert "You declined" in answer.text
            assert visitor.key is not None
            assert_refused(visitor, emulator, callback)
            assert visitor.get(emulator.approve(other)).location == "/other"


@pytest.mark.requirement("R10")
def test_the_text_of_the_error_is_not_shown(visitor: Visitor, emulator: Emulator) -> None:
    texts = "&error_description=Call-our-hotline&error_uri=https://evil.example/"
    errors = dict.fromkeys(("access_denied", "", "x" * 4000, "<b>", "%00"), (400, "You declined"))
    errors |= {"server_error": (502, "OpenRouter has trouble")}
    for error, (status, title) in errors.items():
        answer = visitor.get(f"{visitor.callback_url(visitor.start())}&error={error}{texts}")
        assert answer.status_code == status, error
        assert title in answer.text, error
        for text in ("hotline", "evil", "<b>", "xxxx", "server_error"):
            assert text not in answer.text, error
    assert exchanges(emulator) == 0


@pytest.mark.requirement("O20")
def test_trouble_of_openrouter_is_no_refusal(visitor: Visitor, emulator: Emulator) -> None:
    """RFC 6749 §4.1.2.1. The login is over, and another one may be started."""
    for error in (
        *("server_error", "temporarily_unavailable", "SERVER_ERROR", "+server_error%20"),
        *("internal_server_error", "service_unavailable", "request_timeout", "timed_out", "503"),
        *("invalid_request", "invalid_scope", "unauthorized_client", "unsupported_response_type"),
        *("rate_limited", "rate_limit_exceeded", "too_many_requests", "429", "409", "conflict"),
        *("invalid_client", "invalid_grant", "unknown_error", "failed", "maintenance", "HTTP 502"),
        *("bad_gateway", "provider_error", "internal+error", "Server%20Error", "timed-out"),
        "Failed+to+create+or+update+app+while+creating+auth+code",
        "server_error&error_code=500",
    ):
        callback = f"{visitor.callback_url(visitor.start('/there'))}&error={error}"
        for _ in range(2):
            answer = visitor.get(callback)
            assert answer.status_code == 502, error
            assert "declined" not in answer.text
            assert 'href="/openrouter/login?next=/there"' in answer.text
    assert exchanges(emulator) == 0


@pytest.mark.requirement("O19")
def test_a_garbled_code_is_no_refusal(visitor: Visitor, emulator: Emulator) -> None:
    """An encoder has left its marks in the address. The login waits for the right one."""
    callback = emulator.approve(visitor.start())
    for mark in ("&amp;", "&amp%3B", "&%26", "&x-", "&"):
        garbled = callback.replace("&code=", f"{mark}code" + ("" if mark != "&" else "s") + "=")
        answer = assert_refused(visitor, emulator, garbled)
        assert "not complete" in answer.text
    assert visitor.get(callback).status_code == 303


@pytest.mark.requirement("O19")
def test_a_parameter_of_the_app_is_no_garbled_code(make_app: Any, emulator: Emulator) -> None:
    for own in ("lang_code=de", "country-code=49", "utm_code=a"):
        visitor = Visitor(
            make_app(OPENROUTER_CALLBACK_URL=f"http://localhost/openrouter/callback?{own}")
        )
        callback = visitor.callback_url(visitor.start())
        assert own in callback
        answer = assert_refused(visitor, emulator, callback, spends=state_of(callback))
        assert "You declined" in answer.text


@pytest.mark.requirement("O19")
def test_what_an_encoder_leaves_of_an_ampersand_spends_no_login(
    visitor: Visitor, emulator: Emulator
) -> None:
    """With a code, with an error, before the state or after all of them."""
    callback = emulator.approve(visitor.start("/there"))
    path, _, query = callback.partition("?")
    state, code = query.split("&")
    for mark in (
        *("&amp;", "&AMP;", "&amp;amp;", "&amp%3B", "&%26", "&%2526", "&%2338;", "&%23x26%3B"),
        *("&#38;", "&#x26;", "%26", "%26amp;", "%3F", ";", "\\u0026", "&amp"),
    ):
        for last in (code, "error=access_denied", "error=server_error"):
            with case(mark, last):
                answer = assert_refused(visitor, emulator, f"{path}?{state}{mark}{last}")
                assert "not complete" in answer.text
        with case(mark, "first"):
            assert_refused(visitor, emulator, f"{path}?{code}{mark}{state}")
    for rest in ("&amp;error=access_denied", "&amp;iss=https://evil.example", "&amp;code=other"):
        with case(rest):
            answer = assert_refused(visitor, emulator, f"{callback}{rest}")
            assert "not complete" in answer.text
    for rest in ("&error_description=no", "&Error=access_denied", "&error[]=access_denied"):
        with case(rest):
            assert_refused(visitor, emulator, f"{path}?{state}{rest}")
    assert visitor.get(f"{callback}&").location == "/there"


@pytest.mark.requirement("O20")
def test_a_refusal_is_a_refusal_in_every_spelling(visitor: Visitor, emulator: Emulator) -> None:
    for rest in (
        *("&error=access_denied", "&error=access_denied&error_code=403", "&error=ACCESS_DENIED"),
        *("&error=access_denied&", "&error=something_new", "&error=", "", "&error=403"),
        *("&error=user_cancelled", "&error=The+user+denied+access+(error+400)"),
    ):
        callback = f"{visitor.callback_url(visitor.start())}{rest}"
        with case(rest):
            answer = assert_refused(visitor, emulator, callback, spends=state_of(callback))
            assert "You declined" in answer.text


@pytest.mark.requirement("R17")
def test_a_callback_of_another_issuer_is_refused(app: Flask, emulator: Emulator) -> None:
    for issuer in ("https://evil.example", "", "https://openrouter.ai/"):
        visitor = Visitor(app)
        callback = emulator.approve(visitor.start())
        with case(issuer):
            assert_refused(visitor, emulator, f"{callback}&{urlencode({'iss': issuer})}")
            own = f"{callback}&{urlencode({'iss': emulator.url})}"
            assert visitor.get(own).status_code == 303


def test_a_pasted_address_that_is_too_long_or_not_ascii_is_malformed() -> None:
    for query in ("code=" + "x" * 100_000, "code=\u00e4"):
        with case(query[:10]), pytest.raises(StateMismatchError) as refused:
            read_pasted(f"http://localhost/?{query}", "state", "https://openrouter.ai")
        assert refused.value.reason == "malformed"
