"""``POST /api/v1/embeddings``: vectors that are alike for texts that have words in common.

Source: https://openrouter.ai/docs/api-reference/embeddings
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
import secrets
import struct
from collections.abc import Mapping
from typing import Any, Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from .billing import charge, require_credit
from .catalogue import MODELS, find_embedding_model, find_model
from .config import EmulatorConfig
from .emulator import Emulator, get_emulator
from .errors import APIError, read_json_object
from .events import answer_response
from .generations import Generation
from .misbehaviour import mid_stream_fault
from .model import Model
from .oauth import require_key
from .prose import count_tokens, text_of
from .question import unknown_model_error

#: How many texts one request may have.
MAX_INPUTS = 2_048
#: Length of the vectors of a model that a setting added.
USUAL_DIMENSIONS = 1_536

_WORD = re.compile(r"\w+")

bp: Final = Blueprint("embeddings", __name__)


@bp.post("/api/v1/embeddings")
def embed() -> ResponseReturnValue:
    """Return a vector for each text and charge the price to the key."""
    key_hash = require_key()
    body = read_json_object()
    emulator = get_emulator()
    model = _choose_model(body, emulator.config)
    texts = _texts(body.get("input"))
    dimensions = _dimensions(body, model)
    as_base64 = _encoding(body) == "base64"
    require_credit(emulator, key_hash)
    if (fault := mid_stream_fault()) is not None:
        # Vectors are never streamed, so the whole response fails.
        raise APIError(fault.status or 502)
    generation = _generation(emulator, key_hash, model, sum(map(count_tokens, texts)))
    charge(emulator, key_hash, generation)
    usage: dict[str, Any] = {
        "prompt_tokens": generation.prompt_tokens,
        "total_tokens": generation.prompt_tokens,
    }
    if emulator.config.usage_cost:
        usage["cost"] = generation.cost
    vectors = [_vector(text, dimensions) for text in texts]
    found = {
        "object": "list",
        "id": generation.id,
        "model": model.id,
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": _packed(vector) if as_base64 else vector,
            }
            for index, vector in enumerate(vectors)
        ],
        "usage": usage,
    }
    return answer_response(found, generation.id)


def _choose_model(body: Mapping[str, Any], config: EmulatorConfig) -> Model:
    """Return an embedding model, or one of the settings, which say nothing about its outputs."""
    model_id = body.get("model")
    model = find_embedding_model(model_id) or find_model(model_id, config)
    if model is None:
        raise unknown_model_error(model_id)
    if model in MODELS:
        raise APIError(404, f"No endpoints found that support embeddings for {model.id}.")
    return model


def _texts(given: object) -> list[str]:
    """Return the texts of a request: one, a list of them, or numbers of tokens in their place."""
    if isinstance(given, str):
        given = [given]
    if not isinstance(given, list) or not given:
        raise APIError(400, "Input required: specify input")
    if all(map(_is_whole, given)):
        given = [given]
    if len(given) > MAX_INPUTS:
        raise APIError(400)
    return [_text(item) for item in given]


def _text(item: object) -> str:
    if isinstance(item, str) and item:
        return item
    if isinstance(item, list) and item and all(map(_is_whole, item)):
        return " ".join(str(int(number)) for number in item)
    if isinstance(item, dict) and isinstance(item.get("content"), list):
        return text_of(item)
    raise APIError(400)


def _is_whole(value: object) -> bool:
    """Whether a value is an integer. JSON has one kind of number (RFC 8259 section 6)."""
    return type(value) is int or (isinstance(value, float) and value.is_integer())


def _dimensions(body: Mapping[str, Any], model: Model) -> int:
    most = model.dimensions or USUAL_DIMENSIONS
    wanted = body.get("dimensions")
    if wanted is None:
        return most
    if not _is_whole(wanted) or not 1 <= wanted <= most:
        raise APIError(400)
    return int(wanted)


def _encoding(body: Mapping[str, Any]) -> str:
    encoding = body.get("encoding_format")
    if encoding not in (None, "float", "base64"):
        raise APIError(400)
    return encoding or "float"


def _generation(emulator: Emulator, key_hash: str, model: Model, prompt_tokens: int) -> Generation:
    now = emulator.now()
    return Generation(
        id=f"gen-{secrets.token_hex(12)}",
        key_owner=emulator.ledger.user_of(key_hash),
        model=model.id,
        router=None,
        api_type="embeddings",
        created=now,
        seconds=0.0,
        cost=model.cost(prompt_tokens, 0),
        prompt_tokens=prompt_tokens,
        completion_tokens=0,
        finish_reason=None,
        streamed=False,
        referer=request.headers.get("HTTP-Referer"),
        user_agent=request.headers.get("User-Agent"),
    )


def _vector(text: str, dimensions: int) -> list[float]:
    """Return a unit vector. Every word adds to one place of it, the same in every text."""
    vector = [0.0] * dimensions
    for word in _WORD.findall(text.lower()) or [text]:
        digest = hashlib.sha256(word.encode("utf-8", "surrogatepass")).digest()
        place = int.from_bytes(digest[:4], "big") % dimensions
        vector[place] += 1.0
    length = math.sqrt(sum(value * value for value in vector))
    return [round(value / length, 7) for value in vector]


def _packed(vector: list[float]) -> str:
    """Return a vector as the base64 of 32-bit floats, least significant byte first."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
