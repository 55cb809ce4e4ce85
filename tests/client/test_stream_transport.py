"""The reader and the network: real responses, their ends, and closing them."""

from __future__ import annotations

import gzip
import inspect
import json
import threading
from collections.abc import Iterator

import pytest
import requests
import urllib3
from misbehaving import Act, Connection, MisbehavingProvider, answer, drip, hang, raw, reset
from polling import wait_until
from streams import delta, finished, sse, whole

from flask_openrouter import OpenRouterClient
from flask_openrouter.client import CompletionStream, read_completion, read_stream
from flask_openrouter.client.credentials import hash_of_key
from flask_openrouter.client.session import APISession
from flask_openrouter.emulator import Emulator
from flask_openrouter.errors import (
    BadRequestError,
    InvalidAnswerError,
    NotFoundError,
    OpenRouterError,
    OutOfCreditError,
    ProviderError,
    RateLimitError,
    ServerError,
    TransportError,
    TransportTimeoutError,
)

API_KEY = "sk-or-v1-" + "5eed" * 16
HALF = sse(delta(content="Half"))
WHOLE = HALF + sse(finished(), "[DONE]")
EVENTS = "Content-Type: text/event-stream\r\n"
UNSIZED = b"HTTP/1.0 200 OK\r\n" + EVENTS.encode() + b"\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\n" + EVENTS.encode() + b"Transfer-Encoding: chunked\r\n\r\n"


def chunks(data: bytes, *, ended: bool = True) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data) + (b"0\r\n\r\n" if ended else b"")


def session_at(provider: MisbehavingProvider, timeout: float = 30) -> APISession:
    return OpenRouterClient(provider.url).api_session(API_KEY, timeout=timeout)


def asked(session: requests.Session, *, stream: bool = True) -> requests.Response:
    return session.post("chat/completions", json={"stream": stream}, stream=stream)


@pytest.mark.parametrize(
    "body",
    [
        raw(CHUNKED + chunks(WHOLE)),
        raw(CHUNKED + b"".join(chunks(bytes([b]), ended=False) for b in WHOLE) + b"0\r\n\r\n"),
        raw(UNSIZED + WHOLE),
        drip(WHOLE, interval=0, after=UNSIZED),
        answer(200, WHOLE, {"Content-Type": "text/event-stream"}),
        answer(200, gzip.compress(WHOLE), {"Content-Encoding": "gzip"}),
        answer(200, whole({"content": "Half"})),
        answer(200, gzip.compress(whole({"content": "Half"})), {"Content-Encoding": "gzip"}),
    ],
    ids=["chunked", "tiny chunks", "unsized", "drip", "sized", "gzip", "JSON", "gzip JSON"],
)
@pytest.mark.parametrize("is_streamed", [True, False])
def test_a_response_is_read_however_it_is_sent(body: Act, is_streamed: bool) -> None:
    with MisbehavingProvider(body) as provider:
        reply = asked(session_at(provider), stream=is_streamed)
        with read_stream(reply) as stream:
            assert list(stream.iter_text()) == ["Half"]
        assert stream.is_complete
        assert read_completion(asked(session_at(provider), stream=is_streamed)).text == "Half"


