"""Server-sent events, as the HTML Standard defines them, in whatever blocks the bytes arrive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_openrouter.client.events import EventReader, ServerSentEvent, without_bom
from flask_openrouter.errors import InvalidAnswerError


def events(*blocks: bytes, max_bytes: int = 10_000) -> list[tuple[str, str]]:
    reader = EventReader(max_bytes)
    found = [tuple(event) for block in without_bom(blocks) for event in reader.read(block)]
    return [(kind, data) for kind, data in found]


def in_pieces(data: bytes, cuts: Iterable[int]) -> Iterator[bytes]:
    """Yield ``data``, cut at these places."""
    places = sorted(cut % (len(data) + 1) for cut in cuts)
    for begin, end in zip([0, *places], [*places, len(data)], strict=True):
        yield data[begin:end]


@pytest.mark.requirement("O17")
@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: a\n\n", [("", "a")]),
        (b"data:a\n\n", [("", "a")]),
        (b"data:  a \n\n", [("", " a ")]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [("", "a"), ("", "b")]),
        (b"data: a\r\rdata: b\r\r", [("", "a"), ("", "b")]),
        (b"data: a\r\n\rdata: b\n\r", [("", "a"), ("", "b")]),
        (b"\xef\xbb\xbfdata: a\n\n", [("", "a")]),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [("", "a")]),
        (b"data: a\ndata: b\n\n", [("", "a\nb")]),
        (b"data: a\ndata\ndata:\n\n", [("", "a\n\n")]),
        (b"data\n\n", [("", "")]),
        (b": OPENROUTER PROCESSING\n\ndata: a\n: more\n\n", [("", "a")]),
        (b"event: error\ndata: a\n\ndata: b\n\n", [("error", "a"), ("", "b")]),
        (b"event: error\n\ndata: b\n\n", [("", "b")]),
        (b"id: 7\nretry: 10\ndata: a\n\n", [("", "a")]),
        (b"Data: a\n data: b\ndatax: c\nother\n\n", []),
        (b"data: a:b\n\n", [("", "a:b")]),
        (b"\n\n\n", []),
        (b"data: a", []),
        (b"data: a\n", []),
        (b"data: \xff\xe2\x82\xac\n\n", [("", "\ufffd\u20ac")]),
    ],
)
def test_a_stream_is_read_as_the_standard_says(
    stream: bytes, expected: list[tuple[str, str]]
) -> None:
    assert events(stream) == expected
    assert events(*(bytes([byte]) for byte in stream)) == expected


LINES = st.lists(
    st.tuples(
        st.sampled_from([b"", b":", b"data", b"data:", b"data: ", b"event: ", b"x: "]),
        st.text("a:\u20ac \ufeff", max_size=4).map(lambda text: text.encode()),
        st.sampled_from([b"\n", b"\r", b"\r\n"]),
    ).map(b"".join),
    max_size=12,
).map(b"".join)


@given(LINES, st.lists(st.integers(0, 200), max_size=8))
def test_the_events_do_not_depend_on_the_blocks(stream: bytes, cuts: list[int]) -> None:
    assert events(*in_pieces(stream, cuts)) == events(stream)


@given(LINES)
def test_the_events_do_not_depend_on_the_kind_of_line_end(stream: bytes) -> None:
    plain = stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert events(plain) == events(stream)


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=4))
def test_no_bytes_are_too_odd(stream: bytes, cuts: list[int]) -> None:
    assert events(*in_pieces(stream, cuts)) == events(stream)


def test_a_byte_order_mark_may_be_split_or_incomplete() -> None:
    assert list(without_bom([b"\xef", b"", b"\xbb", b"\xbfa", b"", b"b"])) == [b"a", b"b"]
    assert list(without_bom([b"\xef\xbb"])) == [b"\xef\xbb"]
    assert list(without_bom([b"\xef\xbb\xbf"])) == []
    assert list(without_bom([])) == []


@pytest.mark.parametrize(
    "blocks",
    [
        [b"data: ", *[b"x" * 100] * 1000],
        [*[b"data: " + b"x" * 90 + b"\n"] * 1000],
        [*[b"data\n"] * 10_000],
        [b": ", *[b"x" * 100] * 1000],
    ],
    ids=["one line", "many lines", "empty lines", "a comment"],
)
def test_an_event_without_an_end_is_refused(blocks: list[bytes]) -> None:
    with pytest.raises(InvalidAnswerError, match="too large"):
        events(*blocks)
    assert len(events(*[b"data: " + b"x" * 90 + b"\n\n"] * 1000)) == 1000


def test_the_event_that_a_stream_ends_within_is_kept_apart() -> None:
    for stream in (b"data: a", b"data: a\n", b"event: x\ndata: a\r"):
        reader = EventReader()
        assert list(reader.read(stream)) == []
        assert list(reader.read(b"")) == []
        kind = "x" if b"event" in stream else ""
        assert reader.end() == ServerSentEvent(kind, "a")
        assert reader.end() is None


def test_an_empty_block_between_cr_and_lf_changes_nothing() -> None:
    reader = EventReader()
    blocks = (b"data: a\r", b"", b"\ndata: b\r\n", b"", b"\r", b"", b"\n")
    found = [event for block in blocks for event in reader.read(block)]
    assert found == [ServerSentEvent("", "a\nb")]


def test_what_is_no_event_stream_can_be_told() -> None:
    for stream, has_fields in (
        (b"<html>\n<p>Bad gateway</p>\n", False),
        (b"not events", False),
        (b": hello", True),
        (b"id: 1\n", True),
        (b"data", True),
    ):
        reader = EventReader()
        list(reader.read(stream))
        reader.end()
        assert reader.has_fields is has_fields, stream
