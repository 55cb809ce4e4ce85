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
from flask_openrouter.login.pending import PendingLogin

STATE, VERIFIER, BINDING = "A" * 22, "B" * 43, "C" * 8
GENUINE = f"{STATE}{VERIFIER}{1_800_000_000:08x}{BINDING}xp/chat"

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
#: Texts that are nearly genuine: the hard cases.
near_misses = st.tuples(
    *(
        st.one_of(st.just(part), st.text(max_size=len(part) + 1), st.text("0Af_-", max_size=50))
        for part in (STATE, VERIFIER, "6b49d200", BINDING, "x", "p", "/chat")
    )
).map("".join)


def make_app() -> Flask:
    app = Flask("host")
    app.config.update(
        TESTING=True, SECRET_KEY=secrets.token_hex(), OPENROUTER_BASE_URL="http://127.0.0.1:9"
    )
    OpenRouterAuth(app, clock=lambda: 1_800_000_000)
    return app


def test_the_genuine_record_is_read_back() -> None:
    assert PendingLogin.from_session(GENUINE) == PendingLogin(
        state=STATE,
        code_verifier=VERIFIER,
        issued_at=1_800_000_000,
        binding=BINDING,
        next_url="/chat",
        is_cross_site=True,
        is_popup=True,
    )


@given(
    st.integers(0, 2**32 - 1), st.booleans(), st.booleans(), st.none() | st.text().map("/".__add__)
)
@settings(deadline=None)
def test_a_login_survives_the_session(
    issued_at: int, is_cross_site: bool, is_popup: bool, next_url: str | None
) -> None:
    request = PendingLogin(
        state=STATE,
        code_verifier=VERIFIER,
        issued_at=issued_at,
        binding=BINDING,
        next_url=next_url,
        is_cross_site=is_cross_site,
        is_popup=is_popup,
    )
    assert PendingLogin.from_session(request.to_session()) == request


@settings(deadline=None)
@given(st.one_of(json_values, near_misses))
def test_whatever_the_session_holds_is_a_well_formed_record_or_nothing(value: Any) -> None:
    request = PendingLogin.from_session(value)
    if request is None:
        return
    assert request.to_session() == value
    assert (len(request.state), len(request.code_verifier), len(request.binding)) == (22, 43, 8)
    assert (request.state + request.code_verifier + request.binding).isascii()
    assert request.next_url is None or request.next_url.startswith("/")


@given(st.lists(st.one_of(json_values, near_misses), max_size=4))
@settings(max_examples=60, deadline=None)
def test_login_and_callback_work_with_whatever_the_session_holds(values: Any) -> None:
    client = _app.test_client()
    with client.session_transaction() as kept:
        kept["_openrouter"] = values
    url = f"/openrouter/callback?state={STATE}&code=x"
    # A forged record has another binding, so it is refused at the latest as somebody else's.
    assert client.get(url, headers=NAVIGATE).status_code == 400
    assert client.get("/openrouter/login", headers=NAVIGATE).status_code == 303


_app = make_app()


def test_no_secret_is_in_the_repr() -> None:
    shown = repr(PendingLogin.from_session(GENUINE))
    assert STATE not in shown
    assert VERIFIER not in shown


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
