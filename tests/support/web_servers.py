"""Real web servers with the app of ``worker_app``, and a way to choose the worker.

::

    with running_web_server("gunicorn gthread", workers=2, SECRET_KEY="...") as server:
        Browser(server.url)
        server.stop()    # SIGTERM, as a service manager
        server.start()   # on the same port, with the same settings
"""

from __future__ import annotations

import http.client
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from components import require
from polling import PATIENCE
from servers import Server

GUNICORN = "{python} -m gunicorn --bind 127.0.0.1:{port} --workers {workers}"
UWSGI = (
    "{uwsgi} --plugin python3 --http-socket 127.0.0.1:{port} --processes {workers} --enable-threads"
    " --master --need-app --module worker_app:create_app()"
    # Its own idea of SIGTERM is to start anew.
    " --hook-master-start 'unix_signal:15 gracefully_kill_them_all'"
)
#: The app as gunicorn finds it.
APP = "worker_app:create_app()"
#: How each server is started. Those that take no ``{workers}`` have one.
COMMANDS = {
    "gunicorn sync": f"{GUNICORN} {APP}",
    "gunicorn sync, preload": f"{GUNICORN} --preload {APP}",
    "gunicorn gthread": f"{GUNICORN} --worker-class gthread --threads 8 {APP}",
    "gunicorn gthread, preload": f"{GUNICORN} --worker-class gthread --threads 8 --preload {APP}",
    "gunicorn gevent": f"{GUNICORN} --worker-class gevent {APP}",
    "gunicorn gevent, preload": f"{GUNICORN} --worker-class gevent --preload {APP}",
    "uwsgi": UWSGI,
    "uwsgi, lazy-apps": f"{UWSGI} --lazy-apps",
    "uwsgi, threads": f"{UWSGI} --threads 4",
    "waitress": "{python} -m waitress --listen 127.0.0.1:{port} --call worker_app:create_app",
    "hypercorn": "{python} -m hypercorn --bind 127.0.0.1:{port} wsgi:worker_app:create_app()",
    "uvicorn, a2wsgi": "{python} -m uvicorn --port {port} --factory worker_app:create_asgi_app",
    "lambda 1.0, apig-wsgi": "{python} -m waitress --listen 127.0.0.1:{port} --call"
    " worker_app:create_gateway",
    "lambda 2.0, apig-wsgi": "{python} -m waitress --listen 127.0.0.1:{port} --call"
    " worker_app:create_gateway",
}


def _vary(kinds: list[str], *always: str) -> list[object]:
    extra = pytest.mark.every_variant
    return [kind if kind in always else pytest.param(kind, marks=extra) for kind in kinds]


#: The servers whose workers are processes, for ``parametrize``.
FORKING = _vary(
    [kind for kind in COMMANDS if kind.startswith(("gunicorn", "uwsgi"))],
    *("gunicorn gevent, preload", "uwsgi, threads"),
)
#: Those of them that finish their requests on SIGTERM. uWSGI ends its threads at any point.
GRACEFUL = _vary(
    [kind for kind in COMMANDS if kind.startswith(("gunicorn", "uwsgi")) and "threads" not in kind],
    "gunicorn gthread, preload",
)


class WebServer(Server):
    """One of ``COMMANDS`` on a free port. ``options``: more words for its command line."""

    def __init__(
        self, folder: Path, kind: str, *, workers: int, options: str, settings: dict[str, str]
    ) -> None:
        super().__init__(folder)
        values = {"python": sys.executable, "port": str(self.port), "workers": str(workers)}
        self._environment = {
            **{name: value for name, value in os.environ.items() if name != "OPENROUTER_API_KEY"},
            "PYTHONPATH": os.pathsep.join(sys.path),
            **{f"SHARED_{name}": value for name, value in settings.items()},
        }
        if kind.startswith("uwsgi"):
            values["uwsgi"] = _find_uwsgi()
            self._environment["PYTHONPATH"] = os.pathsep.join(_paths())
        elif kind.startswith("lambda"):
            self._environment["GATEWAY_FORMAT"] = kind.split()[1].strip(",")
        self._command = [
            word.format(**values) for word in shlex.split(f"{COMMANDS[kind]} {options}")
        ]

    @property
    def url(self) -> str:
        """The origin, such as ``http://127.0.0.1:12345``."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def has_begun_to_stop(self) -> bool:
        """Whether gunicorn or uWSGI has received the signal."""
        return "Handling signal: term" in self.log or "graceful shutdown triggered" in self.log

    def stop(self) -> None:
        """Stop it as a service manager does."""
        self._end(signal.SIGTERM)

    def reload(self) -> None:
        """Let gunicorn start new workers, while the old ones finish."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def command(self) -> list[str]:
        return self._command

    def is_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        with closing(connection):
            try:
                connection.request("GET", "/openrouter/status")
                connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                return False
        return True

    def _identity(self) -> dict[str, Any]:
        return {"cwd": self.folder, "env": self._environment}


