"""The journal: recorded requests for tests, with every secret replaced by its SHA-256."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from flask import Request

from .errors import parse_json
from .ledger import KEY_PREFIX, fingerprint

MAX_RECORDS = 2_000

_SECRET_NAMES = frozenset({"code", "code_verifier", "key", "api_key", "consent"})
_API_KEY = re.compile(re.escape(KEY_PREFIX) + r"[0-9A-Za-z]+")
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
    """The last requests, in the order of their arrival."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: OrderedDict[int, RecordedRequest] = OrderedDict()
        self._arrived = 0

    def record(self, request: Request, *, api_key: str | None, now: float, with_body: bool) -> int:
        """Record a request on arrival and return its number."""
        query = request.args.to_dict()
        record = RecordedRequest(
            number=0,
            method=request.method,
            path=_redact_text(request.path),
            query=_redact(query),
            headers=_headers_of(request),
            body=_redact(_body_of(request)) if with_body else None,
            api_key_hash=None if api_key is None else fingerprint(api_key),
            at=now,
        )
        with self._lock:
            self._arrived += 1
            self._records[self._arrived] = replace(record, number=self._arrived)
            while len(self._records) > MAX_RECORDS:
                self._records.popitem(last=False)
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


def _redact(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        plain = value.get("code_challenge_method", "plain") != "S256"
        # The challenge of the method "plain" is the code_verifier itself.
        return {
            key: _redact(item, "code_verifier" if key == "code_challenge" and plain else key)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_redact(item) for item in value]
    if isinstance(value, str):
        return f"sha256:{fingerprint(value)}" if name in _SECRET_NAMES else _redact_text(value)
    return value


def _redact_text(text: str) -> str:
    return _API_KEY.sub("[redacted]", text)
