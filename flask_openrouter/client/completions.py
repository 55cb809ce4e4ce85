"""A model's answer, read from OpenRouter's JSON (API reference, "Chat completion").

Nothing here raises because of what OpenRouter sent: a member of another type counts as left out.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

#: Lists of parts within lists of parts that are read. Deeper ones count as left out.
_MAX_DEPTH = 8
_SURROGATE = re.compile("[\ud800-\udfff]")
#: Words of providers for an answer that a filter cut off or refused. OpenRouter may pass them on
#: with ``finish_reason: "stop"``.
_FILTERED = re.compile(
    r"safety|prohibited|blocklist|recitation|refusal|content_?(?:filter|policy)|guardrail|toxic",
    re.IGNORECASE,
)
#: Where a part of a message has its text. A part has one of them.
_TEXT_MEMBERS = ("text", "thinking", "reasoning", "summary", "refusal", "content", "value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What an answer used and cost. A field that OpenRouter leaves out is None, never 0.

    ``cost`` is in USD. ``reasoning_tokens`` are part of ``completion_tokens``, and
    ``cached_tokens`` of ``prompt_tokens``; ``total_tokens`` is the sum of both. ``data`` is
    OpenRouter's JSON. With ``is_byok``, the account's own key of the provider was used: the
    provider charges for the answer, and ``cost`` is OpenRouter's fee only.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    cost: float | None = None
    is_byok: bool = False
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Usage:
        """Read OpenRouter's ``usage`` object."""
        prompt, completion = _count(data, "prompt_tokens"), _count(data, "completion_tokens")
        total = _count(data, "total_tokens")
        if total is None and prompt is not None and completion is not None:
            total = prompt + completion
        return cls(
            prompt_tokens=prompt,
            completion_tokens=completion,
            total_tokens=total,
            reasoning_tokens=_count(_object(data, "completion_tokens_details"), "reasoning_tokens"),
            cached_tokens=_count(_object(data, "prompt_tokens_details"), "cached_tokens"),
            cost=_amount(data.get("cost")),
            is_byok=data.get("is_byok") is True,
            data=data,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """A model's answer, or in a stream the part of it that one event brought.

    ``text`` is the answer, ``reasoning`` the model's thoughts before it, and ``refusal`` the
    model's own words when it refuses to answer. Each is ``""`` if there is none. ``annotations``
    are OpenRouter's objects, such as web citations. ``images`` are URLs, mostly ``data:`` URLs.
    ``finish_reason`` is ``"stop"``, ``"length"``, ``"tool_calls"``, ``"content_filter"`` or another
    word of OpenRouter; ``native_finish_reason`` is the provider's word, which makes ``"stop"`` a
    ``"content_filter"`` if it names a filter. ``usage`` comes last in a stream; None means unknown.
    ``id``, ``model`` and ``provider`` name the answer and who gave it. ``data`` is OpenRouter's
    JSON: in a stream the event, and for the whole of a stream its last event.
    """

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    annotations: tuple[Mapping[str, Any], ...] = ()
    images: tuple[str, ...] = ()
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    usage: Usage | None = None
    id: str | None = None
    model: str | None = None
    provider: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Completion:
        """Read OpenRouter's JSON: a whole completion, or one event of a stream.

        Of several choices only the first is read (``index`` 0). Texts may hold half of a surrogate
        pair, whose other half is in the next event.
        """
        found = _Contents()
        finish_reason = native_finish_reason = None
        for choice in choices_of(data):
            index = choice.get("index")
            if isinstance(index, int) and index > 0:
                continue
            found.add_choice(choice)
            finish_reason = _word(choice, "finish_reason") or finish_reason
            native_finish_reason = _word(choice, "native_finish_reason") or native_finish_reason
        usage = data.get("usage")
        return cls(
            text="".join(found.text),
            reasoning="".join(found.reasoning),
            refusal="".join(found.refusal),
            annotations=tuple(found.annotations.values()),
            images=tuple(found.images),
            finish_reason=_ending(finish_reason, native_finish_reason),
            native_finish_reason=native_finish_reason,
            usage=Usage.from_json(usage) if isinstance(usage, dict) and usage else None,
            id=_word(data, "id"),
            model=_word(data, "model"),
            provider=_word(data, "provider"),
            data=data,
        )

    @property
    def has_words(self) -> bool:
        """Whether there is text, reasoning or a refusal."""
        return bool(self.text or self.reasoning or self.refusal)

    @property
    def is_empty(self) -> bool:
        """Whether nothing of the answer is in it, such as in an event that only has the role."""
        return not (
            self.has_words
            or self.annotations
            or self.images
            or self.finish_reason
            or self.native_finish_reason
            or self.usage
        )


def size_of(part: Completion) -> int:
    """Return the number of characters in the texts, images and annotations of a part."""
    texts = (part.text, part.reasoning, part.refusal, *part.images)
    return sum(map(len, texts)) + sum(len(json.dumps(each)) for each in part.annotations)


class CompletionSum:
    """The parts of a stream, added up."""

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {"text": [], "reasoning": [], "refusal": []}
        self._annotations: dict[str, Mapping[str, Any]] = {}
        self._images: dict[str, None] = {}
        self._usage: dict[str, Any] = {}
        self._latest: dict[str, Any] = {}

    def add(self, part: Completion) -> None:
        """Add the next part."""
        for name, texts in self._texts.items():
            if text := getattr(part, name):
                texts.append(text)
        # OpenRouter may repeat them in a later event.
        self._annotations.update((json.dumps(each), each) for each in part.annotations)
        self._images.update(dict.fromkeys(part.images))
        if part.usage is not None:
            self._usage.update({k: v for k, v in part.usage.data.items() if v is not None})
        for name in ("finish_reason", "native_finish_reason", "id", "model", "provider", "data"):
            if value := getattr(part, name):
                self._latest[name] = value

    def result(self) -> Completion:
        """Return the parts so far as one completion."""
        texts: dict[str, Any] = {name: "".join(pieces) for name, pieces in self._texts.items()}
        latest = dict(self._latest)
        latest["finish_reason"] = _ending(
            *map(latest.get, ("finish_reason", "native_finish_reason"))
        )
        return Completion(
            **texts,
            annotations=tuple(self._annotations.values()),
            images=tuple(self._images),
            usage=Usage.from_json(self._usage) if self._usage else None,
            **latest,
        )


class SurrogateJoiner:
    """Joins surrogate pairs that are split over two pieces of a text, and replaces lone halves."""

    def __init__(self) -> None:
        self._half = ""

    def add(self, text: str) -> str:
        """Return the text with the half that the piece before ended with, without its own half."""
        text, self._half = self._half + text, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return whole_characters(text)

    def end(self) -> str:
        """Return what stands for a half that was never completed."""
        text, self._half = whole_characters(self._half), ""
        return text


def whole_characters(text: str) -> str:
    """Return the text with surrogate pairs joined and lone halves replaced by U+FFFD."""
    if _SURROGATE.search(text) is None:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def choices_of(data: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the choices of OpenRouter's JSON."""
    choices = data.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict):
            yield choice


class _Contents:
    """The texts and other contents of the choices, collected."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.refusal: list[str] = []
        self.annotations: dict[str, Mapping[str, Any]] = {}
        self.images: list[str] = []

    def add_choice(self, choice: Mapping[str, Any]) -> None:
        message = _object(choice, "delta") or _object(choice, "message") or choice
        # A completion of the older kind has its text on the choice.
        self._add(message.get("text" if message is choice else "content"), self.text)
        self._add(message.get("refusal"), self.refusal)
        thoughts = len(self.reasoning)
        # The same words in up to three places: the first that has any counts.
        for name in ("reasoning", "reasoning_details", "reasoning_content"):
            if not any(self.reasoning[thoughts:]):
                self._add(message.get(name), self.reasoning)
        self._add_images(message.get("images"))
        for owner in (message, choice):
            annotations = owner.get("annotations")
            for each in annotations if isinstance(annotations, list) else ():
                if isinstance(each, dict):
                    self._add_annotation(each)

    def _add(self, content: object, texts: list[str], depth: int = 0) -> None:
        """Add the text of a content: a text, a part, or a list of them."""
        if isinstance(content, str):
            texts.append(content)
        elif depth > _MAX_DEPTH:
            return
        elif isinstance(content, list):
            for part in content:
                self._add(part, texts, depth + 1)
        elif isinstance(content, dict):
            kind = str(content.get("type"))
            if kind.startswith(("reasoning", "thinking")):
                texts = self.reasoning
            elif kind == "refusal":
                texts = self.refusal
            member = next((name for name in _TEXT_MEMBERS if content.get(name)), "")
            self._add(content.get(member), texts, depth + 1)
            if "image_url" in content:
                self._add_images([content])

    def _add_annotation(self, annotation: Mapping[str, Any]) -> None:
        try:
            text = json.dumps(annotation, ensure_ascii=False)
            if _SURROGATE.search(text) is not None:
                text = whole_characters(text)
                annotation = json.loads(text)
        except (ValueError, RecursionError):
            return
        # It can be both on the message and on the choice.
        self.annotations[text] = annotation

    def _add_images(self, images: object) -> None:
        for image in images if isinstance(images, list) else ():
            url = image.get("image_url", image) if isinstance(image, dict) else image
            url = url.get("url") if isinstance(url, dict) else url
            if isinstance(url, str) and url:
                self.images.append(whole_characters(url))


def _ending(finish_reason: str | None, native: str | None) -> str | None:
    word = native if finish_reason == "stop" else finish_reason
    return "content_filter" if word and _FILTERED.search(word) else finish_reason


def _object(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = data.get(name)
    return value if isinstance(value, dict) else {}


def _word(data: Mapping[str, Any], name: str) -> str | None:
    value = data.get(name)
    return whole_characters(value) if isinstance(value, str) and value else None


def _count(data: Mapping[str, Any], name: str) -> int | None:
    amount = _amount(data.get(name))
    return None if amount is None else int(amount)


def _amount(value: object) -> float | None:
    """Return a number of at least 0, also written as a text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        amount = float(value)
    except (ValueError, OverflowError):
        return None
    return amount if math.isfinite(amount) and amount >= 0 else None
