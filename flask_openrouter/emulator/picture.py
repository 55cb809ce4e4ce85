"""Pictures: small PNG files, always the same for the same question."""

from __future__ import annotations

import base64
import hashlib
import struct
import zlib

_SIDE = 64


def picture_of(text: str) -> str:
    """Return a ``data:`` URL of a PNG with stripes in colours that depend on the text."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    colours = [digest[i : i + 3] for i in range(0, 24, 3)]
    rows = b"".join(b"\0" + colours[y * 8 // _SIDE] * _SIDE for y in range(_SIDE))
    # PNG, third edition, sections 5.3 and 11.2.1: 8 bits for each of red, green and blue.
    header = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    png = b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
