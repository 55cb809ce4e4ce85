"""A callback address on localhost is noticed at the start of an app in production."""

from __future__ import annotations

from typing import Any

import pytest
from cases import case

LIVE = {"TESTING": False, "OPENROUTER_BASE_URL": "https://openrouter.ai"}
PATH = "/openrouter/callback"


@pytest.mark.requirement("M1")
def test_a_callback_on_the_visitor_s_machine_is_logged(
    make_app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for settings, name in [
        ({"OPENROUTER_CALLBACK_URL": f"http://localhost:5000{PATH}"}, "OPENROUTER_CALLBACK_URL"),
        ({"OPENROUTER_CALLBACK_URL": f"https://127.0.0.1{PATH}"}, "OPENROUTER_CALLBACK_URL"),
        ({"OPENROUTER_CALLBACK_URL": f"http://[::1]:5000{PATH}"}, "OPENROUTER_CALLBACK_URL"),
        ({"SERVER_NAME": "localhost:5000"}, "SERVER_NAME"),
        ({"SERVER_NAME": "LOCALHOST"}, "SERVER_NAME"),
    ]:
        with case(settings):
            caplog.clear()
            make_app(**LIVE, **settings)
            (record,) = caplog.records
            assert record.levelname == "WARNING"
            assert record.getMessage().startswith(f"{name} is on this machine: OpenRouter sends")


@pytest.mark.requirement("M1")
def test_other_addresses_and_development_are_not_logged(
    make_app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    local = {"OPENROUTER_CALLBACK_URL": f"http://localhost:5000{PATH}"}
    for settings in [
        {**LIVE, "OPENROUTER_CALLBACK_URL": f"https://app.example{PATH}"},
        {**LIVE, "SERVER_NAME": "app.example"},
        # The callback address decides.
        {
            **LIVE,
            "OPENROUTER_CALLBACK_URL": f"https://app.example{PATH}",
            "SERVER_NAME": "localhost",
        },
        LIVE,
        {**local, "TESTING": True},
        {**local, "TESTING": False, "OPENROUTER_EMULATOR": True},
    ]:
        with case(settings):
            caplog.clear()
            make_app(**settings)
            assert caplog.records == []
