"""Exceptions survive a pickle and a copy, as a process pool, Celery and caches make them."""

from __future__ import annotations

import copy
import inspect
import json
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timezone
from multiprocessing import get_context
from typing import Any

import httpx
import httpx2
import openai
import openrouter
import pytest
import requests
from cases import case

from flask_openrouter import errors
from flask_openrouter.client.hybrids import both
from flask_openrouter.client.session import SessionConnectionError, SessionTimeoutError
from flask_openrouter.errors import (
    APIError,
    KeyRejectedError,
    LoginError,
    OpenRouterError,
    OutOfCreditError,
    ProviderError,
    RateLimitError,
    TransportTimeoutError,
)

SECRET = "sk-or-v1-" + "5eed" * 16
DETAILS: dict[str, Any] = {
    "request_id": "req-1",
    "retry_after": 1.5,
    "reason": "free_daily",
    "provider_name": "Venice",
    "help_url": "https://openrouter.ai/settings/credits",
    "is_retryable": True,
}
CLASSES = [cls for cls in vars(errors).values() if inspect.isclass(cls)]
CLASSES = [cls for cls in CLASSES if cls.__module__ == errors.__name__]


def examples() -> Iterator[OpenRouterError]:
    """Yield exceptions of every class, made in every way."""
    for cls in CLASSES:
        if issubclass(cls, LoginError):
            yield cls("Says why", reason="declined")
            yield cls(reason="unknown", message="Says why")
        elif issubclass(cls, APIError):
            yield cls(418)
            yield cls(503, "Says why", **DETAILS)
            yield cls(status=429, upstream_message="Says why")
        else:
            yield cls("Says why")
            yield cls("Says why", was_sent=True) if "Transport" in cls.__name__ else cls("Two")
    yield errors.NotConnectedError()
    yield errors.ConfigurationError("one", 2, ("three",))
    yield KeyRejectedError()
    rejected = KeyRejectedError()
    rejected.key_hash = "ab" * 32
    yield rejected
    spent = OutOfCreditError(402, reason="key_limit")
    spent.resets_at = datetime(2026, 12, 1, tzinfo=timezone.utc)
    yield spent
    noted = ProviderError(401)
    vars(noted)["__notes__"] = ["A note."]
    yield noted
    yield SessionConnectionError("Broke", was_sent=True)
    yield SessionTimeoutError("Too slow")


def hybrids() -> Iterator[OpenRouterError]:
    """Yield errors of this package and of an HTTP package, which hold a request with a secret."""
    own = RateLimitError(429, "Slow down", **DETAILS)
    ask = requests.Request("GET", "https://openrouter.ai/", headers={"X-Secret": SECRET})
    answered = requests.Response()
    answered.request = ask.prepare()
    yield both(own, requests.HTTPError("No", response=answered))
    request = httpx2.Request("GET", "https://openrouter.ai/", headers={"X-Secret": SECRET})
    response = httpx2.Response(429, request=request)
    body = {"code": 429, "message": "Slow down"}
    yield both(own, openai.RateLimitError("No", response=response, body=body))
    yield both(own, openai.APIError("No", request, body=body))
    yield both(TransportTimeoutError("No"), openai.APITimeoutError(request))
    old = httpx.Request("GET", "https://openrouter.ai/", headers={"X-Secret": SECRET})
    old_response = httpx.Response(429, request=old)
    yield both(own, openrouter.errors.OpenRouterDefaultError("No", old_response))
    yield both(TransportTimeoutError("No"), httpx.ReadTimeout("No", request=old))


def told(error: BaseException) -> tuple[Any, ...]:
    """Return what an exception tells, except for the requests and responses that it holds."""
    held = ("request", "_request", "response", "raw_response")
    attributes = {name: value for name, value in vars(error).items() if name not in held}
    return type(error), error.args, str(error), repr(error), attributes


@pytest.mark.requirement("W9")
def test_every_exception_is_the_same_after_a_pickle_or_a_copy() -> None:
    for error in [*examples(), *hybrids()]:
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with case(type(error), error, protocol):
                assert told(pickle.loads(pickle.dumps(error, protocol))) == told(error)  # noqa: S301
        with case(type(error), error):
            assert told(copy.deepcopy(error)) == told(error)
            assert vars(copy.copy(error)) == vars(error)
            assert told(copy.copy(error)) == told(error)


