"""SECRET_KEY and the encryption keys: a weak or malformed one stops the app.

(OWASP ASVS 5.0, 11.2.3 and 13.3.4; CVE-2025-47278.)
"""

from __future__ import annotations

import base64
import logging
import re
import secrets
import subprocess
import sys
from traceback import TracebackException
from typing import Any

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from project_files import ROOT

from flask_openrouter import OpenRouterAuth
from flask_openrouter.config import Settings
from flask_openrouter.errors import ConfigurationError


def start(**config: Any) -> Flask:
    """Start an app in production."""
    app = Flask("production")
    app.config.update(config)
    OpenRouterAuth(app)
    return app


def _secrets_of_the_readme() -> list[str]:
    readme = ROOT / "README.md"
    found: list[str] = re.findall(
        r"""SECRET_KEY["']?\]?\s*=\s*["']([^"']+)["']""", readme.read_text()
    )
    return found


WEAK = [
    *(None, "", b"", 0, False, "x", " ", " " * 40, "\t\n" * 20, b" " * 32, "o" * 15),
    *("dev", "secret", "changeme", "change-me-in-production", "CHANGE-ME-IN-PRODUCTION"),
    *(
        "super-secret-key",
        "your-secret-key-here",
        "secretsecretsecret",
        "\u00a0" * 16,
        "a" * 16,
        "dev" + " " * 20,
    ),
    # The value in Flask's own tutorial and documentation.
    "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
    *(12345678901234567890, ["a list of one secret key, thirty"], object()),
    "\udcff" * 32,
    *_secrets_of_the_readme(),
]
SAMPLES = [
    # Flask's documentation, as bytes, as text, and with its escapes written out.
    *(b'_5#y2L"F4Q8z\n\xec]/', '_5#y2L"F4Q8z\n\xec]/', r'_5#y2L"F4Q8z\n\xec]/'),
    "A0Zr98j/3yX R~XHH!jmN]LWX/,?RT",
    "192B9BDD22AB9ED4D12E236C78AFCB9A393EC15F71BBF5DC987D54727823BCBF",
    # Tutorials, in books and videos, and other extensions' documentation.
    *("hard to guess string", "Hard_To_Guess_String!", "you-will-never-guess"),
    *("5791628bb0b13ce0c676dfde280ba245", "pf9Wkove4IKEAXvy-cQkeDPhv9Cb3Ag-wyJILbq_dFw"),
    *("your_secret_key_here", "YOUR SECRET KEY HERE", "<your-secret-key>", "my-super-secret-key"),
    *("dev-secret-key-change-in-production", "this is a secret key", "12345678901234567890"),
]


@pytest.mark.requirement("R90")
def test_a_weak_secret_key_or_fallback_stops_the_app() -> None:
    for secret in (*WEAK, *SAMPLES):
        with pytest.raises(ConfigurationError, match=r"^SECRET_KEY ") as caught:
            start(SECRET_KEY=secret)
        message = str(caught.value)
        assert "token_hex" in message or "text or bytes" in message, ascii(secret)
        assert caught.value.__cause__ is None, ascii(secret)
        if isinstance(secret, str) and len(secret) > 14:
            assert secret not in message
        if secret in SAMPLES:
            assert message.startswith("SECRET_KEY is too easy to guess"), ascii(secret)
        with pytest.raises(ConfigurationError, match=r"^SECRET_KEY_FALLBACKS "):
            start(SECRET_KEY=secrets.token_hex(), SECRET_KEY_FALLBACKS=[secret])


def test_the_error_for_a_missing_key_names_a_program_that_makes_a_good_one() -> None:
    for secret in (None, "", b""):
        with pytest.raises(ConfigurationError) as raised:
            start(SECRET_KEY=secret)
        assert str(raised.value) == (
            "SECRET_KEY is not set. Make one with:"
            ' python -c "import secrets; print(secrets.token_hex())"'
        ), secret
    program = "import secrets; print(secrets.token_hex())"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    start(SECRET_KEY=printed.stdout.strip())


@pytest.mark.requirement("R90")
def test_fallbacks_are_a_list() -> None:
    """Flask 3.1 takes each letter of a string for a key: ``"o"`` would sign valid sessions."""
    for fallbacks in ("old-secret-key-of-the-app", b"old-secret", 7, {"a": "b"}):
        with pytest.raises(ConfigurationError, match=r"^SECRET_KEY_FALLBACKS must be a list"):
            start(SECRET_KEY=secrets.token_hex(), SECRET_KEY_FALLBACKS=fallbacks)


@pytest.mark.requirement("R90")
def test_in_debug_and_testing_mode_a_weak_key_is_only_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for mode in ("DEBUG", "TESTING"):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "flask_openrouter"):
            start(SECRET_KEY="dev", **{mode: True})
        assert "SECRET_KEY is too easy to guess" in caplog.text, mode
        with pytest.raises(ConfigurationError):
            start(SECRET_KEY=" " * 20, **{mode: True})


