"""The handle of one emulator: everything that a test may do to it."""

from __future__ import annotations

import html
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import EllipsisType
from typing import Any, Final
from urllib.parse import urlsplit

from flask import current_app
from werkzeug.test import Client, TestResponse

from .amounts import MAX_USD, is_amount, is_usd
from .authorization import AuthorizationRequest
from .config import EmulatorConfig
from .faults import FaultQueue, QueuedFault
from .generations import Generations
from .journal import Journal, RecordedRequest
from .labels import MAX_LABEL_LENGTH, is_label
from .ledger import Ledger, fingerprint
from .named_faults import make_fault

EXTENSION_KEY = "openrouter_emulator"
#: Path of the control API and of the pages' style sheet. Requests there are neither recorded nor
#: hit by faults.
CONTROL_PREFIX = "/_emulator/"
#: How far the clock can be advanced, in seconds. Dates after the year 9999 cannot be shown.
MAX_CLOCK_OFFSET = 100 * 366 * 86_400.0

_HIDDEN_CONSENT = re.compile(r'name="consent" value="([^"]+)"')
_SHOWN_CODE = re.compile(r'id="code"[^>]*>([^<]+)<')


class Emulator:
    """The handle of one emulator: control, inspection, and a visitor without a browser.

    The control API under ``/_emulator/`` calls the same methods. Every method may be called from
    any thread.
    """

    def __init__(self, config: EmulatorConfig | None = None) -> None:
        self.ledger: Final = Ledger()
        self.journal: Final = Journal()
        self.generations: Final = Generations()
        self.fault_queue: Final = FaultQueue()
        self.closing: Final = threading.Event()
        self.wsgi_app: Callable[..., Any] | None = None
        self._first_config = config or EmulatorConfig()
        self._config = self._first_config
        self._lock = threading.Lock()
        self._clock_offset = 0.0
        self._url: str | None = None

    # -- address and settings -----------------------------------------------------------------

    @property
    def url(self) -> str:
        """Origin of the emulator, such as ``http://127.0.0.1:54321``: the app's base URL.

        :raises RuntimeError: if the emulator is not being served.
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
        """Change settings of :class:`EmulatorConfig` while the emulator runs.

        :raises ValueError: if a name or value is not a setting.
        """
        with self._lock:
            self._config = self._config.changed(changes)

    @contextmanager
    def configured(self, **changes: Any) -> Iterator[None]:
        """Change settings for the duration of a ``with`` block.

        What :meth:`configure` changes meanwhile stays changed.

        :raises ValueError: if a name or value is not a setting.
        """
        with self._lock:
            before = self._config
            self._config = changed = before.changed(changes)
        try:
            yield
        finally:
            with self._lock:
                restored = {
                    name: getattr(before, name)
                    for name in changes
                    if getattr(self._config, name) == getattr(changed, name)
                }
                self._config = self._config.changed(restored)

    def reset(self) -> None:
        """Drop codes, keys, records and faults; restore the first settings and the clock."""
        self.ledger.clear()
        self.journal.clear()
        self.generations.clear()
        self.fault_queue.clear()
        with self._lock:
            self._config = self._first_config
            self._clock_offset = 0.0

    # -- time ---------------------------------------------------------------------------------

    def now(self) -> float:
        """Return the emulator's time, in seconds since the epoch."""
        return self._config.clock() + self._clock_offset

    def advance_clock(self, seconds: float) -> None:
        """Move the clock forward by ``seconds``, so that codes and keys grow older.

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
        """Wait for ``seconds``, or until the server stops."""
        if seconds:
            self.closing.wait(seconds)

    # -- recorded requests --------------------------------------------------------------------

    @property
    def requests(self) -> list[RecordedRequest]:
        """Every request so far, oldest first, secrets redacted."""
        return self.journal.records()

    def count(self, method: str, path: str) -> int:
        """Return the number of requests with this method and path."""
        return sum(r.method == method and r.path == path for r in self.requests)

    # -- faults -------------------------------------------------------------------------------

    def faults(
        self, name: str | None = None, /, *, times: int | EllipsisType | None = ..., **fault: Any
    ) -> QueuedFault:
        """Let the next ``times`` matching requests fail, by name or as ``Fault`` describes.

        ``name`` is one of ``NAMED_FAULTS``, such as ``"relayed_401"``; further arguments change the
        named fault, such as ``path``. ``times`` is 1 unless the named fault says otherwise; with
        ``None`` all matching requests fail. Return a handle with ``remove()``. As a context
        manager, the fault ends with the ``with`` block at the latest.

        :raises ValueError: if the fault is invalid.
        """
        now = self.now()
        made, default = make_fault(fault.pop("name", name), fault, now)
        return self.fault_queue.add(
            made, default if isinstance(times, EllipsisType) else times, now=now
        )

    def add_fault(
        self, name: str | None = None, /, *, times: int | EllipsisType | None = ..., **fault: Any
    ) -> QueuedFault:
        """Like :meth:`faults`, for a fault that ends by itself.

        :raises ValueError: if the fault is invalid.
        """
        return self.faults(name, times=times, **fault)

    # -- keys ---------------------------------------------------------------------------------

    def issue_key(
        self,
        *,
        openrouter_user_id: str | EllipsisType | None = ...,
        limit: float | None = None,
        usage: float = 0.0,
        key_label: str = "issued by hand",
    ) -> str:
        """Return a live key without a login. ``limit`` and ``usage`` are in USD.

        :raises ValueError: if ``limit`` or ``usage`` is not an amount, or another value is not a
            short text.
        """
        _check_amounts(limit, usage)
        if isinstance(openrouter_user_id, EllipsisType):
            openrouter_user_id = self._config.openrouter_user_id
        for name, value in (("openrouter_user_id", openrouter_user_id), ("key_label", key_label)):
            is_unnamed = value is None and name == "openrouter_user_id"
            if not is_unnamed and not is_label(value):
                raise ValueError(f"{name} must be text of at most {MAX_LABEL_LENGTH} characters")
        request = AuthorizationRequest(limit=limit, key_label=key_label)
        api_key = self.ledger.issue_key(request, openrouter_user_id)
        if usage:
            self.set_key(api_key, usage=usage)
        return api_key

    def revoke(self, api_key: str) -> None:
        """Revoke a key: requests with it get 401 from now on.

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
        """Set the limit and usage of a key in USD; ``limit=None`` removes the limit.

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
        """Like :meth:`set_key`, for a caller that knows only the SHA-256 of the key.

        :raises LookupError: if the emulator has not issued it.
        :raises ValueError: if ``limit`` or ``usage`` is not an amount.
        """
        _check_amounts(limit, usage)
        self.ledger.set_key(key_hash, limit=limit, usage=usage, now=self.now())

    # -- the visitor --------------------------------------------------------------------------

    def approve(self, authorization_url: str) -> str:
        """Act as a visitor who approves. Return the redirect target: callback URL and code.

        :raises ValueError: if the emulator shows a page instead of redirecting.
        """
        return self._follow(authorization_url, "approve")

    def deny(self, authorization_url: str) -> str:
        """Act as a visitor who denies. Return the redirect target.

        :raises ValueError: if the emulator shows a page instead of redirecting.
        """
        return self._follow(authorization_url, "deny")

    def approve_headless(self, authorization_url: str) -> str:
        """Act as a visitor who approves a request without callback URL. Return the code shown.

        :raises ValueError: if the emulator shows no code.
        """
        response = self._decide(authorization_url, "approve")
        code = _SHOWN_CODE.search(response.text)
        if response.status_code != 200 or code is None:
            raise ValueError(_refusal(response))
        return html.unescape(code[1])

    def _follow(self, authorization_url: str, decision: str) -> str:
        response = self._decide(authorization_url, decision)
        if response.status_code != 303:
            raise ValueError(_refusal(response))
        return response.headers["Location"]

    def _decide(self, authorization_url: str, decision: str) -> TestResponse:
        """Open the consent page and press a button, as a person would."""
        if self.wsgi_app is None:
            raise RuntimeError("This emulator has no app. Use create_emulator_app().")
        parts = urlsplit(authorization_url)
        base_url = f"{parts.scheme}://{parts.netloc}"
        browser = Client(self.wsgi_app)
        page = browser.get(parts.path, base_url=base_url, query_string=parts.query)
        consent = _HIDDEN_CONSENT.search(page.text)
        if page.status_code != 200 or consent is None:
            raise ValueError(_refusal(page))
        form = {"consent": consent[1], "decision": decision}
        return browser.post("/auth", base_url=base_url, data=form)


def get_emulator() -> Emulator:
    """Return the emulator of the current app."""
    emulator: Emulator = current_app.extensions[EXTENSION_KEY]
    return emulator


def _check_amounts(limit: float | EllipsisType | None, usage: float | EllipsisType) -> None:
    if limit is not None and limit is not ... and not is_usd(limit):
        raise ValueError(f"limit must be an amount from 0 to {MAX_USD} USD, or None")
    if usage is not ... and not is_usd(usage):
        raise ValueError(f"usage must be an amount from 0 to {MAX_USD} USD")


def _refusal(response: TestResponse) -> str:
    shown = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", response.text)).split())
    return f"The emulator answered {response.status_code} instead: {shown[:500]}"
