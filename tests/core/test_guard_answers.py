"""What the guard answers: in the words of whoever asks."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, jsonify, request
from visitor import NAVIGATE, Visitor

from flask_openrouter import OpenRouterClient, current_openrouter, requires_openrouter_key
from flask_openrouter.errors import KeyRejectedError
from flask_openrouter.storage.memory import MemoryStorage

HTML = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def ask(app: Flask, path: str = "/guarded", method: str = "GET", **headers: str) -> Any:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return app.test_client().open(path, method=method, headers=names)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Accept": "*/*"},
        {"Accept": HTML},
        {"Accept": "text/html;q=0.5,application/json;q=0.4"},
        {"Accept": "image/avif,*/*"},
        {**NAVIGATE, "Accept": HTML},
        {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
        {"HX-Request": "false"},
        {"X-Requested-With": "com.android.browser"},
    ],
    ids=str,
)
def test_a_browser_is_redirected(headers: dict[str, str], site: Any) -> None:
    answer = ask(site.app, "/guarded?a=b&c=%2Fd", **headers)
    assert answer.status_code == 303
    assert answer.location == "/openrouter/login?next=/guarded?a%3Db%26c%3D%252Fd"


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept": "application/json"},
        {"Accept": "application/json, text/plain, */*"},
        {"Accept": "application/json;q=0.9,text/html;q=0.8"},
        {"Sec-Fetch-Mode": "cors", "Accept": "*/*"},
        {"Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Dest": "empty"},
        {"X-Requested-With": "xmlhttprequest"},
        {"Content-Type": "application/json"},
        {"Content-Type": "application/vnd.api+json"},
        {"HX-Request": "true"},
    ],
    ids=str,
)
def test_a_script_gets_json(headers: dict[str, str], site: Any) -> None:
    referrer = "http://localhost/page?x=1"
    answer = ask(site.app, **headers, Referer=referrer)
    assert answer.status_code == 401
    assert answer.json == {
        "error": "key_required",
        "message": "Connect OpenRouter first",
        "login_url": "/openrouter/login?next=/page?x%3D1",
    }
    assert ("HX-Redirect" in answer.headers) == ("HX-Request" in headers)


def test_htmx_is_told_where_to_go(site: Any) -> None:
    answer = ask(site.app, HX_Request="true", Referer="http://localhost/page")
    assert answer.headers["HX-Redirect"] == "/openrouter/login?next=/page"


@pytest.mark.parametrize(
    ("on_missing", "status", "headers"),
    [
        ("json", 401, NAVIGATE),
        ("redirect", 303, {"Accept": "application/json"}),
        ("redirect", 303, {"HX-Request": "true"}),
    ],
)
def test_a_view_may_decide(
    on_missing: Any, status: int, headers: dict[str, str], site: Any
) -> None:
    view = requires_openrouter_key(on_missing=on_missing)(lambda: "ran")
    site.app.add_url_rule("/view", "view", view)
    assert ask(site.app, "/view", **headers).status_code == status


def test_a_view_may_name_the_page_to_come_back_to(site: Any) -> None:
    @site.app.route("/view", methods=["GET", "POST"])
    @requires_openrouter_key(next="/chat?a=b")
    def view() -> str:
        raise AssertionError("ran")

    for method in ("GET", "POST"):
        answer = ask(site.app, "/view", method, Referer="http://localhost/elsewhere")
        assert answer.location == "/openrouter/login?next=/chat?a%3Db"


def test_a_callable_answers_itself(site: Any) -> None:
    async def later() -> tuple[str, int]:
        return "later", 402

    view = requires_openrouter_key(lambda: "ran")
    site.app.add_url_rule(
        "/now", "now", requires_openrouter_key(on_missing=lambda: ("now", 402))(view)
    )
    site.app.add_url_rule("/later", "later", requires_openrouter_key(on_missing=later)(view))
    site.auth.unauthorized_handler(lambda: "not asked")
    for name in ("now", "later"):
        answer = ask(site.app, f"/{name}")
        assert (answer.status_code, answer.text) == (402, name)
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Cookie" in answer.headers["Vary"]


def test_the_app_may_answer_for_all_views(site: Any) -> None:
    @site.auth.unauthorized_handler
    async def answer() -> Any:
        return jsonify(please="connect", path=request.path), 418

    view = requires_openrouter_key(on_missing="redirect")(lambda: "ran")
    site.app.add_url_rule("/view", "view", view)
    assert ask(site.app).json == {"please": "connect", "path": "/guarded"}
    assert ask(site.app, Accept="application/json").status_code == 418
    assert ask(site.app, "/view").status_code == 303


@pytest.mark.parametrize("is_protected", [False, True])
def test_a_handler_that_forgets_to_return_opens_nothing(is_protected: bool, site: Any) -> None:
    """Flask takes None from a ``before_request`` function as leave to go on."""
    from flask import Blueprint

    ran = []

    def view() -> str:
        ran.append(1)
        return "ran"

    site.auth.unauthorized_handler(lambda: None)
    pages = Blueprint("pages", "pages")
    if is_protected:
        site.auth.protect(pages)
    else:
        view = requires_openrouter_key(view)
        silent = requires_openrouter_key(on_missing=lambda: None)(view)
        pages.add_url_rule("/silent", "silent", silent)
    pages.add_url_rule("/view", "view", view)
    site.app.register_blueprint(pages)
    site.app.testing = False
    assert ask(site.app, "/view").status_code == 500
    assert ask(site.app, "/silent").status_code in (404, 500)
    assert ran == []


def test_a_key_that_openrouter_rejects_sends_the_visitor_to_connect_again(site: Any) -> None:
    @site.app.get("/chat")
    @requires_openrouter_key
    def chat() -> str:
        return str(current_openrouter.session.get("key").json()["data"]["label"])

    site.connect()
    api_key = site.issued_key()
    assert site.visitor.get("/chat").status_code == 200
    site.emulator.revoke(api_key)
    headers = {"Sec-Fetch-Mode": "cors", "Referer": "http://localhost/chat"}
    script = site.visitor.get("/chat", **headers)
    assert script.status_code == 401
    assert script.json["error"] == "key_rejected"
    assert site.visitor.key is None
    assert site.visitor.get("/chat").location == "/openrouter/login?next=/chat"


def test_a_view_that_finds_out_by_itself_says_so_with_the_error(site: Any) -> None:
    @site.app.post("/ask")
    @requires_openrouter_key(on_missing="json", next="/page")
    def asking() -> str:
        raise KeyRejectedError

    site.connect()
    answer = site.visitor.post("/ask")
    assert (answer.status_code, answer.json["error"]) == (401, "key_rejected")
    assert answer.json["login_url"] == "/openrouter/login?next=/page"
    assert site.visitor.key is None


@pytest.mark.parametrize("is_protected", [False, True])
def test_some_other_dead_key_is_the_view_s_own_trouble(is_protected: bool, site: Any) -> None:
    """As that of the app itself: the visitor's key stays, and nobody is sent to connect."""
    dead = site.emulator.issue_key()
    site.emulator.revoke(dead)

    def view() -> str:
        return str(OpenRouterClient(site.emulator.url).get_key_info(dead))

    site.app.add_url_rule("/v", "v", view if is_protected else requires_openrouter_key(view))
    site.connect()
    with pytest.raises(KeyRejectedError):
        site.visitor.get("/v")
    assert site.visitor.key is not None


