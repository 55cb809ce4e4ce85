"""``current_openrouter.visitor_id``: one id for a browser or a user, whatever happens to keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from attack import load_jar, save_jar
from flask import Flask, Response, stream_with_context
from stored_apps import StoredApps
from visitor import Visitor

from flask_openrouter import OpenRouterAuth, current_openrouter
from flask_openrouter.emulator import Emulator
from flask_openrouter.login.cookies import MAX_TOTAL_SIZE

COOKIE = "openrouter~visitor"


def with_id(app: Flask) -> Visitor:
    app.add_url_rule("/id", "id", lambda: current_openrouter.visitor_id)
    return Visitor(app)


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    return with_id(app)


def test_it_survives_connect_and_disconnect(stored_apps: StoredApps, emulator: Emulator) -> None:
    visitor = with_id(stored_apps())
    visitor_id = visitor.get("/id").text
    assert len(visitor_id) == 22
    owners = set()
    for _ in range(2):
        visitor.connect(emulator)
        with visitor.client:
            assert visitor.get("/id").text == visitor_id
            owners.add(current_openrouter.owner_id)
        visitor.post("/openrouter/disconnect")
        assert visitor.get("/id").text == visitor_id
    assert len(owners) == 2
    assert with_id_of_another(visitor.app) != visitor_id


def with_id_of_another(app: Flask) -> str:
    return Visitor(app).get("/id").text


def test_the_cookie_is_set_once_and_only_for_a_page_that_asks(
    visitor: Visitor, emulator: Emulator
) -> None:
    visitor.get("/")
    visitor.connect(emulator)
    assert COOKIE not in save_jar(visitor)
    (line,) = visitor.get("/id").headers.getlist("Set-Cookie")
    assert line.startswith(f"{COOKIE}=")
    assert set(line.split("; ")[1:]) == {
        "HttpOnly", "SameSite=Lax", "Path=/", f"Max-Age={31 * 24 * 3600}",
    }  # fmt: skip
    assert len(line.partition(";")[0]) < 100
    again = visitor.get("/id")
    assert again.headers.getlist("Set-Cookie") == []
    assert (again.headers["Cache-Control"], again.headers["Vary"]) == ("private", "Cookie")


def test_on_https_no_other_host_can_set_it(app: Flask) -> None:
    with_id(app)
    visitor = Visitor(app, "https://localhost")
    assert visitor.get("/id").headers["Set-Cookie"].startswith(f"__Host-{COOKIE}=")
    assert "; Secure" in visitor.get("/id", Cookie="").headers.get("Set-Cookie", "; Secure")


@pytest.mark.parametrize("forge", [lambda v: v[:-2] + "AA", lambda v: v[:22], lambda v: "x" + v])
def test_a_forged_cookie_gets_a_new_id(forge: Any, visitor: Visitor) -> None:
    visitor_id = visitor.get("/id").text
    value = save_jar(visitor)[COOKIE]
    visitor.client.set_cookie(COOKIE, forge(value))
    new_id = visitor.get("/id").text
    assert new_id not in (visitor_id, "")
    assert visitor.get("/id").text == new_id


def test_it_survives_a_new_secret_key_and_is_of_one_app_only(make_app: Any) -> None:
    old, new = "old key of the app 0123456789", "new key of the app 0123456789"
    visitor = with_id(make_app(SECRET_KEY=old))
    users: dict[str, str] = {}
    visitor_id, jar = visitor.get("/id").text, save_jar(visitor)
    settings: dict[str, dict[str, Any]] = {
        "same": {"SECRET_KEY": new, "SECRET_KEY_FALLBACKS": [old]},
        "other key": {"SECRET_KEY": new},
        "namespace": {"SECRET_KEY": old, "OPENROUTER_NAMESPACE": "shop"},
    }
    for name, config in settings.items():
        app = make_app(**config)
        other = with_id(app)
        load_jar(other, jar)
        if name == "namespace":
            other.client.set_cookie("openrouter-shop~visitor", jar[COOKIE])
        assert (other.get("/id").text == visitor_id) is (name == "same"), name
        app.extensions["openrouter"].app_functions.owner_loader = lambda: "ada"
        users[name] = other.get("/id").text
    visitor.app.extensions["openrouter"].app_functions.owner_loader = lambda: "ada"
    assert visitor.get("/id").text == users["same"]
    assert len({*users.values()}) == 3


def test_a_user_has_one_in_every_browser_which_does_not_name_them(visitor: Visitor) -> None:
    users: list[Any] = ["ada@example.com"]
    visitor.app.extensions["openrouter"].app_functions.owner_loader = lambda: users[0]
    answer = visitor.get("/id")
    assert len(answer.text) == 22
    assert "Set-Cookie" not in answer.headers
    assert with_id_of_another(visitor.app) == answer.text
    users[0] = 7
    assert visitor.get("/id").text != answer.text
    users[0] = None
    assert visitor.get("/id").text != answer.text


def test_our_cookies_stay_small_together(visitor: Visitor) -> None:
    tabs = [Visitor(visitor.app) for _ in range(6)]
    for tab in tabs:
        tab.start(f"/{'x' * 400}")
        load_jar(visitor, {**save_jar(visitor), **save_jar(tab)})
    before = save_jar(visitor)
    visitor.get("/id")
    jar = save_jar(visitor)
    assert COOKIE in jar
    assert sum(len(f"__Host-{name}={value}; ") for name, value in jar.items()) < MAX_TOTAL_SIZE
    assert 1 < len(jar) <= len(before) + 1


def test_a_new_id_needs_a_response_that_can_carry_it(visitor: Visitor) -> None:
    @stream_with_context
    def words() -> Iterator[str]:
        yield "begun "
        try:
            yield current_openrouter.visitor_id
        except RuntimeError as error:
            yield str(error)

    visitor.app.add_url_rule("/stream", "stream", lambda: Response(words()))
    assert "Read visitor_id in the view" in visitor.get("/stream").text
    visitor_id = visitor.get("/id").text
    assert visitor.get("/stream").text == f"begun {visitor_id}"


def test_outside_of_a_request_it_says_so(make_app: Any) -> None:
    app = make_app(OPENROUTER_STORAGE_URI="memory://")
    with pytest.raises(RuntimeError, match="needs a request"):
        _ = current_openrouter.visitor_id
    with app.app_context(), pytest.raises(RuntimeError) as raised:
        _ = OpenRouterAuth().for_owner("ada").visitor_id
    assert str(raised.value) == ("visitor_id needs a request. Read it in the view, and pass it on.")
