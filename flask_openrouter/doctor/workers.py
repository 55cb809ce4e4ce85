"""The app, created once more in a second process: would two workers understand each other?"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import click
from flask import Flask
from flask.cli import ScriptInfo

from .case import Case
from .finding import Finding, ok, problem, warning

#: Seconds that the second process may take.
TIMEOUT: Final = 30.0
_MARK: Final = "flask_openrouter fingerprints: "
_PROGRAM: Final = "from flask_openrouter.doctor.workers import tell; tell()"


@dataclass(frozen=True)
class Workers:
    """How to create the app in another process. ``import_path``: as in ``flask --app``, or None.

    ``timeout``: seconds.
    """

    import_path: str | None = None
    #: False where the app was made by a function that only this process has.
    can_repeat: bool = True
    timeout: float = TIMEOUT

    def check(self, case: Case) -> Iterator[Finding]:
        """Find settings that differ from process to process, such as a key that is made anew."""
        if not self.can_repeat:
            yield ok(
                "workers_not_compared",
                "Not compared: this program creates its app itself. Use the flask command.",
            )
            return
        # Sent to the other process: what comes back says nothing about a key to anybody else.
        nonce = secrets.token_bytes(32)
        other = self._ask(nonce, debug=case.app.debug)
        if other is None:
            yield warning(
                "workers_not_compared",
                f"The app could not be created in a second process within {self.timeout:g} seconds,"
                " so workers were not compared.",
                "Look at what the app does when it is created: it may wait for something that only"
                " one process can have.",
            )
            return
        mine = fingerprints(case, nonce)
        different = [name for name, value in mine.items() if other.get(name) != value]
        if different:
            found = warning if case.is_development else problem
            yield found(
                "workers_differ",
                f"Different in every process: {', '.join(different)}. Logins and stored keys are"
                " lost when another worker answers, and after each restart.",
                "Do not make the value when the app starts. Make it once, keep it where all workers"
                " read it, such as an environment variable.",
            )

    def _ask(self, nonce: bytes, *, debug: bool) -> dict[str, str] | None:
        arguments = [nonce.hex(), *([self.import_path] if self.import_path else [])]
        try:
            done = subprocess.run(  # noqa: S603 - our own program, in this same Python
                [sys.executable, "-c", _PROGRAM, *arguments],
                env={**os.environ, "FLASK_DEBUG": str(int(debug)), "FLASK_RUN_FROM_CLI": "true"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=self.timeout,
            )
        except subprocess.TimeoutExpired:
            return None
        # The app may have printed something of its own.
        _, mark, line = done.stdout.decode(errors="replace").rpartition(_MARK)
        if not mark:
            return None
        told: dict[str, str] = json.loads(line)
        return told


def fingerprints(case: Case, nonce: bytes) -> dict[str, str]:
    """Return what must be the same in all workers: each setting's HMAC under ``nonce``."""
    settings = case.settings
    values = {
        "SECRET_KEY": b"\0".join(settings.secret_keys),
        "OPENROUTER_BASE_URL": settings.base_url.encode(),
        "OPENROUTER_STORAGE_URI": (settings.storage_uri or "").encode(),
    }
    if settings.encryption_keys != settings.secret_keys:
        values["OPENROUTER_ENCRYPTION_KEY"] = b"\0".join(settings.encryption_keys)
    return {
        name: hmac.new(nonce, value, hashlib.sha256).hexdigest() for name, value in values.items()
    }


def tell(
    arguments: list[str] | None = None, load: Callable[[str | None], Flask] | None = None
) -> None:
    """Print the fingerprints: the second process. ``arguments``: the nonce, and the app's path."""
    nonce, *path = sys.argv[1:] if arguments is None else arguments
    app = (load or _load)(path[0] if path else None)
    click.echo(_MARK + json.dumps(fingerprints(Case.of(app), bytes.fromhex(nonce))))


def _load(import_path: str | None) -> Flask:
    return ScriptInfo(import_path).load_app()
