"""The one authority is the host openrouter.ai: nothing that merely looks like it, anywhere."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from urllib.parse import urlsplit

import network_guard
import pytest
from flask import Flask
from project_files import texts
from visitor import NAVIGATE, Visitor

from flask_openrouter.emulator import Emulator
from flask_openrouter.errors import ConfigurationError

MakeApp = Callable[..., Flask]
AUTHORITY = "openrouter.ai"
LOOKALIKE_NAME = "open" + "roouter"

network_guard.install()

#: Pages that the texts link to: standards, and the projects that this one stands on.
_KNOWN_SITES = (
    "w3.org", "rfc-editor.org", "ietf.org", "owasp.org", "whatwg.org", "mozilla.org", "python.org",
    "pypi.org", "palletsprojects.com", "readthedocs.io", "github.com", "sqlalchemy.org", "redis.io",
    "nist.gov", "gunicorn.org", "htmx.org", "keepachangelog.com", "semver.org",
)  # fmt: skip
_RESERVED = ("localhost", "example", "invalid", "test")


@pytest.mark.requirement("R112")
def test_no_file_spells_the_host_in_another_way() -> None:
    wrong = re.compile(r"open[a-z0-9-]*ter\.ai", re.IGNORECASE)
    found = {
        f"{path}: {word}"
        for path, text in texts()
        for word in wrong.findall(text)
        if word.lower() != AUTHORITY
    }
    assert found == set()


@pytest.mark.requirement("R112")
def test_the_test_would_notice() -> None:
    assert re.search(r"open[a-z0-9-]*ter\.ai", f"https://{LOOKALIKE_NAME}.ai/")


@pytest.mark.requirement("R112")
def test_every_address_in_package_example_and_docs_is_a_known_one() -> None:
    unknown = set()
    for path, text in texts("flask_openrouter", "example_app", "docs", "README.md"):
        for url in re.findall(r"\b(?:https?|wss?)://[A-Za-z0-9\[][^\s\"'`<>(){}…\\]*", text):
            host = urlsplit(url.replace("[", "").replace("]", "")).netloc.rpartition("@")[2]
            host = re.sub(r":\d*$", "", host.rstrip(".,;"))
            is_known = (
                host == AUTHORITY
                or host in ("127.0.0.1", "::1", "host")
                or host.rpartition(".")[2] in _RESERVED
                or any(host == site or host.endswith(f".{site}") for site in _KNOWN_SITES)
            )
            if not is_known:
                unknown.add(f"{path.name}: {url}")
    assert unknown == set()


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


@pytest.mark.requirement("R112")
@pytest.mark.parametrize("url", FALSE_AUTHORITIES, ids=ascii)
def test_what_only_looks_like_openrouter_stops_the_app(url: str, make_app: MakeApp) -> None:
    with pytest.raises(ConfigurationError) as refused:
        make_app(OPENROUTER_BASE_URL=url)
    assert "pass" not in str(refused.value)


@pytest.mark.requirement("R112")
@pytest.mark.parametrize(
    "url",
    [
        f"https://{LOOKALIKE_NAME}.ai", "https://openroute.ai", "https://0penrouter.ai",
        "https://openrouter.ai.evil.example", "https://openrouter.ai:444", "https://openrouter.al",
    ],
)  # fmt: skip
def test_a_near_miss_is_told_what_was_meant(url: str, make_app: MakeApp) -> None:
    with pytest.raises(ConfigurationError, match=r"did you mean https://openrouter\.ai"):
        make_app(OPENROUTER_BASE_URL=url)


@pytest.mark.requirement("R112")
@pytest.mark.parametrize(
    "url",
    ["https://openrouter.ai", "https://OpenRouter.AI/", "https://openrouter.ai:443/api/v1/"],
)
def test_every_spelling_of_openrouter_itself_is_taken(url: str, make_app: MakeApp) -> None:
    visitor = Visitor(make_app(OPENROUTER_BASE_URL=url))
    assert visitor.start().startswith("https://openrouter.ai/auth?")


@pytest.mark.requirement("R112")
def test_nothing_leaves_this_machine(visitor: Visitor, emulator: Emulator) -> None:
    """The guard is on for every test after this module was imported; this looks back."""
    visitor.connect(emulator)
    assert visitor.key is not None
    assert network_guard.attempts == []


@pytest.mark.requirement("R112")
def test_the_guard_bites() -> None:
    with pytest.raises(OSError, match="tests look up nobody"):
        socket.create_connection(("203.0.113.7", 443), timeout=1)
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo(AUTHORITY, 443)
    with socket.socket() as connection, pytest.raises(OSError, match="this machine only"):
        connection.connect(("8.8.8.8", 53))
    assert len(network_guard.attempts[-3:]) == 3
    del network_guard.attempts[-3:]


@pytest.mark.requirement("R112")
def test_no_request_names_the_provider(make_app: MakeApp) -> None:
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
                answer = app.test_client().get(path + query, headers={**NAVIGATE, **extra})
                shown = answer.location if path.endswith("login") else answer.text
                assert "https://openrouter.ai/auth?" in shown
                assert "evil" not in shown


@pytest.mark.requirement("R112")
def test_no_environment_variable_names_the_provider() -> None:
    """Whatever is set: the documented place is ``app.config`` alone."""
    program = """
from flask import Flask
from flask_openrouter import OpenRouterAuth, OpenRouterClient
app = Flask("tested")
app.config["SECRET_KEY"] = "0123456789abcdef" * 2
OpenRouterAuth(app)
answer = app.test_client().get("/openrouter/login", base_url="https://app.example")
print(answer.location.partition("?")[0], OpenRouterClient().base_url)
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


@pytest.mark.requirement("R112")
def test_by_default_a_login_goes_to_openrouter_itself() -> None:
    from flask_openrouter import OpenRouterAuth

    app = Flask("tested")
    app.config["SECRET_KEY"] = os.urandom(32)
    OpenRouterAuth(app)
    assert Visitor(app, "https://app.example").start().startswith("https://openrouter.ai/auth?")
