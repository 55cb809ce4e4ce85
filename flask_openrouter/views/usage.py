"""The usage of a key for pages: the route for scripts, and the words of the meter."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final

from flask import Response

from ..client.spending import Reading, next_reset
from ..connection import get_connection, read_usage
from ..errors import KeyRejectedError, NotConnectedError
from ..guard import reconnect_or_raise
from ..languages import _
from ..pages.language import current_language, gettext
from ..pages.responses import show_data
from ..problems import PROBLEMS
from ..web import get_services

if TYPE_CHECKING:
    from ..client.models import KeyInfo

#: By the time after which OpenRouter resets a limit.
_LEFT: Final = {
    "daily": _("%(amount)s left today"),
    "weekly": _("%(amount)s left this week"),
    "monthly": _("%(amount)s left this month"),
}


@dataclass(frozen=True, slots=True)
class Usage:
    """What a page shows of a key. Amounts in USD.

    ``message`` and ``amount``: of the text. ``limit`` and ``left``: for a meter; None when there
    is nothing to measure against.
    """

    message: str
    amount: float
    limit: float | None = None
    left: float | None = None

    @classmethod
    def from_key_info(cls, info: KeyInfo) -> Usage | None:
        """Return what can be shown of OpenRouter's answer; None if it names no amount."""
        if info.limit is not None and info.limit_remaining is not None:
            left = max(info.limit_remaining, 0.0)
            message = _LEFT.get(info.limit_reset or "", _("%(amount)s left"))
            return cls(message, left, *((info.limit, left) if info.limit > 0 else ()))
        return None if info.usage is None else cls(_("%(amount)s spent"), info.usage)

    @property
    def text(self) -> str:
        """The text, such as ``$17.50 left this month``, in the visitor's language.

        For a key without a limit, it is such as ``$3.20 spent``.
        """
        language = current_language()
        is_tiny = 0 < self.amount < 0.01
        amount = language.dollars(0.01 if is_tiny else self.amount)
        if is_tiny:
            amount = language.gettext("less than %(amount)s") % {"amount": amount}
        return language.gettext(self.message) % {"amount": amount}


def usage() -> Response:
    """Tell a front end what is left on the visitor's key, and what was spent with it.

    The figures are at most minutes old. When OpenRouter does not answer, the status is 502 and the
    figures are the last known ones.
    """
    failure: KeyRejectedError | NotConnectedError
    try:
        reading = read_usage(get_connection())
    except (KeyRejectedError, NotConnectedError) as error:
        failure = error
    else:
        if not reading.has_failed:
            return show_data(200, **_figures(reading))
        problem = PROBLEMS["openrouter_failed"]
        return show_data(
            502, error=problem.code, message=gettext(problem.title), **_figures(reading)
        )
    response: Response = reconnect_or_raise(failure, on_missing="json")
    return response


def _figures(reading: Reading) -> dict[str, object]:
    """Return the members of the JSON: USD, and times as text (ISO 8601)."""
    info, read_at = reading.info, reading.read_at
    left = info.limit_remaining if info else None
    resets_at = next_reset(info.limit_reset if info else None, get_services().clock())
    as_of = None if read_at is None else datetime.fromtimestamp(int(read_at), timezone.utc)
    return {
        "limit": info.limit if info else None,
        "remaining": None if left is None else max(left, 0.0),
        "usage": info.usage if info else None,
        "limit_reset": info.limit_reset if info else None,
        "resets_at": resets_at.isoformat() if resets_at else None,
        "as_of": as_of.isoformat() if as_of else None,
    }
