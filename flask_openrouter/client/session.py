"""A ``requests.Session`` that sends one visitor's key, to OpenRouter's API only.

This module imports ``requests``, so import it only where a session is made.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import requests
import urllib3

from ..errors import (
    KeyRejectedError,
    OpenRouterError,
    OutOfCreditError,
    TransportError,
    TransportTimeoutError,
)
from .connections import Adapter
from .credentials import Unpicklable, authorizer, without_trace
from .deadline import CONNECT_SECONDS, Deadline, limited_by
from .responses import error_from
from .transport import (
    MAX_RESPONSE_BYTES,
    Transport,
    decode_body,
    failure_of,
    is_network_error,
    is_timeout,
)

#: Seconds to wait for the next bytes: a model may think for a while.
READ_SECONDS = 60.0

Timeout: TypeAlias = "float | tuple[float, float]"


class SessionConnectionError(TransportError, requests.ConnectionError):
    """No response to a request of a session. It is a ``requests.ConnectionError`` as well."""


class SessionTimeoutError(TransportTimeoutError, requests.Timeout):
    """No bytes within the session's time limit. It is a ``requests.Timeout`` as well."""


class APISession(Unpicklable, requests.Session):
    """A session rooted at ``<base_url>/api/v1/``: ``session.post("chat/completions", json=...)``.

    Relative addresses are below the root, with or without a leading slash. An absolute one must be
    below it too, otherwise ``ValueError``: the key is for OpenRouter only. The bearer header is set
    on every request and cannot be overridden. Redirects are never followed; there are no cookies
    and no ``.netrc``; certificates are always verified; proxies come from the environment.

    ``timeout`` (seconds, or seconds to connect and to read) limits the wait for the *next* bytes,
    (5, 60) by default, and can be given with each call. ``stream=True`` works. A response may be of
    any size.

    Every response is returned as it is, except these, which are raised:

    :raises KeyRejectedError: 401, the key is dead; ``on_rejected`` has been called, once. A 401 or
        402 that OpenRouter relays from the provider of a model is returned instead.
    :raises OutOfCreditError: 402, or 403 because the key's limit is spent; the key is fine.
    :raises TransportError: no response; also a ``requests.ConnectionError`` or
        ``requests.Timeout``.
    :raises InvalidAnswerError: a response that is not well-formed HTTP.
    """

    def __init__(
        self,
        transport: Transport,
        api_key: str,
        *,
        headers: Mapping[str, str],
        on_rejected: Callable[[], None] | None = None,
        timeout: Timeout | None = None,
    ) -> None:
        super().__init__()
        self._transport = transport
        self._root = f"{transport.base_url}/api/v1/"
        self._authorize = authorizer(api_key)
        self._on_rejected = on_rejected
        self._timeout = (CONNECT_SECONDS, READ_SECONDS) if timeout is None else timeout
        self.trust_env = False
        self.headers.update({"Accept-Encoding": "gzip, deflate", **headers})
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def __repr__(self) -> str:
        return f"<APISession {self._root}>"

    def close(self) -> None:
        """Do nothing: the connections belong to the client, whose other sessions use them."""

    def get_adapter(self, url: str | bytes) -> Adapter:
        """Return the client's persistent connections of this process."""
        return self._transport.adapter

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None: a redirect is a response like any other."""

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """Prepare a request with its address resolved below the root.

        :raises ValueError: if the address is not below the root.
        """
        url = str(request.url)
        if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", url):
            url = self._root + url.lstrip("/")
        self._check_address(url)
        request.url = url
        return super().prepare_request(request)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send a prepared request with the key; see the class.

        :raises ValueError: if the address is not below the root.
        """
        self._check_address(request.url)
        result = self._outcome(request, **kwargs)
        if isinstance(result, KeyRejectedError):
            on_rejected, self._on_rejected = self._on_rejected, None
            if on_rejected is not None:
                on_rejected()
        if isinstance(result, BaseException):
            raise result
        return result

    def _outcome(
        self, request: requests.PreparedRequest, **kwargs: Any
    ) -> requests.Response | BaseException:
        """Return the response, or the error to raise: this frame and those below hold the key."""
        is_streamed = kwargs.pop("stream", False)
        kwargs |= {"stream": True, "allow_redirects": False}
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = self._timeout
        deadline = Deadline()
        self._authorize(request)
        try:
            with limited_by(deadline):
                response = super().send(request, **kwargs)
                error = _error_in(response, self._transport.base_url)
                if error is not None:
                    return error
                if not is_streamed:
                    _ = response.content  # Read here, where errors are handled.
                return response
        except Exception as error:
            # Not the network: a wrong setting, or a hook or a body of the caller.
            if isinstance(error, OpenRouterError) or not is_network_error(error):
                return without_trace(error)
            return known_to_requests(failure_of(error, deadline), error)
        except BaseException as error:
            return without_trace(error)
        finally:
            # Responses and errors refer to this request: it must not keep the key.
            del request.headers["Authorization"]

    def _check_address(self, url: str | None) -> None:
        if url is None or not url.startswith(self._root) or ".." in urlsplit(url).path.split("/"):
            raise ValueError(f"This session sends its key to addresses below {self._root} only")


def _error_in(response: requests.Response, base_url: str) -> OpenRouterError | None:
    """Return the error that the response stands for, if it is one of those that are raised."""
    if response.status_code not in (401, 402, 403):
        return None
    raw: urllib3.HTTPResponse = response.raw
    body = raw.read(MAX_RESPONSE_BYTES, decode_content=False)
    response.close()
    api_key = response.request.headers["Authorization"].removeprefix("Bearer ")
    error = error_from(
        response.status_code,
        response.headers,
        decode_body(body, raw.headers.get("content-encoding", "")),
        base_url=base_url,
        api_key=api_key,
    )
    if isinstance(error, KeyRejectedError | OutOfCreditError):
        return error
    # The caller gets any other response, such as a model provider's 401. Put its body back.
    response.raw = urllib3.HTTPResponse(
        io.BytesIO(body),
        headers=raw.headers,
        status=raw.status,
        version=raw.version,
        reason=raw.reason,
        preload_content=False,
        enforce_content_length=False,
    )
    return None


def known_to_requests(failure: OpenRouterError, error: Exception) -> OpenRouterError:
    """Return a transport failure as an exception that code for ``requests`` catches, too."""
    if not isinstance(failure, TransportError):
        return failure
    if failure.was_sent and is_timeout(error):
        return SessionTimeoutError("OpenRouter sent nothing for too long", was_sent=True)
    return SessionConnectionError(str(failure), was_sent=failure.was_sent)
