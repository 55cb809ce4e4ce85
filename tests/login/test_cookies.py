"""The cookies of logins: how each is written and read, and which are dropped."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from dataclasses import replace
from typing import Any

import pytest
from attack import logins, set_cookies, state_of
from cases import case
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from hypothesis import example, given
from hypothesis import strategies as st
from itsdangerous import BadSignature, URLSafeTimedSerializer
from leaks import session_text
from visitor import NAVIGATE, Visitor

from flask_openrouter.emulator import Emulator
from flask_openrouter.login.cookies import login_from_text, text_of
from flask_openrouter.login.logins import Login, part_of

STATE, VERIFIER, BINDING = "A" * 22, "B" * 43, "C" * 16
GENUINE = f"{BINDING}{VERIFIER}xpur/chat"
LOGIN = Login(
    part=part_of(STATE),
    binding=BINDING,
    code_verifier=VERIFIER,
    issued_at=1_800_000_000,
    next_url="/chat",
    is_cross_site=True,
    is_popup=True,
    is_of_user=True,
    is_repeated=True,
)

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
        for part in (BINDING, VERIFIER, "x", "p", "u", "r", "!declined", "/chat")
    )
).map("".join)


def sent(visitor: Visitor) -> str:
    """Return the value of the only login of this browser."""
    answer = visitor.get("/openrouter/login?next=/chat")
    (value,) = [value for name, (value, _) in set_cookies(answer).items() if "." in name]
    return value


def test_a_genuine_text_is_read() -> None:
    assert login_from_text(LOGIN.part, GENUINE, 1_800_000_000) == LOGIN


@given(
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.none() | st.text().map("/".__add__),
)
@example(False, False, False, False, "/\n")
def test_every_login_is_read_as_it_was_written(
    is_cross_site: bool, is_popup: bool, is_of_user: bool, is_repeated: bool, next_url: str | None
) -> None:
    pending = replace(
        LOGIN,
        next_url=next_url,
        is_cross_site=is_cross_site,
        is_popup=is_popup,
        is_of_user=is_of_user,
        is_repeated=is_repeated,
    )
    for login in (
        pending,
        replace(pending, code_verifier=None),
        replace(pending, code_verifier=None, problem="declined"),
    ):
        assert login_from_text(login.part, text_of(login), login.issued_at) == login


@given(st.one_of(json_values, near_misses))
def test_any_text_is_a_well_formed_login_or_none(text: Any) -> None:
    login = login_from_text(".12345678", text, 0)
    if login is None:
        return
    assert text_of(login) == text
    assert len(login.binding) == 16
    assert len(login.code_verifier or VERIFIER) == 43
    assert (login.binding + (login.code_verifier or "")).isascii()
    assert login.next_url is None or login.next_url.startswith("/")


def test_no_secret_is_in_the_repr() -> None:
    shown = repr(LOGIN)
    assert BINDING not in shown
    assert VERIFIER not in shown


@pytest.mark.requirement("R19")
def test_the_cookie_has_the_form_of_flasks_session(visitor: Visitor) -> None:
    """Base64url of JSON, a time, and a signature, but no other key opens it, nor the app's own."""
    value = sent(visitor)
    assert re.fullmatch(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27}", value)
    assert json.loads(session_text(value)).endswith("/chat")
    interface = visitor.app.session_interface
    assert isinstance(interface, SecureCookieSessionInterface)
    session = interface.get_signing_serializer(visitor.app)
    assert session is not None
    with pytest.raises(BadSignature):
        session.loads(value)


def test_the_cookie_is_signed_as_the_apps_session_interface_says(
    make_app: Any, emulator: Emulator
) -> None:
    """Also if the app replaces it later. As Flask does if its sessions are not signed cookies."""

    class Strong(SecureCookieSessionInterface):
        digest_method = staticmethod(hashlib.sha512)  # type: ignore[assignment]

    class Foreign(SecureCookieSessionInterface.__mro__[1]):  # type: ignore[misc, name-defined]
        def open_session(self, app: Flask, request: object) -> dict[str, object]:
            return {}

        def is_null_session(self, obj: object) -> bool:
            return True

    for interface, length in (
        (Strong(), 86),
        (Foreign(), 27),
        (SecureCookieSessionInterface(), 27),
    ):
        visitor = Visitor(make_app())
        visitor.start()
        visitor.app.session_interface = interface
        with case(interface):
            assert len(sent(visitor).rpartition(".")[2]) == length
            assert visitor.get(emulator.approve(visitor.start("/there"))).location == "/there"


