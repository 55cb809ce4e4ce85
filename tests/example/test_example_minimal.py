"""The example in one file over HTTP, and how it starts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from example_app.minimal import create_app
from flask_openrouter.emulator import Emulator
from flask_openrouter.testing import log_in

ROOT = Path(__file__).parents[2]
SCRIPT = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
HELLO = [{"role": "user", "content": "hello"}]


def test_a_visitor_asks_by_http(
    openrouter_app_config: dict[str, object], openrouter_emulator: Emulator
) -> None:
    client = create_app(openrouter_app_config).test_client()
    assert "Connect OpenRouter" in client.get("/", headers={"Accept-Language": "en"}).text
    refused = client.post("/ask", json=HELLO, headers=SCRIPT)
    assert refused.status_code == 401
    log_in(client, openrouter_emulator)
    assert "sk-or-v1-" in client.get("/").text
    response = client.post("/ask", json=HELLO, headers=SCRIPT)
    assert response.mimetype == "text/plain"
    assert "hello" in response.text
    # A form of another site cannot send JSON, and no address spends on GET.
    assert client.post("/ask", data="[]", headers=SCRIPT).status_code == 415
    assert client.get("/ask").status_code == 405
    too_long = [{"role": "user", "content": "x" * 300_000}]
    assert client.post("/ask", json=too_long, headers=SCRIPT).status_code == 413
    assert client.post("/ask", json={"no": "list"}, headers=SCRIPT).status_code == 502
    for body in ("[" * 100_000, "[" * 100_000 + "]" * 100_000, "[NaN]", "[1e999]", "nonsense"):
        response = client.post("/ask", data=body, headers=SCRIPT, content_type="application/json")
        assert response.status_code == 400, body[:20]
    openrouter_emulator.add_fault(path="/api/v1/chat/completions", status=200, body="nonsense")
    assert client.post("/ask", json=HELLO, headers=SCRIPT).status_code == 502
    assert client.get("/").headers["Cache-Control"]


def test_without_a_secret_key_it_says_what_to_type() -> None:
    environment = {n: v for n, v in os.environ.items() if not n.startswith("FLASK_")}
    command = [sys.executable, "-m", "flask", "--app", "example_app.minimal"]
    done = subprocess.run(
        [*command, "run"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    typed = done.stderr.strip().splitlines()[-1]
    shell = subprocess.run(
        ["sh", "-c", f'{typed} && exec "$@"', "sh", *command, "routes"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.search(r"^ask\s+POST\s+/ask", shell.stdout, re.MULTILINE)
