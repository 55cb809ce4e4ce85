"""Looking for secrets where none may be: in pages, headers, cookies, logs, databases.

::

    canaries = {"key": api_key, "code": code, "code_verifier": verifier, "state": state}
    assert leaks_in(response_bytes(answer), canaries) == []

A secret is found raw, percent-encoded, in hexadecimal, and in base64 and base64url wherever it
stands inside the encoded text; also inside the cookies of Flask's session, which are compressed.
The code_verifier of a login lives in this browser's own signed cookie: scan what a response sets
with ``without_logins``.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import quote

from werkzeug.test import TestResponse

#: The cookie of a login, with and without the prefix for https.
_LOGIN_COOKIE: Final = re.compile(rb"(?:__Host-)?openrouter[a-z0-9-]*\.[A-Za-z0-9_-]{8}=[^;\r\n]*")
#: What Flask's session looks like: base64url, dated and signed; a leading dot says compressed.
_SIGNED: Final = re.compile(rb"\.?[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{5,7}\.[A-Za-z0-9_-]{27}")


def leaks_in(text: str | bytes | Iterable[str | bytes], canaries: Mapping[str, str]) -> list[str]:
    """Return where secrets were found, as ``"key in base64"``. Empty is good."""
    texts = [text] if isinstance(text, (str, bytes)) else list(text)
    layers = [layer for item in texts for layer in _layers(_bytes(item))]
    return [
        f"{name} in {spelling}"
        for name, secret in canaries.items()
        for spelling, needles in _spellings(secret).items()
        if any(needle in layer for needle in needles for layer in layers)
    ]


def response_bytes(answer: TestResponse) -> bytes:
    """Return everything that went to the browser: status, headers and body."""
    head = "\r\n".join([answer.status, *(f"{name}: {value}" for name, value in answer.headers)])
    return head.encode() + b"\r\n\r\n" + answer.data


def without_logins(text: bytes) -> bytes:
    """Return the text without the cookies of logins, where their own secrets belong."""
    return _LOGIN_COOKIE.sub(b"", text)


def without_protocol(text: bytes, base_url: str) -> bytes:
    """Return an answer without the two places where the protocol itself puts the state.

    The address at OpenRouter that a login redirects to, and the form for a pasted code.
    """
    location = rb"\r\nLocation: " + re.escape(base_url.encode()) + rb"/auth\?[^\r\n]*"
    form_field = rb'<input type="hidden" name="state" value="[A-Za-z0-9_-]{22}">'
    return re.sub(form_field, b"", re.sub(location, b"", text))


def session_text(cookie: str) -> str:
    """Return the JSON inside the value of a signed cookie."""
    payload = cookie.lstrip(".").split(".")[0]
    data = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    return (zlib.decompress(data) if cookie.startswith(".") else data).decode()


def _layers(text: bytes) -> Iterator[bytes]:
    yield text
    for cookie in _SIGNED.findall(text):
        try:
            yield session_text(cookie.decode()).encode()
        except (ValueError, zlib.error):
            continue


def _spellings(secret: str) -> dict[str, set[bytes]]:
    raw = secret.encode()
    hexadecimal = raw.hex()
    every_byte = "".join(f"%{byte:02X}" for byte in raw)
    return {
        "clear": {raw},
        "percent-encoding": {
            *(text.encode() for text in (every_byte, every_byte.lower())),
            *({quote(secret, safe="").encode()} - {raw}),
        },
        "hexadecimal": {hexadecimal.encode(), hexadecimal.upper().encode()},
        "base64": set(_inside(raw, base64.b64encode)),
        "base64url": set(_inside(raw, base64.urlsafe_b64encode)),
    }


def _inside(raw: bytes, encode: object) -> Iterator[bytes]:
    # Three bytes make four letters: how a secret is spelled depends on what stands before it.
    for offset in range(3):
        encoded: bytes = encode(b"\0" * offset + raw)  # type: ignore[operator]
        first = (offset * 8 + 5) // 6
        last = (offset + len(raw)) * 8 // 6
        yield encoded[first:last]


def _bytes(text: str | bytes) -> bytes:
    return text.encode(errors="surrogatepass") if isinstance(text, str) else text
