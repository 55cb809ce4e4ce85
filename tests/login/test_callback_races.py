"""Simultaneous requests: one code makes one key, and no late response undoes it."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, session
from key_issuer import KeyIssuer
from live_app import Browser, LiveAnswer, live

from flask_openrouter import KeyStorage, current_openrouter, requires_openrouter_key
from flask_openrouter.storage.cookie import CookieStorage
from flask_openrouter.storage.memory import MemoryStorage
from flask_openrouter.storage.redis import RedisStorage
from flask_openrouter.storage.sqlalchemy import SQLAlchemyStorage

MakeApp = Callable[..., Flask]


DAY = 86400


@pytest.fixture
def storage(
    stored_kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[KeyStorage | None]:
    """A storage of this kind; None is the visitor's cookie."""
    if stored_kind == "cookie":
        yield None
    elif stored_kind == "memory":
        yield MemoryStorage()
    else:
        opened = _open(stored_kind, request, tmp_path)
        yield opened
        opened.close()


def _open(
    kind: str, request: pytest.FixtureRequest, folder: Path
) -> SQLAlchemyStorage | RedisStorage:
    if kind == "redis":
        return RedisStorage(request.getfixturevalue("redis_server").url, max_age=DAY)
    if kind == "sqlite":
        return SQLAlchemyStorage(f"sqlite:///{folder}/keys.db")
    return SQLAlchemyStorage(request.getfixturevalue("postgresql_url"))


@pytest.fixture
def rounds(every_variant: bool) -> int:
    return 50 if every_variant else 5


@pytest.fixture
def app(make_app: MakeApp, key_issuer: KeyIssuer, storage: KeyStorage | None) -> Flask:
    return make_app({"storage": storage}, OPENROUTER_BASE_URL=key_issuer.url)


@contextmanager
def workers(*apps: Flask) -> Iterator[list[str]]:
    with ExitStack() as stack:
        yield [stack.enter_context(live(app)) for app in apps]


def after(browser: Browser, *answers: LiveAnswer) -> Browser:
    """Return the browser after these responses arrived in this order."""
    later = Browser(browser.url, browser.jar)
    for answer in answers:
        later.apply(answer)
    return later


@pytest.mark.requirement("R40")
def test_without_any_order_all_callbacks_lead_to_one_key(
    app: Flask, key_issuer: KeyIssuer, in_thread: Callable[..., Future[LiveAnswer]], rounds: int
) -> None:
    def send(start: threading.Barrier, browser: Browser, url: str) -> LiveAnswer:
        start.wait()
        return browser.send("GET", url)

    is_in_cookie = isinstance(app.extensions["openrouter"].vault.storage, CookieStorage)
    with live(app) as url:
        for number in range(rounds):
            browser = Browser(url)
            code = secrets.token_urlsafe(12)
            callback_url = browser.callback_url(code)
            start = threading.Barrier(2)
            futures = [in_thread(send, start, browser, callback_url) for _ in range(2)]
            answers = sorted((f.result() for f in futures), key=lambda answer: answer.status)
            # In a cookie, a key is gone as soon as its response is on the way.
            late = {303, 409} if is_in_cookie else {303}
            assert answers[0].status == 303
            assert answers[1].status in late
            assert key_issuer.exchanges == number + 1
            for order in (answers, answers[::-1]):
                assert after(browser, *order).key == key_issuer.fingerprint(code)


@pytest.mark.requirement("R40")
def test_two_workers_without_shared_memory_make_one_key(
    make_app: MakeApp,
    key_issuer: KeyIssuer,
    storage: KeyStorage | None,
    in_thread: Callable[..., Future[LiveAnswer]],
    rounds: int,
) -> None:
    """Both may send the code. OpenRouter refuses the second, and that response changes nothing.

    With a key on the server, the refused callback leads to it when it is loaded again.
    """
    settings = {"OPENROUTER_BASE_URL": key_issuer.url, "SECRET_KEY": secrets.token_hex()}
    apps = [make_app({"storage": storage}, **settings) for _ in range(2)]
    with workers(*apps) as urls:
        for _ in range(rounds):
            browser = Browser(urls[0])
            code = secrets.token_urlsafe(12)
            path = browser.callback_url(code).removeprefix(urls[0])
            twin = Browser(urls[1], browser.jar)
            futures = [in_thread(worker.send, "GET", path) for worker in (browser, twin)]
            answers = sorted((f.result() for f in futures), key=lambda answer: answer.status)
            assert answers[0].status == 303
            assert answers[1].status in (303, 400)
            for order in (answers, answers[::-1]):
                assert after(twin, *order).key == key_issuer.fingerprint(code)
            if answers[1].status == 400:
                assert "may have created a key" in answers[1].text
                alone = after(twin, answers[1])
                assert alone.get(path).status == (400 if storage is None else 303)


@pytest.mark.requirement("R41")
def test_a_slow_view_that_writes_the_session_does_not_erase_the_key(
    app: Flask, key_issuer: KeyIssuer, in_thread: Callable[..., Future[LiveAnswer]]
) -> None:
    entered, leave = threading.Event(), threading.Event()

    @app.get("/slow")
    def slow() -> str:
        session["seen"] = True
        entered.set()
        leave.wait(60)
        return "slow"

    with live(app) as url:
        browser = Browser(url)
        callback_url = browser.callback_url("code-1")
        slow_answer = in_thread(browser.send, "GET", "/slow")
        assert entered.wait(60)
        browser.get(callback_url)
        leave.set()
        browser.apply(slow_answer.result())
        assert browser.key == key_issuer.fingerprint("code-1")
        assert browser.get(callback_url).status == 303
        assert key_issuer.exchanges == 1


