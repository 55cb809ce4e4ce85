"""A model's answer on its way to the page: rendered and saved as it arrives."""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator

from .draft import Draft, note_of
from .problems import NOT_SAVED, Problem
from .render import LiveMarkdown
from .upstream import End, Failure, Part, Text, Upstream, Usage

logger = logging.getLogger(__name__)

#: Seconds between heartbeats while the model is silent. A server notices only by writing that the
#: browser has gone, so this limits how long an abandoned answer costs money.
HEARTBEAT = 0.5
#: Shortest time between two updates of the page, in seconds. Text is collected in between.
FRAME = 0.05
#: Longest answer that is kept, in characters, even if OpenRouter ignores max_tokens.
MAX_ANSWER = 100_000
#: How often an unfinished answer is saved, in seconds.
SAVE_EVERY = 2.0


class Answer:
    """Lines of JSON for the page's script. Empty lines are heartbeats.

    The first line is ``{"begin": ...}``. Then come lines of ``{"html": ..., "tail": ...}``: final
    blocks to append, and the unfinished last block. The last line is ``{"end": ...}``, with the
    problem if there was one.

    The web server iterates over it and calls :meth:`close`, both in one thread and outside of the
    request. So ``explain``, which turns a failure into words, must work without a request.
    """

    def __init__(
        self,
        upstream: Upstream,
        draft: Draft,
        begin: dict[str, object],
        explain: Callable[[Failure], Problem],
    ) -> None:
        self._upstream = upstream
        self._draft = draft
        self._begin = begin
        self._explain = explain
        self._markdown = LiveMarkdown()
        self._usage: Usage | None = None
        self._problem: Problem | None = None
        # The state if reading ends early because the visitor stopped the answer or left.
        self._state = "stopped"
        self._is_complete = False
        self._is_saved = False
        self._saved_at = time.monotonic()
        self._next_frame = 0.0

    def __iter__(self) -> Iterator[str]:
        yield _line(begin=self._begin)
        while not self._is_complete:
            has_grown = self._take()
            if has_grown:
                html, tail = self._paint()
                yield _line(html=html, tail=tail)
            elif not self._is_complete:
                yield "\n"
            self._save_sometimes()
        # Saved before the page gets the end, so that its next question finds this answer.
        totals = self._finish()
        yield _line(
            end={
                "html": self._markdown.end(),
                "state": self._state,
                "note": self._note(),
                "totals": totals,
                "problem": self._problem and self._problem.as_json(),
            }
        )

    def close(self) -> None:
        """Stop the upstream response and keep what arrived. The web server always calls this."""
        self._upstream.close()
        if not self._is_saved:
            self._finish()

    def _paint(self) -> tuple[str, str]:
        begin = time.monotonic()
        painted = self._markdown.render()
        end = time.monotonic()
        # A long list takes longer to render. Rendering gets a tenth of the time.
        self._next_frame = end + max(FRAME, 9 * (end - begin))
        return painted

    def _take(self) -> bool:
        """Read until the next frame or heartbeat is due. Return whether text arrived."""
        has_grown = False
        deadline = time.monotonic() + HEARTBEAT
        while not (self._is_complete or (has_grown and time.monotonic() >= deadline)):
            try:
                part = self._upstream.next(deadline - time.monotonic())
            except TimeoutError:
                break
            if isinstance(part, Text):
                self._add(part.text)
                if not has_grown:
                    has_grown, deadline = True, self._next_frame
            else:
                self._note_end(part)
        return has_grown

    def _add(self, text: str) -> None:
        self._markdown.add(text)
        if len(self._markdown.text) > MAX_ANSWER:
            self._state, self._is_complete = "cut", True
            self._upstream.close()

    def _note_end(self, part: Part | None) -> None:
        if isinstance(part, Usage):
            self._usage = part
        elif isinstance(part, End):
            self._state = "cut" if part.cut else "done"
        elif isinstance(part, Failure):
            self._state, self._problem = "broken", self._explain(part)
        else:
            self._is_complete = True

    def _note(self) -> str:
        if not self._markdown.text:
            return ""
        if (usage := self._usage) is None:
            return note_of(self._state, None, None)
        return note_of(self._state, usage.tokens, usage.cost)

    def _save_sometimes(self) -> None:
        if time.monotonic() - self._saved_at < SAVE_EVERY:
            return
        self._saved_at = time.monotonic()
        try:
            self._draft.save(self._markdown.text)
        except sqlite3.Error:
            logger.exception("An answer could not be saved while it was written.")

    def _finish(self) -> str:
        self._is_saved = True
        try:
            return self._draft.finish(self._markdown.text, self._state, self._usage)
        except sqlite3.Error:
            logger.exception("An answer could not be saved.")
            self._problem = self._problem or NOT_SAVED
            return ""


def _line(**data: object) -> str:
    return json.dumps(data, separators=(",", ":")) + "\n"
