"""The pages of the example app: their content, and the rules that all of them obey."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import requests
from chat_visitor import ORIGIN, ChatVisitor, begin_of, example_at
from flask import Flask
from live_app import live

from example_app import create_app
from example_app.database import opened
from flask_openrouter.emulator import run_in_thread
from flask_openrouter.errors import ConfigurationError


class _Page(HTMLParser):
    """A parsed page, for checks against a strict Content-Security-Policy."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inline = ""
        self._open = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag

    def handle_data(self, data: str) -> None:
        if self._open in ("script", "style"):
            self.inline += data.strip()


def test_the_welcome_page_explains_the_app_and_offers_to_connect(visitor: ChatVisitor) -> None:
    page = visitor.get("/")
    assert page.status_code == 200
    assert 'href="/openrouter/login?next=/"' in page.text
    assert "emulated" in page.text
    (lead,) = re.findall(r'<p class="lead">(.*?)</p>', page.text, re.S)
    assert lead.count(".") == 2, "two sentences: what connecting means, what the app can do"
    assert "$5" in lead


def test_the_extensions_pages_are_in_the_language_of_the_app(visitor: ChatVisitor) -> None:
    page = visitor.get("/openrouter/callback", **{"Accept-Language": "de"})
    assert "This link is not complete" in page.text


def test_connecting_leads_back_to_the_requested_page(visitor: ChatVisitor) -> None:
    page = visitor.get("/c/somewhere")
    assert 'href="/openrouter/login?next=/c/somewhere"' in page.text
    assert visitor.connect().location == "/"
    page = visitor.get("/")
    assert 'id="prompt"' in page.text
    assert re.search(r"sk-or-v1-…\w{4}<", page.text)


def test_the_account_page_links_to_the_key_and_explains_disconnecting(
    connected: ChatVisitor,
) -> None:
    page = connected.get("/account").text
    assert f'href="{connected.emulator.url}/keys/' in page
    assert f'href="{connected.emulator.url}/logs?api_key_hash=' in page
    assert "<strong>not</strong> deleted at OpenRouter" in page


def test_disconnecting_explains_that_the_key_still_exists(connected: ChatVisitor) -> None:
    conversation = connected.converse("hello")
    response = connected.post("/account/disconnect")
    assert response.status_code == 303
    page = connected.get(response.location).text
    assert "key still exists at OpenRouter" in page
    assert re.search(rf'href="{connected.emulator.url}/keys/[0-9a-f]{{64}}"', page)
    assert "conversations are kept" in page
    assert 'id="prompt"' not in connected.get("/").text
    connected.connect()
    assert len(connected.exported(conversation)) == 2


def test_disconnecting_can_delete_the_conversations(connected: ChatVisitor) -> None:
    conversation = connected.converse("hello")
    response = connected.post("/account/disconnect", data={"delete": "1"})
    assert "conversations are deleted" in connected.get(response.location).text
    connected.connect()
    assert connected.get(f"/c/{conversation}").status_code == 404


def test_the_disconnected_page_links_to_openrouter_only(visitor: ChatVisitor) -> None:
    page = visitor.get("/disconnected?key=../evil").text
    assert "evil" not in page
    assert "/settings/keys" in page


def test_error_pages_link_back_to_the_chat(connected: ChatVisitor) -> None:
    for path, status, words in (
        ("/nowhere", 404, "Nothing here"),
        ("/ask", 405, "Back to the chat"),
    ):
        page = connected.get(path)
        assert page.status_code == status
        assert words in page.text
        assert connected.fetch(path).get_json()["message"]


def test_a_database_failure_is_explained(connected: ChatVisitor, app: Flask) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False
    with opened(app.config["CHAT_DATABASE"]) as db:
        db.execute("DROP TABLE message")
        response = connected.ask()
        db.execute("DROP TABLE conversation")
    assert response.status_code == 500
    assert "been logged" in response.get_json()["message"]
    page = connected.get("/")
    assert page.status_code == 500
    assert "Something broke" in page.text


def test_the_health_of_the_server_can_be_checked(visitor: ChatVisitor) -> None:
    assert visitor.get("/health").get_json() == {"status": "ok"}


