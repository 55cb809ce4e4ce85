"""The limits of what is kept of a stream, however it is sent and read."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from streams import delta, sse, whole

from flask_openrouter.client import Completion, read_completion, read_stream
from flask_openrouter.client import stream as stream_module
from flask_openrouter.errors import InvalidAnswerError


def test_what_is_kept_of_a_stream_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parts could be small, and without an end."""
    monkeypatch.setattr(stream_module, "_MAX_KEPT", 1000)
    for name, value in (
        ("content", "x" * 9),
        ("reasoning", "x" * 9),
        ("images", ["x" * 9]),
        ("annotations", [{"title": "x" * 9}]),
    ):
        endless = (sse(delta(**{name: value})) for _ in range(1_000_000))
        with pytest.raises(InvalidAnswerError, match="too large"):
            read_completion(endless)
    with pytest.raises(InvalidAnswerError, match="too large"):
        read_completion(sse({"usage": {str(n): 1}}) for n in range(10_000))


def test_what_waits_to_be_read_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """The events could be large, and without words: only those that were read are dropped."""
    monkeypatch.setattr(stream_module, "_MAX_KEPT", 10_000)

    def events() -> Iterator[bytes]:
        try:
            for number in range(1000):
                seen.append(number)
                yield sse({**delta(role="assistant"), "filler": "x" * 900})
            yield sse(delta(content="Hi"), "[DONE]")
        finally:
            is_over.set()

    seen: list[int] = []
    is_over = threading.Event()
    assert read_completion(events()).text == "Hi"
    for heartbeat in (None, 60):
        seen.clear()
        with pytest.raises(InvalidAnswerError, match="too large"):
            read_stream(events(), heartbeat=heartbeat).start()
        assert len(seen) < 20
    # A reader that is slower than the model.
    seen.clear()
    is_over.clear()
    stream = read_stream(events(), heartbeat=60)
    assert is_over.wait(30)
    assert len(seen) < 20
    assert [len(next(stream).data["filler"]) for _ in range(10)] == [900] * 10
    with pytest.raises(InvalidAnswerError, match="too large"):
        list(stream)


def test_a_whole_answer_is_not_limited_by_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has a limit of its own."""
    monkeypatch.setattr(stream_module, "_MAX_KEPT", 1000)
    body = whole({"content": "x" * 900}, usage={"cost": 1}, filler="x" * 900)
    for heartbeat in (None, 60):
        stream = read_stream([body], heartbeat=heartbeat).start()
        assert [len(part.text) for part in stream if not part.is_empty] == [900]


def test_each_part_is_looked_at_once_for_the_first_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a stream of very many small events would take hours."""
    looks: list[Completion] = []
    monkeypatch.setattr(Completion, "has_words", property(lambda part: looks.append(part)))
    read_stream([sse(*[delta(role="assistant")] * 100, "[DONE]")]).start()
    assert len(looks) < 500
