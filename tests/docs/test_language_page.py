"""docs/language.md: the recipes, run as an app with Flask-Babel runs them."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from babel import Locale
from doc_blocks import ROOT, Block, blocks
from flask import Flask, render_template_string, request, session
from visitor import Visitor

from flask_openrouter import OpenRouterAuth
from flask_openrouter.emulator import Emulator
from flask_openrouter.languages import LANGUAGES
from flask_openrouter.testing import app_config

PAGE = ROOT / "docs" / "language.md"
SETTINGS = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")


def block(language: str, words: str) -> Block:
    (found,) = [b for b in blocks(language) if b.page == PAGE and words in b.code]
    return found


@pytest.fixture
def app(emulator: Emulator, tmp_path: Path) -> Flask:
    """An app with the Flask-Babel of the page. Its visitors choose with ``/choose/<language>``."""
    app = Flask("documented", root_path=str(tmp_path))
    app.config.update(app_config(emulator), SECRET_KEY=secrets.token_hex())
    names = {"app": app, "OpenRouterAuth": OpenRouterAuth, "session": session, "request": request}
    recipe = block("python", "Babel(app")
    exec(compile(recipe.code, recipe.name, "exec"), names)  # noqa: S102 - our documentation

    @app.get("/choose/<language>")
    def choose(language: str) -> str:
        session["language"] = language
        return render_template_string("{{ openrouter_button() }}")

    return app


def test_the_switch_of_the_app_holds_for_the_extensions_pages(app: Flask) -> None:
    visitor = Visitor(app)
    asked = visitor.get("/openrouter/disconnected", **{"Accept-Language": "de-AT,de;q=0.9"})
    assert "Getrennt" in asked.text
    visitor.get("/choose/en")
    chosen = visitor.get("/openrouter/disconnected", **{"Accept-Language": "de"})
    assert "Disconnected" in chosen.text


def test_the_app_gets_a_language_that_the_extension_lacks(app: Flask, tmp_path: Path) -> None:
    (begin, compile_it) = block("sh", "pybabel").code.split("# Translate ")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}

    def run(commands: str) -> None:
        subprocess.run(["bash", "-euc", commands], cwd=tmp_path, env=environment, check=True)

    run(begin)
    source = tmp_path / compile_it.partition(", then:")[0]
    text, found = re.subn(
        r'(msgid "Connect OpenRouter"\nmsgstr) ""', r'\1 "Collega OpenRouter"', source.read_text()
    )
    assert found == 1
    source.write_text(text)
    run(compile_it.partition("\n")[2])
    assert "Collega OpenRouter" in Visitor(app).get("/choose/it").text
    assert ">Connect OpenRouter<" in Visitor(app).get("/choose/da").text


def test_the_page_names_the_languages() -> None:
    first = PAGE.read_text(encoding="utf-8").partition(" There is nothing to set up.")[0]
    words = first.partition("messages are in ")[2].replace("\n", " ").lower()
    for name in LANGUAGES:
        language = Locale.parse(name).english_name or ""
        assert language.partition(" ")[0].lower() in words, name
    row = re.search(r"^\| `OPENROUTER_LANGUAGE` \| none \| (.*?), or with", SETTINGS, re.M)
    assert row is not None
    assert re.findall(r"`(\w+)`", row[1]) == sorted(LANGUAGES)
