"""Reading what OpenRouter sends back with the visitor."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl

from flask import request
from werkzeug.datastructures import MultiDict

from .client.credentials import Unpicklable, is_code
from .errors import StateMismatchError

#: A callback's query holds a state and a code; more than this, in bytes, is no callback.
_MAX_QUERY: Final = 8192


@dataclass(frozen=True, slots=True)
class Callback(Unpicklable):
    """A well-formed callback. ``code`` is None when the visitor declined."""

    state: str = field(repr=False)
    code: str | None = field(repr=False)


def read_callback(base_url: str) -> Callback:
    """Read the callback that this request is.

    Raises :class:`StateMismatchError` with reason ``malformed`` for what is none: wrong parameters,
    a parameter twice (RFC 6749 §3.1), a value that cannot be a code, another issuer (RFC 9207).
    """
    # Not request.args, which keeps what is no UTF-8 as it is spelt: that could pass for a code.
    return _callback_of(_parse(request.query_string.decode("latin-1")), base_url)


def read_pasted(text: str, state: str, base_url: str) -> Callback:
    """Read what a visitor pasted: a code, or the whole address that their browser could not open.

    ``state`` is that of the form's login; an address brings its own. Raises like
    :func:`read_callback`.
    """
    text = text.strip()
    if "://" not in text:
        return _callback_of(MultiDict({"state": state, "code": text}), base_url)
    values = _parse(text.partition("?")[2].partition("#")[0])
    values.setdefault("state", state)
    if "code" not in values:
        raise _malformed()
    return _callback_of(values, base_url)


def _parse(query: str) -> MultiDict[str, str]:
    if len(query) > _MAX_QUERY or not query.isascii():
        raise _malformed()
    try:
        return MultiDict(parse_qsl(query, keep_blank_values=True, errors="strict"))
    except ValueError:
        raise _malformed() from None


def _callback_of(values: MultiDict[str, str], base_url: str) -> Callback:
    state, code, error, issuer = (
        values.getlist(name) for name in ("state", "code", "error", "iss")
    )
    if max(len(state), len(code), len(error), len(issuer)) > 1 or not state or (code and error):
        raise _malformed()
    if issuer and issuer != [base_url]:
        raise _malformed()
    if code:
        if not is_code(code[0]):
            raise _malformed()
        return Callback(state[0], code[0])
    # OpenRouter's refusal is the bare callback address. A garbled code is not a refusal.
    if any(name.lower().startswith("code") for name in values):
        raise _malformed()
    return Callback(state[0], None)


def _malformed() -> StateMismatchError:
    return StateMismatchError("This is not what a login ends with.", reason="malformed")
