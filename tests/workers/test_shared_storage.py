"""gunicorn workers that share one storage: each sees what the others do."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import closing

import pytest
from flask import Flask
from live_app import Browser
from visitor import Visitor
from web_servers import Hold, running_web_server

from flask_openrouter.emulator import Emulator


@pytest.fixture
def settings(emulator: Emulator, storage_uri: str) -> dict[str, str]:
    return {
        "SECRET_KEY": f"key {secrets.token_hex()}",
        "OPENROUTER_BASE_URL": emulator.url,
        "OPENROUTER_EMULATOR": "true",
        "OPENROUTER_STORAGE_URI": storage_uri,
    }


def issued(emulator: Emulator) -> list[str]:
    """The fingerprints of all keys that were issued."""
    return [key["hash"] for key in emulator.ledger.keys(emulator.now())]


def test_two_gunicorn_workers_share_what_is_connected(
    settings: dict[str, str], emulator: Emulator
) -> None:
    with running_web_server("gunicorn sync", 2, **settings) as server:
        url = server.url
        browser = Browser(url)
        first = Hold(url)
        landed = browser.get(emulator.approve(browser.start("/guarded")))
        assert (landed.status, landed.location) == (303, "/guarded")
        connected_on = landed.headers["X-Worker"]

        with closing(Hold(url)) as second:
            assert second.worker == connected_on != first.worker
            first.close()
            used = browser.get("/guarded")
            assert (used.headers["X-Worker"], [used.text]) == (first.worker, issued(emulator))
            gone = browser.send(
                "POST", "/openrouter/disconnect", headers={"Sec-Fetch-Site": "same-origin"}
            )
            assert (gone.status, gone.headers["X-Worker"]) == (303, first.worker)
            third = Hold(url)

        # A slow tab still sends the cookies from before.
        with closing(third):
            seen = browser.get("/openrouter/status")
            assert seen.headers["X-Worker"] == connected_on
            assert '"connected":false' in seen.text


def test_two_processes_share_what_is_connected(
    settings: dict[str, str], emulator: Emulator
) -> None:
    """Behind a load balancer, one machine begins the login and another finishes it."""
    with (
        running_web_server("gunicorn sync", **settings) as one,
        running_web_server("gunicorn sync", **settings) as other,
    ):
        browser = Browser(one.url)
        callback = emulator.approve(browser.start("/guarded"))
        elsewhere = Browser(other.url, browser.jar)
        assert elsewhere.get(callback).status == 303
        browser.jar = elsewhere.jar
        assert [browser.key] == [elsewhere.key] == issued(emulator)
        jar = dict(browser.jar)
        assert elsewhere.post("/openrouter/disconnect").status == 303
        assert Browser(one.url, jar).key is None
        assert Browser(other.url, jar).key is None


@pytest.mark.requirement("R91")
def test_a_worker_with_another_secret_key_cannot_decrypt_and_deletes_nothing(
    make_shared_app: Callable[..., Flask], emulator: Emulator
) -> None:
    ours, theirs = Visitor(make_shared_app()), Visitor(make_shared_app())
    for visitor in (ours, theirs):
        visitor.client.environ_base["HTTP_X_USER"] = "ada"
    ours.connect(emulator)
    key = ours.key
    for _ in range(3):
        assert theirs.key is None
        assert '"connected":false' in theirs.get("/openrouter/status").text
        assert ours.key == key
    assert [key] == issued(emulator)


@pytest.mark.requirement("F37")
def test_a_ciphertext_in_the_row_of_another_owner_is_refused_and_kept(
    make_shared_app: Callable[..., Flask], emulator: Emulator
) -> None:
    app = make_shared_app()
    ada, bob = Visitor(app), Visitor(app)
    ada.client.environ_base["HTTP_X_USER"] = "ada"
    bob.client.environ_base["HTTP_X_USER"] = "bob"
    ada.connect(emulator)
    bob.connect(emulator)
    storage = app.extensions["openrouter"].vault.storage
    of_ada, of_bob = storage.get("ada"), storage.get("bob")
    storage.set("ada", of_bob)
    storage.set("bob", of_ada)
    assert (ada.key, bob.key) == (None, None)
    assert (storage.get("ada"), storage.get("bob")) == (of_bob, of_ada)
    storage.set("ada", of_ada)
    assert ada.key in issued(emulator)
