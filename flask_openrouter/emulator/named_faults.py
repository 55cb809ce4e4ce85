"""Named faults: what OpenRouter was seen to answer in the field, each under one name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import EllipsisType
from typing import Any

from .faults import Fault
from .field_errors import CHAT, ERRORS, NamedFault, Values

_MODELS = "/api/v1/models"

# What each rewrite makes of a chat answer.
_CHAT_SENTENCES: Mapping[str, str] = {
    "finish_reason_error": "A stream breaks off with `finish_reason` `error` and "
    "without an error object.",
    "network_error_finish": "A stream breaks off with `finish_reason` `stop` and "
    "`native_finish_reason` `network_error`.",
    "timeout_finish": "A stream breaks off with `finish_reason` `timeout`.",
    "content_filter": "A stream breaks off with `finish_reason` `content_filter`.",
    "safety_finish": "A stream breaks off with `finish_reason` `stop` and "
    "`native_finish_reason` `SAFETY`.",
    "error_in_delta": "A stream breaks off with an `error` in the delta, or in the message.",
    "error_chunk": "A stream breaks off with a chunk that has an `error`.",
    "error_on_choice": "A stream breaks off with an `error` on the choice.",
    "error_event": "A stream breaks off with an `event: error`.",
    "key_limit_in_stream": "A stream breaks off because the key's daily limit is spent (403).",
    "relayed_401_in_stream": "A stream breaks off with a model provider's 401.",
    "split_surrogates": "A surrogate pair is split over two chunks.",
    "lone_surrogate": "A chunk has half of a surrogate pair, and the other half never comes.",
    "only_reasoning": "The answer is reasoning only, and ends with `finish_reason` `length`.",
    "only_reasoning_stop": "The answer is reasoning only, and ends with `finish_reason` `stop`.",
    "usage_without_cost": "The usage has no `cost`.",
    "usage_cost_null": "The usage has a `cost` of null.",
    "usage_byok": "The account's own key of the provider is used, so the `cost` is 0.",
    "usage_with_choice": "The usage chunk has one choice, as seen live.",
    "usage_without_choice": "The usage chunk has no choices, as documented.",
    "annotations_on_choice": "The annotations are on the choice of the last chunk, or on the "
    "message.",
    "refusal": "The model refuses: the text is in `refusal`, and `finish_reason` is "
    "`content_filter`.",
    "null_content": "The content of the answer is null.",
    "content_in_parts": "The content of the answer is a list of parts.",
    "bom": "The stream begins with a byte order mark.",
    "event_over_two_lines": "Each event is spread over two `data:` lines.",
}
_MODELS_SENTENCES: Mapping[str, str] = {
    "model_architecture_null": "The first listed model has an `architecture` of null.",
    "model_without_pricing": "The first listed model has no `pricing`.",
    "model_without_completion_price": "The first listed model has no price for completions.",
    "model_price_empty": "The first listed model has an empty price.",
    "model_price_nan": "The first listed model has the price `NaN`.",
    "model_price_per_route": "The first listed model has the price `-1`: it depends on the route.",
    "model_price_zero": "The first listed model has the price `0` without being free.",
    "models_in_pages": "The list of models has three models, and a link to the others.",
}
_CALLBACK_SENTENCES: Mapping[str, str] = {
    "callback_temporarily_unavailable": "The browser comes back with "
    "`error=temporarily_unavailable` in place of the code.",
    "callback_server_error": "The browser comes back with `error=server_error` in place of the "
    "code.",
    "callback_escaped_ampersand": "The browser comes back with `&amp;code=` in place of `&code=`.",
}


def _rewritten(
    sentences: Mapping[str, str], path: str, method: str | None = None
) -> dict[str, NamedFault]:
    return {
        name: NamedFault(sentence, partial(_values, name), path, method)
        for name, sentence in sentences.items()
    }


def _values(rewrite: str, now: float) -> Values:
    return {"rewrite": rewrite}


_FAULTS: Mapping[str, NamedFault] = {
    **ERRORS,
    **_rewritten(_CHAT_SENTENCES, CHAT, "POST"),
    **_rewritten(_MODELS_SENTENCES, _MODELS, "GET"),
    **_rewritten(_CALLBACK_SENTENCES, "/auth", "POST"),
}

#: Every named fault, and what happens in one sentence.
NAMED_FAULTS: Mapping[str, str] = {name: named.sentence for name, named in _FAULTS.items()}


def make_fault(
    name: str | None, values: Mapping[str, Any], now: float
) -> tuple[Fault, int | EllipsisType | None]:
    """Return the fault with these values, or the named one with these values changed.

    The second item is its default for ``times``; ``...`` leaves it to the queue.

    :raises ValueError: if a name or a value is invalid.
    """
    unknown = set(values) - set(Fault.__dataclass_fields__)
    if unknown:
        raise ValueError(f"a fault has no {', '.join(sorted(unknown))}")
    if name is None:
        return Fault(**values), ...
    named = _FAULTS.get(name) if isinstance(name, str) else None
    if named is None:
        raise ValueError(f"there is no fault {str(name)[:40]!r}; known: {', '.join(_FAULTS)}")
    named_values: dict[str, Any] = {"path": named.path, "method": named.method, **named.values(now)}
    named_values |= {**values, "name": name}
    fault = Fault(**named_values)
    return fault, named.times if fault.lasts is None else ...
