"""How long one request waits for a storage in all. A visitor waits behind each call."""

from __future__ import annotations

from time import monotonic
from typing import Final

from ..errors import KeyStorageError
from ..web import this_request

#: Seconds after which a call that fails has met a time-out.
_SLOW: Final = 2.5
#: Seconds for which the storage is not asked again by a request that has met a time-out.
_PAUSE: Final = 10.0
#: Seconds after which one of our own views, such as the end of a login, asks nothing more.
_MOST: Final = 5.0
_KEY: Final = "_openrouter_patience"


class Patience:
    """The waits of one request for its storage."""

    def __init__(self, *, most: float | None) -> None:
        self._most = most
        self._waited = 0.0
        self._timed_out_at = -_PAUSE

    def check(self, now: float) -> None:
        """Raise KeyStorageError if this request has waited for long enough."""
        is_over = self._most is not None and self._waited > self._most
        if is_over or now - self._timed_out_at < _PAUSE:
            raise KeyStorageError(
                "The storage took too long to answer this request, and was not asked again."
            )

    def note(self, started: float, *, failed: bool) -> None:
        """Take note of a call that began at this time and has ended now."""
        now = monotonic()
        self._waited += now - started
        if failed and now - started > _SLOW:
            self._timed_out_at = now


def current_patience() -> Patience | None:
    """Return the patience of the current request, or None outside of requests."""
    try:
        request = this_request()
    except RuntimeError:
        return None
    patience: Patience | None = vars(request).get(_KEY)
    if patience is None:
        is_ours = request.blueprint == "openrouter"
        patience = vars(request)[_KEY] = Patience(most=_MOST if is_ours else None)
    return patience
