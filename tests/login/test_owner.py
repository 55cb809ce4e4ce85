"""The owner of a key: a user of the app, or a browser that can prove its id."""

from __future__ import annotations

import base64
import hmac
import uuid
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from cases import case
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Integer
from sqlalchemy.orm import declarative_base
from werkzeug.local import LocalProxy
from werkzeug.test import Client

from flask_openrouter import OpenRouterAuth
from flask_openrouter.errors import KeyStorageError
from flask_openrouter.login.owner import Owners, check_app_user
from flask_openrouter.services import AppFunctions
from flask_openrouter.storage.cookie import BROWSER, CookieStorage
from flask_openrouter.web import ExtensionCookie, request_state


class ObjectId:
    """An id as MongoDB makes them."""

    def __str__(self) -> str:
        return "65a0"


class Document(SimpleNamespace):
    def __str__(self) -> str:
        return "Document object"


class TextFloat(float):
    __str__ = float.__repr__


class TextTuple(tuple[str, ...]):
    __slots__ = ()
    __str__ = tuple.__repr__


class Mapped(declarative_base()):  # type: ignore[misc]
    __tablename__ = "user"
    id = Column(Integer, primary_key=True)


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
    return Owners(cookie, keys or (NEW,), functions, storage)


def cookie_after(action: Callable[[], Any], cookie: str | None = None) -> str | None:
    """Run this in a request with that cookie; return the cookie that the response sets, if any."""
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


def test_a_new_browser_has_no_owner_and_gets_another_id_with_each_login() -> None:
    """The id is 128 bits in base64 that nobody without the secret key can compute."""
    owners = make_owners()
    assert current(owners) is None
    with app.test_request_context():
        ids = {owners.renew(str(number), None) for number in range(100)}
        assert owners.renew("7", None) in ids, "one login, one id"
        assert make_owners(OLD).renew("7", None) not in ids
    assert len(ids) == 100
    assert all(
        owner_id.startswith(BROWSER) and len(owner_id) == len(BROWSER) + 22 for owner_id in ids
    )


def test_a_browser_proves_its_id_until_the_cookie_is_deleted() -> None:
    owners = make_owners()
    cookie = cookie_after(lambda: owners.remember("browser:an-id"))
    assert cookie is not None
    assert current(owners, cookie) == "browser:an-id"
    assert cookie_after(lambda: owners.remember(None), cookie) == ""
    assert cookie_after(lambda: owners.remember(None)) is None, "nothing to forget"


def test_a_cookie_is_valid_until_its_secret_key_is_retired() -> None:
    cookie = cookie_after(lambda: make_owners(OLD).remember("browser:an-id"))
    assert current(make_owners(NEW, OLD), cookie) == "browser:an-id"
    assert current(make_owners(NEW), cookie) is None
    renewed = cookie_after(lambda: make_owners(NEW, OLD).remember("browser:an-id"))
    assert current(make_owners(NEW), renewed) == "browser:an-id", "the newest key signs"


def test_cookies_that_earlier_releases_signed_are_still_valid() -> None:
    """A different signature would disconnect every visitor whom the app does not know."""
    derived = hmac.digest(NEW, b"flask_openrouter browser id v1", "sha256")
    signature = hmac.digest(derived, b"an-id", "sha256")
    cookie = f"an-id.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"
    assert current(make_owners(), cookie) == "browser:an-id"
    assert cookie_after(lambda: make_owners().remember("browser:an-id")) == cookie


def test_workers_of_two_releases_give_a_login_the_same_owner() -> None:
    """During a deployment, the callback of a login may be repeated at the other one."""
    derived = hmac.digest(NEW, b"flask_openrouter browser id of a login v1", "sha256")
    signature = base64.urlsafe_b64encode(hmac.digest(derived, b"a login", "sha256"))
    with app.test_request_context():
        assert make_owners().renew("a login", None) == BROWSER + signature[:22].decode()


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
def test_no_made_up_cookie_proves_an_id(cookie: str) -> None:
    assert current(make_owners(), cookie) is None


_COOKIE = cookie_after(lambda: make_owners().remember("browser:an-id")) or ""


def test_users_of_the_app_need_no_cookie() -> None:
    owners = make_owners(loader=lambda: "alice")
    assert current(owners) == current(owners, _COOKIE) == "alice"
    with app.test_request_context():
        assert owners.renew("a login", "alice") == "alice"
    assert cookie_after(lambda: owners.remember("alice")) is None


def test_without_a_signed_in_user_the_browser_owns_the_key() -> None:
    assert current(make_owners(loader=lambda: None), _COOKIE) == "browser:an-id"


def test_the_owner_loader_may_be_asynchronous(make_app: Any) -> None:
    pytest.importorskip("asgiref", reason="Flask's async extra is not installed")
    host = make_app()

    async def loader() -> str:
        return "alice"

    host.extensions["openrouter"].app_functions.owner_loader = loader
    with host.test_request_context():
        assert host.extensions["openrouter"].owners.current(request_state()) == "alice"


def test_the_cookie_of_the_cookie_storage_proves_the_id() -> None:
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


def test_a_guest_of_flask_login_owns_no_key_even_with_an_id(make_app: Any) -> None:
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


def test_an_id_is_used_unchanged() -> None:
    texts = ("0", "a", " a", "x" * 255, "😀" * 255, "Browser:x")
    ids: list[tuple[Any, str]] = [(0, "0"), (-7, "-7"), (10**30, "1" + "0" * 30)]
    ids += [(uuid.UUID(int=7), f"{uuid.UUID(int=7)}"), (ObjectId(), "65a0")]
    for user_id, owner_id in [*ids, *((text, text) for text in texts)]:
        assert check_app_user(user_id) == owner_id


def test_an_id_that_could_be_mistaken_for_another_is_refused() -> None:
    """None of these may be cut, altered, or taken for another owner."""
    refused: list[Any] = [None, "None", True, False, 1.0, b"alice", "", "x" * 256, "a\0b", "\ud800"]
    refused += [["a"], ("a",), {}, object(), "browser:", "browser:x", 10**255, 10**5_000]
    refused += [bytearray(b"alice"), TextFloat(1), TextTuple("a"), LocalProxy(lambda: app.logger)]
    # A user or a column instead of its id: the text may be the same for all users.
    refused += [Document(id=1), Document(pk=1), Document(get_id=int), Mapped.id]
    for number, user_id in enumerate(refused):
        with case(number), pytest.raises(KeyStorageError, match="owner_loader") as caught:
            check_app_user(user_id)
        assert caught.value.__cause__ is None, number


def test_nobody_is_no_user() -> None:
    with pytest.raises(KeyStorageError) as raised:
        check_app_user(str(None))
    assert str(raised.value) == (
        "The id of the app's user is the text 'None', which all visitors would share. Return None"
        " itself from owner_loader when nobody is signed in, and sign new users in after they are"
        " saved."
    )


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
