"""A session that is SameSite=Strict, in a real browser: OpenRouter sends visitors without it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from flask import Flask, session
from live_app import live
from tab import Site, Tab

from flask_openrouter import OpenRouterAuth, current_openrouter, requires_openrouter_key
from flask_openrouter.emulator import run_in_thread

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the test dependencies")

PAGE = """<!doctype html><html lang="en"><title>App</title><link rel="icon" href="data:,">
<p>{} is {}.</p>"""


def create_app(base_url: str, without_session: list[str]) -> Flask:
    app = Flask("strict")
    app.config.update(
        SECRET_KEY=secrets.token_hex(),
        OPENROUTER_BASE_URL=base_url,
        OPENROUTER_EMULATOR=True,
        OPENROUTER_STORAGE_URI="memory://",
        SESSION_COOKIE_SAMESITE="Strict",
    )
    auth = OpenRouterAuth(app)

    @auth.owner_loader
    def user() -> str | None:
        user_id: str | None = session.get("user_id")
        if user_id is None:
            without_session.append("a request")
        return user_id

    @app.get("/sign-in")
    def sign_in() -> str:
        session["user_id"] = "ada"
        return PAGE.format("ada", "signed in")

    @app.get("/guarded")
    @requires_openrouter_key
    def guarded() -> str:
        return PAGE.format(session["user_id"], f"connected with {current_openrouter.masked_key}")

    return app


@pytest.fixture(scope="module")
def without_session() -> list[str]:
    """One entry for each time that the app was asked for a user and had no session."""
    return []


@pytest.fixture(scope="module")
def site(without_session: list[str]) -> Iterator[Site]:
    # The app is on "localhost", and OpenRouter on 127.0.0.1: two sites.
    with (
        run_in_thread() as emulator,
        live(create_app(emulator.url, without_session), "localhost") as url,
    ):
        yield Site(url, emulator)


@pytest.mark.requirement("F23", "R28")
def test_a_user_with_a_strict_session_ends_on_the_page(
    tab: Tab, site: Site, without_session: list[str]
) -> None:
    assert "127.0.0.1" in site.emulator.url
    page = tab.page
    page.goto(f"{site.app_url}/sign-in")
    page.goto(f"{site.app_url}/guarded")
    assert without_session == []
    page.get_by_role("button", name="Approve").click()
    page.wait_for_url(f"{site.app_url}/guarded")
    sync_api.expect(page.locator("body")).to_contain_text("ada is connected with sk-or-v1-")
    # The browser did withhold the session, so the page in between was needed.
    assert without_session != []
    assert site.emulator.count("POST", "/api/v1/auth/keys") == 1
