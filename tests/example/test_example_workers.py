"""Several workers that share one file, as in production."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import requests
from live_app import PATIENCE
from polling import wait_until
from servers import free_port

from example_app import database
from example_app.database import opened
from flask_openrouter.emulator import Emulator

ROOT = Path(__file__).parents[2]
OUR_PAGE = {"Sec-Fetch-Site": "same-origin"}


@contextmanager
def gunicorn(emulator: Emulator, folder: Path) -> Iterator[str]:
    """Run the app as its Dockerfile does. Yield its origin."""
    port = free_port()
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("FLASK_")},
        "FLASK_SECRET_KEY": "for tests only, thirty-two characters",
        "FLASK_OPENROUTER_BASE_URL": emulator.url,
        "FLASK_OPENROUTER_EMULATOR": "true",
        "FLASK_CHAT_DATABASE": str(folder / "chat.db"),
    }
    command = [sys.executable, "-m", "gunicorn", "--config", "example_app/gunicorn.conf.py"]
    command += ["--bind", f"127.0.0.1:{port}", "--graceful-timeout", "2"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            _wait_for(process, f"http://127.0.0.1:{port}", folder / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _wait_for(process: subprocess.Popen[bytes], origin: str, log: Path) -> None:
    def is_up() -> bool:
        assert process.poll() is None, log.read_text()
        with suppress(requests.RequestException):
            return requests.get(f"{origin}/health", timeout=PATIENCE).ok
        return False

    wait_until(is_up, failure=log.read_text)


def connect(browser: requests.Session, origin: str, emulator: Emulator) -> None:
    login = browser.get(f"{origin}/openrouter/login", allow_redirects=False)
    browser.get(emulator.approve(login.headers["Location"]))


def test_simultaneous_visitors_find_their_own_conversations(
    openrouter_emulator: Emulator, tmp_path: Path
) -> None:
    visitors, questions = 8, 4
    emulator = openrouter_emulator
    wrong: list[str] = []
    one_at_a_time = threading.Lock()

    def chat(number: int) -> None:
        with requests.Session() as browser:
            with one_at_a_time, emulator.configured(openrouter_user_id=f"user_{number}"):
                connect(browser, origin, emulator)
            conversation = None
            for question in range(questions):
                body = {"model": "openai/gpt-4o-mini", "text": f"visitor {number}, {question}"}
                if conversation:
                    body["conversation"] = conversation
                response = browser.post(
                    f"{origin}/ask", json=body, headers=OUR_PAGE, timeout=PATIENCE
                )
                found = re.search(r'"conversation":"([\w-]+)"', response.text)
                if found is None or '"state":"done"' not in response.text:
                    wrong.append(response.text)
                    return
                conversation = found[1]
            page = browser.get(f"{origin}/c/{conversation}", timeout=PATIENCE).text
            asked = re.findall(r'<div class="text" dir="auto">(visitor \d+, \d+)</div>', page)
            if asked != [f"visitor {number}, {question}" for question in range(questions)]:
                wrong.append(page)

    with gunicorn(emulator, tmp_path) as origin:
        threads = [threading.Thread(target=chat, args=(n,)) for n in range(visitors)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []
    with opened(str(tmp_path / "chat.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert db.execute("SELECT count(*) FROM message").fetchone()[0] == 2 * visitors * questions
        priced = db.execute("SELECT count(cost) FROM message").fetchone()[0]
        assert priced == visitors * questions
    assert "code=" not in (tmp_path / "log").read_text(), "no codes in the access log"


def test_threads_take_turns_at_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With SQLite's own waiting alone, one of many gives up."""
    monkeypatch.setattr(database, "PATIENCE", 0.0)
    path = str(tmp_path / "chat.db")

    def write(db: sqlite3.Connection) -> None:
        for number in range(100):
            with database.transaction(db):
                db.execute("INSERT INTO written VALUES (?)", (number,))

    with ExitStack() as stack, ThreadPoolExecutor(8) as pool:
        first = stack.enter_context(opened(path))
        first.execute("PRAGMA journal_mode = WAL")
        first.execute("CREATE TABLE written (number)")
        # Opened in turn: a file that is being written can be locked for a new connection.
        others = [stack.enter_context(opened(path)) for _ in range(8)]
        list(pool.map(write, others))
        assert first.execute("SELECT count(*) FROM written").fetchone()[0] == 800
