"""Servers that are killed or stopped while a callback waits for OpenRouter, and lost responses."""

from __future__ import annotations

import http.client
import os
import secrets
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from key_issuer import KeyIssuer, running_key_issuer
from live_app import Browser, LiveAnswer
from polling import wait_until
from web_servers import FORKING, GRACEFUL, Hold, running_web_server

from flask_openrouter.storage.uri import storage_from_uri


def settings_of(key_issuer: KeyIssuer, folder: Path) -> dict[str, str]:
    return {
        "SECRET_KEY": secrets.token_hex(),
        "OPENROUTER_BASE_URL": key_issuer.url,
        "OPENROUTER_EMULATOR": "true",
        "OPENROUTER_STORAGE_URI": f"sqlite:///{folder}/keys.db",
    }


@pytest.mark.requirement("S7")
@pytest.mark.parametrize("kind", FORKING)
def test_after_a_killed_worker_the_reload_says_that_a_key_may_exist(
    kind: str, tmp_path: Path
) -> None:
    with running_key_issuer() as key_issuer:
        settings = settings_of(key_issuer, tmp_path)
        with running_web_server(kind, **settings) as server, ThreadPoolExecutor(1) as pool:
            browser = Browser(server.url)
            callback_url = browser.callback_url("a-code-of-16-chars")
            worker = browser.get("/openrouter/status").headers["X-Worker"]

            def come_back() -> LiveAnswer | None:
                with suppress(http.client.HTTPException, OSError):
                    return browser.send("GET", callback_url)
                return None

            with key_issuer.held() as gate:
                lost = pool.submit(come_back)
                gate.wait_for_exchange()
                os.kill(int(worker), signal.SIGKILL)
                assert lost.result() is None
            for _ in range(2):
                page = browser.get(callback_url)
                assert page.headers["X-Worker"] != worker
                assert page.status == 400
                assert "may have created a key" in page.text
                assert f"{key_issuer.url}/settings/keys" in page.text
                assert "Nothing was changed" not in page.text
            # The killed worker sent the code, and the new one once more.
            assert key_issuer.exchanges == 2
            assert browser.get(browser.callback_url("another-code-here")).status == 303
            assert browser.key == key_issuer.fingerprint("another-code-here")


@pytest.mark.requirement("S7")
@pytest.mark.parametrize("kind", GRACEFUL)
def test_a_server_that_is_stopped_finishes_the_callback(kind: str, tmp_path: Path) -> None:
    with running_key_issuer() as key_issuer:
        settings = settings_of(key_issuer, tmp_path)
        with running_web_server(kind, **settings) as server, ThreadPoolExecutor(2) as pool:
            browser = Browser(server.url)
            callback_url = browser.callback_url("a-code-of-16-chars")
            with key_issuer.held() as gate:
                landed = pool.submit(browser.get, callback_url)
                gate.wait_for_exchange()
                stopped = pool.submit(server.stop)
                wait_until(lambda: server.has_begun_to_stop)
                assert not landed.done()
            assert (landed.result().status, landed.result().location) == (303, "/")
            stopped.result()
            server.start()
            assert browser.key == key_issuer.fingerprint("a-code-of-16-chars")
            assert key_issuer.exchanges == 1


@pytest.mark.requirement("P4")
def test_a_reload_interrupts_neither_a_callback_nor_an_open_login_nor_a_long_answer(
    tmp_path: Path,
) -> None:
    """As docs/deployment.md deploys: without --preload, by HUP."""
    with running_key_issuer() as key_issuer:
        settings = settings_of(key_issuer, tmp_path)
        kind, options = "gunicorn gthread", "--graceful-timeout 120"
        with (
            running_web_server(kind, options=options, **settings) as server,
            ThreadPoolExecutor(1) as pool,
        ):
            ada, bob = Browser(server.url), Browser(server.url)
            bobs_callback = bob.callback_url("a-code-of-bob-here")
            long_answer = Hold(server.url)
            with key_issuer.held() as gate:
                landed = pool.submit(ada.get, ada.callback_url("a-code-of-16-chars"))
                gate.wait_for_exchange()
                server.reload()
                new = wait_until(lambda: other_worker(server.url, long_answer.worker))
                assert not landed.done()
            assert (landed.result().status, landed.result().location) == (303, "/")
            assert landed.result().headers["X-Worker"] == long_answer.worker
            assert long_answer.read(100) == b"." * 100
            long_answer.close()
            assert bob.get(bobs_callback).headers["X-Worker"] == new
            assert bob.key == key_issuer.fingerprint("a-code-of-bob-here")
            assert ada.key == key_issuer.fingerprint("a-code-of-16-chars")


def other_worker(url: str, known: str) -> str | None:
    worker = Browser(url).get("/openrouter/status").headers["X-Worker"]
    return None if worker == known else worker


@pytest.mark.requirement("A3", "R40")
def test_a_lost_response_is_found_by_every_worker_that_shares_the_storage(tmp_path: Path) -> None:
    """Both workers share the secret key and the storage, and nothing else."""
    with running_key_issuer() as key_issuer:
        settings = settings_of(key_issuer, tmp_path)
        with running_web_server("gunicorn sync", 2, **settings) as server:
            url = server.url
            browser = Browser(url)
            callback_url = browser.callback_url("a-code-of-16-chars")
            first = Hold(url)
            lost = browser.send("GET", callback_url)
            second = Hold(url)
            first.close()
            again = browser.get(callback_url)
            second.close()
            assert {lost.headers["X-Worker"], again.headers["X-Worker"]} == {
                first.worker,
                second.worker,
            }
            assert (again.status, again.location) == (303, "/")
            assert browser.key == key_issuer.fingerprint("a-code-of-16-chars")
            assert key_issuer.exchanges == 1
    storage = storage_from_uri(settings["OPENROUTER_STORAGE_URI"], max_age=86_400)
    assert storage.count_owners() == 1  # type: ignore[attr-defined]
    storage.close()  # type: ignore[attr-defined]
