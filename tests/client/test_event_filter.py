"""The filter in front of the packages that read streams of events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streams import check_filter, delta, filtered, sse

from flask_openrouter.client.event_filter import EventFilter
from flask_openrouter.client.events import MAX_EVENT_BYTES, EventReader
from flask_openrouter.errors import InvalidAnswerError, ServerError, TransportError

GOOD = sse(delta(content="a"))
LINES = (
    "data: ",
    "data",
    "event: error",
    "id: 1",
    ": a",
    "{}",
    "[DONE]",
    "\ufeff",
    "\n",
    "\r",
    "\r\n",
    "data: {}\n\n",
)


@given(st.lists(st.sampled_from(LINES) | st.text(max_size=3), max_size=12))
def test_what_passes_is_json(pieces: list[str]) -> None:
    check_filter("".join(pieces).encode())


@given(st.binary(max_size=60))
def test_no_bytes_are_too_odd(data: bytes) -> None:
    for stream in (data, b"data: " + data, GOOD + data):
        check_filter(stream)


def test_it_ends_with_the_error_of_an_event() -> None:
    for rest, kind in (
        (b"data: [1]\n\n", InvalidAnswerError),
        (b"data: {\n\n", InvalidAnswerError),
        (b"data: {", TransportError),
        (b"event: error\ndata: x", ServerError),
        (b'data: {"error": {"code": 500}}', ServerError),
    ):
        events, error = filtered([GOOD + rest])
        assert len(events) == 1
        assert type(error) is kind


@pytest.mark.parametrize("line", [b"data: ", b": "])
def test_an_event_that_never_ends_is_too_large(line: bytes) -> None:
    block = line + bytes(1024 * 1024)
    events, error = filtered([GOOD, *[block] * (MAX_EVENT_BYTES // len(block) + 1)])
    assert len(events) == 1
    assert isinstance(error, InvalidAnswerError)
    assert "too large" in str(error)


def test_an_event_in_many_blocks_takes_no_time_that_grows_with_its_square() -> None:
    """A picture is one event of megabytes. Every block was copied with all that came before."""

    def seconds(read: Callable[[bytes], Iterator[object]]) -> float:
        begun = process_time()
        for _ in range(8 * 1024):
            assert list(read(b"x" * 1024)) == []
        return process_time() - begun

    events = EventFilter(lambda event, data: None, lambda error, data: error)
    # time: relative to a reader that copies each block once; 180 times as long when squared.
    assert seconds(events.read) < 50 * seconds(EventReader().read)