@pytest.mark.requirement("R42")
def test_a_slow_view_that_ends_after_a_disconnect_does_not_bring_the_key_back(
    make_app: MakeApp,
    key_issuer: KeyIssuer,
    storage: KeyStorage | None,
    in_thread: Callable[..., Future[LiveAnswer]],
) -> None:
    app = make_app({"storage": storage}, OPENROUTER_BASE_URL=key_issuer.url)
    entered, leave = threading.Event(), threading.Event()

    @app.before_request
    def keep_session() -> None:
        session.permanent = True

    @app.get("/slow")
    @requires_openrouter_key
    def slow() -> str:
        assert current_openrouter.api_key
        entered.set()
        leave.wait(60)
        return current_openrouter.masked_key

    with live(app) as url:
        browser = Browser(url)
        browser.get(browser.callback_url("code-1"))
        slow_answer = in_thread(browser.send, "GET", "/slow")
        assert entered.wait(60)
        assert browser.post("/openrouter/disconnect").status == 303
        leave.set()
        late = slow_answer.result()
        assert late.status == 200
        assert [line for line in late.set_cookies if line.startswith("session=")]
        browser.apply(late)
        assert browser.key is None


@pytest.mark.requirement("R42")
def test_the_response_that_arrives_last_decides_between_two_logins(
    app: Flask, key_issuer: KeyIssuer
) -> None:
    """The response to the first login may arrive after that to the second."""
    with live(app) as url:
        browser = Browser(url)
        urls = [browser.callback_url(code) for code in ("code-1", "code-2")]
        early, late = (browser.send("GET", callback_url) for callback_url in urls)
        assert (early.status, late.status) == (303, 303)
        assert after(browser, early, late).key == key_issuer.fingerprint("code-2")
        assert after(browser, late, early).key == key_issuer.fingerprint("code-1")


@pytest.mark.requirement("R43")
def test_after_a_disconnect_an_old_cookie_is_useless(
    make_app: MakeApp, key_issuer: KeyIssuer, storage: KeyStorage | None, clock: Any
) -> None:
    """In the default storage it stays valid for its documented age: the server stores nothing."""
    settings = {"OPENROUTER_BASE_URL": key_issuer.url, "OPENROUTER_KEY_MAX_AGE": 3600}
    with live(make_app({"storage": storage}, **settings)) as url:
        browser = Browser(url)
        browser.get(browser.callback_url("code-1"))
        saved = Browser(url, browser.jar)
        browser.post("/openrouter/disconnect")
        assert browser.key is None
        if storage is None:
            clock.now += 3600
            assert saved.key == key_issuer.fingerprint("code-1")
            clock.now += 1
        assert saved.key is None


@pytest.mark.requirement("R43")
def test_by_default_an_old_cookie_lives_for_31_days(
    make_app: MakeApp, key_issuer: KeyIssuer, clock: Any
) -> None:
    with live(make_app(OPENROUTER_BASE_URL=key_issuer.url)) as url:
        browser = Browser(url)
        browser.get(browser.callback_url("code-1"))
        clock.now += 31 * DAY
        assert browser.key == key_issuer.fingerprint("code-1")
        clock.now += 1
        assert browser.key is None


@pytest.mark.requirement("R44")
@pytest.mark.parametrize("is_connected", [False, True])
def test_a_disconnect_while_a_callback_is_in_flight_leaves_one_of_the_two(
    is_connected: bool,
    app: Flask,
    key_issuer: KeyIssuer,
    storage: KeyStorage | None,
    in_thread: Callable[..., Future[LiveAnswer]],
) -> None:
    with live(app) as url:
        browser = Browser(url)
        if is_connected:
            browser.get(browser.callback_url("code-0"))
        callback_url = browser.callback_url("code-1")
        with key_issuer.held() as gate:
            callback = in_thread(browser.send, "GET", callback_url)
            gate.wait_for_exchange()
            gone = browser.send("POST", "/openrouter/disconnect")
            gate.opened.set()
            landed = callback.result()
        assert (gone.status, landed.status) == (303, 303)
        assert after(browser, gone, landed).key == key_issuer.fingerprint("code-1")
        last_gone = after(browser, landed, gone)
        # Nothing to disconnect, so no cookie to delete: the callback's stays.
        assert last_gone.key in (None, key_issuer.fingerprint("code-1"))
        assert last_gone.key != (key_issuer.keys.get("code-0") and key_issuer.fingerprint("code-0"))
        if isinstance(storage, MemoryStorage):
            # The key of before is gone, and the new one is whole.
            assert storage.count_owners() == 1


@pytest.mark.requirement("R44")
def test_for_a_user_of_the_app_cookies_and_storage_agree(
    make_app: MakeApp,
    key_issuer: KeyIssuer,
    storage: KeyStorage | None,
    in_thread: Callable[..., Future[LiveAnswer]],
) -> None:
    app = make_app({"storage": storage}, OPENROUTER_BASE_URL=key_issuer.url)
    app.extensions["openrouter"].app_functions.owner_loader = lambda: "alice"
    with live(app) as url:
        browser = Browser(url)
        browser.get(browser.callback_url("code-0"))
        callback_url = browser.callback_url("code-1")
        with key_issuer.held() as gate:
            callback = in_thread(browser.send, "GET", callback_url)
            gate.wait_for_exchange()
            gone = browser.send("POST", "/openrouter/disconnect")
            gate.opened.set()
            landed = callback.result()
        for order in ((gone, landed), (landed, gone)):
            expected = {key_issuer.fingerprint("code-1")}
            if storage is None and order[-1] is gone:
                expected = {None}
            assert after(browser, *order).key in expected
