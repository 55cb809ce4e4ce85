"""The audit of the locked dependencies: when it fails, and when it is skipped."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from project_files import ROOT
from servers import free_port

#: Stands for pip-audit: it ends as the real one does, without a request.
PROGRAM = """#!/bin/sh
while [ $# -gt 1 ]; do [ "$1" = --output ] && report=$2; shift; done
echo 'WARNING: something' >&2
case "$OUTCOME" in
  clean) echo 'No known vulnerabilities found' >&2 ;;
  found) echo 'flask 3.1.2 OSV-1' >"$report"; exit 1 ;;
  broken) echo 'Traceback: no answer' >&2; exit 1 ;;
esac
"""


class _Database(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert query["package"]["ecosystem"] == "PyPI"
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def database() -> Iterator[str]:
    """A database of vulnerabilities that can be asked, and knows none."""
    with HTTPServer(("127.0.0.1", 0), _Database) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()
        thread.join()


def _audit(folder: Path, url: str, outcome: str) -> tuple[int, str]:
    program = folder / "pip-audit"
    program.write_text(PROGRAM, encoding="utf-8")
    program.chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    # A proxy of the machine is not for addresses of this machine.
    environment = {**os.environ, "PATH": path, "OUTCOME": outcome, "OSV_URL": url, "no_proxy": "*"}
    done = subprocess.run(
        [ROOT / ".ci" / "audit", "requirements.txt"],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def test_dependencies_without_known_vulnerabilities_pass(tmp_path: Path, database: str) -> None:
    assert _audit(tmp_path, database, "clean") == (0, "No known vulnerabilities found\n")


@pytest.mark.requirement("R111")
def test_a_known_vulnerability_fails_the_audit(tmp_path: Path, database: str) -> None:
    assert _audit(tmp_path, database, "found") == (1, "flask 3.1.2 OSV-1\n")


@pytest.mark.requirement("R111")
def test_a_database_that_cannot_be_asked_skips_the_audit_and_says_so(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/v1/query"
    status, said = _audit(tmp_path, url, "broken")
    assert (status, said) == (0, f"Audit skipped: {url} cannot be asked from here.\n")


def test_an_audit_that_breaks_for_another_reason_fails(tmp_path: Path, database: str) -> None:
    status, said = _audit(tmp_path, database, "broken")
    assert status == 1
    assert "Traceback: no answer" in said


def test_a_vulnerability_fails_the_audit_even_if_the_database_is_gone(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/v1/query"
    assert _audit(tmp_path, url, "found")[0] == 1
