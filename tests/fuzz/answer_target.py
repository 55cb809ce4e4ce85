"""Any response of OpenRouter, to each of the client's calls.

An input looks like an HTTP response: the status, headers, an empty line, the body. ``{code}``,
``{verifier}`` and ``{key}`` stand for what the client has sent, so that a response can repeat it.
"""

from __future__ import annotations

import io
import logging
import re
import time
import traceback
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager

import requests
import urllib3

from flask_openrouter import OpenRouterClient
from flask_openrouter.client.base_url import OPENROUTER
from flask_openrouter.client.deadline import current_deadline
from flask_openrouter.client.environment import Environment
from flask_openrouter.client.models import AuthCode, IssuedKey, KeyInfo, parse_object
from flask_openrouter.client.responses import error_from, error_in
from flask_openrouter.client.transport import Transport
from flask_openrouter.errors import (
    APIError,
    InvalidAnswerError,
    OpenRouterError,
    TransportError,
)

API_KEY = "sk-or-v1-" + "5eed" * 16
CODE = "c0de-" + "xyz789" * 4
CODE_VERIFIER = "v3rifier-" + "a1b2c3" * 6
CALLBACK_URL = "https://app.example/"
#: A plain challenge is the verifier itself.
PLAIN = {"code_challenge": CODE_VERIFIER, "code_challenge_method": "plain"}
SECRETS = {"code": CODE, "verifier": CODE_VERIFIER, "key": API_KEY}
#: The CPU seconds that one call may take, which is generous.
MOST_SECONDS = 1.0
#: A key in an error response must not be in the error.
_ANY_KEY = re.compile(r"sk-or-[A-Za-z0-9_-]{8,}")


