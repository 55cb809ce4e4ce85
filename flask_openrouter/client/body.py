"""The body of a response of ``httpx``, read whole; that of an error as far as it can be read."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from .responses import MAX_ERROR_BYTES


def read_body(response: Any) -> Any:
    """Read the body, close the response and return it.

    The body of an error is cut, and may break off: its status is what counts.
    """
    try:
        if response.status_code < 400:
            response.read()
        else:
            body = bytearray()
            with suppress(Exception):
                for block in response.iter_bytes():
                    body += block
                    if len(body) > MAX_ERROR_BYTES:
                        break
            response._content = bytes(body[:MAX_ERROR_BYTES])
    finally:
        response.close()
    return response


async def read_async_body(response: Any) -> Any:
    """Do the same as :func:`read_body`."""
    try:
        if response.status_code < 400:
            await response.aread()
        else:
            body = bytearray()
            with suppress(Exception):
                async for block in response.aiter_bytes():
                    body += block
                    if len(body) > MAX_ERROR_BYTES:
                        break
            response._content = bytes(body[:MAX_ERROR_BYTES])
    finally:
        await response.aclose()
    return response
