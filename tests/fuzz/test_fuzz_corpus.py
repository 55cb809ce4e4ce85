"""Every input of the kept corpus, without the fuzzer."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest
from flask import request
from flask.typing import ResponseReturnValue
from fuzz.answer_target import CODE, AnswerTarget, Wire
from fuzz.callback_target import CallbackTarget
from fuzz.targets import TARGETS

from flask_openrouter.errors import BadRequestError

CORPUS = Path(__file__).parent / "corpus"


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_of_the_kept_corpus_breaks_anything(name: str) -> None:
    check = TARGETS[name]()
    inputs = sorted((CORPUS / name).iterdir())
    assert len(inputs) >= 10
    for path in inputs:
        try:
            check(path.read_bytes())
        except Exception as error:
            pytest.fail(f"{path.name}: {type(error).__name__}: {error}")


def test_the_corpus_stays_small() -> None:
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < 200_000


def test_a_page_that_shows_the_query_would_be_noticed() -> None:
    target = CallbackTarget()
    target.app.view_functions["openrouter.callback"] = lambda: (request.args.get("code", ""), 400)
    with pytest.raises(AssertionError):
        target(b"state=x&code=<b>\n")


def test_an_exchange_without_a_login_would_be_noticed() -> None:
    target = CallbackTarget()
    view = target.app.view_functions["openrouter.callback"]

    def careless() -> ResponseReturnValue:
        target.client.exchange_code("code", "verifier", "S256")
        return view()

    target.app.view_functions["openrouter.callback"] = careless
    with pytest.raises((AssertionError, KeyError)):
        target(b"code=0123456789\n")


@pytest.mark.parametrize("mistake", [RuntimeError, KeyError, RecursionError])
def test_a_bug_in_the_parser_would_be_noticed(mistake: type[Exception]) -> None:
    class Broken(Wire):
        def send(self, request: object, *, stream: bool, timeout: float) -> NoReturn:
            raise mistake

    target = AnswerTarget()
    with pytest.raises(AssertionError, match="unexpected"):
        target.check(Broken(200, {}, b""))


def test_an_error_that_repeats_a_secret_would_be_noticed() -> None:
    with pytest.raises(AssertionError):
        AnswerTarget().check_error(BadRequestError(400, CODE), {CODE})
