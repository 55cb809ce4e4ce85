"""Whole visits with a random key, code, code_verifier and state: none of them is left anywhere."""

from __future__ import annotations

import logging
import re
import secrets
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from faults.fault_rows import SERVER_SIDE, STORAGES
from faults.fault_site import FaultSite, Person, error_report
from faults.object_dumps import dumps_of, texts_within
from flask import Flask
from leaks import leaks_in
from misbehaving import answer
from servers import PostgreSQLServer

from flask_openrouter import current_openrouter, requires_openrouter_key
from flask_openrouter.client.models import AuthCode, IssuedKey
from flask_openrouter.connection import Connection
from flask_openrouter.errors import KeyStorageError
from flask_openrouter.login.callback import Callback, read_callback
from flask_openrouter.login.cookies import Login
from flask_openrouter.login.logins import AuthorizationRequest
from flask_openrouter.login.parked import ParkedKey
from flask_openrouter.storage.record import KeyRecord

KEY = f"sk-or-v1-{secrets.token_hex(32)}"
CODE = f"auth_code_{secrets.token_urlsafe(24)}"
VERIFIER = secrets.token_urlsafe(32)
STATE = secrets.token_urlsafe(32)
CANARIES = {"key": KEY, "code": CODE, "code_verifier": VERIFIER, "state": STATE}


def _look_around(site: FaultSite, app: Flask) -> None:
    """Add a view that dumps each object of the extension that a view can reach."""
    services = app.extensions["openrouter"]

    @app.get("/look")
    def look() -> str:
        connection = current_openrouter.detach()
        waiting = list(services.login_cookies.all())
        assert waiting
        callback = read_callback(services.settings.base_url)
        things = [
            current_openrouter, connection, connection.session, connection.session.headers,
            connection.session.auth, callback, *waiting,
            *(getattr(services, name) for name in services.__dataclass_fields__), services,
            services.vault.storage, app.extensions, app.config, app.session_interface,
        ]  # fmt: skip
        for thing in things:
            site.record(f"dumps of {type(thing).__name__}", *dumps_of(thing))
        return "looked"


def _paste(site: FaultSite, visitor: Person) -> None:
    """Go through a login without a callback."""
    form = visitor.get("/openrouter/code?next=/pasted").text
    visitor.note_verifiers()
    (state,) = re.findall(r'name="state" value="([^"]+)"', form)
    data = {"code": site.new_code(), "state": state, "next": "/pasted"}
    assert visitor.post("/openrouter/code", data=data).status_code == 303


def _save_again(site: FaultSite, visitor: Person) -> None:
    """Lose a key to the storage, twice, and save it in the end."""
    with site.store.switch.failing("set"):
        assert visitor.get(visitor.begin("/saved")).status_code == 503
        assert visitor.post("/openrouter/save").status_code == 503
    assert visitor.post("/openrouter/save?next=/saved").location == "/saved"
    assert visitor.post("/openrouter/save").status_code == 400


def _visit(site: FaultSite, app: Flask, visitor: Person) -> None:
    callback = visitor.begin("/use")
    assert visitor.get(callback).location == "/use"
    assert visitor.get("/use").text == "200"
    assert visitor.get("/key-info").status_code == 200
    assert visitor.get("/openrouter/status").json["connected"]
    assert visitor.get(callback).location == "/use"
    assert site.visitor(app).get(callback).status_code == 400
    _paste(site, visitor)
    if site.store.kind in SERVER_SIDE:
        _save_again(site, visitor)
    waiting = visitor.begin("/look")
    assert visitor.get(f"/look?{waiting.partition('?')[2]}").text == "looked"
    assert visitor.post("/openrouter/disconnect").status_code == 303
    assert visitor.get("/openrouter/disconnected").status_code == 200
    assert visitor.key is None


@pytest.mark.requirement("R63", "R64")
@pytest.mark.parametrize("kind", STORAGES)
def test_a_whole_visit_leaves_no_secret_behind(
    open_site: Callable[..., Any],
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    kind: str,
) -> None:
    with open_site(kind) as site, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        app = site.app()
        _look_around(site, app)
        stayer, leaver = site.visitor(app), site.visitor(app)
        assert stayer.get(stayer.begin()).status_code == 303
        _visit(site, app, leaver)
        assert stayer.key is not None
        site.record("services", *texts_within(app.extensions["openrouter"]))
        site.record("warnings", *(repr(vars(warning)) for warning in warned))
        site.record("terminal", *capfd.readouterr())
        if isinstance(site.store.server, PostgreSQLServer):
            site.record("pg_dump", site.store.server.dump(str(site.store.uri).rpartition("/")[2]))
        assert site.secrets_found() == []
        _assert_that_the_search_works(site, caplog)


