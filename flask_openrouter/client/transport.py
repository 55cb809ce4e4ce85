"""One HTTP request to OpenRouter, limited in time and size; its contents are not logged.

This module imports ``requests``, so import it only where a request is made.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import ssl
import sys
import traceback
import zlib
from collections.abc import Iterator, Mapping
from functools import cache
from time import monotonic
from typing import Any, Final

import requests
import urllib3
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from ..errors import (
    ConfigurationError,
    InvalidAnswerError,
    OpenRouterError,
    TransportError,
    TransportTimeoutError,
)
from .connections import Adapter
from .credentials import without_trace
from .deadline import Deadline, limited_by
from .environment import CA_VARIABLES, Environment
from .racing import RacingContext
from .responses import APIResponse

logger: Final = logging.getLogger("flask_openrouter")

#: The largest body that is read, in bytes, both as sent and decoded.
MAX_RESPONSE_BYTES: Final = 65_536
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"))
_WBITS_GZIP, _WBITS_ZLIB, _WBITS_RAW = 31, 15, -15


class Transport:
    """Sends requests to one base URL. Thread-safe, and safe to use on both sides of a fork."""

    def __init__(self, base_url: str, environment: Environment) -> None:
        self.base_url = base_url
        self._environment = environment
        self._adapters: dict[int, Adapter] = {}
        # Checking an address takes most of the time in requests, and there are only three.
        # identity: a body of 64 KiB needs no compression, and cannot be a bomb.
        headers = {"Accept-Encoding": "identity", "User-Agent": "Flask-OpenRouter"}
        self._prepared = cache(
            lambda method, path: requests.Request(method, base_url + path, headers).prepare()
        )

    @property
    def adapter(self) -> Adapter:
        """The adapter of this process: a socket shared over a fork would mix up two responses."""
        pid = os.getpid()
        adapter = self._adapters.get(pid)
        if adapter is None:
            # If several threads get here at once, all use the first one's adapter.
            adapter = Adapter(self.base_url, self._environment, _tls_context(self._environment))
            adapter = self._adapters.setdefault(pid, adapter)
            # A new dict: this process closes its copies of the parent's sockets.
            self._adapters = {pid: adapter}
        return adapter

    def preload(self) -> None:
        """Load the certificates and make the connection pool, before the first request does."""
        _ = self.adapter

    def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Mapping[str, Any] | None,
        seconds: float,
    ) -> APIResponse:
        """Send one request, once, and return the response.

        :param body: the request's JSON.
        :param seconds: for the whole request, by the wall clock.
        :raises TransportError: no response; also its subclasses.
        :raises InvalidAnswerError: a response that is not well-formed HTTP.
        :raises ConfigurationError: the environment's certificate bundle cannot be read.
        """
        deadline = Deadline(seconds)
        request = self._prepare(method, path, headers, body)
        adapter = self.adapter
        failure: BaseException
        try:
            with limited_by(deadline):
                timeout = deadline.finish_by - monotonic()
                response = adapter.send(request, stream=True, timeout=timeout)
                try:
                    encoded = read_body(response)
                finally:
                    # Back to the pool if the body was read to its end, otherwise closed.
                    response.close()
        except Exception as error:
            failure = failure_of(error, deadline)
        except BaseException as error:
            failure = without_trace(error)
        else:
            logger.debug("%s %s: HTTP %d", method, path, response.status_code)
            decoded = decode_body(encoded, response.headers.get("content-encoding", ""))
            return APIResponse(response.status_code, response.headers, decoded)
        logger.debug("%s %s: %s", method, path, type(failure).__name__)
        # Not in the except clauses: the exceptions there hold the request.
        raise failure

    def _prepare(
        self, method: str, path: str, headers: Mapping[str, str], body: Mapping[str, Any] | None
    ) -> requests.PreparedRequest:
        request = self._prepared(method, path).copy()
        request.headers.update(headers)
        if body is not None:
            request.prepare_body(_ENCODER.encode(body).encode("ascii"), None)
        return request


def tls_context(environment: Environment) -> ssl.SSLContext:
    """Return a context that requires a certificate of the authorities that the environment names.

    :raises ConfigurationError: if their certificates cannot be read.
    """
    context = RacingContext(ssl.PROTOCOL_TLS_CLIENT)
    # All as urllib3 sets it.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET
    context.hostname_checks_common_name = False
    context.post_handshake_auth = True
    if environment.key_log is not None:
        context.keylog_filename = os.path.expandvars(environment.key_log)
    if sys.version_info >= (3, 13):  # pragma: no cover - coverage is measured with one Python
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    bundle = environment.ca_bundle or DEFAULT_CA_BUNDLE_PATH
    try:
        if os.path.isdir(bundle):
            context.load_verify_locations(capath=bundle)
        else:
            context.load_verify_locations(cafile=bundle)
    except OSError:
        raise ConfigurationError(
            f"The certificate bundle of the environment ({', '.join(CA_VARIABLES)}) cannot be "
            "read; correct or unset it"
        ) from None
    return context


# Reading the authorities takes 20 milliseconds, and apps of one process, as in tests, share them.
_tls_context: Final = cache(tls_context)


def read_body(response: requests.Response) -> bytes | None:
    """Read at most 64 KiB, as they were sent; None if there is more."""
    raw: urllib3.HTTPResponse = response.raw
    if (raw.length_remaining or 0) > MAX_RESPONSE_BYTES:
        return None
    body = b""
    # Read until nothing comes: only then does urllib3 report a body that was cut short.
    while len(body) <= MAX_RESPONSE_BYTES and (
        block := raw.read(MAX_RESPONSE_BYTES + 1 - len(body), decode_content=False)
    ):
        body += block
    return body if len(body) <= MAX_RESPONSE_BYTES else None


def decode_body(body: bytes | None, content_encoding: str) -> bytes | None:
    """Undo one gzip or deflate layer; None for any other encoding, or more than 64 KiB.

    The client asks for ``identity``; some proxies compress anyway.
    """
    encoding = content_encoding.strip().lower()
    if body is None or encoding in {"", "identity"}:
        return body
    if encoding in {"gzip", "x-gzip"}:
        return _inflate(body, _WBITS_GZIP)
    if encoding == "deflate":
        # RFC 9110 §8.4.1.2: zlib format; some servers send raw deflate.
        decoded = _inflate(body, _WBITS_ZLIB)
        return _inflate(body, _WBITS_RAW) if decoded is None else decoded
    return None


def _inflate(body: bytes, wbits: int) -> bytes | None:
    decompressor = zlib.decompressobj(wbits)
    try:
        decoded = decompressor.decompress(body, MAX_RESPONSE_BYTES + 1)
    except zlib.error:
        return None
    if len(decoded) > MAX_RESPONSE_BYTES or not decompressor.eof or decompressor.unused_data:
        return None
    return decoded


def failure_of(error: Exception, deadline: Deadline) -> OpenRouterError:
    """Return this package's error for a failed request: a fixed sentence, without a cause."""
    causes = list(causes_of(error))
    was_sent = deadline.was_sent
    if deadline.is_over():
        return TransportTimeoutError(
            "OpenRouter did not answer within the time limit", was_sent=was_sent
        )
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return TransportError(
            "OpenRouter's certificate could not be verified, so nothing was sent",
            was_sent=was_sent,
        )
    if was_sent and any(_means_malformed_answer(cause) for cause in causes):
        return InvalidAnswerError("OpenRouter's response is not well-formed HTTP")
    if not is_network_error(error):
        # A bug. Log its place, since the traceback holds secrets and is dropped.
        place = traceback.extract_tb(error.__traceback__)[-1]
        logger.error("unexpected %s at %s:%s", type(error).__name__, place.filename, place.lineno)
    if was_sent:
        return TransportError(
            "The connection to OpenRouter broke before its response was complete", was_sent=True
        )
    return TransportError("OpenRouter cannot be reached")


def is_network_error(error: BaseException) -> bool:
    """Whether an exception comes from the network or the response, and not from a bug."""
    return any(isinstance(cause, OSError | http.client.HTTPException) for cause in causes_of(error))


def is_timeout(error: BaseException) -> bool:
    """Whether an exception means that the server was too slow."""
    return any(isinstance(cause, TimeoutError) for cause in causes_of(error))


def _means_malformed_answer(error: BaseException) -> bool:
    if isinstance(error, urllib3.exceptions.InvalidHeader | urllib3.exceptions.DecodeError):
        return True
    # These two are HTTPExceptions, but mean that the connection broke.
    return isinstance(error, http.client.HTTPException) and not isinstance(
        error, http.client.RemoteDisconnected | http.client.IncompleteRead
    )


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and all that it wraps, as Python, urllib3 and requests wrap."""
    found: list[BaseException] = [error]
    for one in found:
        yield one
        wrapped = [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
        found += [w for w in wrapped if isinstance(w, BaseException) and w not in found]
