"""How to stream an answer as lines of JSON: rendered and saved as it arrives."""

import json
import logging
import sqlite3
import time
from collections.abc import Callable, Generator, Mapping

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
#: How often an unfinished answer is saved, in seconds.
SAVE_EVERY = 2.0
#: How an answer ended, by OpenRouter's ``finish_reason``. Others are ``"done"``.
_STATES = {"length": "cut", "content_filter": "filtered"}


def stream_lines(
    stream: CompletionStream,
    draft: Draft,
    begin: Mapping[str, object],
    explain: Callable[[OpenRouterError], Problem],
) -> Generator[str, None, None]:
    """Yield lines of JSON for the page's script. Empty lines are heartbeats.

    The first line is ``{"begin": ...}``. Then come lines of ``{"html", "tail", "thoughts"}``: final
    blocks and thoughts to append, and the unfinished last block. The last line is
    ``{"end": ...}``, with the problem if there was one.

    Closing it stops the answer and keeps what arrived. All but the first line is made outside of
    the request, so ``explain``, which turns an error into words, must work without one.
    """
    markdown, shown, thoughts, new_thoughts = LiveMarkdown(), 0, "", ""
    usage: Usage | None = None
    problem: Problem | None = None
    # The state if reading ends early because the visitor stopped the answer or left.
    state = "stopped"
    written_at = saved_at = time.monotonic()
    pause = 0.0
    try:
        yield _line(begin=begin)
        for part in stream:
            markdown.add(part.text or part.refusal)
            for url in part.images:
                markdown.add(_picture(url))
            thoughts += part.reasoning
            new_thoughts += part.reasoning
            usage = part.usage or usage
            now = time.monotonic()
            if (new_thoughts or len(markdown.text) > shown) and now >= written_at + pause:
                # A long list takes longer to render. Rendering gets a tenth of the time.
                began = time.thread_time()
                html, tail = markdown.render()
                pause = max(FRAME, 10 * (time.thread_time() - began))
                yield _line(html=html, tail=tail, thoughts=new_thoughts)
                written_at, shown, new_thoughts = now, len(markdown.text), ""
            elif now >= written_at + HEARTBEAT:
                yield "\n"
                written_at = now
            if now >= saved_at + SAVE_EVERY:
                saved_at = now
                _save(draft, stream, markdown.text, thoughts)
        if stream.is_complete:
            state = _state_of(stream.completion)
        else:
            # It was closed because the visitor has disconnected.
            problem = ENDED
    except OpenRouterError as error:
        state = "broken"
        problem = INTERRUPTED if isinstance(error, TransportError) else explain(error)
    finally:
        stream.close()
        # Before the page gets the end, so that its next question finds this answer.
        try:
            totals = draft.finish(markdown.text, thoughts, state, usage, problem)
        except sqlite3.Error:
            logger.exception("An answer could not be saved.")
            totals, problem = "", problem or NOT_SAVED
    spent = usage or Usage()
    is_empty = not (markdown.text or thoughts)
    yield _line(
        end={
            "html": markdown.end(),
            "thoughts": new_thoughts,
            "state": state,
            "note": "" if is_empty else note_of(state, spent.total_tokens, spent.cost),
            "totals": totals,
            "problem": problem and problem.as_json(),
        }
    )


def _save(draft: Draft, stream: CompletionStream, text: str, thoughts: str) -> None:
    try:
        if not draft.save(text, thoughts):
            stream.close()
    except sqlite3.Error:
        logger.exception("An answer could not be saved while it was written.")


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
