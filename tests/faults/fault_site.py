"""The place where faults are injected: an app over one kind of storage, and its visitors.

It records every text that could carry a secret out of the app, and searches them at the end.
"""

from __future__ import annotations

import json
import logging
import secrets
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from attack import logins, parameter
from faults.fault_rows import Row
from faults.faulty_storage import Store
from faults.faulty_upstream import Upstream
from flask import Flask, got_request_exception
from leaks import leaks_in, response_bytes, without_logins, without_protocol
from live_app import LiveAnswer
from visitor import Visitor
from werkzeug.test import TestResponse

from flask_openrouter import current_openrouter, requires_openrouter_key, signals
from flask_openrouter.problems import PROBLEMS

SIGNALS = (signals.key_connected, signals.key_disconnected, signals.login_failed)


class FaultSite:
    """The app, the storage and the OpenRouter of one run of a fault."""

    def __init__(
        self,
        store: Store,
        upstream: Upstream,
        make_app: Callable[..., Flask],
        clock: Any,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        folder: Path,
    ) -> None:
        self.store = store
        self.upstream = upstream
        self.clock = clock
        self.monkeypatch = monkeypatch
        self.folder = folder
        self.cleanup = ExitStack()
        #: The user who is signed in to the app, if there is one.
        self.user: str | None = None
        self.canaries: dict[str, str] = {}
        #: Texts that must hold no canary, by their source.
        self.recorded: dict[str, list[str | bytes]] = {}
        self._make_app = make_app
        self._caplog = caplog

    def app(self, extension: dict[str, Any] | None = None, **config: Any) -> Flask:
        """Make an app with this site's storage and upstream; ``/use`` spends the key."""
        settings = {"OPENROUTER_BASE_URL": self.upstream.url, **config}
        storage = self.store.open(settings) if extension is None else extension
        app = self._make_app(storage, **settings)
        app.extensions["openrouter"].app_functions.owner_loader = lambda: self.user

        @app.get("/use")
        @requires_openrouter_key
        def use() -> str:
            return str(current_openrouter.session.get("models").status_code)

        @app.get("/key-info")
        @requires_openrouter_key
        def key_info() -> str:
            return str(current_openrouter.key_info().usage)

        for signal in SIGNALS:
            self._hear(signal, app)
        self._report_errors(app)
        return app

    def visitor(self, app: Flask, base_url: str = "http://localhost") -> Person:
        """Return a new browser."""
        return Person(self, app, base_url)

    def scene(self, app: Flask | None = None, **options: Any) -> Scene:
        """Return a visitor who is connected and has two logins open, in two tabs."""
        return Scene(self, app or self.app(), **options)

    def new_code(self) -> str:
        code = f"auth_code_{secrets.token_urlsafe(24)}"
        self.canaries[f"code {len(self.canaries)}"] = code
        return code

    def record(self, place: str, *texts: str | bytes) -> None:
        self.recorded.setdefault(place, []).extend(texts)

    def record_response(self, data: bytes) -> None:
        """Record a response to a browser, without what the protocol itself puts into it."""
        self.record("answers", without_logins(without_protocol(data, self.upstream.url)))
        # A login's state and verifier belong in its browser's cookies; code and key never do.
        self.record("sessions", without_protocol(data, self.upstream.url))

    def record_live(self, *answers: LiveAnswer) -> None:
        """Record responses of a live server."""
        for answer in answers:
            head = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
            self.record_response(f"\r\n{head}\r\n{answer.text}".encode())

    def log(self) -> str:
        """Return what the extension has logged."""
        records = [r for r in self._caplog.records if r.name == "flask_openrouter"]
        return "\n".join(record.getMessage() for record in records)

    def events(self) -> int:
        """Count the lines that the extension has logged so far, without those for debugging."""
        return sum(
            record.name == "flask_openrouter" and record.levelno > logging.DEBUG
            for record in self._caplog.records
        )

    def secrets_found(self) -> list[str]:
        """Search all that was recorded; return the places of secrets."""
        for code, key in self.upstream.keys.items():
            self.canaries[f"key of {code[-4:]}"] = key
        for number, request in enumerate(self.upstream.requests):
            if request.body.startswith(b"{") and "code_verifier" in request.json:
                self.canaries[f"exchanged verifier {number}"] = request.json["code_verifier"]
        for record in self._caplog.records:
            texts = [record.getMessage(), repr(record.args), repr(vars(record))]
            if record.exc_info and record.exc_info[1]:
                texts += error_report(record.exc_info[1])
            self.record("log", *texts)
        self.record("storage", *self.store.everything())
        found = []
        for place, texts in self.recorded.items():
            canaries = self.canaries
            if place == "sessions":
                canaries = {n: c for n, c in canaries.items() if n.startswith(("key", "code"))}
            joined = b"\n".join(
                t.encode(errors="replace") if isinstance(t, str) else t for t in texts
            )
            found += [f"{place}: {leak}" for leak in leaks_in(joined, canaries)]
        return found

    def _hear(self, signal: Any, app: Flask) -> None:
        def receiver(sender: Flask, **payload: object) -> None:
            self.record("signals", repr(sender), repr(payload), json.dumps(payload, default=repr))

        signal.connect(receiver, app)
        self.cleanup.callback(signal.disconnect, receiver, app)

    def _report_errors(self, app: Flask) -> None:
        handle = app.handle_user_exception

        def report(error: Exception) -> Any:
            self.record("error reports", *error_report(error))
            return handle(error)

        app.handle_user_exception = report  # type: ignore[method-assign]

        def unhandled(sender: Flask, exception: Exception) -> None:
            self.record("error reports", *error_report(exception))

        got_request_exception.connect(unhandled, app)
        self.cleanup.callback(got_request_exception.disconnect, unhandled, app)