def _assert_that_the_search_works(site: FaultSite, caplog: pytest.LogCaptureFixture) -> None:
    """Check that there were secrets, and texts to search."""
    for kind in ("code", "key of", "waiting state", "waiting verifier", "exchanged verifier"):
        assert any(name.startswith(kind) for name in site.canaries), kind
    loggers = {record.name for record in caplog.records if record.levelno == logging.DEBUG}
    assert {"flask_openrouter", "urllib3.connectionpool"} <= loggers
    if site.store.kind in ("sqlite", "postgresql"):
        assert "sqlalchemy.engine.Engine" in {record.name for record in caplog.records}
    assert len(site.recorded["signals"]) > 6
    assert len(b"".join(map(_bytes, site.recorded["storage"]))) > 100 or site.store.kind == "cookie"
    # The walk reached the open connections of the client.
    assert {site.upstream.url, "localhost"} <= set(site.recorded["services"])
    # A secret that is planted in one of these places is found.
    for place in ("answers", "log", "storage", "error reports"):
        site.recorded = {place: [f"before {site.canaries[next(iter(site.canaries))]} after"]}
        assert any(found.startswith(place) for found in site.secrets_found())


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode(errors="replace")


@pytest.mark.parametrize("kind", SERVER_SIDE)
def test_a_connection_without_a_request_shows_nothing(
    open_site: Callable[..., Any], kind: str
) -> None:
    """A task queue has such a connection. The errors of its storage show nothing either."""
    with open_site(kind) as site:
        site.user = "ada"
        app = site.app()
        visitor = site.visitor(app)
        visitor.get(visitor.begin())
        with app.app_context():
            connection = Connection(app, "ada")
            assert connection
            site.record("dumps", *dumps_of(connection), *dumps_of(connection.session))
            record = KeyRecord(connection.api_key, None, 1)
            for operation, call in {
                "get": lambda: Connection(app, "ada").api_key,
                "set": lambda: app.extensions["openrouter"].vault.save("ada", record),
                "delete": connection.disconnect,
            }.items():
                with site.store.switch.failing(operation), pytest.raises(KeyStorageError) as error:
                    call()
                ours = [t for t in error_report(error.value) if "test_canaries" not in t]
                site.record("error reports", *ours, *dumps_of(error.value))
        assert site.secrets_found() == []


def test_the_key_of_the_app_leaves_no_trace(open_site: Callable[..., Any]) -> None:
    """It is used, spent, dead and unreachable; its function fails with it in its hands."""
    with open_site("memory") as site:
        site.canaries["key of the app"] = KEY
        app = site.app()
        app.config["PROPAGATE_EXCEPTIONS"] = False
        functions = app.extensions["openrouter"].app_functions

        @app.get("/try")
        @requires_openrouter_key(fallback=True)
        def try_it() -> str:
            connection = current_openrouter.detach()
            for thing in (
                current_openrouter, connection, connection.session, current_openrouter.session,
                current_openrouter.openai(), current_openrouter.sdk(), app.extensions,
            ):  # fmt: skip
                site.record(f"dumps of {type(thing).__name__}", *dumps_of(thing))
            reply = current_openrouter.session.get("models")
            reply.raise_for_status()
            return str(reply.status_code)

        @app.get("/info")
        @requires_openrouter_key(fallback=True)
        def info() -> str:
            raise RuntimeError(current_openrouter.session.get("key").text)

        def raising() -> str:
            raise ValueError(f"not a key: {KEY}")

        visitor = site.visitor(app)
        functions.fallback_key = lambda: KEY
        assert visitor.get("/try").text == "200"
        assert visitor.get("/info").status_code == 500
        echo = {"error": {"code": 401, "message": f"No such key: {KEY}"}}
        for status in (401, 402, 403, 429, 500):
            with site.upstream.acting(answer(status, echo)):
                assert visitor.get("/try").status_code in (303, 403, 429, 502)
        with site.upstream.stopped():
            assert visitor.get("/try").status_code == 502
        for function in (raising, lambda: f"{KEY}\n", lambda: [KEY]):
            functions.fallback_key = function
            assert visitor.get("/try").status_code == 502
        assert any(KEY in str(request.headers) for request in site.upstream.requests)
        assert site.secrets_found() == []


THINGS = [
    KeyRecord(KEY, "user_1", 1),
    Login(".12345678", "A" * 16, VERIFIER, 1, "/", False, False, False),
    AuthorizationRequest(STATE, VERIFIER),
    Callback(STATE, CODE),
    ParkedKey("browser:x", KeyRecord(KEY, "user_1", 1)),
    IssuedKey(KEY, "user_1"),
    AuthCode(CODE),
]


@pytest.mark.requirement("R64")
@pytest.mark.parametrize("thing", THINGS, ids=lambda thing: type(thing).__name__)
def test_an_object_with_a_secret_does_not_show_it_when_dumped(thing: object) -> None:
    """Caches and task queues pickle what they are given."""
    assert leaks_in(dumps_of(thing), CANARIES) == []


def test_a_secret_in_an_object_would_be_found() -> None:
    class Careless:
        def __init__(self) -> None:
            self.inner = [{"key": KEY}]

    assert leaks_in(dumps_of({"key": KEY}), CANARIES)
    assert leaks_in(dumps_of(Careless()), CANARIES)
    assert leaks_in(texts_within(Careless()), CANARIES)
