"""docs/errors.md has a row per exception, and each row says what becomes of it."""

from __future__ import annotations

import inspect
import re
from typing import Any

from cases import case
from errors_page import rows_below

from flask_openrouter import errors
from flask_openrouter.problems import PROBLEMS
from flask_openrouter.views.causes import problem_of, problem_of_login

#: Classes with the same end share a row of the page.
EXCEPTIONS = [
    (name, *cells)
    for names, *cells in rows_below("| class | in a login | in a view |")
    for name in re.findall(r"`(\w+)`", names)
]
#: Exceptions of a view that the extension handles.
HANDLED = {
    errors.KeyStorageError,
    errors.APIError,
    errors.TransportError,
    errors.InvalidAnswerError,
    errors.KeyRejectedError,
    errors.NotConnectedError,
}


def _make(cls: type[errors.OpenRouterError], **options: Any) -> errors.OpenRouterError:
    if issubclass(cls, errors.LoginError):
        return cls("m", reason="declined")
    return cls(400) if issubclass(cls, errors.APIError) else cls("m", **options)


def _codes(cell: str) -> list[str]:
    return [code for code in re.findall(r"`(\w+)`", cell) if code in PROBLEMS]


def test_every_exception_is_in_the_table() -> None:
    named = [name for name, *_ in EXCEPTIONS]
    classes = {name for name, cls in vars(errors).items() if inspect.isclass(cls)}
    assert sorted([*named, "OpenRouterError"]) == sorted(classes)


def test_the_table_of_exceptions_is_true() -> None:
    for name, in_login, in_view in EXCEPTIONS:
        with case(name):
            cls = getattr(errors, name)
            error = _make(cls)
            if in_login == "its `reason`":
                assert isinstance(error, errors.LoginError)
                assert problem_of_login(error).code == error.reason
            elif in_login:
                first, *others = _codes(in_login)
                assert problem_of_login(error).code == first
                if others:
                    assert problem_of_login(_make(cls, was_sent=True)).code == others[0]
            if in_view == "500":
                assert not issubclass(cls, tuple(HANDLED))
            else:
                assert issubclass(cls, tuple(HANDLED))
                assert _codes(in_view) == [problem_of(error).code]


def test_exactly_these_exceptions_of_a_view_become_a_response(make_app: Any) -> None:
    handlers = make_app().error_handler_spec[None][None]
    assert {cls for cls in handlers if issubclass(cls, errors.OpenRouterError)} == HANDLED
