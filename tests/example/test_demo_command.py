"""``python -m example_app``, the process behind ``make demo``."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def command(*arguments: str, **environment: str) -> tuple[list[str], dict[str, str]]:
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("FLASK_") and name not in ("PORT", "LIVE")
    }
    clean["PYTHONUNBUFFERED"] = "1"
    return [sys.executable, "-m", "example_app", *arguments], {**clean, **environment}


@contextmanager
def demo(log: Path, *arguments: str, **environment: str) -> Iterator[str]:
    """Run the command until the block ends, with its output in ``log``. Yield its address."""
    words, environ = command(*arguments, **environment)
    with log.open("wb") as output:
        process = subprocess.Popen(words, cwd=ROOT, env=environ, stdout=output, stderr=output)
        try:
            yield _address(process, log)
        finally:
            process.terminate()
            process.wait(10)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        if found := re.search(r"Open (http://\S+)", log.read_text()):
            return found[1]
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def test_the_demo_runs_on_its_own_emulator(tmp_path: Path) -> None:
    log = tmp_path / "log"
    port = free_port()
    with demo(log, PORT=str(port)) as address:
        assert address == f"http://localhost:{port}"
        assert "Connect OpenRouter" in requests.get(address, timeout=5).text
        assert requests.get(f"http://127.0.0.1:{port}", timeout=5).status_code == 200
        login = requests.get(f"{address}/openrouter/login", allow_redirects=False, timeout=5)
        assert re.match(r"http://127\.0\.0\.1:\d+/auth\?", login.headers["Location"])
        requests.get(f"{address}/openrouter/callback?state=s&code=canary", timeout=5)
    output = log.read_text()
    assert "SECRET_KEY: a random one" in output
    assert "/openrouter/callback" in output
    assert "canary" not in output, "the access log must not hold authorization codes"


def test_the_demo_deletes_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    with demo(tmp_path / "log", PORT=str(free_port()), TMPDIR=str(folder)):
        assert list(folder.rglob("chat.db"))
    assert list(folder.iterdir()) == []


def test_with_a_fixed_key_conversations_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "kept.db"
    settings = {
        "FLASK_SECRET_KEY": "a fixed key, used in this test only",
        "TMPDIR": str(tmp_path),
    }
    settings["FLASK_CHAT_DATABASE"] = str(file)
    with demo(tmp_path / "log", PORT=str(free_port()), **settings):
        pass
    assert file.exists()


def test_a_foreign_host_name_is_refused(tmp_path: Path) -> None:
    """DNS rebinding: the app refuses another site's name for 127.0.0.1."""
    with demo(tmp_path / "log", "--port", str(free_port())) as address:
        response = requests.get(address, headers={"Host": "evil.example"}, timeout=5)
        assert response.status_code == 400


def test_live_uses_openrouter(tmp_path: Path) -> None:
    with demo(tmp_path / "log", LIVE="1", PORT=str(free_port())) as address:
        login = requests.get(f"{address}/openrouter/login", allow_redirects=False, timeout=5)
        assert login.headers["Location"].startswith("https://openrouter.ai/auth?")
        assert "emulated" not in requests.get(address, timeout=5).text


@pytest.mark.parametrize(
    ("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)]
)
def test_a_port_in_use_is_reported_in_one_line(host: str, family: socket.AddressFamily) -> None:
    """Also on ::1, because "localhost" in a browser may lead to the other program."""
    try:
        listener = socket.create_server((host, 0), family=family)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with listener:
        port = listener.getsockname()[1]
        words, environ = command("--port", str(port))
        done = subprocess.run(words, cwd=ROOT, env=environ, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == f"Port {port} is in use. Choose another: make demo PORT={port + 1}\n"


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http"])
def test_an_invalid_port_is_refused(port: str) -> None:
    words, environ = command(PORT=port)
    done = subprocess.run(words, cwd=ROOT, env=environ, capture_output=True, text=True)
    assert done.returncode == 2
    assert "port" in done.stderr.lower().splitlines()[-1]


@pytest.mark.requirement("R109")
def test_nothing_in_the_source_opens_the_app_up() -> None:
    source = "".join(path.read_text() for path in (ROOT / "example_app").glob("*.py"))
    assert "0.0.0.0" not in source
    assert not re.search(r"debug\s*=\s*True", source)
    assert not re.search(r"SECRET_KEY\"?\]?\s*[=:]\s*[\"']", source)
