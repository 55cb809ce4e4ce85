"""The scripts of docs/frontend.md and docs/recipes.md in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from doc_blocks import ROOT, blocks
from flask import Flask, Response, render_template_string, request
from gallery import create_gallery
from live_app import live
from tab import Site, Tab

from flask_openrouter import (
    OpenRouterAuth,
    OpenRouterError,
    current_openrouter,
    requires_openrouter_key,
)
from flask_openrouter.emulator import run_in_thread

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the test dependencies")

PAGE = """<!doctype html>
<html lang="en">
<title>Front end</title>
<link rel="icon" href="data:,">
<script type="module" src="/{{ script }}.js"></script>
{{ openrouter_disconnect_button() if current_openrouter else openrouter_button() }}
"""
USE = """
document.addEventListener("keydown", async () => {
  const connected = await isConnected();
  const reply = await ask("Hello?");
  if (reply) document.body.append(`${connected} ${reply.answer}`);
});
"""
USE_STREAM = """
document.addEventListener("keydown", () =>
  stream("Hello?", (words) => document.body.append(words)).catch((error) => {
    document.body.append(error.message);
  }),
);
"""
POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; img-src data:; form-action 'self'"
)


def script(*marks: str, page_name: str = "frontend") -> str:
    """Return the blocks of the page that contain these words."""
    page = [b.code for b in blocks("js") if b.page == ROOT / "docs" / f"{page_name}.md"]
    return "".join(next(code for code in page if mark in code) for mark in marks)


def add_front_end(app: Flask) -> Flask:
    scripts = {
        "ask": script("isConnected", "ask(") + USE,
        "popup": script("BroadcastChannel"),
        "stream": script("getReader", page_name="recipes") + USE_STREAM,
    }

    @app.get("/front/<script>")
    def front(script: str) -> Response:
        page = render_template_string(PAGE, script=script)
        return Response(page, headers={"Content-Security-Policy": POLICY})

    @app.get("/<name>.js")
    def source(name: str) -> Response:
        return Response(scripts[name], mimetype="text/javascript")

    @app.post("/ask")
    @requires_openrouter_key
    def ask() -> dict[str, str]:
        return {"answer": "Hello!"}

    (view,) = [b for b in blocks("python") if "heartbeat=1" in b.code and "/stream" in b.code]
    names = {
        "app": app,
        "request": request,
        "OpenRouterAuth": lambda _: OpenRouterAuth(),  # the app has it already
        "OpenRouterError": OpenRouterError,
        "current_openrouter": current_openrouter,
        "requires_openrouter_key": requires_openrouter_key,
    }
    exec(compile(view.code, view.name, "exec"), names)  # noqa: S102 - our own documentation
    return app


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with run_in_thread() as emulator, live(add_front_end(create_gallery(emulator.url))) as url:
        yield Site(url, emulator)


def test_a_script_without_a_key_redirects_to_the_login_and_returns(tab: Tab, site: Site) -> None:
    tab.expected.append("status of 401")
    page = tab.page
    page.goto(f"{site.app_url}/front/ask")
    page.keyboard.press("a")
    page.get_by_role("button", name="Approve").click()
    page.wait_for_url(f"{site.app_url}/front/ask")
    page.keyboard.press("a")
    sync_api.expect(page.locator("body")).to_contain_text("true Hello!")


def test_a_popup_connects_and_the_page_notices(tab: Tab, site: Site) -> None:
    page = tab.page
    page.goto(f"{site.app_url}/front/popup")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Connect OpenRouter").click()
    popup = opened.value
    assert page.url == f"{site.app_url}/front/popup"
    with popup.expect_event("close"):
        popup.get_by_role("button", name="Approve").click()
    sync_api.expect(page.get_by_role("button", name="Disconnect")).to_be_visible()
    assert page.url == f"{site.app_url}/front/popup"


def test_a_script_shows_a_streamed_answer_and_its_end(tab: Tab, site: Site) -> None:
    tab.expected.extend(["status of 401", "Log in"])
    page, body = tab.page, tab.page.locator("body")
    page.goto(f"{site.app_url}/front/stream")
    page.keyboard.press("a")
    page.get_by_role("button", name="Approve").click()
    page.wait_for_url(f"{site.app_url}/front/stream")
    page.keyboard.press("a")
    sync_api.expect(body).to_contain_text("“Hello?”")
    site.emulator.add_fault(path="/api/v1/chat/completions", mid_stream=True, status=502)
    page.keyboard.press("a")
    sync_api.expect(body).to_contain_text("OpenRouter does not work right now")
