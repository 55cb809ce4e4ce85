"""The example app as its visitor meets it: pages, chat, and who may spend."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
import requests
from chat_visitor import ORIGIN, ChatVisitor, example_at, parts_of, served, text_of
from flask import Flask

from example_app import create_app
from example_app.conversation import MAX_ANSWER, MAX_MESSAGES, MAX_PROMPT, MAX_TOTAL
from flask_openrouter.emulator import run_in_thread
from flask_openrouter.errors import ConfigurationError

HOSTILE = (
    "<img src=x onerror=alert(1)> [x](javascript:alert(1)) ![](https://evil.example/?d=1)"
    " </script><script>alert(1)</script> {{7*7}}"
)


class _Page(HTMLParser):
    """What a strict Content-Security-Policy is about: everything that runs or loads."""

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


def test_a_new_visitor_is_told_what_this_is_and_can_connect(visitor: ChatVisitor) -> None:
    page = visitor.get("/")
    assert page.status_code == 200
    assert 'href="/openrouter/login?next=/"' in page.text
    assert "emulated" in page.text


def test_connecting_leads_back_to_the_chat(visitor: ChatVisitor) -> None:
    assert visitor.connect().location == "/"
    page = visitor.get("/").text
    assert 'id="prompt"' in page
    assert re.search(r"sk-or-v1-…\w{4}<", page)
    assert f'href="{visitor.emulator.url}/keys/' in page
    assert '<form id="disconnect" method="post" action="/openrouter/disconnect">' in page


def test_disconnecting_leads_to_a_page_without_chat(connected: ChatVisitor) -> None:
    assert connected.post("/openrouter/disconnect").status_code == 303
    assert 'id="prompt"' not in connected.get("/").text


def test_an_answer_arrives_in_pieces_with_its_cost(connected: ChatVisitor) -> None:
    answer = connected.ask("What is PKCE?")
    assert answer.mimetype == "application/x-ndjson"
    assert answer.headers["Cache-Control"] == "no-store"
    parts = parts_of(answer)
    assert sum("text" in part for part in parts) > 5
    assert "What is PKCE?" in text_of(answer)
    assert parts[-2]["cost"] >= 0
    assert parts[-1] == {"done": True, "cut": False}
    assert connected.completions == 1


def test_models_are_listed_by_name(connected: ChatVisitor) -> None:
    models = connected.fetch("/models").get_json()["models"]
    assert len(models) > 3
    assert all(set(model) == {"id", "name"} for model in models)
    assert models == sorted(models, key=lambda model: model["name"].casefold())


def test_without_a_key_nothing_is_asked(visitor: ChatVisitor) -> None:
    answer = visitor.ask()
    assert answer.status_code == 401
    assert "/openrouter/login" in answer.get_json()["login_url"]
    assert visitor.fetch("/models").status_code == 401
    assert visitor.completions == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:4000"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost:4000"},
        {"Origin": "null"},
    ],
)
def test_r108_a_foreign_page_cannot_spend(connected: ChatVisitor, headers: dict[str, str]) -> None:
    assert connected.ask(headers=headers).status_code == 403
    assert connected.completions == 0


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_r108_only_json_can_spend(connected: ChatVisitor, content_type: str) -> None:
    """A form on another site can send these three; JSON needs a preflight, which fails."""
    body = '{"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "hi"}]}'
    answer = connected.ask(json=None, data=body, content_type=content_type)
    assert answer.status_code == 415
    assert connected.completions == 0
    preflight = connected.client.options("/chat", base_url=ORIGIN)
    assert "Access-Control-Allow-Origin" not in preflight.headers


def test_r108_get_spends_nothing(connected: ChatVisitor) -> None:
    assert connected.get("/chat?prompt=x").status_code == 405
    assert connected.completions == 0


def test_r108_hostile_text_of_a_model_stays_text(connected: ChatVisitor) -> None:
    """The emulator's models quote the question, so the question is what the model says."""
    answer = connected.ask(HOSTILE)
    assert HOSTILE in text_of(answer)
    assert answer.mimetype == "application/x-ndjson"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


USER = {"role": "user", "content": "hi"}
ASSISTANT = {"role": "assistant", "content": "hello"}