class NginxServer(Server):
    """nginx with these directives in its ``http`` block. ``{port}`` in them is its own port."""

    #: Where it buffers bodies, one for each kind of server behind it.
    _FOLDERS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")

    def __init__(self, folder: Path, program: str, directives: str) -> None:
        super().__init__(folder)
        self._program = program
        folders = "".join(f"{name}_temp_path {folder}/{name};\n" for name in self._FOLDERS)
        (folder / "nginx.conf").write_text(
            f"daemon off; error_log stderr; pid {folder}/pid; events {{}}\n"
            f"http {{\naccess_log off;\n{folders}{directives.replace('{port}', str(self.port))}\n}}"
        )

    @property
    def url(self) -> str:
        """The origin for plain http."""
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        return [self._program, "-e", "stderr", "-p", str(self.folder), "-c", "nginx.conf"]

    def is_ready(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5):
            return True
        return False


@contextmanager
def running_nginx(directives: str) -> Iterator[NginxServer]:
    """Start a new nginx and end it afterwards. Skips (in CI: fails) without one."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        require("nginx", "neither on PATH nor in /usr/sbin (apt install nginx-light)")
    with tempfile.TemporaryDirectory() as folder:
        # As root, its workers have another account.
        Path(folder).chmod(0o755)
        server = NginxServer(Path(folder), program, directives)
        try:
            server.start()
            yield server
        finally:
            server.kill()


@contextmanager
def running_web_server(
    kind: str, workers: int = 1, *, options: str = "", **settings: str
) -> Iterator[WebServer]:
    """Start one of ``COMMANDS`` and end it afterwards. ``settings``: of ``app.config``.

    Skips (in CI: fails) without a program that fits.
    """
    with tempfile.TemporaryDirectory() as folder:
        server = WebServer(Path(folder), kind, workers=workers, options=options, settings=settings)
        try:
            server.start()
            yield server
        finally:
            server.kill()


class Hold:
    """A request that keeps one synchronous worker busy until it is closed."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE)
        self._connection.request("GET", "/hold")
        self._answer = self._connection.getresponse()
        #: The worker's process id.
        self.worker = self._answer.headers["X-Worker"]

    def read(self, size: int) -> bytes:
        """Wait for as many more bytes of the answer."""
        return self._answer.read(size)

    def close(self) -> None:
        """Release the worker."""
        self._answer.close()
        self._connection.close()


def _find_uwsgi() -> str:
    program = shutil.which("uwsgi")
    if program is None:
        require("uwsgi", "not on PATH (apt install uwsgi uwsgi-plugin-python3)")
    answer = subprocess.run(
        [program, "--plugin", "python3", "--python-version"],
        capture_output=True,
        text=True,
        check=False,
    )
    # It has its own Python, which must be able to import the packages of this one.
    version = "{}.{}.".format(*sys.version_info)
    if not answer.stdout.strip().startswith(version):
        require("uwsgi", f"no plugin for Python {version}* ({answer.stdout.strip() or 'none'})")
    return program


def _paths() -> list[str]:
    # Without the standard library of this Python.
    own = (sys.base_prefix, sys.base_exec_prefix)
    return [path for path in sys.path if path and not path.startswith(own)]
