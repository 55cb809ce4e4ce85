"""Every error has one problem, and every problem plain words."""

from __future__ import annotations

import re

import pytest

from flask_openrouter import errors
from flask_openrouter.problems import PROBLEMS, problem_of, problem_of_login


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (errors.StateMismatchError("m", reason="malformed"), "malformed", 400),
        (errors.StateMismatchError("m", reason="unknown"), "unknown", 400),
        (errors.StateMismatchError("m", reason="expired"), "expired", 400),
        (errors.StateMismatchError("m", reason="foreign"), "foreign", 400),
        (errors.AccessDeniedError("m", reason="declined"), "declined", 400),
        (errors.LoginError("m", reason="insecure_address"), "insecure_address", 400),
        (errors.TransportError("m"), "unreachable", 502),
        (errors.TransportError("m", was_sent=True), "connection_lost", 502),
        (errors.TransportTimeoutError("m"), "timeout", 504),
        (errors.TransportTimeoutError("m", was_sent=True), "timeout", 504),
        (errors.InvalidAnswerError("m"), "unexpected_answer", 502),
        (errors.KeyStorageError("m"), "storage_unavailable", 503),
        (errors.CodeRefusedError(403), "code_refused", 400),
        (errors.CodeRefusedError(400), "code_refused", 400),
        (errors.KeyRejectedError(), "key_rejected", 401),
        (errors.OutOfCreditError(402), "out_of_credit", 402),
        (errors.RateLimitError(429), "busy", 502),
        (errors.ConflictError(409), "busy", 502),
        (errors.NotConnectedError("m"), "key_required", 401),
        (errors.ServerError(500), "provider_failed", 502),
        (errors.MethodNotAllowedError(405), "provider_failed", 502),
        (errors.NotFoundError(404), "provider_failed", 502),
        (errors.APIError(418), "provider_failed", 502),
        (errors.ProviderError(401), "provider_failed", 502),
        (errors.ProviderError(402), "provider_failed", 502),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_error_is_told_as_the_right_problem(
    error: errors.OpenRouterError, code: str, status: int
) -> None:
    problem = problem_of(error)
    assert (problem.code, problem.status) == (code, status)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.KeyRejectedError(), "provider_failed"),
        (errors.OutOfCreditError(402), "provider_failed"),
        (errors.RateLimitError(429), "busy"),
        (errors.CodeRefusedError(403), "code_refused"),
    ],
    ids=repr,
)
def test_a_login_has_no_key_yet_that_could_be_rejected(
    error: errors.OpenRouterError, code: str
) -> None:
    assert problem_of_login(error).code == code


@pytest.mark.parametrize(
    "error", [errors.ConfigurationError("wrong"), errors.OpenRouterError("new")], ids=repr
)
def test_an_error_of_the_operator_s_is_not_told_to_visitors(error: errors.OpenRouterError) -> None:
    with pytest.raises(type(error)) as raised:
        problem_of(error)
    assert raised.value is error


@pytest.mark.parametrize("code", PROBLEMS)
def test_every_problem_is_told_in_plain_words(code: str) -> None:
    problem = PROBLEMS[code]
    assert problem.code == code
    assert 400 <= problem.status < 600
    assert problem.status != 500
    assert not problem.title.endswith(".")
    assert len(problem.title) <= 50
    for text in (problem.message, *problem.hints):
        assert text.endswith(".")
        assert text[0].isupper()
        # One joined from two lines without a blank between them.
        assert not re.search(r"[a-z][.,:;][A-Za-z]|  ", text)
    assert not re.search(
        r"(?i)exception|traceback|invalid|illegal|oops|flask|token", problem.message
    )


def test_problems_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        PROBLEMS["new"] = PROBLEMS["expired"]  # type: ignore[index]


def test_whoever_may_have_a_key_that_nobody_received_is_told() -> None:
    told = {code for code, problem in PROBLEMS.items() if problem.key_may_exist}
    assert told == {"unexpected_answer", "connection_lost", "timeout", "not_saved"}


def test_the_causes_of_a_lost_login_come_in_the_order_of_likelihood() -> None:
    hints = PROBLEMS["unknown"].hints
    for hint, words in zip(
        hints, ("ten minutes", "cookie", "127.0.0.1", "SameSite=Strict", "SECRET_KEY"), strict=True
    ):
        assert words in hint