@pytest.mark.requirement("R57")
def test_pages_obey_their_own_policy(connected: ChatVisitor, app: Flask) -> None:
    stranger = ChatVisitor(app, connected.emulator)
    conversation = connected.converse("![](https://evil.example/x.png) `code`")
    paths = ("/", f"/c/{conversation}", "/usage", "/account", "/disconnected", "/nowhere")
    for page in (*map(connected.get, paths), stranger.get("/")):
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert page.headers["Cache-Control"] == "no-store"
        assert "Referrer-Policy" in page.headers
        found = _Page(page.text)
        assert found.inline == ""
        for tag, attributes in found.tags:
            assert not [name for name in attributes if name.startswith("on") or name == "style"]
            assert str(attributes.get("src") or "/").startswith("/")
            href = str(attributes.get("href") or "/")
            assert href.startswith("/") or tag == "a", "pages load nothing from elsewhere"


def test_the_extension_keeps_its_stricter_policy(visitor: ChatVisitor) -> None:
    page = visitor.get("/openrouter/callback")
    assert page.status_code == 400
    assert "script-src" not in page.headers["Content-Security-Policy"]
    assert page.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.requirement("R67")
def test_the_key_never_reaches_the_browser(connected: ChatVisitor) -> None:
    api_key = connected.api_key
    assert api_key.startswith("sk-or-v1-")
    asked = connected.ask()
    for response in (
        asked,
        connected.ask(json={}),
        connected.fetch("/models"),
        connected.get("/openrouter/status"),
        *map(connected.get, ("/", "/usage", "/account", begin_of(asked)["url"])),
    ):
        assert api_key not in response.get_data(as_text=True) + str(response.headers)


def test_the_session_is_host_bound_on_https_only(tmp_path: Path) -> None:
    """A sibling host cannot plant a cookie with this name."""
    for proxies, base_url, host, name in (
        (1, "https://chat.example", "chat.example", "__Host-session"),
        (0, ORIGIN, "localhost", "session"),
    ):
        app = example_at("http://127.0.0.1:9", tmp_path, CHAT_PROXIES=proxies)
        client = app.test_client()
        response = client.get("/", base_url=base_url)
        assert ("max-age" in response.headers.get("Strict-Transport-Security", "")) is (
            name != "session"
        )
        with client.session_transaction(base_url=base_url) as session:
            session["kept"] = True
        cookie = client.get_cookie(name, domain=host)
        assert cookie is not None
        assert cookie.secure is (name != "session")


def test_proxy_headers_are_trusted_only_if_configured(tmp_path: Path) -> None:
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "chat.example"}
    for proxies, scheme in ((0, "http"), (1, "https")):
        app = example_at("http://127.0.0.1:9", tmp_path, CHAT_PROXIES=proxies)
        response = app.test_client().get("/openrouter/login", base_url=ORIGIN, headers=forwarded)
        name = "__Host-openrouter." if scheme == "https" else "openrouter."
        assert response.headers["Set-Cookie"].startswith(name)


@pytest.mark.requirement("R107")
def test_app_and_emulator_share_localhost(tmp_path: Path) -> None:
    """Ports do not separate cookies. The shared cookie jar must not break the app's session."""
    with (
        run_in_thread(host="localhost") as emulator,
        live(example_at(emulator.url, tmp_path), "localhost") as origin,
        requests.Session() as browser,
    ):
        consent = browser.get(f"{origin}/openrouter/login?next=/")
        assert consent.url.startswith(f"{emulator.url}/auth?")
        (login,) = [name for name in browser.cookies.get_dict() if name.startswith("openrouter.")]
        login_before = browser.cookies[login]
        (hidden,) = re.findall(r'name="consent" value="([^"]+)"', consent.text)
        form = {"consent": hidden, "decision": "approve"}
        chat = browser.post(f"{emulator.url}/auth", data=form)
        assert login_before != browser.cookies[login]
        assert chat.url == f"{origin}/"
        assert "sk-or-v1-…" in chat.text


@pytest.mark.requirement("R109")
def test_without_a_secret_key_the_app_does_not_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("FLASK_SECRET_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="SECRET_KEY"):
        create_app({"CHAT_DATABASE": str(tmp_path / "chat.db")})


def test_settings_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FLASK_SECRET_KEY", "from the environment, long enough to be one")
    monkeypatch.setenv("FLASK_OPENROUTER_KEY_LABEL", "mine")
    monkeypatch.setenv("FLASK_CHAT_DATABASE", str(tmp_path / "new" / "chat.db"))
    app = create_app()
    assert app.config["OPENROUTER_KEY_LABEL"] == "mine"
    assert not app.debug
    assert (tmp_path / "new" / "chat.db").stat().st_mode & 0o777 == 0o600


def test_browsers_may_cache_style_sheets(visitor: ChatVisitor) -> None:
    with visitor.get("/static/base.css") as answered:
        assert answered.headers.get("Cache-Control") != "no-store"
