"""OpenRouter's SDK for TypeScript, run by Node and called from Python."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from callers import ATTRIBUTION, Outcome
from components import require
from project_files import ROOT

_SOURCE = Path(__file__).parents[1] / "emulator" / "typescript"
_INSTALL_SECONDS = 300
#: Older versions lack the global ``crypto``, which the SDK needs.
OLDEST_NODE = 20
#: Where npm installs the packages, for this run and later ones.
CACHE = ROOT / "build" / "node"
_ATTRIBUTION = {
    "httpReferer": ATTRIBUTION["HTTP-Referer"],
    "appTitle": ATTRIBUTION["X-OpenRouter-Title"],
    "appCategories": ATTRIBUTION["X-OpenRouter-Categories"],
}


class TypeScriptSDK:
    """One Node process that makes one call at a time."""

    name = "TypeScript SDK"

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def call(
        self,
        operation: str,
        base_url: str,
        api_key: str | None = None,
        /,
        **parameters: Any,
    ) -> Outcome:
        """Make one of the calls of check.mjs. Parameters and results have the names of the API."""
        order = {
            "operation": operation,
            "base_url": base_url,
            "api_key": api_key,
            "options": _ATTRIBUTION,
            "parameters": parameters,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        reply = json.loads(self._process.stdout.readline())
        return Outcome(**{**reply, "value": _snake_case(reply.get("value"))})


@contextmanager
def running_typescript_sdk(cache: Path = CACHE) -> Iterator[TypeScriptSDK]:
    """Run the SDK. If it is not available, skip the test (in CI: fail)."""
    node = shutil.which("node")
    if node is None:
        require("node", "not on PATH (apt install nodejs npm)")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.lstrip("v").partition(".")[0]) < OLDEST_NODE:
        require("node", f"the SDK needs Node {OLDEST_NODE} or newer, and this is {version.strip()}")
    modules = install_typescript_sdk(cache)
    with tempfile.TemporaryDirectory() as folder:
        script = shutil.copy(_SOURCE / "check.mjs", folder)
        # Node looks for packages beside the script.
        (Path(folder) / "node_modules").symlink_to(modules)
        with subprocess.Popen(
            [node, script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PATH": os.environ["PATH"]},  # Without the key and base URL of this environment.
        ) as process:
            yield TypeScriptSDK(process)


def install_typescript_sdk(cache: Path) -> Path:
    """Return the folder of packages. Let npm install them if they are missing or outdated."""
    cache.mkdir(parents=True, exist_ok=True)
    installed = cache / "openrouter-sdk"
    with (cache / "installing").open("w") as lock:
        # Tests that run in parallel wait for the one that installs.
        fcntl.flock(lock, fcntl.LOCK_EX)
        package = installed / "package.json"
        if not package.exists() or _read(package) != _read(_SOURCE / "package.json"):
            _install(installed)
    return installed / "node_modules"


def _install(target: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        require("npm", "not on PATH (apt install nodejs npm)")
    folder = Path(tempfile.mkdtemp(dir=target.parent))
    shutil.copy(_SOURCE / "package.json", folder)
    # No test needs the package's install scripts.
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]
    done = subprocess.run(
        [npm, "install", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=_INSTALL_SECONDS,
    )
    if done.returncode:
        shutil.rmtree(folder)
        require("@openrouter/sdk", f"npm could not install it: {done.stderr[-500:]}")
    # Rename last: a folder of this name is always complete.
    shutil.rmtree(target, ignore_errors=True)
    folder.rename(target)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _snake_case(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            re.sub(r"[A-Z]", lambda match: f"_{match[0].lower()}", name): _snake_case(item)
            for name, item in value.items()
        }
    return [_snake_case(item) for item in value] if isinstance(value, list) else value
