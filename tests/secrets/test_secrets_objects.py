"""Key, code, code_verifier and state: in no error report and no page by mistake.

faults/test_canaries.py looks for them in storages and objects.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attack import parameter
from flask import Flask
from key_issuer import KeyIssuer
from leaks import leaks_in, response_bytes, without_logins
from visitor import Visitor
from werkzeug.debug import DebuggedApplication

import flask_openrouter
from flask_openrouter.storage.memory import MemoryStorage

MakeApp = Callable[..., Flask]
CODE = "auth_code_Zm9vYmFyX2NhbmFyeV8xMjM0NTY3ODk"
PACKAGE = str(Path(flask_openrouter.__file__).parent)


class Stopped(BaseException):
    """Like KeyboardInterrupt and gevent's timeouts, it must pass through."""


class StoppingStorage(MemoryStorage):
    """Is interrupted at the ``stop_at``-th call."""

    stop_at = 0
    calls = 0

    def _count(self) -> None:
        self.calls += 1
        if self.calls == self.stop_at:
            raise Stopped("interrupted")

    def get(self, owner_id: str) -> str | None:
        self._count()
        return super().get(owner_id)

    def set(self, owner_id: str, ciphertext: str) -> None:
        self._count()
        super().set(owner_id, ciphertext)


def locals_of(error: BaseException) -> list[str]:
    """Return what an error reporter captures: the error, and the locals of the package's frames."""
    texts = [repr(error), *map(repr, error.args), *getattr(error, "__notes__", [])]
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename.startswith(PACKAGE):
            texts += [repr(value) for value in frame.f_locals.values()]
    for cause in (error.__cause__, error.__context__):
        if cause is not None:
            texts += locals_of(cause)
    return texts


@pytest.mark.requirement("R65")
@pytest.mark.parametrize("stop_at", range(1, 6))
def test_an_error_report_from_the_callback_holds_no_secret(
    stop_at: int, make_app: MakeApp, key_issuer: KeyIssuer
) -> None:
    """An interruption at any call: an error reporter sees the frames above the exchange."""
    storage = StoppingStorage()
    app = make_app({"storage": storage}, OPENROUTER_BASE_URL=key_issuer.url)
    visitor = Visitor(app)
    callback_url = visitor.callback_url(visitor.start(), code=CODE)
    storage.calls, storage.stop_at = 0, stop_at
    try:
        landed = visitor.get(callback_url)
    except Stopped as error:
        seen = locals_of(error)
        assert len(seen) > 3
    else:
        assert (landed.status_code, stop_at > storage.calls) == (303, True)
        return
    assert key_issuer._provider is not None
    canaries = {"code": CODE, "state": parameter(callback_url, "state")}
    for exchange in key_issuer._provider.exchanges:
        canaries |= {"key": key_issuer.keys[CODE], "code_verifier": exchange.json["code_verifier"]}
    assert leaks_in(seen, canaries) == []


@pytest.mark.requirement("R65")
def test_an_owner_loader_that_fails_shows_no_secret(
    make_app: MakeApp, key_issuer: KeyIssuer
) -> None:
    app = make_app(OPENROUTER_BASE_URL=key_issuer.url)
    answers: list[Any] = ["alice"]

    def load_owner() -> Any:
        if isinstance(answers[-1], Exception):
            raise answers[-1]
        return answers[-1]

    app.extensions["openrouter"].app_functions.owner_loader = load_owner
    visitor = Visitor(app)
    callback_url = visitor.callback_url(visitor.start(), code=CODE)
    answers.append(LookupError("the user table is gone"))
    with pytest.raises(LookupError) as raised:
        visitor.get(callback_url)
    canaries = {"code": CODE, "state": parameter(callback_url, "state")}
    assert leaks_in(locals_of(raised.value), canaries) == []
    assert key_issuer.exchanges == 0


@pytest.mark.requirement("R68")
@pytest.mark.parametrize("stop_at", [1, 2, 3])
def test_the_debugger_s_page_shows_no_secret(
    stop_at: int, make_app: MakeApp, key_issuer: KeyIssuer
) -> None:
    class FailingStorage(StoppingStorage):
        def _count(self) -> None:
            self.calls += 1
            if self.calls >= self.stop_at:
                raise OSError("disk full")

    storage = FailingStorage()
    storage.stop_at = 10**9
    app = make_app({"storage": storage}, OPENROUTER_BASE_URL=key_issuer.url, DEBUG=True)
    app.testing = False
    visitor = Visitor(app)
    callback_url = visitor.callback_url(visitor.start(), code=CODE)
    app.wsgi_app = DebuggedApplication(app.wsgi_app, evalex=False)  # type: ignore[method-assign]
    storage.calls, storage.stop_at = 0, stop_at
    page = visitor.get(callback_url)
    assert page.status_code == 503
    assert "Traceback" not in page.text
    canaries = {"code": CODE, "state": parameter(callback_url, "state")}
    canaries |= {f"key {code}": key for code, key in key_issuer.keys.items()}
    assert leaks_in(without_logins(response_bytes(page)), canaries) == []