@pytest.mark.requirement("R90")
def test_a_good_key_starts_the_app(caplog: pytest.LogCaptureFixture) -> None:
    for secret in (
        secrets.token_hex(),
        b"\n" + bytes(range(0x81, 0x8F)) + b" ",
        "blåbærsyltetøy i store glass",
    ):
        start(SECRET_KEY=secret, SECRET_KEY_FALLBACKS=(secrets.token_hex(),))
        assert caplog.text == "", ascii(secret)


@given(st.integers(16, 32).flatmap(lambda size: st.binary(min_size=size, max_size=size)))
@settings(deadline=None)
def test_random_bytes_are_not_taken_for_a_sample(key: bytes) -> None:
    for secret in (key.hex(), base64.b64encode(key), base64.urlsafe_b64encode(key).decode()):
        if len(set(secret)) > 12:
            Settings.from_config({"SECRET_KEY": secret})


def test_the_error_for_digits_in_the_environment_explains_the_quotes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in (12345678901234567890, 1e19):
        monkeypatch.setenv("FLASK_SECRET_KEY", str(number))
        app = Flask("host")
        app.config.from_prefixed_env()
        with pytest.raises(ConfigurationError) as caught:
            OpenRouterAuth(app)
        message = str(caught.value)
        assert message.startswith("SECRET_KEY must hold text or bytes, not a number.")
        assert """FLASK_SECRET_KEY='"1234…"'""" in message
        assert "token_hex" in message
        assert str(number) not in message
    monkeypatch.setenv("FLASK_SECRET_KEY", '"82619027730651942375"')
    app.config.from_prefixed_env()
    OpenRouterAuth(app)
    assert app.extensions["openrouter"].settings.secret_keys == (b"82619027730651942375",)


@pytest.mark.requirement("R92")
def test_a_malformed_encryption_key_stops_the_app_and_is_not_shown() -> None:
    good = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    values: list[Any] = ["=", "x", "A" * 43 + "!", "A" * 40, "A" * 48, "é" * 44, b"\xff" * 44, 7]
    for value in (*values, good + "AAAA"):
        for keys in (
            {"OPENROUTER_ENCRYPTION_KEY": value},
            {
                "OPENROUTER_ENCRYPTION_KEY": good,
                "OPENROUTER_ENCRYPTION_KEY_FALLBACKS": [value],
            },
        ):
            with pytest.raises(ConfigurationError, match=r"generate-key$") as caught:
                start(SECRET_KEY=secrets.token_hex(), **keys)
            message = str(caught.value)
            assert message.startswith([*keys][-1]), ascii(value)
            assert len(str(value)) < 20 or str(value) not in message, ascii(value)


@pytest.mark.requirement("R92")
def test_an_error_report_about_a_wrong_setting_shows_no_secret() -> None:
    """Error reporters show the locals of every frame."""
    random = secrets.token_bytes(32)
    secret, key = random.hex(), base64.urlsafe_b64encode(random).decode()
    for wrong in (
        {"OPENROUTER_KEY_LIMIT": "abc"},
        {"OPENROUTER_ENCRYPTION_KEY": f"{key}x"},
        {"OPENROUTER_ENCRYPTION_KEY_FALLBACKS": [key, "short"]},
        {"OPENROUTER_ENCRYPTION_KEY_FALLBACKS": f"[{key}"},
        {"SECRET_KEY_FALLBACKS": secret},
        {"OPENROUTER_STORAGE_URI": f"foo://user:{secret}@host/db"},
    ):
        config = {"SECRET_KEY": secret, "OPENROUTER_ENCRYPTION_KEY": key, **wrong}
        with pytest.raises(ConfigurationError, match=next(iter(wrong))) as caught:
            start(**config)
        report = TracebackException.from_exception(caught.value, capture_locals=True)
        # The frames of this file hold the settings, as those of an app may.
        frames = [frame for frame in report.stack if frame.filename != __file__]
        shown = str([frame.locals for frame in frames])
        assert "flask_openrouter" in str(frames)
        assert not any(text in shown for text in (secret, key)), wrong


@pytest.mark.requirement("R92")
@pytest.mark.parametrize("mode", ["DEBUG", "TESTING", "ENV"])
def test_an_encryption_key_of_repeated_bytes_stops_the_app(mode: str) -> None:
    """Each is well-formed: 32 bytes that anyone can guess."""
    good = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    for raw in (bytes(32), b"\xff" * 32, b"a" * 32, b"\x00\x01" * 16, b"abcd" * 8):
        weak = base64.urlsafe_b64encode(raw).decode()
        for newest, fallbacks in ((weak, []), (good, [weak])):
            with pytest.raises(ConfigurationError, match=r"generate-key$") as caught:
                start(
                    SECRET_KEY=secrets.token_hex(),
                    OPENROUTER_ENCRYPTION_KEY=newest,
                    OPENROUTER_ENCRYPTION_KEY_FALLBACKS=fallbacks,
                    **{mode: True},
                )
            assert "repeats a few bytes" in str(caught.value), raw
            assert weak not in str(caught.value)
