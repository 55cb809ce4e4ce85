"""``python -m example_app``, the process behind ``make demo``."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from live_app import PATIENCE
from polling import wait_until
from servers import free_port

ROOT = Path(__file__).parents[2]


def command(**environment: str) -> tuple[list[str], dict[str, str]]:
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("FLASK_") and name not in ("PORT", "LIVE", "APP")
    }
    clean["PYTHONUNBUFFERED"] = "1"
    return [sys.executable, "-m", "example_app"], {**clean, **environment}


@contextmanager
def demo(log: Path, **environment: str) -> Iterator[str]:
    """Run the command until the block ends, with its output in ``log``. Yield its address."""
    words, environ = command(**environment)
    with log.open("wb") as output:
        process = subprocess.Popen(words, cwd=ROOT, env=environ, stdout=output, stderr=output)
        try:
            yield _address(process, log)
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    def address() -> re.Match[str] | None:
        assert process.poll() is None, log.read_text()
        return re.search(r"Open (http://\S+)", log.read_text())

    found = wait_until(address, failure=log.read_text)
    assert found is not None
    return found[1]


def login_page(address: str) -> str:
    """Start a login and return the address to which the app redirects."""
    url = f"{address}/openrouter/login"
    response = requests.get(url, allow_redirects=False, timeout=PATIENCE)
    return response.headers["Location"]


def test_the_demo_runs_on_its_own_emulator_and_deletes_its_files(tmp_path: Path) -> None:
    log = tmp_path / "log"
    port = free_port()
    folder = tmp_path / "tmp"
    folder.mkdir()
    with demo(log, PORT=str(port), TMPDIR=str(folder)) as address:
        assert address == f"http://localhost:{port}"
        assert list(folder.rglob("chat.db"))
        assert "Connect OpenRouter" in requests.get(address, timeout=PATIENCE).text
        assert requests.get(f"http://127.0.0.1:{port}", timeout=PATIENCE).status_code == 200
        assert re.match(r"http://127\.0\.0\.1:\d+/auth\?", login_page(address))
        requests.get(f"{address}/openrouter/callback?state=s&code=canary", timeout=PATIENCE)
        # DNS rebinding: the app refuses another site's name for 127.0.0.1.
        headers = {"Host": "evil.example"}
        assert requests.get(address, headers=headers, timeout=PATIENCE).status_code == 400
    assert list(folder.iterdir()) == []
    output = log.read_text()
    assert "SECRET_KEY: a random one" in output
    assert "/openrouter/callback" in output
    assert "canary" not in output, "the access log must not hold authorization codes"


def test_a_fixed_key_and_a_database_file_outlive_the_demo(tmp_path: Path) -> None:
    file = tmp_path / "kept.db"
    settings = {
        "FLASK_SECRET_KEY": "a fixed key, used in this test only",
        "TMPDIR": str(tmp_path),
        "FLASK_CHAT_DATABASE": str(file),
    }
    with demo(tmp_path / "log", PORT=str(free_port()), **settings):
        assert file.exists()
    assert file.exists()


@pytest.mark.requirement("M2")
def test_live_with_another_base_url_says_which(tmp_path: Path) -> None:
    settings = {"LIVE": "1", "FLASK_OPENROUTER_BASE_URL": "https://gateway.example/api/v1"}
    with demo(tmp_path / "log", PORT=str(free_port()), **settings) as address:
        assert login_page(address).startswith("https://gateway.example/auth?")
    output = (tmp_path / "log").read_text()
    assert "OpenRouter: not the real one, but https://gateway.example, because FLASK_" in output
    assert "the real one, https://openrouter.ai" not in output


def test_live_uses_openrouter(tmp_path: Path) -> None:
    with demo(tmp_path / "log", LIVE="1", PORT=str(free_port())) as address:
        assert login_page(address).startswith("https://openrouter.ai/auth?")
        assert "emulated" not in requests.get(address, timeout=PATIENCE).text
    assert "the real one, https://openrouter.ai. Answers cost" in (tmp_path / "log").read_text()


def test_the_demo_runs_the_minimal_app(tmp_path: Path) -> None:
    with demo(tmp_path / "log", PORT=str(free_port()), APP="minimal") as url:
        page = requests.get(url, timeout=PATIENCE).text
        assert "<title>Chat</title>" in page


def test_a_port_in_use_is_reported_without_a_traceback() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        words, environ = command(PORT=str(port))
        done = subprocess.run(words, cwd=ROOT, env=environ, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"Port {port} is in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_invalid_port_is_refused() -> None:
    processes = {}
    for port in ("65536", "http"):
        words, environ = command(PORT=port)
        processes[port] = subprocess.Popen(words, cwd=ROOT, env=environ, stderr=subprocess.PIPE)
    for port, process in processes.items():
        output = process.communicate(timeout=PATIENCE)[1].decode()
        assert process.returncode == 1, port
        assert "port" in output.lower().splitlines()[-1], port


@pytest.mark.requirement("R109")
def test_the_source_contains_no_public_address_debug_mode_or_fixed_key() -> None:
    source = "".join(path.read_text() for path in (ROOT / "example_app").glob("*.py"))
    assert "0.0.0.0" not in source
    assert not re.search(r"debug\s*=\s*True", source)
    assert not re.search(r"SECRET_KEY\"?\]?\s*[=:]\s*[\"']", source)
