"""The journal: recorded requests for tests, with every secret replaced by its SHA-256."""

from __future__ import annotations

import re
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import Any

from flask import Request

from .errors import parse_json
from .ledger import CODE_PREFIX, KEY_PREFIX, fingerprint

MAX_RECORDS = 2_000
#: How much memory the records may take together, in bytes.
MAX_BYTES = 16 * 1024 * 1024
#: Replaces a body that would take more than half of it.
TOO_LARGE = "[too large to record]"

_SECRET_NAMES = frozenset({"code", "code_verifier", "key", "api_key", "consent"})
# A key or a code of this emulator, wherever it stands.
_SECRET = re.compile(rf"(?:{re.escape(KEY_PREFIX)}|{re.escape(CODE_PREFIX)})[0-9A-Za-z_-]+", re.I)
# A secret parameter of a URL inside of another text. The URL may be percent-encoded, even twice.
_AND = r"%(?:25)*(?:3F|26|23)"
_URL_PARAMETER = re.compile(
    rf"((?:^|[?&#;\s]|{_AND})(?:code|code_verifier|key|api_key)(?:=|%(?:25)*3D))((?:(?!{_AND})[^&#\s])+)",
    re.I,
)
_HEADERS = (
    "accept",
    "content-type",
    "http-referer",
    "origin",
    "referer",
    "sec-fetch-mode",
    "sec-fetch-site",
    "user-agent",
    "x-openrouter-categories",
    "x-openrouter-title",
    "x-title",
)


@dataclass(frozen=True, kw_only=True)
class RecordedRequest:
    """One request as it arrived, secrets redacted.

    ``number`` counts the requests from 1. ``method``, ``path`` and ``query`` are those of the
    request. ``at`` is the time of its arrival, in seconds since the epoch by the emulator's clock.
    ``headers`` has the interesting headers by lower-case name, with ``[redacted]`` for the values
    of ``authorization`` and ``cookie``. ``body`` is the parsed JSON or form, or ``None``.
    ``status`` is the status of the response, or ``None`` before it and if there never was one.
    ``api_key_hash`` is the SHA-256 of the bearer key. A redacted value reads ``sha256:<hex>``, so
    that tests can compare it without the secret.
    """

    number: int
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any
    api_key_hash: str | None
    at: float
    status: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the record for the control API."""
        return asdict(self)


class Journal:
    """The last requests, in the order of their arrival, in at most ``max_bytes`` of memory."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._records: OrderedDict[int, RecordedRequest] = OrderedDict()
        self._sizes: dict[int, int] = {}
        self._bytes = 0
        self._arrived = 0

    def record(self, request: Request, *, api_key: str | None, now: float, with_body: bool) -> int:
        """Record a request on arrival and return its number."""
        record = RecordedRequest(
            number=0,
            method=request.method,
            path=_redact_text(request.path),
            query=_redact(request.args.to_dict()),
            headers=_headers_of(request),
            body=_redact(_body_of(request)) if with_body else None,
            api_key_hash=None if api_key is None else fingerprint(api_key),
            at=now,
        )
        if _size_of(record.body) > self._max_bytes // 2:
            record = replace(record, body=TOO_LARGE)
        size = _size_of([record.path, record.query, record.headers, record.body])
        with self._lock:
            self._arrived += 1
            self._records[self._arrived] = replace(record, number=self._arrived)
            self._sizes[self._arrived] = size
            self._bytes += size
            while len(self._records) > MAX_RECORDS or self._bytes > self._max_bytes:
                number, _ = self._records.popitem(last=False)
                self._bytes -= self._sizes.pop(number)
            return self._arrived

    def finish(self, number: int, status: int) -> None:
        """Store the status of the response to a recorded request."""
        with self._lock:
            if number in self._records:
                self._records[number] = replace(self._records[number], status=status)

    def records(self) -> list[RecordedRequest]:
        """Return the recorded requests, oldest first."""
        with self._lock:
            return list(self._records.values())

    def clear(self) -> None:
        """Drop every record. The numbers continue."""
        with self._lock:
            self._records.clear()
            self._sizes.clear()
            self._bytes = 0


def _headers_of(request: Request) -> dict[str, str]:
    headers = {
        name: _redact_text(request.headers[name]) for name in _HEADERS if name in request.headers
    }
    for name in ("authorization", "cookie"):
        if name in request.headers:
            headers[name] = "[redacted]"
    return headers


def _body_of(request: Request) -> Any:
    if request.is_json:
        return parse_json(request.get_data())
    return request.form.to_dict() or None


def _redact(value: Any, *, is_secret: bool = False) -> Any:
    """Return the value without secrets. All of a secret member is secret, also inside of it."""
    if isinstance(value, dict):
        plain = value.get("code_challenge_method", "plain") != "S256"
        return {
            _redact_string(name, is_secret): _redact(
                item, is_secret=is_secret or _is_secret_name(name, plain)
            )
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_redact(item, is_secret=is_secret) for item in value]
    return _redact_string(value, is_secret) if isinstance(value, str) else value


def _is_secret_name(name: str, plain: bool) -> bool:
    # The challenge of the method "plain" is the code_verifier itself.
    return name.lower() in _SECRET_NAMES or (plain and name.lower() == "code_challenge")


def _redact_string(text: str, is_secret: bool) -> str:
    return _hashed(text) if is_secret else _redact_text(text)


def _redact_text(text: str) -> str:
    text = _URL_PARAMETER.sub(lambda match: match[1] + _hashed(match[2]), text)
    return _SECRET.sub("[redacted]", text)


def _hashed(text: str) -> str:
    return f"sha256:{fingerprint(text)}"


def _size_of(value: object) -> int:
    """Return about how many bytes of memory a record takes."""
    items: Iterable[object] = ()
    if isinstance(value, Mapping):
        items = chain(value.keys(), value.values())
    elif isinstance(value, list):
        items = value
    return sys.getsizeof(value) + sum(map(_size_of, items))
