"""The targets by name. A target is made once and called with each input."""

from __future__ import annotations

from collections.abc import Callable

from fuzz.answer_target import AnswerTarget
from fuzz.callback_target import CallbackTarget
from fuzz.stream_target import StreamTarget

TARGETS: dict[str, Callable[[], Callable[[bytes], None]]] = {
    "answer": AnswerTarget,
    "callback": CallbackTarget,
    "stream": StreamTarget,
}
