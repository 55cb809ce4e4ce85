"""Messages of logins that cannot be finished, word for word."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from flask import Flask

from flask_openrouter.errors import StateMismatchError
from flask_openrouter.login.callback import Callback


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
        logins = services.pending_logins
        asked = logins.start(next_url=None, is_cross_site=False)
        first = Callback(asked.state, "a code")
        assert repr(asked) == "AuthorizationRequest()"
        assert reason_of(lambda: logins.find(Callback("A" * 22, None))) == (
            "No login of this browser waits for this.",
            "unknown",
        )
        login = logins.find(first)
        assert reason_of(lambda: logins.check_user(login, first, "alice")) == (
            "Somebody else started this login.",
            "foreign",
        )
        user[0] = "alice"
        of_alice = Callback(logins.start(next_url=None, is_cross_site=False).state, None)
        for other in ("bob", "None", "nobody"):
            for each in (first, of_alice):
                check = partial(logins.check_user, logins.find(each), each, other)
                assert reason_of(check)[1] == "foreign"
        logins.check_user(login, first, None)
        assert reason_of(lambda: logins.check_user(logins.find(of_alice), of_alice, None)) == (
            "Its user is signed out.",
            "signed_out",
        )
        clock.now += services.settings.login_max_age
        logins.check_age(login)
        clock.now += 1
        assert reason_of(lambda: logins.check_age(logins.find(first))) == (
            "This login took too long.",
            "expired",
        )
        services.finished_logins.begin("a state", "a code")
        assert reason_of(lambda: services.finished_logins.begin("a state", "another code")) == (
            "This login has been finished.",
            "unknown",
        )
