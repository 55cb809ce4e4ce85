"""Faults of visitors, browsers, and proxies between them and the app."""

from __future__ import annotations

import secrets
import socket
import warnings
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from attack import load_jar, save_jar, set_cookies
from faults.fault_rows import SERVER_SIDE, Row, fault
from faults.fault_site import FaultSite, Scene
from flask import Flask, session
from live_app import Browser, LiveAnswer, live
from polling import wait_until

HOUR = 3600


@fault(
    "F1",
    "the visitor declines",
    "400 You declined",
    variants={"error=access_denied": "&error=access_denied", "no code": ""},
    remark="nothing of the address is shown",
)
def _declines(site: FaultSite, query: str) -> Row:
    scene = site.scene()
    address = scene.first.partition("&code=")[0]
    return scene.row(scene.go(address + query))


@fault("F2", "back after 11 minutes", "400 This login took too long")
def _late(site: FaultSite, _: None) -> Row:
    scene = site.scene(between=5 * 60)
    site.clock.now += 6 * 60
    return scene.row(scene.go())


@fault("F22", "cookies are off", "400 This login is not known here", remark="the page says so")
def _no_cookies(site: FaultSite, _: None) -> Row:
    scene = site.scene()
    without = site.visitor(scene.app)
    without.client = scene.app.test_client(use_cookies=False)
    page = scene.watch(lambda: without.get(scene.first))
    assert "cookies are off" in page.text
    assert page.location is None
    return scene.row(page)


@fault(
    "F23",
    "SameSite=Strict session cookie",
    "303 to `/first`",
    exchanges=1,
    key="replaced",
    remark="the extension's are Lax",
)
def _strict(site: FaultSite, _: None) -> Row:
    scene = site.scene(site.app(SESSION_COOKIE_SAMESITE="Strict"))
    return scene.row(scene.go(**{"Sec-Fetch-Site": "cross-site"}))


@fault(
    "F24",
    "Secure session cookie on plain http",
    "303 to `/first`",
    exchanges=1,
    key="replaced",
    remark="logged; on `localhost` the extension's are not Secure",
)
def _secure(site: FaultSite, _: None) -> Row:
    scene = site.scene(site.app(SESSION_COOKIE_SECURE=True))
    assert "SESSION_COOKIE_SECURE" in site.log()
    return scene.row(scene.go())