def error_report(error: BaseException) -> list[str]:
    """Return what an error reporter sends: the error, its causes, and the locals of all frames."""
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    texts = ["".join(report.format())]
    waiting, known = [error], {id(error)}
    for one in waiting:
        texts += [repr(one), repr(one.args), repr(vars(one)), *getattr(one, "__notes__", [])]
        for cause in (one.__cause__, one.__context__):
            if cause is not None and id(cause) not in known:
                known.add(id(cause))
                waiting.append(cause)
    return texts


class Person(Visitor):
    """A browser whose responses are recorded."""

    def __init__(self, site: FaultSite, app: Flask, base_url: str) -> None:
        super().__init__(app, base_url)
        self.site = site

    def get(self, url: str, **headers: str) -> TestResponse:
        answer = super().get(url, **headers)
        self.site.record_response(response_bytes(answer))
        return answer

    def post(self, path: str, **kwargs: object) -> TestResponse:
        answer = super().post(path, **kwargs)
        self.site.record_response(response_bytes(answer))
        return answer

    def begin(self, next_url: str | None = None) -> str:
        """Begin a login; return its callback address with a new code, as after an approval."""
        callback_url = self.callback_url(self.start(next_url), code=self.site.new_code())
        state = parameter(callback_url, "state")
        self.site.canaries[f"waiting state {state[:4]}"] = state
        self.note_verifiers()
        return callback_url

    def note_verifiers(self) -> None:
        """Remember the code_verifier of every login that waits in this browser."""
        for login in logins(self):
            if login.code_verifier is not None:
                self.site.canaries[f"waiting verifier {login.part}"] = login.code_verifier


class Scene:
    """A visitor who is connected and has two logins open: the fault meets ``first``."""

    def __init__(
        self, site: FaultSite, app: Flask, *, base_url: str = "http://localhost", between: int = 0
    ) -> None:
        self.site = site
        self.app = app
        self.visitor = site.visitor(app, base_url)
        assert self.visitor.get(self.visitor.begin("/before")).location.endswith("/before")
        self.old_key = self.visitor.key
        assert self.old_key is not None
        self.first = self.visitor.begin("/first")
        site.clock.now += between
        self.second = self.visitor.begin("/second")
        #: Exchanges, and lines in the log, of what was watched last.
        self.counts: tuple[int, int | None] = (0, 0)

    def watch(self, action: Callable[[], TestResponse]) -> TestResponse:
        """Run ``action`` and count what it causes."""
        with self.watching():
            return action()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Count what this block causes."""
        exchanges, events = self.site.upstream.exchanges, self.site.events()
        yield
        self.counts = (self.site.upstream.exchanges - exchanges, self.site.events() - events)

    def go(self, url: str | None = None, **headers: str) -> TestResponse:
        """Come back from OpenRouter in the first tab, or visit ``url``. Count what it causes."""
        return self.watch(lambda: self.visitor.get(url or self.first, **headers))

    def row(self, page: TestResponse | str) -> Row:
        """Return the row of the table: what is left when the fault is over."""
        key = self.visitor.key
        state = "gone" if key is None else "kept" if key == self.old_key else "replaced"
        last = self.visitor.get(self.second)
        completes = last.status_code == 303 and last.location.endswith("/second")
        assert not completes or self.visitor.key not in (None, self.old_key)
        return Row(
            page=page if isinstance(page, str) else describe(page),
            exchanges=self.counts[0],
            key=state,
            other_tab="completes" if completes else "lost",
            events=self.counts[1],
        )


def describe(page: TestResponse) -> str:
    """Return what a visitor sees: status and title, or where they are sent."""
    if page.status_code == 303:
        return f"303 to `{page.location}`"
    titles = [problem for problem in PROBLEMS.values() if f"<h1>{problem.title}</h1>" in page.text]
    assert "Traceback" not in page.text
    if not titles:
        return str(page.status_code)
    (problem,) = titles
    assert f"Error {problem.code}, reference" in page.text
    assert "/openrouter/login" in page.text, "every page offers a new login"
    return f"{page.status_code} {problem.title}"
