"""The Python and shell blocks of the documentation run, with the emulator as OpenRouter."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask
import pytest
from components import require
from doc_blocks import Block, at_emulator, blocks, pages, runs
from flask import Flask

import flask_openrouter
from flask_openrouter import OpenRouterClient
from flask_openrouter.emulator import Emulator
from flask_openrouter.emulator.ledger import fingerprint

Namespace = dict[str, Any]


def _terminal(emulator: Emulator) -> tuple[Callable[..., None], Callable[[str], str]]:
    """Return a ``print`` and an ``input``: the user opens the printed address and pastes a code."""
    shown: list[str] = []

    def show(*values: object) -> None:
        shown.append(" ".join(map(str, values)))

    def paste(prompt: str) -> str:
        addresses = re.findall(r"https?://\S+/auth\?\S+", " ".join(shown))
        return f" {emulator.approve_headless(addresses[-1])}\n"

    return show, paste


@pytest.fixture
def namespace(emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Namespace:
    """Names that every block may use: an app, a client, a key, and names of the two packages."""
    monkeypatch.chdir(tmp_path)
    app = Flask("documented")
    app.config.update(
        TESTING=True, SECRET_KEY=secrets.token_hex(), OPENROUTER_BASE_URL=emulator.url
    )
    show, paste = _terminal(emulator)
    return {
        **{name: getattr(flask_openrouter, name) for name in flask_openrouter.__all__},
        **{name: getattr(flask, name) for name in ("request", "session", "url_for")},
        "app": app,
        "client": OpenRouterClient(emulator.url),
        "api_key": emulator.issue_key(limit=10),
        "print": show,
        "input": paste,
        "__name__": "documented",
    }


@pytest.mark.parametrize("run", runs("python"), ids=lambda run: run[0].name)
def test_python_blocks_run(run: list[Block], namespace: Namespace, emulator: Emulator) -> None:
    for block in run:
        code = compile(at_emulator(block.code, emulator.url), block.name, "exec")
        exec(code, namespace)  # noqa: S102 - our own documentation


@pytest.mark.parametrize("run", runs("sh"), ids=lambda run: run[0].name)
def test_shell_blocks_run(run: list[Block], emulator: Emulator) -> None:
    """Here ``curl`` fails on an error status, so the control API must accept each request."""
    if shutil.which("curl") is None:
        require("curl", "not on PATH (apt install curl)")
    api_key = emulator.issue_key()
    environment = {"PATH": os.environ["PATH"], "HASH": fingerprint(api_key), "HOME": "/nonexistent"}
    for block in run:
        commands = block.code.replace("http://127.0.0.1:18080", emulator.url)
        commands = commands.replace("curl ", "curl --fail-with-body --silent --show-error ")
        done = subprocess.run(
            ["bash", "-euc", commands], env=environment, capture_output=True, text=True, timeout=30
        )
        assert done.returncode == 0, f"{block.name}: {done.stdout}{done.stderr}"
        assert done.stdout.startswith("{")


def test_a_block_that_is_not_run_has_a_reason() -> None:
    for block in (*blocks("python"), *blocks("sh")):
        if block.note.startswith("not run"):
            assert len(block.note.removeprefix("not run:").split()) >= 3, block.name


def test_the_blocks_are_found() -> None:
    """A pattern that matches nothing would let everything pass."""
    for language, least in (("python", 10), ("sh", 2)):
        found = Counter(block.page for block in blocks(language))
        for page in pages():
            text = page.read_text(encoding="utf-8")
            assert found[page] == text.count(f"\n```{language}\n"), page
        assert found.total() >= least


def test_every_block_ends() -> None:
    """A fence too many turns the text below it into code."""
    for page in pages():
        fences = re.findall(r"^ *```(.*)", page.read_text(encoding="utf-8"), re.M)
        assert [bool(language) for language in fences] == [True, False] * (len(fences) // 2), page


def test_links_between_files_lead_somewhere() -> None:
    for page in pages():
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
        targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)|\bsrc=\"([^\"]+)\"", text)
        local = [one or other for one, other in targets if "://" not in (one or other)]
        assert [target for target in local if not (page.parent / target).exists()] == []
