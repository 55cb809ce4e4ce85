"""What waits in the session: read with suspicion, and never too big for a cookie."""

from __future__ import annotations

import secrets
from typing import Any

from attack import set_cookies
from flask import Flask, session
from hypothesis import given, settings
from hypothesis import strategies as st
from visitor import NAVIGATE

from flask_openrouter import OpenRouterAuth
from flask_openrouter.authorization import AuthorizationRequest

GENUINE = ["A" * 43, "B" * 43, 1_800_000_000, "C" * 16, "/chat", False, False]
FIELDS = [*AuthorizationRequest.__dataclass_fields__]

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.text(st.characters())
    | st.binary(),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(), inner, max_size=8),
    max_leaves=20,
)
#: Lists that are nearly genuine: the hard cases.
near_misses = st.tuples(
    *(st.one_of(st.just(value), json_values, st.integers(-(2**70), 2**70)) for value in GENUINE)
).map(list)


def make_app() -> Flask:
    app = Flask("host")
    app.config.update(
        TESTING=True, SECRET_KEY=secrets.token_hex(), OPENROUTER_BASE_URL="http://127.0.0.1:9"
    )
    OpenRouterAuth(app, clock=lambda: 1_800_000_000)
    return app


def test_the_genuine_record_is_read_back() -> None:
    request = AuthorizationRequest.from_session(GENUINE)
    assert request is not None
    assert [getattr(request, name) for name in FIELDS] == GENUINE


@settings(deadline=None)
@given(st.one_of(json_values, near_misses))
def test_whatever_the_session_holds_is_a_well_formed_record_or_nothing(value: Any) -> None:
    request = AuthorizationRequest.from_session(value)
    if request is None:
        return
    assert [getattr(request, name) for name in FIELDS] == list(value)
    assert len(request.state) == len(request.code_verifier) == 43
    assert (request.state + request.code_verifier + request.binding).isascii()
    assert type(request.issued_at) is int
    assert abs(request.issued_at - 1e9) < 2**54
    assert request.next_url is None or isinstance(request.next_url, str)


@given(st.lists(st.one_of(json_values, near_misses), max_size=4))
@settings(max_examples=60, deadline=None)
def test_login_and_callback_work_with_whatever_the_session_holds(values: Any) -> None:
    client = _app.test_client()
    with client.session_transaction() as kept:
        kept["_openrouter"] = values
    url = f"/openrouter/callback?state={GENUINE[0]}&code=x"
    # A forged record has another binding, so it is refused at the latest as somebody else's.
    assert client.get(url, headers=NAVIGATE).status_code == 400
    assert client.get("/openrouter/login", headers=NAVIGATE).status_code == 303


_app = make_app()


def test_no_secret_is_in_the_repr() -> None:
    shown = repr(AuthorizationRequest.from_session(GENUINE))
    assert "A" * 43 not in shown
    assert "B" * 43 not in shown


#: What apps keep in their sessions, and how badly it can be compressed.
host_data = st.dictionaries(
    st.text(max_size=20),
    st.one_of(
        st.text(max_size=400),
        st.text(st.characters(min_codepoint=0x80, max_codepoint=0x2FFF), max_size=300),
        st.binary(max_size=400),
        st.integers(0, 400).map(secrets.token_urlsafe),
        st.integers(0, 400).map(lambda n: secrets.token_bytes(n).hex()),
        st.lists(st.booleans(), max_size=100),
        st.lists(st.just(()), max_size=100),
        st.uuids(),
        st.datetimes(),
        st.text('"\\', max_size=300),
    ),
    max_size=8,
)


@given(host_data, st.integers(0, 900))
@settings(max_examples=150, deadline=None)
def test_whatever_the_app_keeps_the_cookie_stays_in_bounds(data: Any, next_length: int) -> None:
    """The quick estimate of its size must never be too low: Werkzeug's warning is an error here."""
    app = make_app()

    @app.get("/fill")
    def fill() -> str:
        session.update(data)
        return str(len(app.session_interface.get_signing_serializer(app).dumps(dict(session))))

    client = app.test_client()
    if len(data) and int(client.get("/fill").text) > 3_600:
        return
    for _ in range(6):
        page = f"/openrouter/login?next=/{secrets.token_urlsafe(next_length)[:next_length]}"
        answer = client.get(page, headers=NAVIGATE)
        assert answer.status_code == 303
        for name, (value, _) in set_cookies(answer).items():
            assert len(name) + len(value) <= 4_093
