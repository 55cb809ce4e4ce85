"""The first block of the README, saved as app.py in an empty folder and run as the README says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from doc_blocks import blocks
from polling import PATIENCE, wait_until
from servers import free_port

from flask_openrouter.emulator import Emulator

FIRST = blocks("python")[0].code
NAVIGATE = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
START_SECONDS = 20.0


@pytest.fixture
def browser() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        session.headers.update(NAVIGATE)
        yield session


@contextmanager
def running(code: str, folder: Path) -> Iterator[str]:
    """Run the code with ``flask run``, and yield its address."""
    (folder / "app.py").write_text(code, encoding="utf-8")
    port = free_port()
    # Without the source tree on the path: the installed package counts.
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    command = [sys.executable, "-m", "flask", "--app", "app", "run", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            _wait_for(process, port, folder / "log")
            yield f"http://localhost:{port}"
        finally:
            process.terminate()
            process.wait()


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    def text() -> str:
        return log.read_text(errors="replace")

    address = f"http://127.0.0.1:{port}"
    wait_until(lambda: address in text() or process.poll() is not None, START_SECONDS, text)
    assert process.poll() is None, text()


def follow(browser: requests.Session, url: str) -> requests.Response:
    return browser.get(url, allow_redirects=False, timeout=PATIENCE)


def test_the_first_block_sends_visitors_to_openrouter(
    browser: requests.Session, tmp_path: Path
) -> None:
    with running(FIRST, tmp_path) as url:
        guarded = follow(browser, f"{url}/")
        assert guarded.status_code == 303
        assert guarded.headers["Location"].endswith("/openrouter/login?next=/")
        login = follow(browser, f"{url}{urlsplit(guarded.headers['Location']).path}?next=/")
    assert login.status_code == 303
    assert login.headers["Location"].startswith("https://openrouter.ai/auth?")
    query = parse_qs(urlsplit(login.headers["Location"]).query)
    assert query["callback_url"][0].startswith(f"{url}/openrouter/callback?state=")
    assert query["code_challenge_method"] == ["S256"]


def test_the_first_block_shows_an_answer_after_a_login(
    browser: requests.Session, emulator: Emulator, tmp_path: Path
) -> None:
    """The same code, with the emulator as OpenRouter, from the first request to the answer."""
    extension = "OpenRouterAuth(app)"
    settings = (
        f'app.config["OPENROUTER_BASE_URL"] = "{emulator.url}"\n'
        'app.config["OPENROUTER_EMULATOR"] = True\n'
    )
    code = FIRST.replace(f"\n{extension}\n", f"\n{settings}{extension}\n")
    assert emulator.url in code
    with running(code, tmp_path) as url:
        login = follow(browser, f"{url}/openrouter/login?next=/")
        callback = follow(browser, emulator.approve(login.headers["Location"]))
        assert callback.status_code == 303, callback.text
        answer = follow(browser, f"{url}{urlsplit(callback.headers['Location']).path}")
        assert '<form method="post" action="/ask">' in answer.text
        answer = browser.post(f"{url}/ask", data={"question": "Is 1 < 2?"}, timeout=PATIENCE)
    assert answer.status_code == 200
    assert "Is 1 &lt; 2?" in answer.text
    assert emulator.count("POST", "/api/v1/auth/keys") == 1
    assert emulator.count("POST", "/api/v1/chat/completions") == 1
