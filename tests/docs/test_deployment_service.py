"""The server of docs/deployment.md: its variables, its systemd unit and its container, started."""

from __future__ import annotations

import configparser
import http.client
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from components import require
from deployment_page import app_account, block, environment
from live_app import Browser, LiveAnswer
from polling import PATIENCE, wait_until
from project_files import ROOT
from servers import PostgreSQLServer, Server

from flask_openrouter.emulator import Emulator

BIN = Path(sys.executable).parent
VIEWS = """

@app.get("/guarded")
@requires_openrouter_key
def guarded():
    return hashlib.sha256(current_openrouter.api_key.encode()).hexdigest()


@app.get("/long")
def long_answer():
    def words():
        yield "first "
        while not os.path.exists("go-on"):
            time.sleep(0.01)
        yield "last"

    return Response(words())


def create_app():
    return app
"""


def app_of_the_page() -> str:
    """Return an app.py of the page's blocks. The extension is created in one of them."""
    settings = block("python", "TRUSTED_HOSTS=").replace("OpenRouterAuth(app)\n", "")
    health = block("python", "/readyz")
    health = health[health.index("@app.get") :]
    proxy = block("python", "ProxyFix").replace("OpenRouterAuth(app)", "auth = OpenRouterAuth(app)")
    return "\n".join(
        [
            "import hashlib, os, time\nfrom flask import Flask, Response",
            "from flask_openrouter import *\n\napp = Flask(__name__)",
            *(block("python", "logging.basicConfig"), settings, "app.config.from_prefixed_env()"),
            *(proxy, health, VIEWS),
        ]
    )


class Service(Server):
    """A command of the page with an environment of its own. ``{port}`` in it is a free port."""

    def __init__(self, folder: Path, command: str, variables: Mapping[str, str]) -> None:
        super().__init__(folder)
        if find_spec("gunicorn") is None:
            require("gunicorn", "not installed (pip install --group test)")
        (folder / "app.py").write_text(app_of_the_page(), encoding="utf-8")
        self.variables = {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT),
            **variables,
        }
        command, times = re.subn(r":8000\b", f":{self.port}", command)
        assert times == 1
        # Two workers show what four do, in half the time.
        self._command = shlex.split(command.replace("--workers 4", "--workers 2"))

    @property
    def pid(self) -> int:
        """The process id of the server's first process."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """Stop it as systemd and Docker do."""
        self._end(signal.SIGTERM)

    def command(self) -> list[str]:
        return self._command

    def is_ready(self) -> bool:
        with suppress(OSError, http.client.HTTPException):
            return ProxiedBrowser(self.port).get("/readyz").text == "ready"
        return False

    def _identity(self) -> dict[str, Any]:
        return {"cwd": self.folder, "env": self.variables}


class ProxiedBrowser(Browser):
    """A browser at ``https://app.example``: requests arrive as the page's nginx sends them."""

    def __init__(self, port: int) -> None:
        super().__init__("https://app.example")
        self._port = port

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: str = ""
    ) -> LiveAnswer:
        proxied = {
            "Host": "app.example",
            "X-Forwarded-Host": "app.example",
            "X-Forwarded-Proto": "https",
            "X-Forwarded-For": "203.0.113.7",
            "X-Request-ID": "5f0a1b",
        }
        return super().send(method, url, headers={**proxied, **(headers or {})}, body=body)


@pytest.fixture
def variables(
    emulator: Emulator, postgresql: PostgreSQLServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    """The variables of the page, with PostgreSQL and for a rehearsal with the emulator."""
    resolve = socket.getaddrinfo
    # As a line in /etc/hosts.
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *args, **kwargs: resolve(
            "127.0.0.1" if host == "app.example" else host, *args, **kwargs
        ),
    )
    with emulator.configured(resolve_hosts=True), app_account(postgresql) as url:
        yield environment(
            OPENROUTER_STORAGE_URI=url,
            OPENROUTER_BASE_URL=emulator.url,
            OPENROUTER_EMULATOR="true",
        )


def as_systemd_reads_them(variables: Mapping[str, str], file: Path) -> dict[str, str]:
    """Write an EnvironmentFile, quoted as the page says, and read it (systemd.exec(5))."""
    lines = [
        f"{name}='{value}'" if value.startswith("[") else f"{name}={value}"
        for name, value in variables.items()
    ]
    file.write_text("\n".join(lines), encoding="utf-8")
    read = dict(" ".join(shlex.split(line)).split("=", 1) for line in lines)
    shell = subprocess.run(
        ["bash", "-euc", f"set -a; . {file}; env -0"], env={}, capture_output=True, text=True
    )
    sourced = dict(entry.split("=", 1) for entry in shell.stdout.split("\0") if entry)
    assert read.items() <= sourced.items()
    return read


