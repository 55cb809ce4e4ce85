"""No shared cache keeps what belongs to one visitor.

(CVE-2023-30861; CVE-2026-27205; OWASP ASVS 5.0, 14.2.2 and 14.3.2.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from attack import EXCHANGE
from flask import Flask, Response, current_app
from visitor import NAVIGATE, Visitor
from werkzeug.test import Client, TestResponse, run_wsgi_app

from flask_openrouter import current_openrouter, requires_openrouter_key
from flask_openrouter.emulator import Emulator
from flask_openrouter.storage.memory import MemoryStorage


class FailingStorage(MemoryStorage):
    def get(self, owner_id: str) -> str | None:
        raise OSError("down")


def _is_private(answer: TestResponse) -> bool:
    return answer.cache_control.no_store is not None and "Cookie" in answer.vary


def _guarded_answers(visitor: Visitor, emulator: Emulator) -> dict[str, TestResponse]:
    found = {
        "guard, page": visitor.get("/guarded"),
        "guard, script": visitor.client.get("/guarded", headers={"Accept": "application/json"}),
        "guard, htmx": visitor.client.get("/guarded", headers={"HX-Request": "true"}),
    }
    visitor.connect(emulator)
    return {**found, "guarded view": visitor.get("/guarded"), "bug": visitor.get("/buggy")}


@pytest.mark.requirement("R25")
def test_every_answer_of_ours_stays_out_of_shared_caches(make_app: Any, emulator: Emulator) -> None:
    app: Flask = make_app(PROPAGATE_EXCEPTIONS=False)

    @app.get("/buggy")
    @requires_openrouter_key
    def buggy() -> str:
        raise ValueError("a bug")

    visitor = Visitor(app)
    answers = _guarded_answers(visitor, emulator)
    assert answers["bug"].status_code == 500
    callback = emulator.approve(visitor.start())
    answers["login"] = visitor.get("/openrouter/login")
    answers["callback"] = visitor.get(callback)
    answers["callback, unknown"] = visitor.get(callback.replace("state=", "state=x"))
    answers["callback, declined"] = visitor.get(visitor.callback_url(visitor.start()))
    with emulator.faults(status=500, path=EXCHANGE):
        answers["callback, 502"] = visitor.get(emulator.approve(visitor.start()))
    answers["status"] = visitor.get("/openrouter/status")
    answers["code"] = visitor.get("/openrouter/code")
    answers["prefetch"] = visitor.get("/openrouter/login", **{"Sec-Purpose": "prefetch"})
    answers["image"] = visitor.get("/openrouter/login", **{"Sec-Fetch-Dest": "image"})
    answers["disconnect, foreign"] = visitor.post(
        "/openrouter/disconnect", headers={"Sec-Fetch-Site": "cross-site"}
    )
    answers["disconnect"] = visitor.post("/openrouter/disconnect")
    answers["disconnected"] = visitor.get(answers["disconnect"].location)
    answers["save"] = visitor.post("/openrouter/save")
    assert [name for name, answer in answers.items() if not _is_private(answer)] == []


@pytest.mark.requirement("R25")
def test_errors_of_the_storage_stay_out_of_shared_caches(make_app: Any) -> None:
    visitor = Visitor(make_app({"storage": FailingStorage()}))
    visitor.app.extensions["openrouter"].app_functions.owner_loader = lambda: "alice"
    for path in ("/guarded", "/openrouter/status"):
        answer = visitor.get(path)
        assert answer.status_code == 503
        assert _is_private(answer)


@pytest.mark.requirement("R25")
def test_a_view_may_decide_on_caching_itself(make_app: Any, emulator: Emulator) -> None:
    app: Flask = make_app()

    @app.get("/own")
    @requires_openrouter_key
    def own() -> Response:
        answer = current_app.make_response("own")
        answer.headers["Cache-Control"] = "private, max-age=60"
        return answer

    visitor = Visitor(app)
    visitor.connect(emulator)
    answer = visitor.get("/own")
    assert answer.headers["Cache-Control"] == "private, max-age=60"
    assert "Cookie" in answer.vary


@pytest.mark.requirement("R25")
def test_a_page_that_only_looks_at_the_connection_varies_by_cookie(
    stored_apps: Any, emulator: Emulator
) -> None:
    """Like Flask's session: who reads it has made a page for one visitor."""
    app: Flask = stored_apps()

    @app.get("/greeting")
    def greeting() -> str:
        return current_openrouter.masked_key if current_openrouter else "hello, stranger"

    visitor = Visitor(app)
    assert "Cookie" in visitor.get("/greeting").vary
    visitor.connect(emulator)
    assert "Cookie" in visitor.get("/greeting").vary
    assert "Cookie" not in visitor.get("/").vary, "the other pages are for everybody"


WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class NaiveCache:
    """A shared cache that looks at the address and at no-store and private, and at nothing else."""

    def __init__(self, app: WSGIApp) -> None:
        self.app = app
        self.kept: dict[str, tuple[list[bytes], str, Any]] = {}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        address = f"{environ['PATH_INFO']}?{environ['QUERY_STRING']}"
        if environ["REQUEST_METHOD"] == "GET" and address not in self.kept:
            body, status, headers = run_wsgi_app(self.app, environ, buffered=True)
            answer = ([*body], status, headers)
            if not any(word in headers.get("Cache-Control", "") for word in ("no-store", "priv")):
                self.kept[address] = answer
        elif environ["REQUEST_METHOD"] == "GET":
            answer = self.kept[address]
        else:
            return self.app(environ, start_response)
        start_response(answer[1], answer[2].to_wsgi_list())
        return answer[0]


@pytest.mark.requirement("R25")
@pytest.mark.parametrize("path", ["/guarded", "/openrouter/status", "/openrouter/login"])
def test_behind_a_naive_cache_nobody_gets_anothers_page_or_cookie(
    app: Flask, emulator: Emulator, path: str
) -> None:
    cache = NaiveCache(app.wsgi_app)
    one, two = Client(cache), Client(cache)
    login = one.get("/openrouter/login", headers=NAVIGATE).headers["Location"]
    callback = emulator.approve(login).removeprefix("http://localhost")
    one.get(callback, headers=NAVIGATE)

    first = one.get(path, headers=NAVIGATE)
    second = two.get(path, headers=NAVIGATE)

    assert first.data != second.data or first.headers.get("Location") != second.headers["Location"]
    assert first.headers.get("Set-Cookie") is None or (
        first.headers["Set-Cookie"] != second.headers.get("Set-Cookie")
    )
    replay = two.get(callback, headers=NAVIGATE)
    assert replay.status_code == 400
    assert two.get("/guarded", headers=NAVIGATE).status_code == 303
