"""The responses of the guard: a redirect for a browser, JSON for a script."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Blueprint, Flask, jsonify, request
from visitor import NAVIGATE, Visitor

from flask_openrouter import requires_openrouter_key

pytest_plugins = "sites"


HTML = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def ask(app: Flask, path: str = "/guarded", method: str = "GET", **headers: str) -> Any:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return app.test_client().open(path, method=method, headers=names)


def test_a_browser_is_redirected(site: Any) -> None:
    for headers in (
        {},
        {"Accept": "*/*"},
        {"Accept": HTML},
        {"Accept": "text/html;q=0.5,application/json;q=0.4"},
        {"Accept": "image/avif,*/*"},
        {**NAVIGATE, "Accept": HTML},
        {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
        {"HX-Request": "false"},
        {"X-Requested-With": "com.android.browser"},
    ):
        response = ask(site.app, "/guarded?a=b&c=%2Fd", **headers)
        assert response.status_code == 303, headers
        assert response.location == "/openrouter/login?next=/guarded?a%3Db%26c%3D%252Fd", headers


def test_a_script_gets_json_and_htmx_the_address_to_go_to(site: Any) -> None:
    login_url = "/openrouter/login?next=/page?x%3D1"
    for headers in (
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
    ):
        response = ask(site.app, **headers, Referer="http://localhost/page?x=1")
        assert response.status_code == 401, headers
        assert response.json == {
            "error": "key_required",
            "message": "Connect OpenRouter first",
            "login_url": login_url,
        }, headers
        expected = login_url if "HX-Request" in headers else None
        assert response.headers.get("HX-Redirect") == expected, headers
        assert "Set-Cookie" not in response.headers


def test_a_view_may_decide_the_response(site: Any) -> None:
    for on_missing in ("json", "redirect"):
        view = requires_openrouter_key(on_missing=on_missing)(lambda: "ran")  # type: ignore[call-overload]
        site.app.add_url_rule(f"/{on_missing}", on_missing, view)
    assert ask(site.app, "/json", **NAVIGATE).status_code == 401
    assert ask(site.app, "/redirect", Accept="application/json").status_code == 303
    assert ask(site.app, "/redirect", HX_Request="true").status_code == 303


def test_a_view_may_name_the_page_to_return_to(site: Any) -> None:
    @site.app.route("/view", methods=["GET", "POST"])
    @requires_openrouter_key(next="/chat?a=b")
    def view() -> str:
        raise AssertionError("ran")

    for method in ("GET", "POST"):
        response = ask(site.app, "/view", method, Referer="http://localhost/elsewhere")
        assert response.location == "/openrouter/login?next=/chat?a%3Db"


def test_the_guard_takes_the_view_and_its_options_in_one_call(site: Any) -> None:
    view = requires_openrouter_key(lambda: "ran", on_missing="json", next="/chat")
    site.app.add_url_rule("/view", "view", view)
    response = ask(site.app, "/view", **NAVIGATE)
    assert response.status_code == 401
    assert response.json["login_url"] == "/openrouter/login?next=/chat"


def test_a_view_may_name_a_function_that_makes_the_response(site: Any) -> None:
    async def later() -> tuple[str, int]:
        return "later", 402

    view = requires_openrouter_key(lambda: "ran")
    site.app.add_url_rule(
        "/now", "now", requires_openrouter_key(on_missing=lambda: ("now", 402))(view)
    )
    site.app.add_url_rule("/later", "later", requires_openrouter_key(on_missing=later)(view))
    site.auth.unauthorized_handler(lambda: "not asked")
    for name in ("now", "later"):
        response = ask(site.app, f"/{name}")
        assert (response.status_code, response.text) == (402, name)
        assert response.headers["Cache-Control"] == "no-store"
        assert "Cookie" in response.headers["Vary"]


def test_the_app_may_make_the_response_for_all_views(site: Any) -> None:
    @site.auth.unauthorized_handler
    async def response() -> Any:
        return jsonify(please="connect", path=request.path), 418

    view = requires_openrouter_key(on_missing="redirect")(lambda: "ran")
    site.app.add_url_rule("/view", "view", view)
    assert ask(site.app).json == {"please": "connect", "path": "/guarded"}
    assert ask(site.app, Accept="application/json").status_code == 418
    assert ask(site.app, "/view").status_code == 303


def return_nothing() -> None: ...


@pytest.mark.parametrize("is_protected", [False, True])
def test_a_handler_that_returns_nothing_is_an_error_and_opens_no_view(
    is_protected: bool, site: Any
) -> None:
    """Flask takes None from a ``before_request`` function as permission to run the view."""
    ran = []

    def view() -> str:
        ran.append(1)
        return "ran"

    site.auth.unauthorized_handler(return_nothing)
    pages = Blueprint("pages", "pages")
    paths = ["/view"]
    if is_protected:
        site.auth.protect(pages)
    else:
        silent = requires_openrouter_key(on_missing=return_nothing)(lambda: view())
        pages.add_url_rule("/silent", "silent", silent)
        paths.append("/silent")
    pages.add_url_rule("/view", "view", view if is_protected else requires_openrouter_key(view))
    site.app.register_blueprint(pages)
    for path in paths:
        with pytest.raises(TypeError) as raised:
            ask(site.app, path)
        assert str(raised.value) == (
            f"{return_nothing!r} returned no response for a visitor without a key."
            " Is a return missing?"
        )
    site.app.testing = False
    assert [ask(site.app, path).status_code for path in paths] == [500 for _ in paths]
    assert ran == []


def test_a_post_returns_to_the_page_that_made_it(site: Any) -> None:
    site.app.add_url_rule("/ask", "ask", requires_openrouter_key(lambda: "ran"), methods=["POST"])
    for referrer in ("http://[", "http://a]b", "//", "", "http://localhost:81/x", "http://evil/x"):
        asked = site.visitor.post("/ask", headers={"Referer": referrer})
        assert (asked.status_code, asked.location) == (303, "/openrouter/login")
    visitor = Visitor(site.app, "https://xn--bcher-kva.example")
    headers = {"Referer": "https://xn--bcher-kva.example/page?a=b#c"}
    assert visitor.post("/ask", headers=headers).location == (
        "/openrouter/login?next=/page?a%3Db%23c"
    )
    headers = {"Referer": "https://xn--bcher-kva.example/page?u=http://a"}
    assert visitor.post("/ask", headers=headers).location == (
        "/openrouter/login?next=/page?u%3Dhttp://a"
    )


def test_the_page_keeps_its_spelling(site: Any) -> None:
    """A query may have bytes of any encoding."""
    site.app.add_url_rule("/@ada/<path:rest>", "rest", requires_openrouter_key(lambda: "ran"))
    assert ask(site.app, "/@ada/a:b,c").location == "/openrouter/login?next=/@ada/a:b,c"
    overrides = {"QUERY_STRING": "a=\xff"}
    answer = site.app.test_client().get("/guarded", environ_overrides=overrides)
    assert answer.location == "/openrouter/login?next=/guarded?a%3D%25EF%25BF%25BD"
