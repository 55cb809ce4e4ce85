"""Every problem has a plain text."""

from __future__ import annotations

import re

import pytest

from flask_openrouter.problems import PROBLEMS


def test_every_problem_has_a_plain_text() -> None:
    for code, problem in PROBLEMS.items():
        assert problem.code == code
        assert 400 <= problem.status < 600, code
        assert problem.status != 500, code
        assert not problem.title.endswith("."), code
        assert len(problem.title) <= 50, code
        for text in (problem.message, *problem.hints):
            assert text.endswith("."), code
            assert text[0].isupper(), code
            # A text that is joined from two lines without a blank between them.
            assert not re.search(r"[a-z][.,:;][A-Za-z]|  ", text), code
        technical = r"(?i)exception|traceback|invalid|illegal|oops|flask|token"
        assert not re.search(technical, problem.message), code


def test_problems_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        PROBLEMS["new"] = PROBLEMS["expired"]  # type: ignore[index]


def test_the_problems_that_may_leave_a_key_at_openrouter() -> None:
    told = {code for code, problem in PROBLEMS.items() if problem.key_may_exist}
    exchange = {"unexpected_answer", "connection_lost", "timeout", "code_refused"}
    assert told == {*exchange, "not_saved", "lost"}


def test_the_causes_of_a_lost_login_are_in_the_order_of_likelihood() -> None:
    hints = PROBLEMS["unknown"].hints
    causes = ("ten minutes", "cookie", "127.0.0.1", "SECRET_KEY")
    for hint, words in zip(hints, causes, strict=True):
        assert words in hint