class Wire:
    """A replacement for the connections that gives every request the same response."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    def send(self, request: object, *, stream: bool, timeout: float) -> requests.Response:
        deadline = current_deadline()
        assert deadline is not None
        deadline.was_sent = True
        response = requests.Response()
        response.status_code = self.status
        response.headers.update(self.headers)
        response.raw = urllib3.HTTPResponse(
            io.BytesIO(self.body), self.headers, self.status, preload_content=False
        )
        return response


class WireTransport(Transport):
    """The real transport, except for its connections."""

    adapter = None  # type: ignore[assignment]

    def __init__(self, wire: Wire) -> None:
        super().__init__(OPENROUTER, Environment())
        self.adapter = wire  # type: ignore[assignment]


class Client(OpenRouterClient):
    """A client that gets one response to all its requests."""

    _transport = None  # type: ignore[assignment]

    def __init__(self, wire: Wire) -> None:
        super().__init__(retries=0)
        self._transport = WireTransport(wire)  # type: ignore[assignment]


class Mistakes(logging.Handler):
    """A handler that raises. The transport logs an error only for a bug."""

    def emit(self, record: logging.LogRecord) -> None:
        raise AssertionError(record.getMessage())


class AnswerTarget:
    """The calls and the reader of errors: a result, or an error of this package."""

    #: One response of each kind, to begin with.
    PROBES = (
        b'200\n\n{"key":"{key}","user_id":"user_1"}',
        b'200\n\n{"data":{"id":"{code}","app_id":1,"created_at":"2027-01-01T00:00:00Z"}}',
        b'200\n\n{"data":{"label":"sk-or-v1-0e6...c96","limit":1e400,"expires_at":"2027-01-01"}}',
        b'400\nX-Request-Id: {code}\n\n{"error":{"message":"{code} {verifier} {key}"}}',
        b'403\n\n{"error":{"message":"Key limit exceeded","metadata":{"limit_source":"key"}}}',
        b'401\n\n{"error":{"message":"{key}","metadata":{"raw":"{key}","provider_name":"A"}}}',
        b"429\nRetry-After: Wed, 21 Oct 2026 07:28:00 GMT\n\nnothing",
        b"503\nRetry-After: 1e3\nContent-Encoding: gzip\n\n\x1f\x8b\x08\x00",
        b"302\nLocation: https://app.example/{code}\n\n",
        b'200\n\n{"error":{"code":401,"message":"{key} {code} {verifier}"}}',
        b'200\n\n{"choices":[{"error":{"code":"429","metadata":{"limit_source":"x_free_tier_daily"}}}]}',
        b'200\nX-RateLimit-Reset: 1e3\n\n{"type":"error","code":429}',
        b'402\n\n{"error":{"metadata":{"scope":"key","resets_at":1e99,"headers":{"Retry-After":1}}}}',
        b'400\n\n{"success":false,"error":{"name":"ZodError","message":"[{}]"}}',
        b"400\nContent-Type: text/plain\n\nMalformed JSON {code} {verifier} {key}",
        b'403\n\n{"error":{"message":"No","metadata":{"reasons":["x"],"provider_name":"{key}"}}}',
    )

    def __init__(self) -> None:
        for probe in self.PROBES:
            self(probe)

    def __call__(self, data: bytes) -> None:
        """Let each call read the response in ``data``, and check the outcome."""
        self.check(_wire_of(data))

    def check(self, wire: Wire) -> None:
        """Let each call read this response."""
        client = Client(wire)
        self._call(client, IssuedKey, "exchange_code", CODE, CODE_VERIFIER)
        self._call(client, KeyInfo, "get_key_info", API_KEY)
        self._call(client, AuthCode, "create_auth_code", API_KEY, CALLBACK_URL, **PLAIN)
        self._read(wire)

    def _read(self, wire: Wire) -> None:
        """Read the response as one to a session and as an event of a stream."""
        body, known = parse_object(wire.body) or {}, {"base_url": OPENROUTER, "api_key": API_KEY}
        with _in_time():
            found = [
                error_from(wire.status, wire.headers, wire.body, **known),
                error_in(body, headers=wire.headers, **known),
                error_in(body, event="error", **known),
            ]
        for error in found:
            if error is not None:
                self.check_error(error, {API_KEY})

    def _call(self, client: Client, kind: type, name: str, *arguments: str, **options: str) -> None:
        caught: BaseException | None = None
        with _in_time(), _no_mistakes():
            try:
                result = getattr(client, name)(*arguments, **options)
            except OpenRouterError as error:
                caught = error
        if caught is None:
            assert type(result) is kind, result
            return
        self.check_error(caught, {*arguments, *options.values()} & set(SECRETS.values()))

    def check_error(self, error: OpenRouterError, sent: Set[str]) -> None:
        """Check that an error is one of those permitted, and shows nothing that was sent."""
        assert isinstance(error, (APIError, InvalidAnswerError, TransportError)), error
        shown = "\n".join(_shown_by(error))
        assert not [secret for secret in sent if secret in shown], shown
        assert not _ANY_KEY.search(shown), shown
        if isinstance(error, APIError):
            assert len(error.upstream_message) <= 200
            assert error.upstream_message.isprintable()
            assert error.retry_after is None or error.retry_after >= 0
            assert 400 <= error.status <= 599
            assert error.help_url is None or error.help_url.startswith(f"{OPENROUTER}/")
            assert error.provider_name is None or error.provider_name.isprintable()


def _wire_of(data: bytes) -> Wire:
    for name, secret in SECRETS.items():
        data = data.replace(b"{%s}" % name.encode(), secret.encode())
    head, _, body = data.partition(b"\n\n")
    status, *lines = head.decode("latin-1").split("\n")
    headers = urllib3.HTTPHeaderDict()
    for line in lines:
        name, _, value = line.partition(":")
        headers.add(name.strip(), value.strip())
    # http.client accepts three digits, from 100 on.
    number = int(status) if re.fullmatch("[1-9][0-9]{2}", status, re.ASCII) else 200
    return Wire(number, headers, body)


@contextmanager
def _in_time() -> Iterator[None]:
    begun = time.thread_time()
    yield
    # CPU time of this thread: it does not depend on the load of the machine.
    taken = time.thread_time() - begun
    assert taken < MOST_SECONDS, taken


@contextmanager
def _no_mistakes() -> Iterator[None]:
    logger, handler = logging.getLogger("flask_openrouter"), Mistakes(logging.ERROR)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _shown_by(error: BaseException) -> Iterator[str]:
    """Yield what an error reporter may show: the error, its causes, the locals of its frames."""
    yield from (repr(error), str(error), repr(vars(error)), repr(getattr(error, "__notes__", "")))
    assert error.__cause__ is None
    assert error.__context__ is None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename != __file__:
            yield from (repr(value) for value in frame.f_locals.values())
