"""The signal ``budget_low``: little is left of a key's limit."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from ..client.spending import next_reset, remember
from ..signals import budget_low
from ..web import send_signal

if TYPE_CHECKING:
    from flask import Flask

    from ..client.models import KeyInfo


class BudgetWatch:
    """Sends the signal, once per login and period in this process. One per app; thread-safe.

    ``threshold``: USD, or None to send none. ``clock``: returns Unix time in seconds. ``most``: the
    number of logins that are remembered.
    """

    def __init__(
        self, threshold: float | None, *, clock: Callable[[], float], most: int = 10_000
    ) -> None:
        self.threshold = threshold
        self._clock = clock
        self._most = most
        #: When the period ends for which the signal was sent, by login.
        self._sent: dict[str, datetime | None] = {}
        self._lock = threading.Lock()

    def check(self, app: Flask, owner_id: str | None, login: str, info: KeyInfo) -> None:
        """Send the signal if ``info`` says that little is left. ``login`` names the login."""
        limit, left = info.limit, info.limit_remaining
        if self.threshold is None or limit is None or left is None or left > self.threshold:
            return
        resets_at = next_reset(info.limit_reset, self._clock())
        with self._lock:
            is_news = self._sent.get(login, ...) != resets_at
            remember(self._sent, login, resets_at, self._most)
        if is_news:
            send_signal(
                budget_low,
                app,
                owner_id=owner_id,
                remaining=max(left, 0.0),
                limit=limit,
                resets_at=resets_at,
            )