def test_lists_in_variables_are_read_as_lists_by_every_reader(tmp_path: Path) -> None:
    page = environment(OPENROUTER_STORAGE_URI="sqlite:///keys.db")
    for variables in (page, as_systemd_reads_them(page, tmp_path / "app.env")):
        program = (
            "from flask import Flask; app = Flask(''); app.config.from_prefixed_env();"
            "import json; print(json.dumps(app.config['TRUSTED_HOSTS']))"
        )
        printed = subprocess.run(
            [sys.executable, "-c", program], env=variables, capture_output=True, check=True
        )
        assert json.loads(printed.stdout) == ["app.example"]


class Unit(configparser.RawConfigParser):
    """The page's unit. A name that comes more than once has all its values."""

    def __init__(self, text: str) -> None:
        super().__init__(strict=False, interpolation=None)
        # systemd joins lines that end in a backslash, and makes two percent signs one.
        text = re.sub(r"\\\n\s*", " ", text).replace("%%", "%")
        self.read_string(text)
        self.reloads = re.findall(r"^ExecReload=(.+)$", text, re.M)


@pytest.mark.requirement("P4")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        require("systemd-analyze", "not on PATH (apt install systemd)")
    file = tmp_path / "app.service"
    file.write_text(block("ini", "[Service]").replace("/srv/app/venv/bin", str(BIN)))
    checked = subprocess.run([program, "verify", str(file)], capture_output=True, text=True)
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.requirement("P4", "P11", "P13")
def test_the_service_survives_its_reload_and_its_restart(
    tmp_path: Path, variables: dict[str, str], emulator: Emulator
) -> None:
    """A login is under way meanwhile, and a long answer."""
    unit = Unit(block("ini", "[Service]").replace("/srv/app/venv/bin", str(BIN)))
    options = unit["Service"]
    assert int(options["TimeoutStopSec"]) > graceful_timeout(options["ExecStart"])
    typed = block("text", "gunicorn --worker-class").replace("\\\n", " ")
    assert shlex.split(options["ExecStart"])[1:] == shlex.split(typed)[1:]
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as notified:
        notified.bind(str(tmp_path / "notify"))
        notified.settimeout(PATIENCE)
        read = as_systemd_reads_them(variables, tmp_path / "app.env")
        read["NOTIFY_SOCKET"] = str(tmp_path / "notify")
        service = Service(tmp_path, options["ExecStart"], read)
        try:
            service.start()
            # Type=notify
            assert notified.recv(1000).startswith(b"READY=1")
            doctor, reload = unit.reloads
            assert "0 problems, 0 warnings." in run(service, doctor)
            ada = ProxiedBrowser(service.port)
            landed = ada.get(emulator.approve(ada.start("/guarded")))
            assert (landed.status, landed.location) == (303, "/guarded")
            key = ada.key
            assert key is not None
            check_reload(service, reload, emulator)
            check_restart(service, emulator)
            assert ada.key == key
        finally:
            service.kill()
    assert re.search(
        r"^\d{4}-\d\d-\d\d [\d:,]+ INFO flask_openrouter: A key was connected\."
        r" \[owner \w{12}, request 5f0a1b\]$",
        service.log,
        re.M,
    )
    assert '"GET /openrouter/callback HTTP/1.1" 303' in service.log
    assert "code=" not in service.log


def graceful_timeout(command: str) -> int:
    (seconds,) = re.findall(r"--graceful-timeout (\d+)", command)
    return int(seconds)


def run(service: Service, command: str) -> str:
    """Run a command as the service's account would, without the variables of a rehearsal."""
    rehearsal = ("FLASK_OPENROUTER_BASE_URL", "FLASK_OPENROUTER_EMULATOR")
    done = subprocess.run(
        shlex.split(command),
        cwd=service.folder,
        env={name: v for name, v in service.variables.items() if name not in rehearsal},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check_reload(service: Service, reload: str, emulator: Emulator) -> None:
    """``systemctl reload`` replaces the workers, and a login under way goes on."""
    bob = ProxiedBrowser(service.port)
    callback_url = emulator.approve(bob.start())
    before = workers(service)
    run(service, reload.replace("$MAINPID", str(service.pid)))
    wait_until(lambda: not before & workers(service))
    assert bob.get(callback_url).status == 303


def check_restart(service: Service, emulator: Emulator) -> None:
    """``systemctl restart``: SIGTERM, then a new start. The long answer is finished before."""
    bob = ProxiedBrowser(service.port)
    callback_url = emulator.approve(bob.start())
    with ThreadPoolExecutor(1) as pool:
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=PATIENCE)
        connection.request("GET", "/long", headers={"Host": "app.example"})
        answer = connection.getresponse()
        assert answer.read(6) == b"first "
        stopped = pool.submit(service.stop)
        wait_until(lambda: "Handling signal: term" in service.log)
        (service.folder / "go-on").touch()
        assert answer.read() == b"last"
        connection.close()
        stopped.result()
    service.start()
    assert bob.get(callback_url).status == 303
    assert bob.key is not None


