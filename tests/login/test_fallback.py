"""Views that run on the app's own key for visitors who have none, over each kind of storage."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import flask_login
import pytest
from attack import save_jar
from failing_storage import FailingStorage
from flask import Response, stream_with_context
from stored_apps import StoredApps
from trials import CHAT, SCRIPT, Trial, ask, is_asked_to_connect
from visitor import Visitor

from flask_openrouter import current_openrouter, requires_openrouter_key
from flask_openrouter.client import read_stream
from flask_openrouter.connection import Connection
from flask_openrouter.errors import KeyRejectedError, NotConnectedError, OutOfCreditError
from flask_openrouter.signals import key_disconnected
from flask_openrouter.storage.memory import MemoryStorage

pytest_plugins = "trial_fixtures"

KEY_INFO = "/api/v1/key"
CALLS = "/api/v1/chat/completions"
SPENT: dict[str, Any] = {
    "402": {"status": 402},
    "403 of the key's limit": {
        "status": 403,
        "body": {"error": {"code": 403, "message": "Key limit exceeded (daily limit)."}},
    },
    "402 inside a 200": {
        "status": 200,
        "body": {"error": {"code": 402, "message": "Insufficient credits."}},
        "headers": {"Content-Type": "application/json"},
    },
}


def test_a_visitor_tries_connects_and_comes_back(
    all_stored_apps: StoredApps, start_trial: Callable[..., Trial]
) -> None:
    trial = start_trial(all_stored_apps())
    visitor = trial.visitor
    tried = visitor.get("/try")
    assert tried.json["fallback"] is True
    assert tried.json["connected"] is False
    assert tried.headers["Cache-Control"] == "no-store"
    assert tried.headers["Vary"] == "Cookie"
    assert trial.spent_by_app() == 1
    assert visitor.get("/openrouter/status").json["connected"] is False
    assert visitor.key is None, "the view without the flag does not run"
    visitor.connect(trial.emulator)
    assert visitor.get("/try").json["fallback"] is False
    assert (trial.calls, trial.spent_by_app()) == (1, 1)
    visitor.post("/openrouter/disconnect")
    assert visitor.get("/try").json["fallback"] is True
    assert (trial.calls, trial.spent_by_app()) == (2, 2)


def test_a_stored_key_that_does_not_open_never_costs_the_app(
    all_stored_apps: StoredApps, start_trial: Callable[..., Trial]
) -> None:
    """Whoever has connected would not notice that the app pays."""
    secret = "a secret key of the app: 0123456789"
    visitor = Visitor(all_stored_apps(SECRET_KEY=secret))
    visitor.connect(start_trial(visitor.app).emulator)
    key = base64.urlsafe_b64encode(bytes(range(32))).decode()
    for changed in ({"SECRET_KEY": secret[::-1]}, {"OPENROUTER_ENCRYPTION_KEY": key}):
        trial = start_trial(all_stored_apps(**{"SECRET_KEY": secret, **changed}))
        stale = trial.visitor
        for name, value in save_jar(visitor).items():
            stale.client.set_cookie(name, value)
        assert is_asked_to_connect(stale.get("/try"))
        stale.client.set_cookie("openrouter", "damaged")
        assert is_asked_to_connect(stale.get("/try"))
        assert trial.calls == 0
        assert trial.visitor.get("/try").json["fallback"]


def test_a_users_row_that_does_not_open_never_costs_the_app(
    all_stored_apps: StoredApps, start_trial: Callable[..., Trial]
) -> None:
    trial = start_trial(all_stored_apps())
    users: list[str] = ["ada"]
    trial.app.extensions["openrouter"].app_functions.owner_loader = lambda: users[0]
    vault = trial.app.extensions["openrouter"].vault

    @trial.app.get("/break")
    def spoil() -> str:
        vault.storage.set("ada", vault.storage.get("ada")[:-4] + "AAAA")
        return ""

    visitor = trial.visitor
    visitor.connect(trial.emulator)
    visitor.get("/break")
    assert is_asked_to_connect(visitor.get("/try"))
    assert trial.calls == 0
    users[0] = "bob"
    assert visitor.get("/try").json["fallback"]


def test_an_entry_of_an_earlier_release_that_does_not_open_never_costs_the_app(
    make_app: Any, start_trial: Callable[..., Trial]
) -> None:
    """It is found by the session id of Flask-Login, which is not the user's primary key."""
    trial = start_trial(make_app({"storage": MemoryStorage()}))
    user = flask_login.UserMixin()
    user.id, user.get_id = 7, lambda: "3f0c9a5e7b1d4c2f8a6e0b9d7c5a3f1e"
    flask_login.LoginManager(trial.app).request_loader(lambda _: user)
    runs: list[str] = []
    trial.view(lambda: runs.append("ran") or "")
    assert trial.visitor.get("/view").status_code == 200
    trial.app.extensions["openrouter"].vault.storage.set(user.get_id(), "damaged")
    assert is_asked_to_connect(trial.visitor.get("/view"), "/view")
    assert (len(runs), trial.calls) == (1, 1)


