"""Messages of logins that cannot be finished, word for word."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, session

from flask_openrouter.errors import StateMismatchError


def test_a_login_that_cannot_be_finished_has_a_reason(make_app: Any, clock: Any) -> None:
    app: Flask = make_app()
    user: list[str | None] = [None]
    services = app.extensions["openrouter"]
    services.app_functions.owner_loader = lambda: user[0]

    def reason_of(action: Callable[[], Any]) -> tuple[str, str]:
        with pytest.raises(StateMismatchError) as caught:
            action()
        return str(caught.value), caught.value.reason

    with app.test_request_context():
        login = services.pending_logins.start(next_url=None, is_cross_site=False)
        assert reason_of(lambda: services.pending_logins.find("A" * 22)) == (
            "No login of this browser waits for this.",
            "unknown",
        )
        user[0] = "alice"
        assert reason_of(lambda: services.pending_logins.find(login.state)) == (
            "Somebody else started this login.",
            "foreign",
        )
        user[0] = None
        clock.now += services.settings.login_max_age
        assert services.pending_logins.find(login.state) == login
        clock.now += 1
        assert reason_of(lambda: services.pending_logins.find(login.state)) == (
            "This login took too long.",
            "expired",
        )
        services.pending_logins.take(login)
        assert reason_of(lambda: services.pending_logins.take(login)) == (
            "This login has been finished already.",
            "unknown",
        )


def test_the_log_names_the_remedy_for_a_full_session(
    make_app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app: Flask = make_app()
    with app.test_request_context():
        session["of the app"] = secrets.token_urlsafe(4_000)
        app.extensions["openrouter"].pending_logins.start(next_url="/chat", is_cross_site=False)
    assert caplog.record_tuples == [
        (
            "flask_openrouter",
            logging.WARNING,
            "The session cookie is too big for browsers even without this login: they will drop"
            " it, and the login cannot be finished. Keep less in flask.session.",
        )
    ]
