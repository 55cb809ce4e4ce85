"""docs/errors.md has one entry per code, and each entry says what happens for that code."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from attack import load_jar, save_jar
from cases import case
from errors_page import PAGE, Entry, entries
from failing_storage import FailingStorage
from flask import Flask
from visitor import NAVIGATE, Visitor
from werkzeug.test import TestResponse

from flask_openrouter import current_openrouter, requires_openrouter_key
from flask_openrouter.emulator import Emulator, run_in_thread
from flask_openrouter.problems import PROBLEMS

ENTRIES = entries()
EXCHANGE = "/api/v1/auth/keys"


def test_every_code_has_one_entry() -> None:
    assert [entry.code for entry in ENTRIES] == list(dict.fromkeys(e.code for e in ENTRIES))
    assert {entry.code for entry in ENTRIES} == set(PROBLEMS)


def test_an_entry_has_the_status_and_title_of_its_problem_and_a_cause() -> None:
    for entry in ENTRIES:
        with case(entry.code):
            problem = PROBLEMS[entry.code]
            assert (entry.status, entry.title) == (problem.status, problem.title)
            _, cause, *remedy = entry.text.strip().split("\n\n")
            assert len(cause) > 20
            assert [text.partition("* ")[0] for text in remedy] in ([], ["*Do:"], ["*If frequent:"])


# -- each code, provoked ----------------------------------------------------------------------


@dataclass
class Stage:
    """A visitor who is connected, and has a login under way."""

    app: Flask
    emulator: Emulator
    storage: FailingStorage
    clock: Any
    accept: str
    visitor: Visitor
    #: Stops the emulator.
    stop: Callable[[], None]
    #: The callback of the login under way.
    callback: str

    def visit(self, url: str, **headers: str) -> TestResponse:
        return self.visitor.get(url, Accept=self.accept, **headers)

    def post(self, path: str, site: str = "same-origin") -> TestResponse:
        return self.visitor.post(path, headers={"Accept": self.accept, "Sec-Fetch-Site": site})

    def finish_with(self, **fault: Any) -> TestResponse:
        """Finish the login while its exchange has this fault."""
        with self.emulator.faults(path=EXCHANGE, times=None, **fault):
            return self.visit(self.callback)

    def sign_in(self, user_id: str | None) -> None:
        """Sign this user in to the app, or sign the user out."""
        callbacks = self.app.extensions["openrouter"].app_functions
        callbacks.owner_loader = lambda: user_id

    def mend(self) -> None:
        """Repair the storage, and sign the user out."""
        self.storage.failing.clear()
        self.sign_in(None)

    @property
    def api_key(self) -> str:
        with self.visitor.client:
            self.visitor.get("/openrouter/status")
            return current_openrouter.api_key


def not_a_visit(stage: Stage) -> TestResponse:
    return stage.visit(stage.callback, **{"Sec-Fetch-Dest": "iframe"})


def expired(stage: Stage) -> TestResponse:
    stage.clock.now += 601
    return stage.visit(stage.callback)


def foreign(stage: Stage) -> TestResponse:
    stage.sign_in("ada")
    return stage.visit(stage.callback)


def signed_out(stage: Stage) -> TestResponse:
    stage.sign_in("ada")
    stage.callback = stage.emulator.approve(stage.visitor.start())
    stage.sign_in(None)
    assert stage.visit(stage.callback).status_code == 200
    return stage.visit(stage.callback)


def lost(stage: Stage) -> TestResponse:
    jar = save_jar(stage.visitor)
    stage.storage.failing.add("set")
    assert stage.visit(stage.callback).status_code == 503
    load_jar(stage.visitor, jar)
    return stage.visit(stage.callback)


def declined(stage: Stage) -> TestResponse:
    return stage.visit(re.sub(r"&code=[^&]+", "", stage.callback))


def malformed(stage: Stage) -> TestResponse:
    return stage.visit(f"{stage.callback}&code=twice")


def unknown(stage: Stage) -> TestResponse:
    assert stage.visitor.get(stage.callback).status_code == 303
    return stage.visit(re.sub(r"state=[\w-]+", f"state={'x' * 43}", stage.callback))


def unreachable(stage: Stage) -> TestResponse:
    stage.stop()
    return stage.visit(stage.callback)


def insecure_address(stage: Stage) -> TestResponse:
    return stage.visitor.client.get(
        "/openrouter/login",
        base_url="http://app.example",
        headers={**NAVIGATE, "Accept": stage.accept},
    )


def storage_unavailable(stage: Stage) -> TestResponse:
    stage.storage.failing.add("get")
    return stage.visit(stage.callback)


def not_saved(stage: Stage) -> TestResponse:
    stage.storage.failing.add("set")
    return stage.visit(stage.callback)


def not_forgotten(stage: Stage) -> TestResponse:
    stage.storage.failing.add("delete")
    return stage.post("/openrouter/disconnect")


def key_required(stage: Stage) -> TestResponse:
    stage.visitor.post("/openrouter/disconnect")
    return stage.visit("/guarded")


def key_rejected(stage: Stage) -> TestResponse:
    stage.emulator.revoke(stage.api_key)
    return stage.visit("/call")


def new_key_rejected(stage: Stage) -> TestResponse:
    stage.emulator.revoke(stage.api_key)
    login = stage.visitor.get("/call").location
    stage.visitor.get(stage.emulator.approve(stage.visitor.get(login).location))
    stage.emulator.revoke(stage.api_key)
    return stage.visit("/call")


def fallback_failed(stage: Stage) -> TestResponse:
    stage.app.extensions["openrouter"].app_functions.fallback_key = lambda: "no key"
    stage.visitor.post("/openrouter/disconnect")
    return stage.visit("/try")


def call_with(status: int, message: str = "", **metadata: Any) -> Callable[[Stage], TestResponse]:
    """Return a function that calls OpenRouter, which answers with this error."""
    error = {"code": status, "message": message, "metadata": metadata}

    def call(stage: Stage) -> TestResponse:
        path = "/api/v1/chat/completions"
        with stage.emulator.faults(status=status, body={"error": error}, path=path):
            return stage.visit("/call")

    return call


PROVOKE: dict[str, Callable[[Stage], TestResponse]] = {
    "malformed": malformed,
    "unknown": unknown,
    "expired": expired,
    "foreign": foreign,
    "signed_out": signed_out,
    "lost": lost,
    "declined": declined,
    "code_refused": lambda stage: stage.finish_with(status=403),
    "busy": lambda stage: stage.finish_with(status=429),
    "provider_failed": lambda stage: stage.finish_with(status=500),
    "unexpected_answer": lambda stage: stage.finish_with(status=200, body="<html>"),
    "unreachable": unreachable,
    "connection_lost": lambda stage: stage.finish_with(reset=True),
    "timeout": lambda stage: stage.finish_with(delay=5),
    "insecure_address": insecure_address,
    "not_a_visit": not_a_visit,
    "storage_unavailable": storage_unavailable,
    "not_saved": not_saved,
    "nothing_to_save": lambda stage: stage.post("/openrouter/save"),
    "not_forgotten": not_forgotten,
    "cross_site": lambda stage: stage.post("/openrouter/disconnect", "cross-site"),
    "key_required": key_required,
    "key_rejected": key_rejected,
    "new_key_rejected": new_key_rejected,
    "fallback_failed": fallback_failed,
    "unconfirmed": call_with(401, "User not found."),
    "out_of_credit": call_with(402, "Insufficient credits"),
    "key_limit": call_with(403, "Key limit exceeded (daily limit). Manage it using the site"),
    "workspace_budget": call_with(403, limit_source="openrouter_workspace_budget"),
    "guardrail_budget": call_with(403, limit_source="openrouter_guardrail_budget"),
    "max_tokens": call_with(
        402,
        "This request requires more credits, or fewer max_tokens. You requested up to 4096 tokens,"
        " but can only afford 3919",
    ),
    "rate_limited": call_with(429, "Rate limit exceeded"),
    "free_daily": call_with(429, "Rate limit exceeded: free-models-per-day"),
    "refused": call_with(403, "Refused", reasons=["violence"]),
    "guardrail": call_with(403, "Refused", patterns=["secret"]),
    "privacy": call_with(404, "No endpoints found matching your data policy"),
    "too_long": call_with(413),
    "timed_out": call_with(504),
    "model_failed": call_with(401, "Provider returned error", provider_name="Anthropic"),
    "request_failed": call_with(404, "No such model"),
    "openrouter_failed": call_with(500),
}


@pytest.fixture
def stage(make_app: Any, clock: Any, entry: Entry) -> Iterator[Stage]:
    storage = FailingStorage()
    # An emulator of its own: to be stopped.
    with ExitStack() as server:
        emulator = server.enter_context(run_in_thread())
        app = make_app(
            {"storage": storage},
            OPENROUTER_BASE_URL=emulator.url,
            # Only the entry "timeout" waits for this. The others may be slow on a busy machine.
            OPENROUTER_REQUEST_TIMEOUT=1 if entry.code == "timeout" else 15,
        )
        yield _set_up(app, clock, storage, emulator, server.close)


def _set_up(
    app: Flask,
    clock: Any,
    storage: FailingStorage,
    emulator: Emulator,
    stop: Callable[[], None],
) -> Stage:
    @app.get("/call")
    def call() -> str:
        reply = current_openrouter.session.post(
            "chat/completions",
            json={"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]},
        )
        reply.raise_for_status()
        return "done"

    app.add_url_rule("/try", "try", requires_openrouter_key(fallback=True)(lambda: ""))
    visitor = Visitor(app)
    visitor.connect(emulator)
    callback = emulator.approve(visitor.start())
    return Stage(app, emulator, storage, clock, "", visitor, stop, callback)


@pytest.mark.parametrize(
    ("entry", "accept"),
    [
        pytest.param(
            *(entry, accept),
            id=f"{entry.code}-{accept}",
            # By default, every second code as a page and the others as JSON.
            marks=() if (number + form) % 2 else pytest.mark.every_variant,
        )
        for number, entry in enumerate(ENTRIES)
        for form, accept in enumerate(("text/html", "application/json"))
    ],
)
def test_a_code_is_what_its_entry_says(stage: Stage, entry: Entry, accept: str) -> None:
    stage.accept = accept
    key_before = stage.visitor.key
    response = PROVOKE[entry.code](stage)
    is_guard = entry.code in ("key_required", "key_rejected")
    if accept == "application/json":
        assert response.status_code == entry.status
        document = response.get_json()
        names = {"error", "message", "login_url"} | (set() if is_guard else {"reference"})
        assert set(document) == names
        assert (document["error"], document["message"]) == (entry.code, entry.title)
    elif is_guard:
        assert response.status_code == 303
        assert response.location.startswith("/openrouter/login?next=/")
    else:
        assert response.status_code == entry.status
        assert f"Error {entry.code}, reference " in response.text
    _check_afterwards(stage, entry, key_before)


def _check_afterwards(stage: Stage, entry: Entry, key_before: str | None) -> None:
    stage.mend()
    assert key_before is not None
    key_now = stage.visitor.key
    if entry.code != "unknown":
        assert (key_now == key_before) is (entry.key == "kept")
    assert (key_now is not None) is (entry.key == "kept")
    if entry.login == "open":
        if entry.code == "signed_out":
            stage.sign_in("ada")
        assert stage.visitor.get(stage.callback).status_code == 303
        assert stage.visitor.key not in (None, key_before)
    elif entry.login == "over":
        stage.visitor.get(stage.callback)
        assert stage.visitor.key == key_now


def test_an_entry_is_found_by_its_code() -> None:
    """Its heading is the code, and with it the address of the entry."""
    for entry in ENTRIES:
        assert f"\n### {entry.code}\n" in PAGE
