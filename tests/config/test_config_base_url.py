"""The base URL: openrouter.ai, another provider by its own name, and nothing that looks alike.

Look-alikes are built in parts, because no file may contain them.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from project_files import texts
from visitor import NAVIGATE, Visitor

from flask_openrouter import OpenRouterAuth
from flask_openrouter.config import Settings
from flask_openrouter.errors import ConfigurationError

MakeApp = Callable[..., Flask]
LOOKALIKE_NAME = "open" + "roouter"
_A, _O = "\N{CYRILLIC SMALL LETTER A}", "\N{CYRILLIC SMALL LETTER O}"
FALSE_AUTHORITIES = (
    f"https://{LOOKALIKE_NAME}.ai", "https://openroute.ai", "https://open" + "-router.ai",
    "https://openrouter.ai.evil.example", "https://openrouter.ai@evil.example",
    "https://user:pass@openrouter.ai", "https://evil.example/openrouter.ai", "https://openrouter.ai.",
    "https://openrouter.ai:444", "http://openrouter.ai", "http://openrouter.ai:443",
    "https://0penrouter.ai", "https://openrouter.al", "https://openrouter.a1",
    "https://xn--openruter-c9a.ai", f"https://{_O}penrouter.ai", f"https://openrouter.{_A}i",
    "https://\uff4fpenrouter.ai", "https://openrouter\u3002ai", "https://openrouter.ai%2eevil.example",
    "https://openrouter.ai\\@evil.example", "https://openrouter.ai\\.x.example", "//openrouter.ai",
    "openrouter.ai", " https://openrouter.ai", "https://openrouter.ai ", "https://open router.ai",
    "https://openrouter.ai\n", "https://open\trouter.ai", "https://openrouter.ai\x00",
    "https:/openrouter.ai", "https:openrouter.ai", "https:///openrouter.ai", "ftp://openrouter.ai",
    "https://openrouter.ai/auth", "https://openrouter.ai?x=1", "https://openrouter.ai#x",
    "https://openrouter.ai/api/v1/../..", "https://openrouter.ai//", "javascript:openrouter.ai",
    "https://openrouter.com", "https://www.0penrouter.ai", "https://openrouter.ai.example.com",
)  # fmt: skip


def read(**config: Any) -> Settings:
    """Read these settings as in production."""
    return Settings.from_config({"SECRET_KEY": secrets.token_hex(), **config})


@pytest.mark.requirement("R112")
def test_a_url_that_only_looks_like_openrouter_stops_the_app() -> None:
    for url in FALSE_AUTHORITIES:
        with pytest.raises(ConfigurationError) as refused:
            read(OPENROUTER_BASE_URL=url, TESTING=True)
        assert "pass" not in str(refused.value), ascii(url)


@pytest.mark.requirement("R112")
def test_the_error_for_a_look_alike_names_openrouter() -> None:
    for url in (
        f"https://{LOOKALIKE_NAME}.ai", "https://openroute.ai", "https://0penrouter.ai",
        "https://openrouter.ai.evil.example", "https://openrouter.ai:444", "https://openrouter.al",
    ):  # fmt: skip
        with pytest.raises(ConfigurationError, match=r"did you mean https://openrouter\.ai"):
            read(OPENROUTER_BASE_URL=url)


@pytest.mark.requirement("R112")
def test_a_login_goes_to_openrouter_by_default_and_for_each_spelling_of_its_url() -> None:
    urls = ["https://openrouter.ai", "https://OpenRouter.AI/", "https://openrouter.ai:443/api/v1/"]
    for config in ({}, *({"OPENROUTER_BASE_URL": url} for url in urls)):
        app = Flask("tested")
        app.config.update(config, SECRET_KEY=os.urandom(32))
        OpenRouterAuth(app)
        login = Visitor(app, "https://app.example").start()
        assert login.startswith("https://openrouter.ai/auth?"), config


@pytest.mark.requirement("R105")
def test_plain_http_on_this_machine_is_for_development() -> None:
    for mode in ("DEBUG", "TESTING", "OPENROUTER_EMULATOR"):
        config = {"OPENROUTER_BASE_URL": "http://127.0.0.1:3001", mode: True}
        assert read(**config).base_url == "http://127.0.0.1:3001", mode
        with pytest.raises(ConfigurationError, match="OPENROUTER_EMULATOR = True"):
            read(**{**config, mode: False})


def test_no_mode_allows_plain_http_elsewhere() -> None:
    with pytest.raises(ConfigurationError):
        read(OPENROUTER_BASE_URL="http://a.example", OPENROUTER_EMULATOR=True, DEBUG=True)


def test_the_log_names_another_provider(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "flask_openrouter"):
        for host in ("gateway.example", "localhost:9443"):
            caplog.clear()
            read(OPENROUTER_BASE_URL=f"https://{host}")
            assert f"{host}, not OpenRouter" in caplog.text
        caplog.clear()
        read(OPENROUTER_BASE_URL="http://localhost", TESTING=True)
    assert caplog.text == ""


@pytest.mark.requirement("R112")
def test_no_request_can_name_the_provider(make_app: MakeApp) -> None:
    app = make_app(OPENROUTER_BASE_URL="https://openrouter.ai")
    names = (
        "base_url",
        "openrouter_base_url",
        "OPENROUTER_BASE_URL",
        "issuer",
        "iss",
        "server_url",
    )
    queries = [f"?{name}=https://evil.example" for name in (*names, "callback_url", "api_base")]
    headers = (
        {},
        {"X-OpenRouter-Base": "https://evil.example", "X-Base-Url": "https://evil.example"},
    )
    for query in queries:
        for extra in headers:
            for path in ("/openrouter/login", "/openrouter/code"):
                response = app.test_client().get(path + query, headers={**NAVIGATE, **extra})
                shown = response.location if path.endswith("login") else response.text
                assert "https://openrouter.ai/auth?" in shown
                assert "evil" not in shown


@pytest.mark.requirement("R112")
def test_no_environment_variable_can_name_the_provider() -> None:
    """The documented place is ``app.config`` alone."""
    program = """
from flask import Flask
from flask_openrouter import OpenRouterAuth, OpenRouterClient
app = Flask("tested")
app.config["SECRET_KEY"] = "0123456789abcdef" * 2
OpenRouterAuth(app)
response = app.test_client().get("/openrouter/login", base_url="https://app.example")
print(response.location.partition("?")[0], OpenRouterClient().base_url)
"""
    names = ("OPENROUTER_BASE_URL", "OPENROUTER_URL", "OPENROUTER_API_BASE", "OPENAI_BASE_URL")
    names += ("FLASK_OPENROUTER_BASE_URL", "OPENROUTER_HOST", "BASE_URL", "OPENROUTER_SERVER_URL")
    environment = {**os.environ, **dict.fromkeys(names, "https://evil.example")}
    environment["OPENROUTER_API_KEY"] = "sk-or-v1-environment"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["https://openrouter.ai/auth", "https://openrouter.ai"]


@pytest.mark.requirement("R112")
def test_the_package_reads_only_documented_environment_variables() -> None:
    found = {
        path.name
        for path, text in texts("flask_openrouter")
        if path.suffix == ".py" and re.search(r"\bos\.environ\b|\bgetenv\b", text)
        # The doctor looks at everything, and changes nothing.
        if "doctor" not in path.parts
    }
    # Proxies and certificate bundles, as requests documents them.
    assert found == {"environment.py"}
    assert not [path for path, text in texts("flask_openrouter") if "OPENROUTER_API_KEY" in text]
