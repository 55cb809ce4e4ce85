"""Whose key it is: a user of the app, or a browser that can prove itself."""

from __future__ import annotations

import base64
import hmac
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import Client

from flask_openrouter import OpenRouterAuth
from flask_openrouter.errors import KeyStorageError
from flask_openrouter.login.owner import Owners, check_app_user
from flask_openrouter.services import AppFunctions
from flask_openrouter.storage.cookie import BROWSER, CookieStorage
from flask_openrouter.web import ExtensionCookie, request_state

OLD, NEW = b"the old secret key", b"the new secret key"
app = Flask("host")
app.config["SECRET_KEY"] = "0123456789abcdef" * 2
OpenRouterAuth(app)


def make_owners(
    *keys: bytes, loader: Callable[[], Any] | None = None, in_cookie: bool = False
) -> Owners:
    cookie = ExtensionCookie(3_600)
    functions = AppFunctions(owner_loader=loader)
    storage = CookieStorage(cookie) if in_cookie else None
    return Owners(cookie, keys or (NEW,), functions, storage, base_url="https://openrouter.ai")


def cookie_after(action: Callable[[], Any], cookie: str | None = None) -> str | None:
    """Run this in a request with that cookie; return what the answer sets, if anything."""
    headers = {} if cookie is None else {"Cookie": f"openrouter={cookie}"}
    with app.test_request_context(headers=headers):
        action()
        answer = app.process_response(app.make_response("x"))
    header = answer.headers.get("Set-Cookie")
    return None if header is None else header.partition(";")[0].partition("=")[2]


def current(owners: Owners, cookie: str | None = None) -> str | None:
    found: list[str | None] = []
    cookie_after(lambda: found.append(owners.current(request_state())), cookie)
    return found[0]


def test_a_new_browser_is_nobody_and_gets_a_new_id_each_time() -> None:
    owners = make_owners()
    assert current(owners) is None
    with app.test_request_context():
        ids = {owners.renew() for _ in range(100)}
    assert len(ids) == 100
    assert all(owner_id.startswith(BROWSER) and len(owner_id) >= 30 for owner_id in ids)


def test_a_browser_proves_its_id_until_it_is_to_forget() -> None:
    owners = make_owners()
    cookie = cookie_after(lambda: owners.remember("browser:an-id"))
    assert cookie is not None
    assert current(owners, cookie) == "browser:an-id"
    assert cookie_after(lambda: owners.remember(None), cookie) == ""
    assert cookie_after(lambda: owners.remember(None)) is None, "nothing to forget"


def test_an_id_survives_a_rotation_but_not_its_end() -> None:
    cookie = cookie_after(lambda: make_owners(OLD).remember("browser:an-id"))
    assert current(make_owners(NEW, OLD), cookie) == "browser:an-id"
    assert current(make_owners(NEW), cookie) is None
    renewed = cookie_after(lambda: make_owners(NEW, OLD).remember("browser:an-id"))
    assert current(make_owners(NEW), renewed) == "browser:an-id", "the newest key signs"


def test_what_earlier_releases_signed_still_proves_the_id() -> None:
    """Another way to sign would disconnect every visitor whom the app does not know."""
    derived = hmac.digest(NEW, b"flask_openrouter browser id v1", "sha256")
    signature = hmac.digest(derived, b"an-id", "sha256")
    cookie = f"an-id.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"
    assert current(make_owners(), cookie) == "browser:an-id"
    assert cookie_after(lambda: make_owners().remember("browser:an-id")) == cookie


def test_the_id_of_a_browser_cannot_be_guessed_and_is_short() -> None:
    """128 random bits in base64."""
    with app.test_request_context():
        assert len(make_owners().renew()) == len("browser:") + 22


@given(st.data())
@settings(deadline=None)
def test_no_changed_cookie_proves_another_id(data: st.DataObject) -> None:
    genuine = _COOKIE
    start = data.draw(st.integers(0, len(genuine)))
    end = data.draw(st.integers(start, len(genuine)))
    piece = data.draw(st.text(st.sampled_from("AZaz09-_.:~"), max_size=6))
    changed = genuine[:start] + piece + genuine[end:]
    assert current(make_owners(), changed) in (None, "browser:an-id")


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='";,\\')))
@settings(deadline=None)
def test_no_other_cookie_proves_anything(cookie: str) -> None:
    assert current(make_owners(), cookie) is None