class DriverError(Exception):
    """Cannot be restored from its pickle: its constructor takes no ``args``."""

    def __init__(self, *, code: int) -> None:
        super().__init__(f"Error {code}")


@pytest.mark.requirement("W9")
@pytest.mark.parametrize("value", [DriverError(code=7), threading.Lock(), lambda: None])
def test_what_cannot_be_pickled_is_restored_as_its_text(value: object) -> None:
    http_error = requests.HTTPError("No", response=requests.Response())
    for error in [errors.KeyStorageError(value, 2), both(APIError(500, reason="x"), http_error)]:
        error.found = value  # type: ignore[attr-defined]
        restored = pickle.loads(pickle.dumps(error))  # noqa: S301
        assert type(restored) is type(error)
        assert str(restored) == str(error).replace(repr(value), repr(str(value)))
        assert restored.found == str(value)


def test_the_examples_are_complete() -> None:
    assert {type(error) for error in examples()} >= set(CLASSES)


@pytest.mark.requirement("W9")
def test_its_arguments_make_an_error_again() -> None:
    """Celery stores class and arguments as JSON."""
    for error in [*examples(), *hybrids()]:
        name = next(cls for cls in type(error).__mro__ if cls in CLASSES).__name__
        with case(type(error), error):
            again = getattr(errors, name)(*json.loads(json.dumps(error.args)))
            assert str(again) == str(error) or "three" in str(error)
            assert SECRET not in json.dumps(error.args)
            for detail in ("status", "upstream_message", *DETAILS):
                assert getattr(again, detail, None) == getattr(error, detail, None), detail


@pytest.mark.requirement("W9")
def test_the_text_of_an_error_is_its_sentence() -> None:
    error = ProviderError(503, "Too busy", reason="free_daily", retry_after=7.0)
    sentence = "The daily allowance for free models is used up (HTTP 503): Too busy"
    assert (str(error), repr(error)) == (sentence, f"ProviderError({sentence!r})")
    assert repr(LoginError("Says why", reason="declined")) == "LoginError('Says why')"
    assert repr(errors.NotConnectedError()) == "NotConnectedError()"


@pytest.mark.requirement("W9", "R64")
def test_a_pickle_of_an_error_leaves_out_what_was_sent() -> None:
    for error in hybrids():
        with case(error):
            assert SECRET.encode() not in pickle.dumps(error)
            restored = pickle.loads(pickle.dumps(error))  # noqa: S301
            held = {"request", "response", "raw_response", "_request"} & vars(error).keys()
            assert held
            assert {vars(restored)[name] for name in held} == {None}


@pytest.mark.requirement("W9")
def test_an_error_is_of_both_classes_after_a_pickle() -> None:
    restored = [pickle.loads(pickle.dumps(error)) for error in hybrids()]  # noqa: S301
    theirs = [
        requests.HTTPError,
        openai.RateLimitError,
        openai.APIError,
        openai.APITimeoutError,
        openrouter.errors.OpenRouterError,
        httpx.TimeoutException,
    ]
    for error, kind in zip(restored, theirs, strict=True):
        assert isinstance(error, kind)
        assert isinstance(error, RateLimitError | TransportTimeoutError)
        with pytest.raises(kind):
            raise error


@pytest.mark.requirement("W9")
def test_without_the_other_package_it_is_an_error_of_this_one() -> None:
    own = RateLimitError(429, "Slow down", **DETAILS)
    request = httpx2.Request("GET", "https://openrouter.ai/")
    error = both(own, openai.APIError("No", request, body=None))
    script = """if 1:
        import pickle, sys
        sys.modules["openai"] = None
        error = pickle.loads(sys.stdin.buffer.read())
        print(type(error).__mro__[0].__name__, error.retry_after, error)
        print(type(error) is __import__("flask_openrouter.errors").errors.RateLimitError)
        """
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=pickle.dumps(error),
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=60,
        check=True,
    )
    assert done.stdout.decode().splitlines() == [f"RateLimitError 1.5 {own}", "True"]


def fail() -> None:
    raise OutOfCreditError(402, "Add credit", reason="account")


@pytest.mark.requirement("W9")
def test_an_error_comes_out_of_a_process_pool() -> None:
    with (
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
        pytest.raises(OutOfCreditError) as caught,
    ):
        pool.submit(fail).result(timeout=60)
    assert (caught.value.status, caught.value.reason) == (402, "account")
    assert str(caught.value).count("Add credit") == 1