def workers(service: Service) -> set[int]:
    children = Path(f"/proc/{service.pid}/task/{service.pid}/children")
    return {*map(int, children.read_text().split())}


# -- a container --------------------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    """Return the page's Dockerfile as pairs of an instruction and what it says."""
    lines = block("dockerfile", "FROM").splitlines()
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


def docker_options(command: str) -> dict[str, str]:
    """Return the options of the page's ``docker run`` command with this one."""
    lines = block("text", "docker run").splitlines()
    (words,) = [shlex.split(line) for line in lines if f"--{command}" in line]
    return {
        word.removeprefix("--"): following
        for word, following in zip(words, [*words[1:], ""], strict=True)
        if word.startswith("--")
    }


def test_the_container_is_published_and_stopped_as_its_server_needs() -> None:
    dockerfile = dict(instructions())
    options = docker_options("detach")
    command = json.loads(dockerfile["CMD"])
    assert command[0] == "gunicorn"
    port = dockerfile["EXPOSE"]
    assert command[command.index("--bind") + 1] == f"0.0.0.0:{port}"
    assert options["publish"] == f"127.0.0.1:{port}:{port}"
    assert int(options["stop-timeout"]) > graceful_timeout(dockerfile["ENV"])
    order = [name for name, _ in instructions()]
    assert order.index("USER") > max(i for i, name in enumerate(order) if name == "RUN")
    (user,) = [rest.split()[-1] for _, rest in instructions() if rest.startswith("useradd")]
    assert dockerfile["USER"] == user
    options = docker_options("rm")
    assert options["env-file"] == "app.env"


@pytest.mark.every_variant
@pytest.mark.requirement("P4", "P6")
def test_the_container_finishes_a_long_answer_when_it_is_stopped(
    tmp_path: Path, variables: dict[str, str], emulator: Emulator
) -> None:
    """The command of the Dockerfile, with its variables and those of ``--env-file`` as they are."""
    dockerfile = dict(instructions())
    name, value = dockerfile["ENV"].split("=", 1)
    command = shlex.join(json.loads(dockerfile["CMD"]))
    service = Service(tmp_path, command, {**variables, name: shlex.split(value)[0]})
    doctor = block("text", "docker run").partition("app.env app ")[2].splitlines()[0]
    try:
        service.start()
        # Without --live, which asks OpenRouter.
        assert "0 problems, 0 warnings." in run(service, doctor.removesuffix(" --live"))
        assert len(workers(service)) == 4
        check_restart(service, emulator)
    finally:
        service.kill()


@pytest.mark.every_variant
def test_what_the_container_installs_is_enough_for_its_command(tmp_path: Path) -> None:
    """Its RUN pip install, in a new environment, with the packages that the page names."""
    (install,) = [rest for name, rest in instructions() if rest.startswith("pip install")]
    assert ("COPY", "requirements.txt .") in instructions()
    requirements = shlex.split(block("text", "pip install gunicorn"))[2:]
    (own,) = [each for each in requirements if each.startswith("Flask-OpenRouter")]
    requirements[requirements.index(own)] = f"{own} @ file://{ROOT}"
    (tmp_path / "requirements.txt").write_text("\n".join(requirements), encoding="utf-8")
    (tmp_path / "app.py").write_text(app_of_the_page(), encoding="utf-8")
    venv.create(tmp_path / "venv", with_pip=True)
    inherited = {**os.environ, "PATH": f"{tmp_path}/venv/bin:{os.environ['PATH']}"}
    inherited.pop("PYTHONPATH", None)
    constraints = str(ROOT / ".ci" / "requirements.txt")
    for command in (
        [*shlex.split(install), "--quiet", "--constraint", constraints],
        ["flask", "openrouter", "doctor"],
        ["gunicorn", "--check-config", "app:create_app()"],
    ):
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env={**inherited, **environment(OPENROUTER_STORAGE_URI="sqlite:///keys.db")},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