_COOKIE = cookie_after(lambda: make_owners().remember("browser:an-id")) or ""


def test_users_of_the_app_need_no_cookie() -> None:
    owners = make_owners(loader=lambda: "alice")
    assert current(owners) == current(owners, _COOKIE) == "alice"
    with app.test_request_context():
        assert owners.renew() == "alice"
    assert cookie_after(lambda: owners.remember("alice")) is None


def test_a_loader_that_names_nobody_leaves_the_browser() -> None:
    assert current(make_owners(loader=lambda: None), _COOKIE) == "browser:an-id"


def test_a_loader_may_be_asynchronous(make_app: Any) -> None:
    pytest.importorskip("asgiref", reason="Flask's async extra is not installed")
    host = make_app()

    async def loader() -> str:
        return "alice"

    host.extensions["openrouter"].app_functions.owner_loader = loader
    with host.test_request_context():
        assert host.extensions["openrouter"].owners.current(request_state()) == "alice"


def test_with_the_cookie_storage_the_cookie_is_its_own_proof() -> None:
    owners = make_owners(in_cookie=True)
    assert current(owners, "an-id.ciphertext") == "browser:an-id"
    assert current(owners, "~0123456789ab.ciphertext") is None
    assert cookie_after(lambda: owners.remember("browser:an-id")) is None
    assert cookie_after(lambda: owners.remember(None), "an-id.ciphertext") is None


def test_flask_login_names_the_user(make_app: Any) -> None:
    from flask_login import LoginManager, UserMixin, login_user, logout_user

    class User(UserMixin):  # type: ignore[misc]
        id = 42

    host = make_app()
    LoginManager(host).user_loader(lambda user_id: User())
    owners = host.extensions["openrouter"].owners

    @host.get("/who/<action>")
    def who(action: str) -> str:
        if action == "in":
            login_user(User())
        elif action == "out":
            logout_user()
        return str(owners.app_user())

    browser = Client(host)
    assert [browser.get(f"/who/{action}").text for action in ("x", "in", "x", "out", "x")] == [
        *("None", "42", "42", "None", "None")
    ]


def test_a_guest_of_flask_login_is_nobody_even_with_an_id(make_app: Any) -> None:
    """All guests would share one key."""
    from flask_login import AnonymousUserMixin, LoginManager

    class Guest(AnonymousUserMixin):  # type: ignore[misc]
        def get_id(self) -> str:
            return "guest"

    host = make_app()
    manager = LoginManager(host)
    manager.anonymous_user = Guest
    manager.user_loader(lambda user_id: None)
    with host.test_request_context():
        assert host.extensions["openrouter"].owners.app_user() is None


@pytest.mark.parametrize(
    ("user_id", "owner_id"),
    [
        *((0, "0"), (-7, "-7"), (10**30, "1" + "0" * 30)),
        *((text, text) for text in ("0", "a", " a", "x" * 255, "😀" * 255, "Browser:x")),
    ],
)
def test_an_id_is_taken_as_it_is(user_id: Any, owner_id: str) -> None:
    assert check_app_user(user_id) == owner_id


@pytest.mark.parametrize(
    "user_id",
    [
        *(None, True, False, 1.0, b"alice", "", "x" * 256, "a\0b", "\ud800", ["a"], ("a",), {}),
        *(object(), uuid.UUID(int=1), "browser:", "browser:x", 10**255, 10**5_000),
    ],
    ids=range(18),
)
def test_an_id_that_could_be_mistaken_is_refused(user_id: Any) -> None:
    """None of these may be cut, altered, or taken for another owner."""
    with pytest.raises(KeyStorageError, match="owner_loader") as caught:
        check_app_user(user_id)
    assert caught.value.__cause__ is None


@given(st.one_of(st.text(), st.integers(), st.binary(), st.floats(), st.none(), st.booleans()))
@settings(deadline=None)
def test_every_id_is_kept_exactly_or_refused(user_id: Any) -> None:
    try:
        owner_id = check_app_user(user_id)
    except KeyStorageError:
        return
    assert owner_id == str(user_id)
    assert 1 <= len(owner_id) <= 255
    assert not owner_id.startswith(BROWSER)
