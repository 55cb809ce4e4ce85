"""What a request to our routes must keep to, before any code of the app reads it."""

from __future__ import annotations

import io
import re
from typing import IO, TYPE_CHECKING, Any, Final

from werkzeug.exceptions import RequestEntityTooLarge, SecurityError
from werkzeug.wsgi import get_host

from ..web import this_app, this_request

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: Bytes of the longest body that a form of ours has, and many times more.
MAX_BODY: Final = 64 * 1024

#: A host and its port (RFC 9110 §7.2).
_HOST: Final = re.compile(
    r"(?:[a-z0-9._-]+|\[[a-f0-9:.]+\])(?::([1-9][0-9]{0,4}))?", re.ASCII | re.I
)


class LimitedBody(io.RawIOBase):
    """A body of unknown length. Raises RequestEntityTooLarge where it grows too long.

    Werkzeug's ``LimitedStream`` cuts such a body off when all of it is read at once.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._left = MAX_BODY

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        target = memoryview(buffer).cast("B")
        data = self._stream.read(min(len(target), self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise RequestEntityTooLarge
        target[: len(data)] = data
        return len(data)


def check_request(endpoint: str | None, values: dict[str, Any] | None) -> None:
    """Refuse a body that is too long with 413, and with 400 a host that is malformed or untrusted.

    Registered as ``url_value_preprocessor``: these run before all ``before_request`` functions, so
    that none of them stores a huge upload. Flask before 3.1 has no limit per request and does not
    know ``TRUSTED_HOSTS``, and Werkzeug of that time takes any text for a host.
    """
    request = this_request()
    host = _HOST.fullmatch(request.environ.get("HTTP_HOST", "localhost"))
    if host is None or int(host[1] or 0) > 65535:
        raise SecurityError
    hosts = this_app().config.get("TRUSTED_HOSTS")
    if hosts is not None:
        get_host(request.environ, hosts)
    length = request.content_length
    if length is not None:
        if length > MAX_BODY:
            raise RequestEntityTooLarge
    else:
        # A chunked body, whose length shows at its end.
        environ = request.environ
        environ["wsgi.input"] = LimitedBody(environ["wsgi.input"])