def test_a_view_does_not_run_for_a_key_that_is_set_aside(
    all_stored_apps: StoredApps, start_trial: Callable[..., Trial]
) -> None:
    trial = start_trial(all_stored_apps())
    runs: list[str] = []
    trial.view(lambda: runs.append("ran") or ask())
    visitor = trial.visitor
    visitor.connect(trial.emulator)
    with trial.emulator.faults(status=401, path="/api/v1/*", times=None):
        for _ in range(2):
            assert visitor.get("/view", **SCRIPT).status_code == 401
    assert (len(runs), trial.calls) == (1, 0)


def test_a_storage_that_fails_is_an_error_and_no_trial(
    make_app: Any, start_trial: Callable[..., Trial]
) -> None:
    trial = start_trial(make_app({"storage": FailingStorage("get")}))
    trial.app.extensions["openrouter"].app_functions.owner_loader = lambda: "ada"
    assert trial.visitor.get("/try").status_code == 503
    assert trial.calls == 0


@pytest.mark.parametrize("storage_uri", [None, "memory://"])
def test_a_visitors_own_key_that_fails_is_never_replaced_by_the_apps(
    make_app: Any, start_trial: Callable[..., Trial], storage_uri: str | None
) -> None:
    trial = start_trial(make_app(OPENROUTER_STORAGE_URI=storage_uri))
    visitor = trial.visitor
    visitor.connect(trial.emulator)
    with trial.emulator.faults(path=CALLS, status=402):
        assert visitor.get("/try").status_code == 402
    with trial.emulator.faults(path="/api/v1/*", status=401, times=None):
        assert visitor.get("/try", **SCRIPT).json["error"] == "key_rejected"
        # Set aside: still the visitor's own.
        assert is_asked_to_connect(visitor.get("/try"))
    assert (trial.calls, trial.spent_by_app()) == (0, 0)


def _with_openai() -> str:
    with current_openrouter.openai(max_retries=0) as client:
        return str(client.chat.completions.create(**CHAT).choices[0].message.content)


def _with_sdk() -> str:
    with current_openrouter.sdk() as client:
        return str(client.chat.send(**CHAT).choices[0].message.content)


def _raising(error: Exception) -> Callable[[], str]:
    def view() -> str:
        raise error

    return view


def _read_stream() -> str:
    reply = current_openrouter.session.post(
        "chat/completions", json={**CHAT, "stream": True}, stream=True
    )
    with read_stream(reply).start() as answer:
        return "".join(answer.iter_text())


USES = {"session": ask, "openai": _with_openai, "sdk": _with_sdk, "stream": _read_stream}


@pytest.mark.parametrize("spent", SPENT)
@pytest.mark.parametrize("use", USES)
def test_a_spent_key_of_the_app_asks_to_connect(use: str, spent: str, trial: Trial) -> None:
    """Whatever noticed it, and whatever handlers the app has for the visitors' own keys."""
    trial.app.register_error_handler(OutOfCreditError, lambda error: ("own page", 402))
    trial.view(USES[use])
    visitor = trial.visitor
    assert visitor.get("/view").status_code == 200
    with trial.emulator.faults(path=CALLS, times=None, **SPENT[spent]):
        assert is_asked_to_connect(visitor.get("/view"), "/view")
        assert is_asked_to_connect(visitor.get("/view", **SCRIPT))
        assert "HX-Redirect" in visitor.get("/view", **{"HX-Request": "true"}).headers
        visitor.connect(trial.emulator)
        if spent == "402" and use == "session":
            assert visitor.get("/view").text == "own page"


def test_a_view_may_say_that_the_key_of_the_app_is_spent_or_dead(trial: Trial) -> None:
    for path, error in (
        ("/spent", OutOfCreditError(402)),
        ("/dead", KeyRejectedError()),
        ("/none", NotConnectedError("no key")),
    ):
        trial.view(_raising(error), path)
    assert is_asked_to_connect(trial.visitor.get("/spent"), "/spent")
    assert is_asked_to_connect(trial.visitor.get("/none"), "/none")
    assert trial.visitor.get("/dead", **SCRIPT).json["error"] == "fallback_failed"


def test_errors_of_other_keys_are_not_those_of_the_apps(trial: Trial) -> None:
    """The key of a team, which the view uses besides."""
    client = trial.app.extensions["openrouter"].client
    other = trial.emulator.issue_key()
    trial.view(lambda: client.api_session(other).post("chat/completions", json=CHAT).text)
    for status, code in ((402, "out_of_credit"), (401, "request_failed")):
        with trial.emulator.faults(path=CALLS, status=status):
            answer = trial.visitor.get("/view", **SCRIPT)
        assert answer.json["error"] == code


