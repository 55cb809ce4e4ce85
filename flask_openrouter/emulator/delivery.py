"""The delivery of an answer: paced, charged to the key, and broken off where a fault says so."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

from flask import request

from .answer import PICTURE_TOKENS, Answer, Piece, answer_to
from .billing import charge, require_credit
from .config import EmulatorConfig
from .emulator import get_emulator
from .errors import APIError, disconnected_error
from .events import DONE, PROCESSING, event
from .faults import Fault
from .generations import PROVIDER, Generation
from .misbehaviour import break_off, mid_stream_fault
from .question import Question


class BrokenStreamError(Exception):
    """A fault ends the stream with an error of this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Delivery:
    """One answer on its way to a client, who pays for the pieces that were sent.

    :param question: what was asked. A streamed answer is iterated outside of the request.
    :param key_hash: the key that pays.
    :raises APIError: 402 or 403 if the limit of the key is spent; with a fault in the middle of an
        answer that is no stream, the fault's status.
    """

    def __init__(self, question: Question, key_hash: str) -> None:
        self._emulator = get_emulator()
        require_credit(self._emulator, key_hash)
        self._key_hash = key_hash
        self._owner = self._emulator.ledger.user_of(key_hash)
        self._fault = mid_stream_fault()
        if self._fault is not None and not question.stream:
            raise APIError(self._fault.status or 502)
        self._environ = request.environ
        self._referer = request.headers.get("HTTP-Referer")
        self._user_agent = request.headers.get("User-Agent")
        self._started = self._emulator.now()
        self._sent: list[Piece] = []
        self._usage: dict[str, Any] | None = None
        self.id: str = f"gen-{secrets.token_hex(12)}"
        self.created: int = int(self._started)
        self.question = question
        self.answer: Answer = answer_to(question)
        self.config: EmulatorConfig = self._emulator.config

    def header(self, kind: str) -> dict[str, Any]:
        """Return the members at the start of every response and chunk."""
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.question.model.id,
            "provider": PROVIDER,
        }

    def pieces(self) -> Iterator[Piece]:
        """Yield the pieces of a stream at their pace.

        :raises BrokenStreamError: where a fault sends an error.
        :raises ConnectionResetError: where a fault drops the connection.
        """
        middle = len(self.answer.pieces) // 2
        for index, piece in enumerate(self.answer.pieces):
            if self._fault is not None and index == middle:
                self._fail(self._fault)
            self._emulator.pause(self.config.word_delay)
            self._sent.append(piece)
            yield piece

    def whole(self) -> dict[str, Any]:
        """Charge the whole answer, and return the ``usage`` member."""
        self._sent = self.answer.pieces
        return self.charge()

    def charge(self) -> dict[str, Any]:
        """Charge what was sent, once, and return the ``usage`` member of a chat response."""
        if self._usage is None:
            self._usage = self._charge()
        return self._usage

    def _charge(self) -> dict[str, Any]:
        is_whole = len(self._sent) == len(self.answer.pieces)
        pictures = len(self.answer.pictures) if is_whole else 0
        model, prompt_tokens = self.question.model, self.question.prompt_tokens
        completion_tokens = len(self._sent) + pictures * PICTURE_TOKENS
        reasoning_tokens = sum(piece.kind == "reasoning" for piece in self._sent)
        cost = model.cost(prompt_tokens, completion_tokens) + self.answer.search_cost
        generation = Generation(
            id=self.id,
            key_owner=self._owner,
            model=model.id,
            router=self.question.router,
            api_type="completions",
            created=self._started,
            seconds=self._emulator.now() - self._started,
            cost=round(cost, 10),
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            reasoning_tokens=reasoning_tokens,
            images=pictures,
            search_results=len(self.answer.sources) if self.question.searches else None,
            finish_reason=self.answer.finish_reason if is_whole else None,
            streamed=self.question.stream,
            cancelled=not is_whole,
            referer=self._referer,
            user_agent=self._user_agent,
        )
        charge(self._emulator, self._key_hash, generation)
        prompt_cost = model.cost(prompt_tokens, 0)
        usage: dict[str, Any] = {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
            "cost": generation.cost,
            "is_byok": False,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "cost_details": {
                "upstream_inference_cost": None,
                "upstream_inference_prompt_cost": prompt_cost,
                "upstream_inference_completions_cost": round(generation.cost - prompt_cost, 10),
            },
            "completion_tokens_details": {"reasoning_tokens": reasoning_tokens},
        }
        if not self.config.usage_cost:
            del usage["cost"], usage["cost_details"]
        return usage

    def stream(
        self, kind: str, contents: Iterable[Any], choice: Callable[..., dict[str, Any]], empty: Any
    ) -> Iterator[bytes]:
        """Yield the answer as server-sent events. A client that leaves pays for the words sent.

        :param kind: the ``object`` of the chunks.
        :param contents: made of :meth:`pieces`.
        :param choice: makes a choice of a content, and of the reason for the end if there is one.
        :param empty: the content of a choice that says nothing.
        """
        header, finish_reason = self.header(kind), self.answer.finish_reason
        try:
            yield PROCESSING
            for number, content in enumerate(contents):
                yield event({**header, "choices": [choice(content)]})
                if number == 1:
                    yield PROCESSING
            end = [choice(empty, finish_reason)]
            yield event({**header, "choices": end})
            choices = end if self.config.usage_choice else []
            yield event({**header, "choices": choices, "usage": self.charge()})
            yield DONE
        except BrokenStreamError as broken:
            error = disconnected_error(broken.status)
            yield event({**header, "error": error, "choices": [choice(empty, "error")]})
        finally:
            self.charge()

    def _fail(self, fault: Fault) -> NoReturn:
        self._emulator.pause(fault.delay)
        if fault.status is None or fault.reset:
            break_off(self._environ)
        raise BrokenStreamError(fault.status)
