"""How to stream an answer as lines of JSON: rendered and saved as it arrives."""

import json
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping

from flask_openrouter.client import Completion, CompletionStream, Usage
from flask_openrouter.errors import OpenRouterError, TransportError

from .draft import Draft
from .history import note_of
from .problems import ENDED, INTERRUPTED, NOT_SAVED, Problem
from .render import LiveMarkdown

logger = logging.getLogger(__name__)

#: Seconds of silence after which an empty line is sent. A server notices only by writing that the
#: browser has gone, so this limits how long an abandoned answer costs money.
HEARTBEAT = 0.5
#: Shortest time between two updates of the page, in seconds. Text is collected in between.
FRAME = 0.05
#: Longest answer that is kept, in characters, even if OpenRouter ignores max_tokens. The same limit
#: applies to the thoughts before it.
MAX_ANSWER = 100_000
#: How often an unfinished answer is saved, in seconds.
SAVE_EVERY = 2.0
#: How an answer ended, by OpenRouter's ``finish_reason``. Others are ``"done"``.
_STATES = {"length": "cut", "content_filter": "filtered"}


class Answer:
    """Lines of JSON for the page's script. Empty lines are heartbeats.

    The first line is ``{"begin": ...}``. Then come lines of ``{"html": ..., "tail": ...}``: final
    blocks to append, and the unfinished last block; and of ``{"thoughts": ...}``: text to append.
    The last line is ``{"end": ...}``, with the problem if there was one.

    The web server iterates over it and calls :meth:`close`, both in one thread and outside of the
    request. So ``explain``, which turns an error into words, must work without a request.
    """

    def __init__(
        self,
        stream: CompletionStream,
        draft: Draft,
        begin: Mapping[str, object],
        explain: Callable[[OpenRouterError], Problem],
    ) -> None:
        self._stream = stream
        self._draft = draft
        self._begin = begin
        self._explain = explain
        self._markdown = LiveMarkdown()
        self._thoughts = ""
        self._usage: Usage | None = None
        self._problem: Problem | None = None
        # The state if reading ends early because the visitor stopped the answer or left.
        self._state = "stopped"
        self._is_saved = False
        self._saved_at = time.monotonic()

    def __iter__(self) -> Iterator[str]:
        yield _line(begin=self._begin)
        shown, written_at, pause = (0, 0), time.monotonic(), 0.0
        for part in self._parts():
            now = time.monotonic()
            grown = (len(self._markdown.text), len(self._thoughts))
            if grown != shown and (part is None or now >= written_at + pause):
                yield self._growth(*shown)
                shown, written_at = grown, now
                # A long list takes longer to render. Rendering gets a tenth of the time.
                pause = max(FRAME, 10 * (time.monotonic() - now))
            elif now >= written_at + HEARTBEAT:
                yield "\n"
                written_at = now
            self._save_sometimes()
        # Saved before the page gets the end, so that its next question finds this answer.
        totals, usage = self._finish(), self._usage or Usage()
        yield _line(
            end={
                "html": self._markdown.end(),
                "state": self._state,
                "note": note_of(self._state, usage.total_tokens, usage.cost) if any(shown) else "",
                "totals": totals,
                "problem": self._problem and self._problem.as_json(),
            }
        )

    def close(self) -> None:
        """Stop the upstream response and keep what arrived. The web server always calls this."""
        self._stream.close()
        if not self._is_saved:
            self._finish()

    def _parts(self) -> Iterator[Completion | None]:
        """Take in the parts of the answer and yield each. The last one, None, is its end."""
        try:
            for part in self._stream:
                self._markdown.add(part.text or part.refusal)
                for url in part.images:
                    self._markdown.add(_picture(url))
                self._thoughts += part.reasoning
                self._usage = part.usage or self._usage
                yield part
                if max(len(self._markdown.text), len(self._thoughts)) > MAX_ANSWER:
                    self._stream.close()
                    self._state = "cut"
                    break
            else:
                # Otherwise it was closed from elsewhere, because the visitor has disconnected.
                if self._stream.is_complete:
                    self._state = _state_of(self._stream.completion)
                else:
                    self._problem = ENDED
        except OpenRouterError as error:
            is_lost = isinstance(error, TransportError)
            self._state = "broken"
            self._problem = INTERRUPTED if is_lost else self._explain(error)
        yield None

    def _growth(self, text: int, thoughts: int) -> str:
        """Return the line for what came after so many characters."""
        grown: dict[str, object] = {}
        if len(self._markdown.text) > text:
            grown["html"], grown["tail"] = self._markdown.render()
        if len(self._thoughts) > thoughts:
            grown["thoughts"] = self._thoughts[thoughts:]
        return _line(**grown)

    def _save_sometimes(self) -> None:
        if time.monotonic() - self._saved_at < SAVE_EVERY:
            return
        self._saved_at = time.monotonic()
        try:
            if not self._draft.save(self._markdown.text, self._thoughts):
                self._stream.close()
        except sqlite3.Error:
            logger.exception("An answer could not be saved while it was written.")

    def _finish(self) -> str:
        self._is_saved = True
        text, usage, problem = self._markdown.text, self._usage, self._problem
        try:
            return self._draft.finish(text, self._thoughts, self._state, usage, problem)
        except sqlite3.Error:
            logger.exception("An answer could not be saved.")
            self._problem = problem or NOT_SAVED
            return ""


def _state_of(completion: Completion) -> str:
    if completion.refusal:
        return "refused"
    state = _STATES.get(completion.finish_reason or "", "done")
    if completion.reasoning and not completion.text:
        # A budget spent on thinking leaves nothing for the answer.
        return {"cut": "thought", "done": "unsaid"}.get(state, state)
    return state


def _picture(url: str) -> str:
    """Return Markdown for a picture. The page shows no pictures, so it names or links them."""
    if url.startswith(("http://", "https://")):
        return f"\n\n![Picture](<{url}>)\n\n"
    return "\n\n*The model sent a picture, which this chat cannot show.*\n\n"


def _line(**data: object) -> str:
    return json.dumps(data, separators=(",", ":")) + "\n"
