"""The commands of ``flask openrouter``. None of them prints a stored key."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import subprocess
import sys
from typing import Any

import pytest
from failing_storage import FailingStorage

from flask_openrouter.storage.memory import MemoryStorage

pytest_plugins = "sites"


def run(app: Any, *arguments: str) -> Any:
    return app.test_cli_runner().invoke(args=["openrouter", *arguments])


def test_generate_key_prints_a_value_that_the_setting_takes(make_app: Any) -> None:
    app = make_app()
    keys = {run(app, "generate-key").output for _ in range(3)}
    assert len(keys) == 3
    for key in keys:
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}=\n", key)
        assert len(base64.urlsafe_b64decode(key)) == 32
        make_app(OPENROUTER_ENCRYPTION_KEY=key.strip())


def test_pkce_prints_a_matching_pair(app: Any) -> None:
    result = run(app, "pkce")
    found = dict(line.split() for line in result.output.splitlines())
    digest = hashlib.sha256(found["code_verifier"].encode()).digest()
    assert found["code_challenge"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert run(app, "pkce").output != result.output


def test_forget_deletes_the_key_of_one_owner(make_site: Any) -> None:
    storage = MemoryStorage()
    site = make_site({"storage": storage})
    site.auth.owner_loader(lambda: "alice")
    site.connect()
    api_key = site.issued_key()
    result = run(site.app, "forget", "bob")
    assert site.visitor.key is not None
    assert "Forgotten" not in result.output
    result = run(site.app, "forget", "alice")
    assert (result.exit_code, storage.count_owners()) == (0, 0)
    assert "Forgotten" in result.output
    assert "OpenRouter" in result.output
    assert api_key not in result.output
    assert site.visitor.key is None


def test_forget_cannot_delete_keys_in_browsers(app: Any) -> None:
    """It must not claim to have deleted a key that is in a cookie."""
    result = run(app, "forget", "alice")
    assert result.exit_code == 1
    assert "Forgotten" not in result.output
    assert "browser" in result.output


def test_forget_refuses_an_owner_that_no_key_can_have(make_site: Any) -> None:
    app = make_site({"storage": MemoryStorage()}).app
    for owner_id in ("", "x" * 256):
        result = run(app, "forget", owner_id)
        assert result.exit_code == 1, owner_id
        assert "Forgotten" not in result.output, owner_id
        assert "Traceback" not in result.output, owner_id


def test_forget_reports_a_storage_that_fails(make_site: Any) -> None:
    site = make_site({"storage": FailingStorage("delete")})
    site.auth.owner_loader(lambda: "alice")
    site.connect()
    result = run(site.app, "forget", "alice")
    assert result.exit_code == 1
    assert result.output.startswith("Error: Deleting the key failed")
    assert "hunter2" not in result.output
    assert site.visitor.key is not None


def test_the_commands_are_listed_with_what_they_do(app: Any) -> None:
    result = run(app, "--help")
    assert result.exit_code == 0
    for name in ("emulator", "forget", "generate-key", "pkce"):
        assert re.search(rf"^  {name} +[A-Z]", result.output, re.MULTILINE), result.output


def test_the_emulator_command_explains_itself(app: Any) -> None:
    result = run(app, "emulator", "--help")
    assert result.exit_code == 0
    assert "--port" in result.output
    assert run(app, "no-such-command").exit_code == 2


@pytest.mark.requirement("R105")
def test_the_emulator_is_refused_in_production(make_app: Any) -> None:
    app = make_app(
        TESTING=False, OPENROUTER_BASE_URL="https://openrouter.ai", OPENROUTER_EMULATOR=False
    )
    result = run(app, "emulator", "--port", "0")
    assert result.exit_code == 1
    assert "production" in result.output
    assert "OPENROUTER_EMULATOR" in result.output


@pytest.mark.parametrize(
    ("settings", "debug"),
    [({"TESTING": True}, "0"), ({"OPENROUTER_EMULATOR": True}, "0"), ({}, "1")],
)
def test_the_emulator_runs_in_development(
    settings: dict[str, bool], debug: str, make_app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command fails at its port only, which is taken."""
    monkeypatch.setenv("FLASK_DEBUG", debug)
    app = make_app(**{"TESTING": False, "OPENROUTER_BASE_URL": "https://openrouter.ai", **settings})
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run(app, "emulator", "--port", str(taken.getsockname()[1]))
    assert result.exit_code == 1
    assert "Cannot listen on port" in result.output


def test_the_emulator_is_loaded_for_its_command_only() -> None:
    program = """
import sys
from flask import Flask
from flask_openrouter import OpenRouterAuth
app = Flask("tested")
app.config["SECRET_KEY"] = "0123456789abcdef" * 2
OpenRouterAuth(app)
result = app.test_cli_runner().invoke(args=["openrouter", "generate-key"])
assert result.exit_code == 0, result.output
print([name for name in sys.modules if "emulator" in name])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