@fault("F25", "session cookie too big", "303 to `/first`", exchanges=1, key="replaced")
def _too_big(site: FaultSite, _: None) -> Row:
    app = site.app()
    is_greedy = []

    @app.after_request
    def keep_too_much(response):  # type: ignore[no-untyped-def]
        if is_greedy:
            session["basket"] = secrets.token_hex(4000)
        return response

    scene = site.scene(app)
    is_greedy.append(True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer = scene.visitor.get("/openrouter/login?next=/first")
    value, _attributes = set_cookies(answer)["session"]
    assert len("session" + value) > 4093
    # The browser drops what is too big.
    scene.visitor.client.delete_cookie("session")
    callback_url = scene.visitor.callback_url(answer.location, code=site.new_code())
    is_greedy.clear()
    return scene.row(scene.go(callback_url))


@fault(
    "F26",
    "another app has the same cookies",
    "303 to `/first`",
    exchanges=1,
    key="replaced",
    remark="logins have their own",
)
def _neighbour(site: FaultSite, _: None) -> Row:
    scene = site.scene()
    neighbour = Flask("neighbour")
    neighbour.secret_key = secrets.token_hex()

    @neighbour.get("/")
    def home() -> str:
        session["name"] = "somebody"
        return "home"

    answer = neighbour.test_client().get("/")
    value, _attributes = set_cookies(answer)["session"]
    load_jar(scene.visitor, {**save_jar(scene.visitor), "session": value})
    return scene.row(scene.go())


@fault("F30", "callback loaded again", "303 to `/first`", key="kept", events=0)
def _reload(site: FaultSite, _: None) -> Row:
    scene = site.scene()
    assert scene.visitor.get(scene.first).status_code == 303
    scene.old_key = scene.visitor.key
    return scene.row(scene.go())


@fault("F42", "another user signs in meanwhile", "400 This login belongs to somebody else")
def _other_user(site: FaultSite, _: None) -> Row:
    site.user = "ada"
    scene = site.scene()
    site.user = "bob"
    page = scene.go()
    assert scene.visitor.key is None
    site.user = "ada"
    return scene.row(page)


@fault(
    "F45",
    "the clock jumps",
    "400 This login took too long",
    variants={"back 1 h": -HOUR, "forward 1 d": 24 * HOUR},
)
def _clock(site: FaultSite, seconds: int) -> Row:
    scene = site.scene()
    site.clock.now += seconds
    page = scene.go()
    scene.second = scene.visitor.begin("/second")
    return scene.row(page)


@fault("F48", "a prefetcher goes first", "503", events=0, remark="a real visit completes it")
def _prefetch(site: FaultSite, _: None) -> Row:
    return _unasked(site.scene(), {"Sec-Purpose": "prefetch;prerender"})


@fault("F48", "an image or frame goes first", "403 Open this address in a tab", remark="as above")
def _image(site: FaultSite, _: None) -> Row:
    return _unasked(site.scene(), {"Sec-Fetch-Dest": "image", "Sec-Fetch-Mode": "navigate"})


@fault("F48", "a link checker's HEAD goes first", "204", events=0, remark="as above")
def _head(site: FaultSite, _: None) -> Row:
    scene = site.scene()
    parts = urlsplit(scene.first)
    path = parts._replace(scheme="", netloc="").geturl()
    page = scene.watch(lambda: scene.visitor.client.head(path))
    row = scene.row(page)
    assert scene.visitor.get(scene.first).location == "/first"
    return row


def _unasked(scene: Scene, headers: dict[str, str]) -> Row:
    assert "Set-Cookie" not in scene.visitor.get("/openrouter/login", **headers).headers
    page = scene.go(**headers)
    assert "Set-Cookie" not in page.headers
    row = scene.row(page)
    assert scene.visitor.get(scene.first).location == "/first"
    return row


# -- several requests at once: on a live server -------------------------------------------------


def _browser(scene: Scene, url: str) -> Browser:
    """The visitor's browser, at the live server."""
    return Browser(url, save_jar(scene.visitor))


def _take_back(scene: Scene, browser: Browser, *answers: LiveAnswer) -> None:
    """Let the visitor have the cookies of these answers, in this order."""
    for answer in answers:
        browser.apply(answer)
    scene.site.record_live(*answers)
    load_jar(scene.visitor, browser.jar)
    scene.visitor.note_verifiers()


@fault(
    "F31",
    "double click on connect",
    "303 to `/first`",
    exchanges=1,
    key="replaced",
    remark="the later cookie counts",
)
def _double_click(site: FaultSite, _: None) -> Row:
    scene = site.scene()
    with live(scene.app) as url, ThreadPoolExecutor(2) as pool:
        browser = _browser(scene, url)
        login = url + "/openrouter/login?next=/first"
        answers = list(pool.map(lambda _: browser.send("GET", login), range(2)))
        _take_back(scene, browser, *answers)
    assert answers[0].location != answers[1].location
    callback_url = scene.visitor.callback_url(answers[-1].location, code=site.new_code())
    return scene.row(scene.go(callback_url.replace(url, "http://localhost")))


@fault(
    "F32",
    "callback twice at once",
    "303 to `/first`, twice",
    exchanges=1,
    key="replaced",
    remark="the second waits for the same cookies",
)
def _twins(site: FaultSite, _: None) -> Row:
    scene = site.scene()
    with live(scene.app) as url, ThreadPoolExecutor(2) as pool, scene.watching():
        browser = _browser(scene, url)
        jar = dict(browser.jar)
        with site.upstream.held() as gate:
            first = pool.submit(browser.send, "GET", scene.first)
            gate.wait_for_exchange()
            second = pool.submit(browser.send, "GET", scene.first)
            wait_until(lambda: _waiting(scene) == 1)
            gate.opened.set()
        answers = first.result(), second.result()
        _take_back(scene, browser, answers[1])
    assert sorted(answers[0].set_cookies) == sorted(answers[1].set_cookies)
    assert browser.jar["openrouter"] != jar["openrouter"]
    assert {(answer.status, answer.location) for answer in answers} == {(303, "/first")}
    return scene.row(f"{answers[1].status} to `{answers[1].location}`, twice")


def _waiting(scene: Scene) -> int:
    """Return how many callbacks wait for the end of a login."""
    exchanges = scene.app.extensions["openrouter"].finished_logins._exchanges
    return sum(exchange._waiting for exchange in exchanges.values())


@fault(
    "F47",
    "the visitor leaves during the exchange",
    "409 This login was finished already",
    storages=("cookie",),
    remark="a new login replaces the lost key",
)
def _leaves(site: FaultSite, _: None) -> Row:
    scene = site.scene()
    _leave(site, scene)
    return scene.row(scene.go())


@fault(
    "F47",
    "the visitor leaves during the exchange",
    "303 to `/first`",
    storages=SERVER_SIDE,
    key="replaced",
    events=0,
    remark="on return, the browser gets the new key's id",
)
def _leaves_for_good(site: FaultSite, _: None) -> Row:
    return _leaves(site, _)


@fault(
    "F47",
    "a signed-in user leaves during the exchange",
    "303 to `/first`",
    storages=SERVER_SIDE,
    key="replaced",
    events=0,
)
def _user_leaves(site: FaultSite, _: None) -> Row:
    site.user = "ada"
    return _leaves(site, _)


def _leave(site: FaultSite, scene: Scene) -> None:
    """Hang up while OpenRouter is thinking; return when the worker is free again."""
    events = site.events()
    with live(scene.app) as url:
        parts = urlsplit(url)
        with site.upstream.held() as gate:
            browser = _browser(scene, url)
            cookies = "; ".join(map("=".join, browser.jar.items()))
            path = urlsplit(scene.first)._replace(scheme="", netloc="").geturl()
            with socket.create_connection((parts.hostname, parts.port)) as connection:
                head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookies}\r\n\r\n"
                connection.sendall(head.encode())
                gate.wait_for_exchange()
        wait_until(lambda: site.events() > events)
        assert Browser(url).get("/openrouter/status").status == 200
