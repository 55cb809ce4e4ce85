"""Errors of the clients of ``openai()`` and ``sdk()``: of the right kind, and without the key."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Collection, Iterator
from typing import Any

import openai
import pytest
from misbehaving import answer, http_answer, raw, reset
from sdk_calls import CALLERS, GOOD, KEY, Ask, ask_openai, connected, raw_response, sent

from flask_openrouter.errors import ConfigurationError, KeyRejectedError, OutOfCreditError

every_caller = pytest.mark.parametrize("ask", CALLERS.values(), ids=CALLERS.keys())


def everything_of(error: BaseException) -> str:
    """Return what an error reporter shows of ``error`` without this file's frames, and headers."""
    texts, waiting, seen = [], [error], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        shown = traceback.TracebackException.from_exception(one, capture_locals=True)
        texts += [repr(f.locals) for f in shown.stack if f.filename != __file__]
        texts += [str(one), repr(one.args), repr(vars(one)), *headers_of(one)]
        waiting += [cause for cause in (one.__cause__, one.__context__) if cause is not None]
    return "\n".join(texts)


def headers_of(error: BaseException) -> Iterator[str]:
    """Yield the headers that hide the key in their repr only."""
    things = [value for value in vars(error).values() if not isinstance(value, BaseException)]
    things += [getattr(thing, "_request", None) for thing in things]
    for thing in things:
        yield repr(dict(getattr(thing, "headers", None) or {}))


RELAYED = {"code": 401, "message": "Refused", "metadata": {"provider_name": "Anthropic"}}
TROUBLE = {
    "401": answer(401, {"error": {"code": 401, "message": "User not found."}}),
    "402": answer(402, {"error": {"code": 402, "message": "Insufficient credits"}}),
    "provider 401": answer(401, {"error": RELAYED}),
    "provider 402": answer(402, {"error": {**RELAYED, "code": 402}}),
    "limit": answer(403, {"error": {"code": 403, "message": "Key limit exceeded"}}),
    "500": answer(500, {"error": {"code": 500, "message": "Trouble"}}),
    "418": answer(418, {"error": {"code": 418, "message": "No"}}),
    "reset": reset(),
    "cut": raw(http_answer(200, {"a": "b"})[:-3]),
    "not HTTP": raw(b"Hello.\r\n\r\n"),
}


#: Each client meets each trouble. The other calls by the same clients meet these.
OTHER_CALLS = sorted(CALLERS.keys() - {"openai", "sdk"})
USUAL_TROUBLE = ("402", "500", "reset")
CASES = [
    *(pytest.param(name, TROUBLE.keys(), id=name) for name in ("openai", "sdk")),
    *(pytest.param(name, USUAL_TROUBLE, id=name) for name in OTHER_CALLS),
    *(
        pytest.param(
            name,
            TROUBLE.keys() - {*USUAL_TROUBLE},
            id=f"{name}, rare trouble",
            marks=pytest.mark.every_variant,
        )
        for name in OTHER_CALLS
    ),
]


@pytest.mark.requirement("R62", "R64", "R65")
@pytest.mark.parametrize(("caller", "trouble"), CASES)
def test_no_error_of_a_client_shows_the_key(
    make_app: Any, caller: str, trouble: Collection[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ask = CALLERS[caller]
    for name, act in TROUBLE.items():
        if name not in trouble:
            continue
        with (
            connected(make_app, act) as (connection, _),
            pytest.raises(Exception) as caught,  # noqa: PT011
        ):
            ask(connection)
        assert KEY not in everything_of(caught.value), name
        assert KEY not in caplog.text, name


@pytest.mark.requirement("R99")
@every_caller
def test_a_dead_key_is_forgotten_by_each_client(make_app: Any, ask: Ask) -> None:
    with connected(make_app, TROUBLE["402"], TROUBLE["401"]) as (connection, _):
        with pytest.raises(OutOfCreditError):
            ask(connection)
        assert connection
        with pytest.raises(KeyRejectedError):
            ask(connection)
        assert not connection


@pytest.mark.requirement("R64")
def test_with_an_http_client_of_the_app_no_error_shows_the_key(make_app: Any) -> None:
    http_client = openai.DefaultHttpxClient(headers={"X-Given": "1"})
    with (
        connected(make_app, GOOD, TROUBLE["401"]) as (connection, provider),
        connection.openai(http_client=http_client) as client,
    ):
        ask_openai(client)
        with pytest.raises(KeyRejectedError) as caught:
            ask_openai(client)
    assert sent(provider)[0].headers["x-given"] == "1"
    assert sent(provider)[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in everything_of(caught.value)


@pytest.mark.requirement("R64")
def test_responses_and_clients_show_no_key(make_app: Any) -> None:
    with connected(make_app, GOOD) as (connection, _):
        answered = raw_response(connection)
        sdk = connection.sdk()
        assert KEY not in repr(sdk.sdk_configuration)
        assert KEY not in repr(vars(sdk))
    assert "authorization" not in answered.http_response.request.headers


@pytest.mark.requirement("R65")
@pytest.mark.parametrize("name", ["openai", "sdk"])
def test_a_client_that_cannot_be_made_shows_no_key(
    make_app: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with connected(make_app, GOOD) as (connection, _):
        with pytest.raises(TypeError, match="misspelt") as caught:
            getattr(connection, name)(misspelt=1)
        assert KEY not in everything_of(caught.value)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
        with pytest.raises(ConfigurationError, match="REQUESTS_CA_BUNDLE") as caught_too:
            getattr(connection, name)()
        assert KEY not in everything_of(caught_too.value)
