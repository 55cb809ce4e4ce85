"""A folder with the packages of one program: a virtual environment, or ``node_modules``."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from .programs import Program

#: Seconds for one installation.
_TIMEOUT: Final = 900
#: Written last into the folder: what is installed there.
_RECEIPT: Final = "installed.json"
#: Older versions lack the global ``crypto``, which OpenRouter's SDK needs.
_OLDEST_NODE: Final = 20


class NotInstalledError(Exception):
    """The program cannot be installed on this machine."""


def install(program: Program, below: Path, *, is_newest: bool = False) -> Path:
    """Install the program, if it is not there yet. Return its folder.

    :param is_newest: install the newest version instead of the pinned one.
    :raises NotInstalledError: if that fails.
    """
    if program.language == "Node":
        _check_node()
    elif program.language == "Go" and shutil.which("go") is None:
        raise NotInstalledError("no Go on PATH (1.25 or newer)")
    wanted = [program.requirement, *program.others]
    if is_newest:
        wanted = [re.sub(r"(==|(?<=.)@)[^@=/]+$", "", each) for each in wanted]
    folder = below / re.sub(r"\W+", "-", program.name).strip("-")
    receipt = folder / _RECEIPT
    written = json.dumps([*wanted, sys.version if program.language == "Python" else ""])
    if not is_newest and receipt.exists() and receipt.read_text(encoding="utf-8") == written:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    {"Python": _pip, "Node": _npm, "Go": _go}[program.language](folder, wanted)
    receipt.write_text(written, encoding="utf-8")
    return folder


def installed_version(program: Program, folder: Path) -> str:
    """Return the version of the program's package in this folder."""
    if program.language == "Node":
        package = folder / "node_modules" / program.name / "package.json"
        return str(json.loads(package.read_text(encoding="utf-8"))["version"])
    if program.language == "Go":
        return _do("go", "list", "-m", "-f", "{{.Version}}", program.name, cwd=folder).strip()
    command = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"
    return _do(str(folder / "bin" / "python"), "-c", command, program.name, cwd=folder).strip()


def _pip(folder: Path, wanted: list[str]) -> None:
    _do(sys.executable, "-m", "venv", str(folder), cwd=folder)
    options = ["--quiet", "--disable-pip-version-check"]
    _do(str(folder / "bin" / "python"), "-m", "pip", "install", *options, *wanted, cwd=folder)


def _npm(folder: Path, wanted: list[str]) -> None:
    (folder / "package.json").write_text('{"private": true}', encoding="utf-8")
    # No driver needs the packages' install scripts.
    _do("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", *wanted, cwd=folder)


def _go(folder: Path, wanted: list[str]) -> None:
    _do("go", "mod", "init", "driver", cwd=folder)
    _do("go", "get", *wanted, cwd=folder)


def _check_node() -> None:
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise NotInstalledError("no Node on PATH (apt install nodejs npm)")
    version = _do("node", "--version", cwd=Path.cwd()).strip()
    if int(version.lstrip("v").partition(".")[0]) < _OLDEST_NODE:
        raise NotInstalledError(f"needs Node {_OLDEST_NODE} or newer, and this is {version}")


def _do(*command: str, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    try:
        done = subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=_TIMEOUT
        )
    except subprocess.TimeoutExpired:
        raise NotInstalledError(f"{command[0]} took longer than {_TIMEOUT} s") from None
    if done.returncode:
        last = [line for line in done.stderr.splitlines() if line.strip()][-3:]
        raise NotInstalledError(" ".join(last) or f"{command[0]} failed")
    return done.stdout
