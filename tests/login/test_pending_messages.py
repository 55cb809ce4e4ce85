"""Messages of logins that cannot be finished, word for word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

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
        logins = services.pending_logins
        asked = logins.start(next_url=None, is_cross_site=False)
        state = asked.state
        assert repr(asked) == "AuthorizationRequest()"
        assert reason_of(lambda: logins.find("A" * 22)) == (
            "No login of this browser waits for this.",
            "unknown",
        )
        login = logins.find(state)
        user[0] = "alice"
        assert reason_of(lambda: logins.check_user(login, state)) == (
            "Somebody else started this login.",
            "foreign",
        )
        of_alice = logins.start(next_url=None, is_cross_site=False).state
        for other in ("bob", "None", "nobody"):
            user[0] = other
            for login_, state_ in ((login, state), (logins.find(of_alice), of_alice)):
                assert reason_of(lambda: logins.check_user(login_, state_))[1] == "foreign"  # noqa: B023
        user[0] = None
        logins.check_user(login, state)
        assert reason_of(lambda: logins.check_user(logins.find(of_alice), of_alice)) == (
            "Its user is signed out.",
            "signed_out",
        )
        clock.now += services.settings.login_max_age
        logins.check_age(login)
        clock.now += 1
        assert reason_of(lambda: logins.check_age(logins.find(state))) == (
            "This login took too long.",
            "expired",
        )
        services.finished_logins.begin(state, "a code")
        assert reason_of(lambda: services.finished_logins.begin(state, "another code")) == (
            "This login has been finished.",
            "unknown",
        )
