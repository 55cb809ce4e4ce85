"""One running emulator, and everything a test may do to it from outside."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import EllipsisType
from typing import Any, Final

from flask import current_app

from . import visitor
from .amounts import is_amount
from .authorization import AuthorizationRequest
from .config import EmulatorConfig
from .faults import Fault, FaultQueue
from .journal import Journal, RecordedRequest
from .keys import fingerprint
from .ledger import Ledger

EXTENSION_KEY = "openrouter_emulator"
#: Where the control API and the pages' style live; neither recorded nor hit by faults.
CONTROL_PREFIX = "/_emulator/"
#: How far the clock can be advanced, in seconds: what is beyond the calendar cannot be shown.
MAX_CLOCK_OFFSET = 100 * 366 * 86_400.0


class Emulator:
    """The handle of one emulator: control, inspection, and a visitor that needs no browser.

    The control API under ``/_emulator/`` calls the same methods. All of them may be called from
    any thread.
    """

    def __init__(self, config: EmulatorConfig | None = None) -> None:
        self.ledger: Final = Ledger()
        self.journal: Final = Journal()
        self.fault_queue: Final = FaultQueue()
        self.closing: Final = threading.Event()
        self.wsgi_app: visitor.WSGIApp | None = None
        self._first_config = config or EmulatorConfig()
        self._config = self._first_config
        self._lock = threading.Lock()
        self._clock_offset = 0.0
        self._url: str | None = None

    # -- what it is ---------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Origin of the emulator, such as ``http://127.0.0.1:54321``: the base URL to set.

        :raises RuntimeError: if it is not being served.
        """
        if self._url is None:
            raise RuntimeError("This emulator is not being served. Use run_in_thread().")
        return self._url

    @url.setter
    def url(self, url: str) -> None:
        self._url = url

    @property
    def config(self) -> EmulatorConfig:
        """The settings in force."""
        return self._config

    def configure(self, **changes: Any) -> None:
        """Change settings of :class:`EmulatorConfig` while it runs.

        :raises ValueError: if a name or value is not a setting.
        """
        with self._lock:
            self._config = self._config.changed(changes)

    @contextmanager
    def configured(self, **changes: Any) -> Iterator[None]:
        """Change settings for the duration of a ``with`` block.

        :raises ValueError: if a name or value is not a setting.
        """
        before = self._config
        self.configure(**changes)
        try:
            yield
        finally:
            self._config = before

    def reset(self) -> None:
        """Back to the start: no codes, keys, records or faults, the first settings and clock."""
        self.ledger.clear()
        self.journal.clear()
        self.fault_queue.clear()
        with self._lock:
            self._config = self._first_config
            self._clock_offset = 0.0

    # -- time ---------------------------------------------------------------------------------

    def now(self) -> float:
        """Return the emulator's time, in seconds since the epoch."""
        return self._config.clock() + self._clock_offset

    def advance_clock(self, seconds: float) -> None:
        """Let codes and keys grow older by ``seconds``.

        :raises ValueError: if ``seconds`` is not a number, zero or more, or the clock would be more
            than a hundred years fast.
        """
        if not is_amount(seconds):
            raise ValueError("the clock moves by a number of seconds, zero or more")
        with self._lock:
            if self._clock_offset + seconds > MAX_CLOCK_OFFSET:
                raise ValueError("the clock moves by a hundred years at most")
            self._clock_offset += seconds

    def pause(self, seconds: float) -> None:
        """Wait, though not longer than the server lives."""
        if seconds:
            self.closing.wait(seconds)

    # -- what arrived -------------------------------------------------------------------------

    @property
    def requests(self) -> list[RecordedRequest]:
        """Every request so far, oldest first, secrets redacted."""
        return self.journal.records()

    def count(self, method: str, path: str) -> int:
        """Return how many requests with this method arrived at this path."""
        return sum(r.method == method and r.path == path for r in self.requests)

    # -- faults -------------------------------------------------------------------------------

    def add_fault(self, *, times: int | None = 1, **fault: Any) -> object:
        """Let the next ``times`` matching requests fail as :class:`Fault` describes.

        Return a handle for ``fault_queue.remove``.

        :raises ValueError: if the fault makes no sense.
        """
        return self.fault_queue.add(make_fault(fault), times)

    @contextmanager
    def faults(self, *, times: int | None = 1, **fault: Any) -> Iterator[None]:
        """Like :meth:`add_fault`; what is left at the end of the ``with`` block is dropped.

        :raises ValueError: if the fault makes no sense.
        """
        handle = self.add_fault(times=times, **fault)
        try:
            yield
        finally:
            self.fault_queue.remove(handle)

    # -- keys ---------------------------------------------------------------------------------

    def issue_key(
        self,
        *,
        openrouter_user_id: str | EllipsisType | None = ...,
        limit: float | None = None,
        usage: float = 0.0,
        key_label: str = "issued by hand",
    ) -> str:
        """Return a live key without any login. ``limit`` and ``usage`` are in USD.

        :raises ValueError: if ``limit`` or ``usage`` is not an amount.
        """
        _check_amounts(limit, usage)
        if isinstance(openrouter_user_id, EllipsisType):
            openrouter_user_id = self._config.openrouter_user_id
        request = AuthorizationRequest(limit=limit, key_label=key_label)
        api_key = self.ledger.issue_key(request, openrouter_user_id, self.now())
        if usage:
            self.set_key(api_key, usage=usage)
        return api_key

    def revoke(self, api_key: str) -> None:
        """Let a key die: from now on it is answered 401.

        :raises LookupError: if the emulator has not issued it.
        """
        self.ledger.revoke(fingerprint(api_key))

    def set_key(
        self,
        api_key: str,
        *,
        limit: float | EllipsisType | None = ...,
        usage: float | EllipsisType = ...,
    ) -> None:
        """Set what a key may spend and has spent, in USD; ``limit=None`` lifts the limit.

        :raises LookupError: if the emulator has not issued it.
        :raises ValueError: if ``limit`` or ``usage`` is not an amount.
        """
        self.set_key_by_hash(fingerprint(api_key), limit=limit, usage=usage)

    def set_key_by_hash(
        self,
        key_hash: str,
        *,
        limit: float | EllipsisType | None = ...,
        usage: float | EllipsisType = ...,
    ) -> None:
        """Like :meth:`set_key`, for a key of which only the SHA-256 is known.

        :raises LookupError: if the emulator has not issued it.
        :raises ValueError: if ``limit`` or ``usage`` is not an amount.
        """
        _check_amounts(limit, usage)
        self.ledger.set_key(key_hash, limit=limit, usage=usage, now=self.now())

    # -- the visitor --------------------------------------------------------------------------

    def approve(self, authorization_url: str) -> str:
        """Act as a visitor who approves. Return where the browser is sent: the callback + code.

        :raises ValueError: if the emulator shows a page instead of sending the browser back.
        """
        return visitor.follow(self._visited_app(), authorization_url, "approve")

    def deny(self, authorization_url: str) -> str:
        """Act as a visitor who denies. Return where the browser is sent.

        :raises ValueError: if the emulator shows a page instead of sending the browser back.
        """
        return visitor.follow(self._visited_app(), authorization_url, "deny")

    def approve_headless(self, authorization_url: str) -> str:
        """Act as a visitor who approves a request without callback. Return the code shown.

        :raises ValueError: if the emulator shows no code.
        """
        return visitor.read_code(self._visited_app(), authorization_url)

    def _visited_app(self) -> visitor.WSGIApp:
        if self.wsgi_app is None:
            raise RuntimeError("This emulator has no app. Use create_emulator_app().")
        return self.wsgi_app


def get_emulator() -> Emulator:
    """Return the emulator of the current app."""
    emulator: Emulator = current_app.extensions[EXTENSION_KEY]
    return emulator


def make_fault(values: Mapping[str, Any]) -> Fault:
    """Return the fault with these values.

    :raises ValueError: if they make no sense.
    """
    try:
        return Fault(**values)
    except TypeError:
        unknown = set(values) - set(Fault.__dataclass_fields__)
        raise ValueError(f"a fault has no {', '.join(sorted(unknown))}") from None


def _check_amounts(limit: float | EllipsisType | None, usage: float | EllipsisType) -> None:
    if limit not in (None, ...) and not is_amount(limit):
        raise ValueError("limit must be an amount in USD, zero or more, or None")
    if usage is not ... and not is_amount(usage):
        raise ValueError("usage must be an amount in USD, zero or more")