@pytest.mark.parametrize("use", ["session", "openai", "sdk"])
def test_a_dead_key_of_the_app_is_the_apps_trouble(
    use: str, trial: Trial, caplog: pytest.LogCaptureFixture
) -> None:
    lost: list[Any] = []
    trial.view(USES[use])
    trial.emulator.revoke(trial.api_key)
    with key_disconnected.connected_to(lambda sender, **news: lost.append(news), trial.app):
        for path in ("/view", "/view"):
            page = trial.visitor.get(path)
            assert page.status_code == 502
            assert "Error fallback_failed, reference" in page.text
    # One question to GET /key in a minute, as for any key.
    assert trial.emulator.count("GET", KEY_INFO) == 1
    assert lost == []
    message = "OpenRouter rejects the key of @auth.fallback_key. Return another one."
    assert message in caplog.messages
    assert re.search(r"\(fallback_failed\): shown with reference \w+\. [A-Z]", caplog.text)
    assert trial.api_key not in caplog.text


def test_a_401_that_is_not_confirmed_is_no_dead_key(
    trial: Trial, caplog: pytest.LogCaptureFixture
) -> None:
    trial.view(lambda: current_openrouter.session.get("key").text)
    with trial.emulator.faults(path=CALLS, status=401):
        assert trial.visitor.get("/try", **SCRIPT).json["error"] == "fallback_failed"
    assert "OpenRouter rejects" not in caplog.text
    assert trial.visitor.get("/try").status_code == 200
    trial.emulator.revoke(trial.api_key)
    assert trial.visitor.get("/view", **SCRIPT).json["error"] == "fallback_failed"
    assert "OpenRouter rejects" in caplog.text


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ({"status": 429}, 429, "rate_limited"),
        ({"status": 500}, 502, "openrouter_failed"),
        ({"name": "relayed_401"}, 502, "model_failed"),
        ({"status": 403, "body": {"error": {"code": 403, "message": "Blocked by guardrail"}}},
         403, "refused"),
    ],
)  # fmt: skip
def test_other_errors_are_answered_as_usual(
    fault: dict[str, Any], status: int, code: str, trial: Trial
) -> None:
    with trial.emulator.faults(**{"path": CALLS, "times": None, **fault}):
        answer = trial.visitor.get("/try", **SCRIPT)
        assert (answer.status_code, answer.json["error"]) == (status, code)
        assert "still connected" not in trial.visitor.get("/try").text


def test_streams_and_threads_go_on_with_the_key_of_the_app(trial: Trial) -> None:
    found: list[Any] = []

    def work(connection: Connection) -> None:
        found.append((connection.is_fallback, bool(connection)))
        found.append(connection.session.post("chat/completions", json=CHAT).status_code)
        with pytest.raises(RuntimeError, match="needs a request"):
            _ = connection.visitor_id

    def view() -> Response:
        connection = current_openrouter.detach()
        thread = threading.Thread(target=work, args=(connection,))
        thread.start()
        thread.join()

        @stream_with_context
        def lines() -> Iterator[str]:
            yield json.dumps(current_openrouter.is_fallback)
            yield current_openrouter.session.get("models").text[:1]

        return Response(lines())

    trial.view(view)
    assert trial.visitor.get("/view").text == "true{"
    assert found == [(True, False), 200]
    assert trial.calls == 1


def test_a_view_without_the_flag_never_runs_on_the_key_of_the_app(trial: Trial) -> None:
    inner = requires_openrouter_key(lambda: "ran")
    trial.app.add_url_rule("/open", "open", lambda: current_openrouter.session.get("models").text)
    trial.view(lambda: inner())
    trial.app.add_url_rule(
        "/outer", "outer", requires_openrouter_key(trial.app.view_functions["/try"])
    )
    assert is_asked_to_connect(trial.visitor.get("/open"), "/open")
    assert is_asked_to_connect(trial.visitor.get("/outer"), "/outer")
    assert trial.calls == 0
    assert is_asked_to_connect(trial.visitor.get("/view"), "/view")
    assert trial.spent_by_app() == 0


def test_a_user_who_signs_in_within_a_request_is_asked_about_anew(trial: Trial) -> None:
    users: list[str | None] = [None]
    trial.app.extensions["openrouter"].app_functions.owner_loader = lambda: users[0]
    trial.give = lambda: trial.api_key if users[0] is None else None
    inner = requires_openrouter_key(fallback=True)(lambda: "ran")

    def sign_in() -> Any:
        users[0] = "ada"
        return inner()

    trial.view(sign_in)
    assert is_asked_to_connect(trial.visitor.get("/view"), "/view")
    assert trial.calls == 2