class DyingStorage(MemoryStorage):
    """Fails from the moment it is told to."""

    is_dead = False

    def get(self, owner_id: str) -> str | None:
        if self.is_dead:
            raise OSError("gone")
        return super().get(owner_id)


@pytest.mark.parametrize("path", ["/guarded-view", "/open-view", "/protected-view"])
def test_a_storage_that_dies_while_a_dead_key_is_forgotten_is_a_503(
    path: str, make_site: Any
) -> None:
    from flask import Blueprint

    storage = DyingStorage()
    site = make_site({"storage": storage})

    def view() -> str:
        assert current_openrouter
        storage.is_dead = True
        raise KeyRejectedError

    pages = Blueprint("pages", "pages")
    site.auth.protect(pages)
    pages.add_url_rule("/protected-view", "protected", view)
    site.app.register_blueprint(pages)
    site.app.add_url_rule("/open-view", "open", view)
    site.app.add_url_rule("/guarded-view", "guarded-view", requires_openrouter_key(lambda: view()))
    site.connect()
    answer = site.visitor.get(path)
    assert answer.status_code == 503
    assert "storage_unavailable" in answer.text
    storage.is_dead = False
    assert site.visitor.key is not None


def test_pages_of_guarded_views_are_private_unless_they_say_otherwise(site: Any) -> None:
    def cached() -> Any:
        return "shown", {"Cache-Control": "private, max-age=60", "Vary": "Accept"}

    site.app.add_url_rule("/cached", "cached", requires_openrouter_key(cached))
    site.connect()
    plain = site.visitor.get("/guarded")
    assert plain.headers["Cache-Control"] == "no-store"
    assert "Cookie" in plain.headers["Vary"]
    own = site.visitor.get("/cached")
    assert own.headers["Cache-Control"] == "private, max-age=60"
    assert {"Accept", "Cookie"} <= set(own.headers["Vary"].split(", "))


def test_pages_of_guarded_views_vary_by_cookie_whatever_tells_the_owner(make_site: Any) -> None:
    """Here no cookie of ours is even read."""
    site = make_site({"storage": MemoryStorage()})
    site.auth.owner_loader(lambda: "alice")
    site.connect()
    assert "Cookie" in site.app.test_client().get("/guarded").headers["Vary"]


def test_a_post_comes_back_to_the_page_it_was_made_from(site: Any) -> None:
    site.app.add_url_rule("/ask", "ask", requires_openrouter_key(lambda: "ran"), methods=["POST"])
    for referrer in ("http://[", "http://a]b", "//", "", "http://localhost:81/x", "http://evil/x"):
        asked = site.visitor.post("/ask", headers={"Referer": referrer})
        assert (asked.status_code, asked.location) == (303, "/openrouter/login")
    visitor = Visitor(site.app, "https://xn--bcher-kva.example")
    headers = {"Referer": "https://xn--bcher-kva.example/page?a=b#c"}
    assert visitor.post("/ask", headers=headers).location == (
        "/openrouter/login?next=/page?a%3Db%23c"
    )


def test_options_count_when_the_guard_is_called_with_the_view(site: Any) -> None:
    view = requires_openrouter_key(lambda: "ran", on_missing="json", next="/chat")
    site.app.add_url_rule("/view", "view", view)
    answer = ask(site.app, "/view", **NAVIGATE)
    assert answer.status_code == 401
    assert answer.json["login_url"] == "/openrouter/login?next=/chat"


def test_a_view_whose_key_went_away_meanwhile_answers_as_it_was_told_to(site: Any) -> None:
    @site.app.get("/view")
    @requires_openrouter_key(on_missing="json", next="/chat")
    def view() -> str:
        current_openrouter.disconnect()
        return current_openrouter.api_key

    site.connect()
    answer = site.visitor.get("/view", headers=NAVIGATE)
    assert answer.status_code == 401
    assert answer.json == {
        "error": "key_required",
        "message": "Connect OpenRouter first",
        "login_url": "/openrouter/login?next=/chat",
    }
