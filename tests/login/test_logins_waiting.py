"""A callback that comes again while the first one is not over."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from key_issuer import KeyIssuer
from live_app import Browser, LiveAnswer, live
from polling import wait_until

from flask_openrouter import OpenRouterClient
from flask_openrouter.client import IssuedKey
from flask_openrouter.storage.memory import MemoryStorage

MakeApp = Callable[..., Flask]

ROUNDS = 10


@pytest.fixture(params=["cookie", "memory"])
def app(make_app: MakeApp, key_issuer: KeyIssuer, request: pytest.FixtureRequest) -> Flask:
    storage = MemoryStorage() if request.param == "memory" else None
    return make_app({"storage": storage}, OPENROUTER_BASE_URL=key_issuer.url)


def after(browser: Browser, answer: LiveAnswer) -> Browser:
    """Return the browser after this response arrived."""
    later = Browser(browser.url, browser.jar)
    later.apply(answer)
    return later


def waiting(app: Flask) -> int:
    """Return how many callbacks wait for the end of a login."""
    exchanges = app.extensions["openrouter"].finished_logins._exchanges
    return sum(exchange._waiting for exchange in exchanges.values())


@pytest.mark.requirement("R40", "F32", "W8", "A3")
def test_of_simultaneous_callbacks_one_sends_the_code_and_two_wait(
    app: Flask, key_issuer: KeyIssuer, in_thread: Callable[..., Future[LiveAnswer]]
) -> None:
    """Those that wait get the same cookies. All others are asked to come again, by a click."""
    with live(app) as url:
        for number in range(ROUNDS):
            browser = Browser(url)
            code = secrets.token_urlsafe(12)
            callback_url = browser.callback_url(code)
            with key_issuer.held() as gate:
                answers = [in_thread(browser.send, "GET", callback_url)]
                gate.wait_for_exchange()
                answers += [in_thread(browser.send, "GET", callback_url) for _ in range(2)]
                wait_until(lambda: waiting(app) == 2)
                late = browser.send("GET", callback_url)
                gate.opened.set()
                same = [answer.result() for answer in answers]
            assert key_issuer.exchanges == number + 1
            assert (late.status, late.set_cookies) == (202, [])
            assert code not in late.text
            assert '<a class="openrouter-action" href="">' in late.text
            assert "http-equiv" not in late.text
            assert {(answer.status, answer.location) for answer in same} == {(303, "/")}
            assert len({tuple(sorted(answer.set_cookies)) for answer in same}) == 1
            for answer in same:
                assert after(browser, answer).key == key_issuer.fingerprint(code)
            landed = after(browser, same[1])
            assert landed.get(callback_url).location == "/"
            assert waiting(app) == 0
        assert key_issuer.exchanges == ROUNDS


@pytest.mark.requirement("A3")
def test_cookies_are_remembered_for_those_who_wait_only(
    app: Flask, key_issuer: KeyIssuer, in_thread: Callable[..., Future[LiveAnswer]]
) -> None:
    """The ciphertext of a key does not stay on the server."""

    def remembered() -> list[object]:
        exchanges = app.extensions["openrouter"].finished_logins._exchanges.values()
        return [dict(exchange._ending.cookies) for exchange in exchanges]

    with live(app) as url:
        browser = Browser(url)
        browser.get(browser.callback_url("code-1"))
        assert remembered() == [{}]
        callback_url = browser.callback_url("code-2")
        with key_issuer.held() as gate:
            answers = [in_thread(browser.send, "GET", callback_url)]
            gate.wait_for_exchange()
            answers.append(in_thread(browser.send, "GET", callback_url))
            wait_until(lambda: waiting(app) == 1)
            gate.opened.set()
            assert [answer.result().status for answer in answers] == [303, 303]
        assert remembered() == [{}, {}]


@pytest.mark.requirement("A3")
def test_those_who_wait_see_the_same_failure(
    app: Flask, key_issuer: KeyIssuer, in_thread: Callable[..., Future[LiveAnswer]]
) -> None:
    with live(app) as url:
        browser = Browser(url)
        browser.get(browser.callback_url("code-1"))
        # OpenRouter takes each code once.
        callback_url = browser.callback_url("code-1")
        with key_issuer.held() as gate:
            answers = [in_thread(browser.send, "GET", callback_url)]
            gate.wait_for_exchange()
            answers.append(in_thread(browser.send, "GET", callback_url))
            wait_until(lambda: waiting(app) == 1)
            gate.opened.set()
            for answer in answers:
                assert answer.result().status == 400
                assert "OpenRouter refused this login" in answer.result().text
        assert key_issuer.exchanges == 2
        assert browser.key == key_issuer.fingerprint("code-1")


@pytest.mark.requirement("A3")
def test_a_callback_waits_no_longer_than_an_exchange_may_take(
    make_app: MakeApp, key_issuer: KeyIssuer, in_thread: Callable[..., Future[LiveAnswer]]
) -> None:
    """Then the visitor is asked to come again. The storage, not OpenRouter, is slow here."""
    leave = threading.Event()
    entered = threading.Event()

    class Slow(MemoryStorage):
        def set(self, owner_id: str, ciphertext: str) -> None:
            entered.set()
            leave.wait(60)
            super().set(owner_id, ciphertext)

    settings = {"OPENROUTER_BASE_URL": key_issuer.url, "OPENROUTER_REQUEST_TIMEOUT": 1}
    app = make_app({"storage": Slow()}, **settings)
    with live(app) as url:
        browser = Browser(url)
        callback_url = browser.callback_url("code-1")
        first = in_thread(browser.send, "GET", callback_url)
        assert entered.wait(60)
        assert browser.send("GET", callback_url).status == 202
        leave.set()
        assert first.result().status == 303
        assert browser.get(callback_url).status == 303
        assert browser.key == key_issuer.fingerprint("code-1")
    assert key_issuer.exchanges == 1


@pytest.mark.requirement("A3")
def test_an_interrupted_callback_lets_the_others_go(
    make_app: MakeApp, key_issuer: KeyIssuer, in_thread: Callable[..., Future[LiveAnswer]]
) -> None:
    """A bug, or a signal: a key may exist, and nobody has it."""
    entered, leave = threading.Event(), threading.Event()

    class Interrupted(OpenRouterClient):
        def exchange_code(self, *args: Any, **kwargs: Any) -> IssuedKey:
            super().exchange_code(*args, **kwargs)
            entered.set()
            leave.wait(60)
            raise RuntimeError("interrupted")

    settings = {"OPENROUTER_BASE_URL": key_issuer.url, "PROPAGATE_EXCEPTIONS": False}
    app = make_app({"storage": MemoryStorage()}, **settings)
    services = app.extensions["openrouter"]
    app.extensions["openrouter"] = replace(services, client=Interrupted(key_issuer.url))
    with live(app) as url:
        browser = Browser(url)
        callback_url = browser.callback_url("code-1")
        first = in_thread(browser.send, "GET", callback_url)
        assert entered.wait(60)
        second = in_thread(browser.send, "GET", callback_url)
        wait_until(lambda: waiting(app) == 1)
        leave.set()
        assert second.result().status == 409
        assert first.result().status == 500
        assert browser.send("GET", callback_url).status == 409
    assert key_issuer.exchanges == 1
