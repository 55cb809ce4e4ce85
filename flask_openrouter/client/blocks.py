"""The body of a response, a block at a time, and the errors of reading it.

This module imports ``requests``, so import it only where a response is read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import requests
import urllib3

from ..errors import OpenRouterError
from .deadline import Deadline
from .responses import error_from
from .session import SessionResponse, known_to_requests
from .transport import MAX_RESPONSE_BYTES, failure_of, is_network_error

#: Bytes that are read at a time, at most. Fewer are passed on as they arrive.
_BLOCK = 16_384


def blocks_of(response: requests.Response) -> Iterator[bytes]:
    """Yield the body as it arrives, in blocks of a limited size."""
    raw = response.raw
    is_of_urllib3 = hasattr(raw, "read_chunked")
    if getattr(response, "_content_consumed", False):
        yield response.content
    elif is_of_urllib3 and hasattr(raw, "read1"):
        # iter_content would wait for a full block, unless the body is sent in chunks.
        while block := raw.read1(_BLOCK, decode_content=True):
            yield block
    else:
        # Old releases of urllib3 have no read1, and what a test made need not be urllib3's.
        waits = is_of_urllib3 and not raw.chunked
        yield from response.iter_content(1 if waits else _BLOCK)


def error_of_status(response: requests.Response, base_url: str) -> OpenRouterError | None:
    """Return the error that the status of a response stands for, None for a success.

    A response of a session may raise it: it knows more.
    """
    if 200 <= response.status_code < 300:
        return None
    if isinstance(response, SessionResponse):
        with response:
            response.raise_for_status()
    body = b""
    with response, contextlib.suppress(requests.RequestException, urllib3.exceptions.HTTPError):
        for block in blocks_of(response):
            body += block
            if len(body) > MAX_RESPONSE_BYTES:
                break
    # A body that was cut short is not JSON, so it says nothing.
    return error_from(response.status_code, response.headers, body, base_url=base_url)


def transport_error(error: Exception) -> OpenRouterError | None:
    """Return this package's error for one of the network; None for any other error."""
    if not (is_network_error(error) or isinstance(error, urllib3.exceptions.HTTPError)):
        return None
    deadline = Deadline()
    deadline.was_sent = True
    return known_to_requests(failure_of(error, deadline), error)
