"""One driver, run against an emulator with the packages of its program."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from flask_openrouter.emulator import Emulator

from .programs import Program
from .table import Row

#: Seconds for one driver. aider and gptme import for a while.
_TIMEOUT: Final = 300
#: Nothing listens there. What a program sends to another machine fails at once.
_NOWHERE: Final = "http://127.0.0.1:9"


def visit(program: Program, folder: Path, emulator: Emulator) -> tuple[str, str]:
    """Run a driver. Return what it did, and the result, which names the failure if there is one.

    :param folder: where the packages of the program are.
    """
    emulator.reset()
    with tempfile.TemporaryDirectory() as home:
        done = _run(_command(program, folder), home, emulator)
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        return "", f"fails: {lines[-1] if lines else f'exit status {done.returncode}'}"
    if not emulator.requests:
        return "", "fails: the emulator got no request"
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    return (lines[-1], Row.PASSES) if lines else ("", "fails: it does not say what it did")


def _command(program: Program, folder: Path) -> list[str]:
    if program.language == "Python":
        return [str(folder / "bin" / "python"), str(program.path)]
    # Node and Go look for packages beside the script.
    for script in program.path.parent.glob(f"*{program.path.suffix}"):
        (folder / script.name).write_bytes(script.read_bytes())
    script = folder / program.path.name
    return ["node", str(script)] if program.language == "Node" else _built(script)


def _built(script: Path) -> list[str]:
    driver = script.with_suffix("")
    command = ["go", "build", "-mod=mod", "-o", str(driver), str(script)]
    done = subprocess.run(command, cwd=script.parent, capture_output=True, text=True)
    if done.returncode:
        return [sys.executable, "-c", f"import sys; sys.exit({done.stderr!r})"]
    return [str(driver)]


def _run(command: list[str], home: str, emulator: Emulator) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": home,
        "LANG": "C.UTF-8",
        "EMULATOR_URL": emulator.url,
        "EMULATOR_KEY": emulator.issue_key(),
        "HTTP_PROXY": _NOWHERE,
        "HTTPS_PROXY": _NOWHERE,
        "NO_PROXY": "127.0.0.1,localhost",
    }
    try:
        return subprocess.run(
            command,
            cwd=home,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"it took longer than {_TIMEOUT} s")
