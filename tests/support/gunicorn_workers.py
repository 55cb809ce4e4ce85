"""gunicorn with the app of this module, any number of workers, and a way to choose the worker."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask, Response
from polling import PATIENCE, wait_until
from ports import free_port
from visitor import fingerprint

from flask_openrouter import OpenRouterAuth, current_openrouter, requires_openrouter_key


def create_app() -> Flask:
    """Return an app whose settings come from the environment, each with ``SHARED_`` before it."""
    app = Flask("shared")
    app.config.from_prefixed_env("SHARED")
    OpenRouterAuth(app)

    @app.get("/guarded")
    @requires_openrouter_key
    def guarded() -> str:
        return fingerprint(current_openrouter.api_key)

    @app.get("/hold")
    def hold() -> Response:
        def breathe() -> Iterator[str]:
            while True:
                yield "."
                time.sleep(0.02)  # time: holds the worker, and notices when the visitor leaves

        return Response(breathe())

    @app.after_request
    def sign(response: Response) -> Response:
        response.headers["X-Worker"] = str(os.getpid())
        return response

    return app


@contextmanager
def gunicorn(workers: int, **settings: str) -> Iterator[str]:
    """Run the app in gunicorn; yield its origin. ``settings``: of ``app.config``."""
    port = free_port()
    with tempfile.NamedTemporaryFile() as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}"),
                *("--workers", str(workers), "--graceful-timeout", "1"),
                "gunicorn_workers:create_app()",
            ],
            cwd=Path(__file__).parent,
            env={
                **{
                    name: value
                    for name, value in os.environ.items()
                    if name != "OPENROUTER_API_KEY"
                },
                "PYTHONPATH": os.pathsep.join(sys.path),
                **{f"SHARED_{name}": value for name, value in settings.items()},
            },
            stdout=log,
            stderr=log,
        )
        try:
            _wait_for(process, port, Path(log.name))
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(PATIENCE)


class Hold:
    """A request that keeps one synchronous worker busy until it is closed."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE)
        self._connection.request("GET", "/hold")
        self._answer = self._connection.getresponse()
        #: The worker's process id.
        self.worker = self._answer.headers["X-Worker"]

    def close(self) -> None:
        """Release the worker."""
        self._answer.close()
        self._connection.close()


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    def is_up() -> bool:
        assert process.poll() is None, f"gunicorn did not start:\n{log.read_text()[-2000:]}"
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        with closing(connection), suppress(OSError):
            connection.request("GET", "/openrouter/status")
            connection.getresponse().read()
            return True
        return False

    wait_until(is_up, failure=lambda: log.read_text()[-2000:])
