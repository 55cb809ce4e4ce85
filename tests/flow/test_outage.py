"""OpenRouter answers 401 to everything for ten minutes, in front of fifty visitors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask, Response, render_template_string, stream_with_context
from stored_apps import StoredApps
from visitor import Visitor

from flask_openrouter import current_openrouter, requires_openrouter_key
from flask_openrouter.client import read_stream
from flask_openrouter.emulator import Emulator

EXCHANGE = "/api/v1/auth/keys"
MINUTES = 10
MODEL, QUESTION = "openai/gpt-4o-mini", [{"role": "user", "content": "Hello?"}]
ASKED: Any = {"model": MODEL, "messages": QUESTION}


def by_session() -> str:
    current_openrouter.session.post("chat/completions", json=ASKED).raise_for_status()
    return "answered"


def by_openai() -> str:
    with current_openrouter.openai(max_retries=0) as client:
        client.chat.completions.create(**ASKED)
    return "answered"


def by_sdk() -> str:
    with current_openrouter.sdk() as client:
        client.chat.send(**ASKED)
    return "answered"


def by_stream() -> Response:
    def words() -> Iterator[str]:
        yield "begun "
        reply = current_openrouter.session.post(
            "chat/completions", json={**ASKED, "stream": True}, stream=True
        )
        yield from read_stream(reply).iter_text()

    return Response(stream_with_context(words()))


VIEWS: dict[str, Any] = {
    "/session": by_session,
    "/openai": by_openai,
    "/sdk": by_sdk,
    "/stream": by_stream,
    "/info": lambda: str(current_openrouter.key_info().limit),
    "/meter": lambda: render_template_string("{{ openrouter_usage() }}"),
}
#: The pages that a visitor may have open. The last one belongs to the extension.
PAGES = (*VIEWS, "/openrouter/usage")


class Site:
    """An app with visitors who have connected, in front of an OpenRouter with an outage."""

    def __init__(self, app: Flask, emulator: Emulator, clock: Any, visitors: int) -> None:
        app.config["PROPAGATE_EXCEPTIONS"] = False
        for path, view in VIEWS.items():
            app.add_url_rule(path, path[1:], requires_openrouter_key(view))
        self.emulator, self.clock = emulator, clock
        self.visitors = [Visitor(app) for _ in range(visitors)]
        for visitor in self.visitors:
            visitor.connect(emulator)
        self.keys = [visitor.key for visitor in self.visitors]

    @property
    def minted(self) -> int:
        """The number of keys that the exchange has issued."""
        exchanges = [each for each in self.emulator.requests if each.path == EXCHANGE]
        return sum(each.status == 200 for each in exchanges)

    def pass_time(self, seconds: int) -> None:
        self.clock.now += seconds
        self.emulator.advance_clock(seconds)

    def visit_all(self, minute: int) -> Counter[int]:
        """Let each visitor open a page, some at the same time; count the statuses."""

        def visit(number: int) -> int:
            page = PAGES[(number + minute) % len(PAGES)]
            response = self.visitors[number].get(page)
            try:
                response.get_data()
            except Exception:
                # The stream breaks off, because its response has begun.
                assert page == "/stream"
            return response.status_code

        with ThreadPoolExecutor(4) as threads:
            return Counter(threads.map(visit, range(len(self.visitors))))

    def consents_needed(self) -> int:
        """Let each visitor log in; return how many are sent to the consent page."""
        responses = [each.get("/openrouter/login?next=/session") for each in self.visitors]
        assert {each.status_code for each in responses} == {303}
        return sum("/auth?" in each.location for each in responses)


def check_that_nothing_was_lost(site: Site) -> None:
    assert site.minted == len(site.visitors)
    assert site.consents_needed() == 0
    assert [visitor.key for visitor in site.visitors] == site.keys
    assert site.visit_all(0) == {200: len(site.visitors)}


@pytest.mark.requirement("A1", "O3", "W15")
def test_an_outage_costs_no_key_and_no_consent(
    all_stored_apps: StoredApps, emulator: Emulator, clock: Any, every_variant: bool
) -> None:
    site = Site(all_stored_apps(), emulator, clock, 50 if every_variant else 2 * len(PAGES))
    emulator.faults("outage_401", lasts=60 * MINUTES)
    for minute in range(MINUTES):
        assert set(site.visit_all(minute)) <= {200, 303, 401}
        site.pass_time(60)
    site.pass_time(1)
    check_that_nothing_was_lost(site)


@pytest.mark.requirement("A1")
def test_a_login_that_the_outage_spoils_costs_no_key(
    stored_apps: StoredApps, emulator: Emulator, clock: Any
) -> None:
    """The visitors give their consent, and OpenRouter answers the exchange with 401, too."""
    site = Site(stored_apps(), emulator, clock, len(PAGES))
    with emulator.faults("outage_401"):
        site.visit_all(0)
        for visitor in site.visitors:
            approved = emulator.approve(visitor.start("/session"))
            assert visitor.get(approved).status_code == 502
            assert visitor.get("/session").status_code == 303
        site.pass_time(60 * MINUTES)
    check_that_nothing_was_lost(site)