@pytest.mark.requirement("R19", "R20")
def test_forged_cookies_are_no_logins_and_stay_where_they_are(
    make_app: Any, emulator: Emulator
) -> None:
    """Another app of this host may own a cookie that does not open."""
    visitor = Visitor(make_app())
    good = sent(visitor)
    payload, time, signature = good.split(".")
    other = URLSafeTimedSerializer("another key of thirty-two letters", salt="cookie-session")
    late = base64.urlsafe_b64encode(b"\xff" * 12).decode()
    forged = [
        payload,
        f"{payload}.{time}",
        f"{payload}..{signature}",
        f".{payload}.{time}.{signature}",
        f"{payload}.{late}.{signature}",
        f"{payload}.%%%.{signature}",
        good[:-9] + ("A" if good[-9] != "A" else "B") + good[-8:],
        ("A" if good[0] != "A" else "B") + good[1:],
        other.dumps(GENUINE),
        "..",
        "a.b.c",
        "é.é.é",
        "A" * 3_000,
    ]
    for value in forged:
        with case(value):
            visitor = Visitor(visitor.app)
            url = visitor.start("/there")
            part = part_of(state_of(url))
            visitor.client.set_cookie(f"openrouter{part}", value)
            visitor.client.set_cookie("openrouter.12345678", value)
            callback = emulator.approve(url)
            answer = visitor.get(callback)
            assert answer.status_code == 400
            assert "not known here" in answer.text
            assert not set_cookies(answer)
            assert visitor.get(emulator.approve(visitor.start("/new"))).location == "/new"
            assert visitor.client.get_cookie(f"openrouter{part}") is not None


def test_a_login_of_another_version_counts_as_none(make_app: Any) -> None:
    """Signed with the right key and salt, of another shape."""
    app: Flask = make_app()
    visitor = Visitor(app)
    url = visitor.start()
    part = part_of(state_of(url))
    cookies = app.extensions["openrouter"].login_cookies
    with app.test_request_context():
        signer = cookies._get_signer()
        contents = [None, 7, "", "x", [], {}, {"v": 99}, GENUINE.replace("/", "x"), GENUINE[:40]]
        for text in (*map(json.dumps, contents), "{", "\n"):
            payload = base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
            visitor.client.set_cookie(f"openrouter{part}", signer.sign(f"{payload}.AAAA"))
            with case(text):
                assert [login for login in logins(visitor) if login.part == part] == []
                callback = visitor.callback_url(url, code="x")
                assert visitor.get(callback).status_code == 400
                assert visitor.get("/openrouter/login").status_code == 303


def test_the_login_of_another_cookie_is_somebody_elses(app: Flask, emulator: Emulator) -> None:
    """A cookie that is renamed belongs to no state."""
    visitor = Visitor(app)
    first, second = visitor.start(), visitor.start()
    value = visitor.client.get_cookie(f"openrouter{part_of(state_of(first))}")
    assert value is not None
    visitor.client.set_cookie(f"openrouter{part_of(state_of(second))}", value.value)
    answer = visitor.get(emulator.approve(second))
    assert answer.status_code == 400
    assert "somebody else" in answer.text
    assert visitor.get(emulator.approve(first)).status_code == 303


def test_a_login_of_the_app_is_not_read_below_another_prefix(make_app: Any) -> None:
    """``__Host-`` names count on https only."""
    visitor = Visitor(make_app())
    value = sent(visitor)
    with visitor.app.test_request_context(
        base_url="https://localhost", headers={"Cookie": f"openrouter.12345678={value}"}
    ):
        assert list(visitor.app.extensions["openrouter"].login_cookies.all()) == []


@pytest.mark.requirement("R19")
def test_a_login_at_another_provider_is_not_read(make_app: Any) -> None:
    """Though the same key has signed it."""
    key, base_url = secrets.token_hex(), "https://gateway.example"
    for settings, count in (({}, 1), ({"OPENROUTER_BASE_URL": base_url}, 0)):
        value = sent(Visitor(make_app(SECRET_KEY=key)))
        app = make_app(SECRET_KEY=key, **settings)
        with app.test_request_context(headers={"Cookie": f"openrouter.12345678={value}"}):
            assert len([*app.extensions["openrouter"].login_cookies.all()]) == count


def test_flasks_session_is_neither_read_nor_written(make_app: Any, emulator: Emulator) -> None:
    app: Flask = make_app()
    opened: list[str] = []

    class Watched(SecureCookieSessionInterface):
        def open_session(self, app: Flask, request: Any) -> Any:
            found = super().open_session(app, request)
            opened.append(request.path)
            return found

        def should_set_cookie(self, app: Flask, session: Any) -> bool:
            assert not session.accessed
            assert not session.modified
            return super().should_set_cookie(app, session)

        def save_session(self, app: Flask, session: Any, response: Any) -> None:
            assert not session.accessed, "Flask would vary by the session"
            super().save_session(app, session, response)

    app.session_interface = Watched()
    visitor = Visitor(app)
    callback = emulator.approve(visitor.start("/guarded"))
    assert visitor.get(callback).location == "/guarded"
    assert visitor.get(callback).location == "/guarded"
    assert visitor.post("/openrouter/disconnect").status_code == 303
    assert app.test_client().get("/openrouter/code", headers=NAVIGATE).status_code == 200
    assert len(opened) == 5
    assert visitor.client.get_cookie("session") is None
