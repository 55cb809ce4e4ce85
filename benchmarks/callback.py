"""The callback: one exchange with a provider in another process, over HTTP and over TLS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

from flask import Flask

from .browser import Browser, approve, call
from .candidates import GUARDED, Candidate, all_candidates
from .provider import Provider, running_provider
from .report import Goal, Row
from .rounds import interleaved, median_time

NAME = "callback"

_HANG_UPS = 10


def run(rounds: int, quick: bool) -> list[Row]:
    """Measure the callback's call in milliseconds, and count what it costs in connections."""
    times = 10 if quick else 40
    return [*_over_http(rounds, times), *_over_tls(rounds, times)]


def _over_http(rounds: int, times: int) -> list[Row]:
    with running_provider(tls=False) as provider:
        meters = _meters(provider, times)
        figures = interleaved({name: one.measure for name, one in meters.items()}, rounds)
    return [
        Row("callback over HTTP", "ms", figures, base="floor"),
        _count("new connections per callback", meters, "connections"),
    ]


def _over_tls(rounds: int, times: int) -> list[Row]:
    with running_provider(tls=True) as provider:
        meters = _meters(provider, times)
        figures = interleaved({name: one.measure for name, one in meters.items()}, rounds)
        lost = {name: [one.lost()] for name, one in meters.items() if name != "bare"}
    what = f"of {_HANG_UPS} callbacks, each after the provider hung up: lost"
    return [
        Row("callback over TLS", "ms", figures, base="floor", goal=Goal(most=1.45)),
        _count("new TLS handshakes per callback", meters, "handshakes"),
        Row(what, "", lost, goal=Goal(most=0, of="value")),
    ]


def _meters(provider: Provider, times: int) -> dict[str, Meter]:
    meters = {
        name: Meter(candidate, provider, times)
        for name, candidate in all_candidates().items()
        if candidate.LOGIN is not None or name == "bare"
    }
    for meter in meters.values():
        meter.measure()  # Connects, and imports what only a login needs.
        meter.reset()
    return meters


class Meter:
    """Times the callbacks of one candidate and counts what the provider sees of them."""

    def __init__(self, candidate: Candidate, provider: Provider, times: int) -> None:
        self._candidate = candidate
        self._provider = provider
        self._times = times
        self._app = candidate.create_app(provider.url)
        self.reset()

    def reset(self) -> None:
        """Count from nought."""
        self.counts = {"connections": 0, "handshakes": 0, "exchanges": 0}

    def measure(self) -> float:
        """Return the median of some callbacks in ms. Raises RuntimeError if one failed."""
        before = self._provider.counts()
        calls = list(callback_calls(self._candidate, self._app, self._times))
        median = median_time(calls) / 1000
        after = self._provider.counts()
        for name in self.counts:
            self.counts[name] += getattr(after, name) - getattr(before, name)
        made = after.exchanges - before.exchanges
        if made != (0 if self._candidate.LOGIN is None else self._times):
            raise RuntimeError(
                f"{self._candidate.NAME}: {made} of {self._times} codes bought a key."
            )
        return median

    def lost(self) -> int:
        """Return how many callbacks bought no key because the kept connection had been closed.

        Raises RuntimeError if one of them sent its code twice.
        """
        before = self._provider.counts()
        for call_once in callback_calls(self._candidate, self._app, _HANG_UPS):
            self._provider.hang_up()
            with suppress(Exception):  # Whoever lets it pass has lost the login as well.
                call_once()
        after = self._provider.counts()
        if after.refused != before.refused:
            raise RuntimeError(f"{self._candidate.NAME} sent a code twice.")
        return _HANG_UPS - (after.exchanges - before.exchanges)


def callback_calls(candidate: Candidate, app: Flask, times: int) -> Iterator[Callable[[], object]]:
    """Yield calls of the callback, each the end of a login of its own; ``bare`` is a bare view."""
    for _ in range(times):
        browser = Browser(app)
        path = GUARDED
        if candidate.LOGIN is not None:
            path = approve(browser.get(candidate.LOGIN).location).callback
        yield partial(call, app, browser.environ(path))


def _count(what: str, meters: dict[str, Meter], name: str) -> Row:
    figures = {
        candidate: [meter.counts[name] / meter.counts["exchanges"]]
        for candidate, meter in meters.items()
        if candidate != "bare"
    }
    return Row(what, "", figures, goal=Goal(most=0, of="value"))