@pytest.mark.parametrize("head", [UNSIZED, CHUNKED], ids=["unsized", "chunked"])
@pytest.mark.parametrize("is_old", [False, True], ids=["", "old urllib3"])
def test_words_arrive_before_the_next_are_sent(
    head: bytes, is_old: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model goes on only after its words have been read."""
    if is_old:
        for kind in (urllib3.HTTPResponse, urllib3.BaseHTTPResponse):
            monkeypatch.delattr(kind, "read1", raising=False)
    is_read = threading.Event()

    def held(connection: Connection) -> None:
        wrap = chunks if head is CHUNKED else lambda data, ended: data
        connection.send(head + wrap(HALF, ended=False))
        assert is_read.wait(30)
        connection.send(wrap(WHOLE, ended=True))
        connection.close()

    with MisbehavingProvider(held) as provider:
        words = read_stream(asked(session_at(provider))).iter_text()
        assert next(words) == "Half"
        is_read.set()
        assert list(words) == ["Half"]


@pytest.mark.parametrize(
    "act",
    [
        reset(after=CHUNKED + chunks(HALF, ended=False)),
        raw(CHUNKED + chunks(HALF, ended=False)),
        raw(CHUNKED + chunks(HALF, ended=False) + b"5\r\nda"),
        raw(CHUNKED + chunks(HALF)),
        raw(UNSIZED + HALF),
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + HALF),
    ],
    ids=["reset", "no last chunk", "half a chunk", "no end", "closed", "too short"],
)
def test_a_connection_that_breaks_is_an_error_of_this_package(act: Act) -> None:
    with MisbehavingProvider(act) as provider:
        stream = read_stream(asked(session_at(provider)))
        assert next(stream).text == "Half"
        with pytest.raises(TransportError) as caught:
            list(stream)
    assert caught.value.was_sent
    assert caught.value.__context__ is None
    assert not stream.is_complete
    assert stream.completion.text == "Half"


def test_a_connection_that_breaks_after_the_answer_is_no_error() -> None:
    end = sse(finished(native_finish_reason="stop"))
    with MisbehavingProvider(reset(after=CHUNKED + chunks(HALF + end, ended=False))) as provider:
        stream = read_stream(asked(session_at(provider)))
        assert list(stream.iter_text()) == ["Half"]
    assert stream.is_complete
    assert stream.completion.usage is None


def test_silence_is_a_timeout() -> None:
    with MisbehavingProvider(hang(after=CHUNKED + chunks(HALF, ended=False))) as provider:
        stream = read_stream(asked(session_at(provider, timeout=5)))
        assert next(stream).text == "Half"
        with pytest.raises(TransportTimeoutError) as caught:
            list(stream)
    assert isinstance(caught.value, requests.Timeout)


@pytest.mark.parametrize(
    "body",
    [
        raw(CHUNKED + chunks(HALF, ended=False) + b"nonsense\r\n"),
        answer(200, b"\x1f\x8b no gzip", {"Content-Encoding": "gzip"}),
    ],
)
def test_malformed_http_is_an_error_of_this_package(body: Act) -> None:
    with MisbehavingProvider(body) as provider, pytest.raises(OpenRouterError) as caught:
        list(read_stream(asked(session_at(provider))))
    assert isinstance(caught.value, (InvalidAnswerError, TransportError))


def test_a_line_without_an_end_is_refused_in_bounded_memory() -> None:
    def endless(connection: Connection) -> None:
        connection.send(UNSIZED + b"data: ")
        while connection.is_open and connection.wait(0):
            connection.send(b"x" * 65_536)

    with MisbehavingProvider(endless) as provider, pytest.raises(InvalidAnswerError, match="large"):
        list(read_stream(asked(session_at(provider)), max_event_bytes=1_000_000))


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, {"message": "bad"}, BadRequestError),
        (401, {"message": "x", "metadata": {"provider_name": "P"}}, ProviderError),
        (404, {"message": "no such model"}, NotFoundError),
        (429, {"message": "slow down"}, RateLimitError),
        (503, {"message": "later"}, ServerError),
    ],
)
@pytest.mark.parametrize("is_streamed", [True, False])
def test_an_error_status_is_raised_at_once(
    status: int, error: dict[str, object], kind: type[OpenRouterError], is_streamed: bool
) -> None:
    headers = {"Retry-After": "7"} if status == 429 else {}
    with MisbehavingProvider(answer(status, {"error": error}, headers)) as provider:
        for function in (read_stream, read_completion):
            with pytest.raises(kind, match=str(error["message"])) as caught:
                function(asked(session_at(provider), stream=is_streamed))
            assert getattr(caught.value, "retry_after", None) == (7 if headers else None)
        with pytest.raises(kind, match=str(error["message"])):
            read_completion(requests.get(provider.url, stream=is_streamed, timeout=30))


def test_an_error_in_a_stream_leads_to_the_page_of_the_key() -> None:
    error = {"code": 403, "message": f"Key limit exceeded (daily limit) for {API_KEY}"}
    body = answer(200, HALF + sse({"error": error}), {"Content-Type": "text/event-stream"})
    with MisbehavingProvider(body) as provider:
        stream = read_stream(asked(session_at(provider)))
        assert next(stream).text == "Half"
        with pytest.raises(OutOfCreditError) as caught:
            list(stream)
        key_page = f"{provider.url}/keys/{hash_of_key(API_KEY)}"
    assert caught.value.help_url == key_page
    assert API_KEY not in f"{caught.value!r} {vars(caught.value)} {vars(stream)}"


def test_an_error_status_needs_no_readable_body() -> None:
    for act in (
        answer(500, b"x" * 100_000),
        answer(500, b"no gzip", {"Content-Encoding": "gzip"}),
        raw(b"HTTP/1.1 500 Oops\r\nContent-Length: 500\r\n\r\n{"),
    ):
        with MisbehavingProvider(act) as provider:
            with pytest.raises(ServerError, match="HTTP 500"):
                read_stream(asked(session_at(provider)))
            # A response of requests itself.
            with pytest.raises(ServerError, match="HTTP 500"):
                read_stream(requests.get(provider.url, stream=True, timeout=30))
    with (
        MisbehavingProvider(answer(302, b"", {"Location": "https://a.example"})) as provider,
        pytest.raises(InvalidAnswerError, match="302"),
    ):
        read_stream(asked(session_at(provider)))


class Watched:
    """An iterable of bytes that tells whether it was closed."""

    def __init__(self, *blocks: bytes) -> None:
        self.is_closed = False
        self._blocks = iter(blocks)

    def __iter__(self) -> Iterator[bytes]:
        return self._blocks

    def close(self) -> None:
        self.is_closed = True


def test_the_response_is_closed_at_the_end_and_when_it_is_left() -> None:
    def leave(stream: CompletionStream) -> None:
        with stream:
            next(stream)

    def read(stream: CompletionStream) -> None:
        list(stream)

    def fail(stream: CompletionStream) -> None:
        with pytest.raises(InvalidAnswerError):
            list(stream)

    def close(stream: CompletionStream) -> None:
        stream.iter_text().close()
        assert list(stream) == []
        stream.close()

    for use, blocks in ((leave, WHOLE), (read, WHOLE), (fail, b"nonsense"), (close, WHOLE)):
        watched = Watched(blocks)
        use(read_stream(watched))
        assert watched.is_closed, use


def test_a_stream_can_be_closed_while_another_thread_waits_for_words() -> None:
    has_left = threading.Event()

    def silent(connection: Connection) -> None:
        connection.send(CHUNKED + chunks(HALF, ended=False))
        connection.sock.settimeout(30)
        # Nothing, when the client closes the connection.
        if connection.sock.recv(1) == b"":
            has_left.set()
        connection.close()

    with MisbehavingProvider(silent) as provider:
        stream = read_stream(asked(session_at(provider)))
        assert next(stream).text == "Half"
        found: list[object] = []
        reader = threading.Thread(target=lambda: found.extend(stream))
        reader.start()
        wait_until(lambda: inspect.getgeneratorstate(stream._parts) == inspect.GEN_RUNNING)
        stream.close()
        reader.join(30)
        assert not reader.is_alive()
        assert has_left.wait(30)
    assert found == []
    assert not stream.is_complete


def test_a_heartbeat_is_an_empty_part_while_the_model_is_silent() -> None:
    has_beaten, has_left = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        connection.send(CHUNKED + chunks(HALF, ended=False))
        assert has_beaten.wait(30)
        connection.send(chunks(HALF, ended=False))
        connection.sock.settimeout(30)
        if connection.sock.recv(1) == b"":
            has_left.set()
        connection.close()

    with MisbehavingProvider(slow) as provider:
        with read_stream(asked(session_at(provider)), heartbeat=0.01) as stream:
            assert stream.start() is stream
            assert next(stream).text == "Half"
            assert [next(stream).is_empty for _ in range(3)] == [True] * 3
            has_beaten.set()
            assert next(part.text for part in stream if not part.is_empty) == "Half"
            assert stream.completion.text == "HalfHalf"
        # The visitor has left.
        assert has_left.wait(30)
    assert list(stream) == []
    assert not stream.is_complete


def test_with_a_heartbeat_the_end_and_the_errors_are_the_same() -> None:
    stream = read_stream([WHOLE], heartbeat=60)
    assert list(stream.iter_text()) == ["Half"]
    assert stream.is_complete
    stream = read_stream([HALF + sse({"error": {"code": 429}})], heartbeat=60)
    assert next(stream).text == "Half"
    with pytest.raises(RateLimitError):
        next(stream)
    assert list(stream) == []


def test_a_thread_that_is_left_stops_reading_and_closes_the_response() -> None:
    gate, seen = threading.Semaphore(2), []

    class Endless(Watched):
        def __iter__(self) -> Iterator[bytes]:
            while True:
                gate.acquire()
                seen.append(1)
                yield HALF

    endless = Endless()
    stream = read_stream(endless, heartbeat=60)
    assert next(stream).text == "Half"
    wait_until(lambda: len(seen) == 2)
    stream.close()
    gate.release(5)
    wait_until(lambda: endless.is_closed)
    assert len(seen) <= 3
    assert list(stream) == []


def test_an_iterable_that_cannot_be_closed_is_read_as_well() -> None:
    with read_stream(sse(delta(content=word), "[DONE]") for word in ("one", "two")) as stream:
        assert list(stream.iter_text()) == ["one"]


def test_a_response_of_another_client_is_read() -> None:
    """Neither our session nor urllib3: what a test may put in its place."""
    reply = requests.Response()
    reply.status_code = 200
    reply.raw = None
    reply._content = json.dumps({"choices": [{"message": {"content": "Hi"}}]}).encode()
    reply._content_consumed = True  # type: ignore[attr-defined]
    assert read_completion(reply).text == "Hi"

    class Other:
        status_code, headers, url, raw = 200, {"content-type": "text/event-stream"}, None, None

        def iter_content(self, size: int) -> list[bytes]:
            return [WHOLE]

    assert read_completion(Other()).text == "Half"  # type: ignore[arg-type]


def test_the_emulator_streams_as_well(emulator: Emulator) -> None:
    session = OpenRouterClient(emulator.url).api_session(emulator.issue_key(limit=5))
    question = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hello?"}]}
    with read_stream(
        session.post("chat/completions", json={**question, "stream": True}, stream=True)
    ) as stream:
        words = list(stream.iter_text())
    assert len(words) > 3
    answer = read_completion(session.post("chat/completions", json=question))
    assert answer.text
    for each in (answer, stream.completion):
        assert each.usage is not None
        assert each.usage.cost
        assert each.finish_reason == "stop"