@pytest.mark.parametrize(
    ("model", "messages", "words"),
    [
        ("m", [], "Write a message"),
        ("m", "hi", "Write a message"),
        ("m", [{"role": "user", "content": "  "}], "Write a message"),
        ("m", [USER, ASSISTANT], "Write a message"),
        ("m", [{"role": "system", "content": "hi"}], "could not be read"),
        ("m", [{"role": "user", "content": ["hi"]}], "could not be read"),
        ("m", ["hi"], "could not be read"),
        ("m", [{"role": "user", "content": "x" * (MAX_PROMPT + 1)}], "at most 8,000"),
        ("m", [{"role": "assistant", "content": "x" * (MAX_ANSWER + 1)}, USER], "at most"),
        ("m", [USER] * (MAX_MESSAGES + 1), "too long"),
        ("m", [{"role": "user", "content": "x" * 8000}] * (MAX_TOTAL // 8000 + 1), "too long"),
        ("", [USER], "Choose a model"),
        (None, [USER], "Choose a model"),
        ("no spaces please", [USER], "Choose a model"),
        ("m" * 300, [USER], "Choose a model"),
    ],
)
def test_r109_what_is_no_conversation_spends_nothing(
    connected: ChatVisitor, model: object, messages: object, words: str
) -> None:
    answer = connected.ask(json={"model": model, "messages": messages})
    assert answer.status_code == 400
    assert words in answer.get_json()["message"]
    assert connected.completions == 0


@pytest.mark.parametrize("body", ["[]", "nonsense", "", '"hi"'])
def test_json_of_another_kind_is_refused(connected: ChatVisitor, body: str) -> None:
    answer = connected.ask(json=None, data=body, content_type="application/json")
    assert answer.status_code == 400
    assert "could not be read" in answer.get_json()["message"]


def test_the_longest_prompt_passes(connected: ChatVisitor) -> None:
    assert connected.ask("x" * MAX_PROMPT).status_code == 200


def test_a_huge_body_is_refused_before_it_is_read(connected: ChatVisitor) -> None:
    answer = connected.ask(json=None, data=b"x" * 600_000, content_type="application/json")
    assert answer.status_code == 413
    assert connected.completions == 0


def test_r57_pages_obey_their_own_policy(connected: ChatVisitor, app: Flask) -> None:
    stranger = ChatVisitor(app, connected.emulator)
    for page in (connected.get("/"), stranger.get("/")):
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
            for address in (attributes.get("src"), attributes.get("href")):
                own = address is None or address.startswith("/")
                assert own or (tag == "a" and str(address).startswith(connected.emulator.url))


def test_the_extension_keeps_its_stricter_policy(visitor: ChatVisitor) -> None:
    page = visitor.get("/openrouter/callback")
    assert page.status_code == 400
    assert "script-src" not in page.headers["Content-Security-Policy"]
    assert page.headers["Referrer-Policy"] == "no-referrer"


def test_r67_the_key_never_reaches_the_browser(connected: ChatVisitor) -> None:
    api_key = connected.api_key
    assert api_key.startswith("sk-or-v1-")
    for answer in (
        connected.get("/"),
        connected.fetch("/models"),
        connected.ask(),
        connected.ask(json={}),
        connected.get("/openrouter/status"),
    ):
        assert api_key not in answer.get_data(as_text=True) + str(answer.headers)


def test_r107_app_and_emulator_share_localhost() -> None:
    """Ports do not separate cookies: one jar for both must not cost the app its session."""
    with (
        run_in_thread(host="localhost") as emulator,
        served(example_at(emulator.url)) as origin,
        requests.Session() as browser,
    ):
        origin = origin.replace("127.0.0.1", "localhost")
        consent = browser.get(f"{origin}/openrouter/login?next=/")
        assert consent.url.startswith(f"{emulator.url}/auth?")
        session_before = browser.cookies["session"]
        (hidden,) = re.findall(r'name="consent" value="([^"]+)"', consent.text)
        form = {"consent": hidden, "decision": "approve"}
        chat = browser.post(f"{emulator.url}/auth", data=form)
        assert session_before
        assert chat.url == f"{origin}/"
        assert "sk-or-v1-…" in chat.text


def test_r109_without_a_secret_key_it_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLASK_SECRET_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="SECRET_KEY"):
        create_app()


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_SECRET_KEY", "from the environment, long enough to be one")
    monkeypatch.setenv("FLASK_OPENROUTER_KEY_LABEL", "mine")
    app = create_app()
    assert app.config["OPENROUTER_KEY_LABEL"] == "mine"
    assert not app.debug
