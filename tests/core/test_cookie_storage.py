"""The extension's own cookie, and keys in it: for this browser and its owner only."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from attack import set_cookies
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from flask_openrouter import OpenRouterAuth
from flask_openrouter.storage.cookie import BROWSER, CookieStorage
from flask_openrouter.web import ExtensionCookie

app = Flask("host")
app.config["SECRET_KEY"] = secrets.token_hex()
OpenRouterAuth(app)
COOKIE = ExtensionCookie(3_600)
STORAGE = CookieStorage(COOKIE)


@pytest.fixture
def in_request() -> Iterator[None]:
    with app.test_request_context():
        yield


def answer() -> TestResponse:
    """End the current request."""
    return TestResponse(
        (response := app.process_response(app.make_response("x"))).response,
        response.status,
        response.headers,
        None,  # type: ignore[arg-type]
    )


@pytest.mark.usefixtures("in_request")
class TestCookie:
    def test_what_was_written_last_is_read_and_sent_once(self) -> None:
        assert COOKIE.read() is None
        COOKIE.write("one")
        COOKIE.write("two")
        assert COOKIE.read() == "two"
        sent = answer()
        assert len(sent.headers.getlist("Set-Cookie")) == 1
        value, attributes = set_cookies(sent)["openrouter"]
        assert value == "two"
        assert attributes["max-age"] == "3600"
        assert "Cookie" in sent.vary

    def test_nothing_deletes_it(self) -> None:
        COOKIE.write("one")
        COOKIE.write("")
        assert COOKIE.read() is None
        value, attributes = set_cookies(answer())["openrouter"]
        assert (value, attributes["max-age"]) == ("", "0")

    def test_a_request_that_looks_at_it_sets_nothing(self) -> None:
        COOKIE.read()
        assert "Set-Cookie" not in answer().headers

    def test_cookies_with_other_suffixes_are_apart(self) -> None:
        other = ExtensionCookie(60, suffix="-other")
        other.write("x")
        assert COOKIE.read() is None
        assert set(set_cookies(answer())) == {"openrouter-other"}


@pytest.mark.parametrize(
    ("base_url", "found"), [("http://a.example", "plain"), ("https://a.example", "locked")]
)
def test_the_scheme_decides_on_the_name(base_url: str, found: str) -> None:
    both = "openrouter=plain; __Host-openrouter=locked"
    with app.test_request_context(base_url=base_url, headers={"Cookie": both}):
        assert COOKIE.read() == found


def test_outside_of_a_request_there_is_nothing_to_read_and_nowhere_to_write() -> None:
    assert COOKIE.read() is None
    assert STORAGE.get("A") is None
    for write in (lambda: STORAGE.delete("A"), lambda: STORAGE.set("A", "ciphertext")):
        with pytest.raises(RuntimeError, match="before the answer begins"):
            write()


@pytest.mark.usefixtures("in_request")
class TestStorage:
    @pytest.mark.parametrize("owner_id", ["A", "~", ".", "a.b", "é", "\ud800", BROWSER + "x" * 22])
    def test_one_owner_at_a_time(self, owner_id: str) -> None:
        STORAGE.set(owner_id, "a.ciphertext")
        assert STORAGE.get(owner_id) == "a.ciphertext"
        assert STORAGE.get(owner_id + "x") is None
        STORAGE.delete("somebody else")
        assert STORAGE.get(owner_id) == "a.ciphertext"
        STORAGE.set("another", "b")
        assert STORAGE.get(owner_id) is None
        STORAGE.delete("another")
        assert STORAGE.get("another") is None

    def test_the_name_of_a_user_is_not_in_the_cookie(self) -> None:
        STORAGE.set("alice@a.example", "x")
        assert "alice" not in (COOKIE.read() or "")
        assert STORAGE.browser_id() is None

    def test_a_browser_is_known_by_its_id(self) -> None:
        assert STORAGE.browser_id() is None
        STORAGE.set(BROWSER + "an-id", "x")
        assert STORAGE.browser_id() == "an-id"


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(texts, texts)
@settings(deadline=None)
def test_no_cookie_makes_a_browser_a_user_of_the_app(cookie: str, user_id: str) -> None:
    """The part before the dot is what anybody may write."""
    with app.test_request_context():
        COOKIE.write(cookie)
        browser_id = STORAGE.browser_id()
        if browser_id is not None:
            assert not browser_id.startswith("~")
            if not user_id.startswith(BROWSER):
                assert STORAGE.get(user_id) is None
