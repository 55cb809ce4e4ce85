"""``flask openrouter doctor`` as a command, with apps that may not even load."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cases import case
from click.testing import CliRunner
from flask import Flask
from flask.cli import FlaskGroup

from flask_openrouter import OpenRouterAuth
from flask_openrouter.doctor import Doctor
from flask_openrouter.doctor.case import Case
from flask_openrouter.doctor.finding import Result, problem
from flask_openrouter.doctor.report import print_report
from flask_openrouter.doctor.workers import Workers, fingerprints, print_fingerprints
from flask_openrouter.emulator import Emulator

APP = """
import os, secrets
from flask import Flask
from flask_openrouter import OpenRouterAuth

def create_app():
    app = Flask(__name__)
    app.config.from_prefixed_env("TRIED")
    {more}
    OpenRouterAuth(app)
    return app
"""
SECRET = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"


@dataclass
class Done:
    """A command that ended."""

    returncode: int
    stdout: str
    stderr: str


class Folder:
    """A folder for an ``app.py`` in which the ``flask`` command runs."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        self._monkeypatch = monkeypatch

    def write(self, more: str = "", *, text: str = APP) -> None:
        (self.path / "app.py").write_text(text.replace("{more}", more), encoding="utf-8")

    @staticmethod
    def _environment(settings: dict[str, str]) -> dict[str, str]:
        return {
            "TRIED_SECRET_KEY": SECRET,
            **{name: value for name, value in settings.items() if name.startswith("FLASK")},
            **{f"TRIED_{name}": v for name, v in settings.items() if not name.startswith("FLASK")},
        }

    def flask(self, *arguments: str, **settings: str) -> Done:
        """Run the command in a process of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "flask", *arguments],
            cwd=self.path,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
                **self._environment(settings),
            },
            capture_output=True,
            text=True,
            timeout=60,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def doctor(self, *options: str, **settings: str) -> Done:
        """Run the doctor in a process of its own."""
        return self.flask("openrouter", "doctor", *options, **settings)

    def flask_here(self, *arguments: str, **settings: str) -> Done:
        """Run the command in this process: much faster."""
        with self._monkeypatch.context() as patch:
            patch.chdir(self.path)
            # The command changes these.
            patch.setattr(sys, "path", [*sys.path])
            patch.setenv("FLASK_RUN_FROM_CLI", "true")
            for name, value in self._environment(settings).items():
                patch.setenv(name, value)
            result = CliRunner().invoke(FlaskGroup("flask"), arguments)
        for name in ("app", "other"):
            sys.modules.pop(name, None)
        return Done(result.exit_code, result.stdout, result.stderr)

    def doctor_here(self, *options: str, **settings: str) -> Done:
        """Run the doctor in this process; it starts the second process all the same."""
        return self.flask_here("openrouter", "doctor", *options, **settings)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    return Folder(tmp_path, monkeypatch)


def test_the_report_for_people(folder: Folder) -> None:
    folder.write()
    done = folder.doctor_here(SESSION_COOKIE_SAMESITE="None")
    assert (done.returncode, done.stderr) == (1, "")
    assert "\nok    Secret key\n" in done.stdout
    assert "\nwarn  Callback URL\n      The callback URL is built" in done.stdout
    assert "\nFAIL  Session cookie\n      SESSION_COOKIE_SAMESITE is 'None'" in done.stdout
    assert "\n      Remedy: Set SESSION_COOKIE_SAMESITE = 'Lax', or SESSION_COOKIE" in done.stdout
    assert done.stdout.endswith("\n1 problem, 2 warnings.\n")
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert SECRET not in done.stdout


def test_warnings_do_not_change_the_exit_status(folder: Folder) -> None:
    folder.write()
    done = folder.doctor_here("--json")
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert (document["severity"], document["problems"], document["warnings"]) == ("warning", 0, 2)


def test_the_summary_without_findings(folder: Folder) -> None:
    folder.write()
    done = folder.doctor_here(FLASK_DEBUG="1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("\n0 problems, 0 warnings.\n")


def test_the_extension_s_log_messages_are_not_repeated(folder: Folder) -> None:
    folder.write()
    done = folder.doctor(FLASK_DEBUG="1", SECRET_KEY="dev")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("too easy to guess") == 1


# -- an app that cannot be created ---------------------------------------------------------------


def test_a_setting_that_prevents_the_start_is_reported(folder: Folder) -> None:
    folder.write()
    for settings, words in [
        ({"SECRET_KEY": ""}, ["SECRET_KEY is not set.", "token_hex"]),
        ({"SECRET_KEY": "dev"}, ["SECRET_KEY is too easy to guess", "token_hex"]),
        ({"OPENROUTER_ENCRYPTION_KEY": "hunter2"}, ["32 bytes", "flask openrouter generate-key"]),
        ({"OPENROUTER_BASE_URL": "https://" + "openr0uter" + ".ai"}, ["did you mean"]),
        ({"OPENROUTER_CALLBACK_URL": "http://app.example/openrouter/callback"}, ["https"]),
        ({"OPENROUTER_STORAGE_URI": "nosuch://a:hunter2@b/c"}, ["OPENROUTER_STORAGE_URI"]),
        ({"OPENROUTER_STORAGE_URI": "sqlite:////no/such/folder/k.db"}, ["/no/such/folder"]),
    ]:
        with case(settings):
            done = folder.doctor_here(**settings)
            assert (done.returncode, done.stderr) == (1, "")
            text = " ".join(done.stdout.split())
            assert text.startswith("FAIL App ")
            assert "[configuration] Remedy: " in text
            assert text.endswith("1 problem, 0 warnings.")
            for word in words:
                assert word in text
            assert "hunter2" not in text


def test_in_a_process_the_doctor_reports_and_other_commands_print_one_line(folder: Folder) -> None:
    folder.write()
    done = folder.doctor(SECRET_KEY="")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("FAIL  App\n      SECRET_KEY is not set.")
    done = folder.flask("openrouter", "rotate", SECRET_KEY="")
    assert done.returncode == 1
    assert re.fullmatch(r"Error: SECRET_KEY is not set\. [^\n]+\n", done.stderr)
    done = folder.flask_here("openrouter", "generate-key", SECRET_KEY="")
    assert done.returncode == 0


def test_an_app_that_cannot_be_loaded_is_reported(folder: Folder) -> None:
    for text, words in [
        ("import nothing_of_this_name", "While importing 'app', an ImportError was raised."),
        ("x = 1", "Failed to find Flask application or factory"),
        ("raise OSError('hunter2')", "Creating the app raises OSError at "),
    ]:
        with case(text):
            folder.write(text=text)
            shutil.rmtree(folder.path / "__pycache__", ignore_errors=True)
            done = folder.doctor_here("--json", FLASK_APP="app")
            assert (done.returncode, done.stderr) == (1, "")
            (check,) = json.loads(done.stdout)["checks"]
            (finding,) = check["findings"]
            assert finding["code"] == "app_not_loaded"
            assert words in finding["title"]
            assert "flask routes" in finding["remedy"]
            assert "hunter2" not in done.stdout


def test_a_folder_without_an_app_is_reported(folder: Folder) -> None:
    done = folder.doctor_here()
    assert done.returncode == 1
    assert "Could not locate a Flask application" in done.stdout


# -- a second process ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ('app.secret_key = secrets.token_hex(); print("{own}")', "SECRET_KEY"),
        ('app.config["OPENROUTER_STORAGE_URI"] = f"sqlite:///{os.getpid()}"', "STORAGE_URI"),
        (
            "import base64; app.config['OPENROUTER_ENCRYPTION_KEY'] ="
            " base64.urlsafe_b64encode(os.urandom(32)).decode()",
            "ENCRYPTION_KEY",
        ),
    ],
)
@pytest.mark.parametrize("debug", ["0", pytest.param("1", marks=pytest.mark.every_variant)])
def test_a_generated_setting_is_found(line: str, name: str, debug: str, folder: Folder) -> None:
    folder.write(line)
    done = folder.doctor_here("--json", FLASK_DEBUG=debug, SERVER_NAME="app.example")
    assert done.returncode == (0 if debug == "1" else 1)
    document = json.loads(done.stdout[done.stdout.index("{\n") :])
    (finding,) = document["checks"][-1]["findings"]
    assert finding["code"] == "workers_differ"
    assert finding["severity"] == ("warning" if debug == "1" else "problem")
    assert re.search(rf"process: (OPENROUTER_)?{name}\.", finding["title"])


def test_the_key_of_a_first_try_is_a_warning(folder: Folder) -> None:
    """The app of the README makes a new key at each start, and has no public name."""
    folder.write("app.secret_key = secrets.token_hex()")
    done = folder.doctor_here("--json")
    assert done.returncode == 0
    (finding,) = json.loads(done.stdout)["checks"][-1]["findings"]
    assert (finding["code"], finding["severity"]) == ("workers_differ", "warning")
    assert folder.doctor_here("--json", FLASK_X="1", SERVER_NAME="app.example").returncode == 1
    folder.write("os.environ['WEB_CONCURRENCY'] = '2'; app.secret_key = secrets.token_hex()")
    assert folder.doctor_here("--json").returncode == 1
    os.environ.pop("WEB_CONCURRENCY")


@pytest.mark.requirement("M3")
def test_what_an_app_prints_stays_out_of_the_json(folder: Folder) -> None:
    """Also at its end, and what a program prints that it starts, in both processes."""
    folder.write(
        "import atexit, subprocess; print('Loading a model.'); atexit.register(print, 'Bye.');"
        " subprocess.run(['echo', 'A program.'])"
    )
    done = folder.doctor("--json", FLASK_DEBUG="1")
    assert done.returncode == 0
    document = json.loads(done.stdout)
    assert document["severity"] == "ok"
    assert document["checks"][-1] == {
        "name": "workers",
        "title": "Second process",
        "severity": "ok",
        "findings": [],
    }
    for words in ("Loading a model.", "Bye.", "A program."):
        assert words in done.stderr
    assert folder.doctor(FLASK_DEBUG="1").stdout.count("Bye.") == 1


@pytest.mark.requirement("M4")
def test_an_app_that_ends_the_process_is_a_problem(folder: Folder) -> None:
    for line in ("raise SystemExit", "import sys; sys.exit(0)", "exit()"):
        with case(line):
            folder.write(line)
            shutil.rmtree(folder.path / "__pycache__", ignore_errors=True)
            run = folder.doctor if line == "exit()" else folder.doctor_here
            done = run("--json")
            assert done.returncode == 1
            (check,) = json.loads(done.stdout)["checks"]
            assert check["findings"][0]["code"] == "app_not_loaded"
            assert "SystemExit at " in check["findings"][0]["title"]
            assert f"{folder.path}/app.py:" in check["findings"][0]["title"]


def test_the_app_of_the_option_is_compared(folder: Folder) -> None:
    folder.write("raise SystemExit('the wrong app')")
    folder.path.joinpath("other.py").write_text(APP.format(more=""), encoding="utf-8")
    done = folder.flask_here("--app", "other:create_app", "openrouter", "doctor", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["checks"][-1]["findings"] == []


def test_an_app_that_loads_only_once_is_not_compared(folder: Folder) -> None:
    folder.write("open('lock', 'x').close()")
    done = folder.doctor_here("--json")
    (finding,) = json.loads(done.stdout)["checks"][-1]["findings"]
    assert (finding["code"], finding["severity"]) == ("workers_not_compared", "warning")


def test_a_slow_second_process_is_stopped(
    production: Any, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write("import time; time.sleep(30)")
    monkeypatch.chdir(folder.path)
    (*_, result) = Doctor(production, Workers("app", timeout=0.5)).run()
    (finding,) = result.findings
    assert finding.code == "workers_not_compared"
    assert "within 0.5 seconds" in finding.title


def test_an_app_of_another_program_is_not_compared(production: Any, diagnose: Any) -> None:
    finding = diagnose(production()).findings["workers_not_compared"]
    assert finding["severity"] == "ok"


def test_commands_are_not_broken_at_a_hyphen(capsys: pytest.CaptureFixture[str]) -> None:
    command = 'pip install "Flask-OpenRouter[redis]"'
    for length in range(60, 100):
        text = f"{'x' * length} {command}"
        print_report([Result("app", "App", (problem("code", text, text),))], as_json=False)
        assert "Flask-OpenRouter[redis]" in capsys.readouterr().out


def test_fingerprints_reveal_no_secret(
    production: Any, folder: Folder, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    """Each nonce gives other fingerprints, so they do not identify a key."""
    folder.write()
    monkeypatch.chdir(folder.path)
    monkeypatch.setenv("TRIED_SECRET_KEY", SECRET)
    monkeypatch.setattr(sys, "path", [str(folder.path), *sys.path])
    for arguments in (["00" * 32], ["11" * 32, "app:create_app"]):
        monkeypatch.setattr(sys, "argv", ["-c", *arguments])
        print_fingerprints()
    del sys.modules["app"]
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("flask_openrouter fingerprints: {")
    assert first != second
    assert SECRET not in first + second
    case = Case.of(
        production(OPENROUTER_ENCRYPTION_KEY="AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
    )
    assert set(fingerprints(case, b"n")) == {
        "SECRET_KEY",
        "OPENROUTER_ENCRYPTION_KEY",
        "OPENROUTER_BASE_URL",
        "OPENROUTER_STORAGE_URI",
    }


# -- imports -------------------------------------------------------------------------------------


def test_an_app_does_not_import_the_doctor() -> None:
    program = """
import sys
from flask import Flask
from flask_openrouter import OpenRouterAuth
app = Flask("tested")
app.config["SECRET_KEY"] = "0123456789abcdef" * 2
OpenRouterAuth(app)
assert app.test_client().get("/openrouter/callback").status_code == 400
print([name for name in sys.modules if "doctor" in name])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_each_of_two_apps_has_the_command(emulator: Emulator) -> None:
    for _ in range(2):
        app = Flask("tested")
        app.config.update(TESTING=True, SECRET_KEY=SECRET, OPENROUTER_BASE_URL=emulator.url)
        OpenRouterAuth(app)
        result = app.test_cli_runner().invoke(args=["openrouter", "doctor", "--help"])
        assert result.output.count("--live") == 1
        assert "Exit status" in result.output
