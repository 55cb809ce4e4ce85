"""Workers that share a storage: no key is lost, and none is given to another visitor."""

from __future__ import annotations

import http.client
import secrets
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import pytest
from key_issuer import running_key_issuer
from live_app import Browser, LiveAnswer
from polling import wait_until
from web_servers import FORKING, GRACEFUL, running_web_server

from flask_openrouter.emulator import Emulator
from flask_openrouter.storage.uri import storage_from_uri

THREADS = 8
#: Seconds that OpenRouter takes for an exchange. So a stop meets visitors who have sent their code.
EXCHANGE = 0.1


def settings_for(base_url: str, storage_uri: str) -> dict[str, str]:
    return {
        "SECRET_KEY": secrets.token_hex(),
        "OPENROUTER_BASE_URL": base_url,
        "OPENROUTER_EMULATOR": "true",
        "OPENROUTER_STORAGE_URI": storage_uri,
    }


def count_owners(storage_uri: str) -> int:
    storage = storage_from_uri(storage_uri, max_age=86_400)
    try:
        return storage.count_owners()  # type: ignore[attr-defined, no-any-return]
    finally:
        storage.close()  # type: ignore[attr-defined]


@pytest.mark.requirement("S2")
@pytest.mark.parametrize("kind", FORKING)
def test_every_visitor_gets_their_own_key_from_every_worker(
    kind: str, storage_uri: str, every_variant: bool
) -> None:
    """The app has used its storage before it is forked."""
    number = 60 if every_variant else 20
    codes = [f"code-of-visitor-{visitor}" for visitor in range(number)]
    workers: set[str] = set()
    with (
        running_key_issuer() as key_issuer,
        running_web_server(kind, 3, **settings_for(key_issuer.url, storage_uri)) as server,
        ThreadPoolExecutor(THREADS) as pool,
    ):

        def connect(code: str) -> Browser:
            browser = Browser(server.url)
            response = browser.get(browser.callback_url(code))
            assert response.status == 303, response.text
            return browser

        browsers = dict(zip(codes, pool.map(connect, codes), strict=True))

        def ask(code: str) -> None:
            responses = [browsers[code].get("/guarded") for _ in range(5)]
            assert {page.text for page in responses} == {key_issuer.fingerprint(code)}
            workers.update(response.headers["X-Worker"] for response in responses)

        def have_several_answered() -> bool:
            """Ask as every visitor. The first worker is alone until the others have started."""
            list(pool.map(ask, codes))
            return len(workers) > 1

        wait_until(have_several_answered)
        assert key_issuer.exchanges == number
    assert count_owners(storage_uri) == number


@pytest.mark.requirement("S7")
@pytest.mark.parametrize("storage_uri", ["sqlite"], indirect=True)
@pytest.mark.parametrize("kind", GRACEFUL)
def test_no_key_is_lost_while_the_server_is_restarted(
    kind: str, storage_uri: str, emulator: Emulator, every_variant: bool
) -> None:
    number, restarts = (60, 4) if every_variant else (20, 1)
    emulator.add_fault(times=None, path="/api/v1/auth/keys", delay=EXCHANGE)

    def ask(browser: Browser, method: str, url: str) -> LiveAnswer:
        """Load the page again and again until the server is there."""

        def load() -> LiveAnswer | None:
            with suppress(OSError, http.client.HTTPException):
                response = browser.send(method, url)
                browser.apply(response)
                return response
            return None

        return wait_until(load)  # type: ignore[return-value]

    def connect(browser: Browser) -> None:
        callback = emulator.approve(ask(browser, "GET", "/openrouter/login?next=/there").location)
        landed = ask(browser, "GET", callback)
        assert (landed.status, landed.location) == (303, "/there"), landed.text

    with (
        running_web_server(kind, 1, **settings_for(emulator.url, storage_uri)) as server,
        ThreadPoolExecutor(THREADS) as pool,
    ):
        browsers = [Browser(server.url) for _ in range(number)]
        logins: list[Future[None]] = [pool.submit(connect, browser) for browser in browsers]
        for turn in range(restarts):
            logins[(turn + 1) * number // (restarts + 2)].result()
            server.stop()
            server.start()
        for login in logins:
            login.result()
        made = {key["hash"] for key in emulator.ledger.keys(emulator.now())}
        assert len(made) == number
        assert {browser.key for browser in browsers} == made
    assert count_owners(storage_uri) == number
