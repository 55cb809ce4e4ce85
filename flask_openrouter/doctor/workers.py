"""Settings that differ between two processes, found by creating the app in a second one."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import click
from flask.cli import ScriptInfo

from .case import Case
from .durability import count_workers
from .finding import Finding, ok, problem, warning

#: Seconds that the second process may take.
TIMEOUT: Final = 30.0
_MARK: Final = "flask_openrouter fingerprints: "
_PROGRAM: Final = (
    "from flask_openrouter.doctor.workers import print_fingerprints; print_fingerprints()"
)


@dataclass(frozen=True)
class Workers:
    """Comparison of this process with a second one that creates the same app.

    ``import_path``: as in ``flask --app``, or None. ``timeout``: in seconds.
    """

    import_path: str | None = None
    #: False where a function that exists only in this process creates the app.
    can_repeat: bool = True
    timeout: float = TIMEOUT

    def check(self, case: Case) -> Iterator[Finding]:
        """Find settings that differ between processes, such as a key that is generated."""
        if not self.can_repeat:
            yield ok(
                "workers_not_compared",
                "Not compared, because this program creates its app itself. Use the flask command.",
            )
            return
        # The other process keys its fingerprints with this, so they reveal nothing about a key.
        nonce = secrets.token_bytes(32)
        other = self._ask(nonce, debug=case.app.debug)
        if other is None:
            yield warning(
                "workers_not_compared",
                f"The app could not be created in a second process within {self.timeout:g} seconds,"
                " so workers were not compared.",
                "Look at what the app does when it is created. It may wait for a resource that only"
                " one process can have.",
            )
            return
        different = [
            name for name, value in fingerprints(case, nonce).items() if other.get(name) != value
        ]
        if different:
            # The first tries of an app, in one process and under no public name.
            is_trial = different == ["SECRET_KEY"] and not case.site.is_known
            is_trial = is_trial and count_workers() <= 1
            report = warning if case.is_development or is_trial else problem
            yield report(
                "workers_differ",
                f"Different in every process: {', '.join(different)}. Logins and stored keys are"
                " lost when another worker handles the request, and after every restart.",
                "Generate the value once, and keep it where all workers read it, such as in an"
                " environment variable.",
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
        # The app may print, too, before this line and after it.
        _, mark, rest = done.stdout.decode(errors="replace").partition(_MARK)
        if not mark:
            return None
        other: dict[str, str]
        other, _ = json.JSONDecoder().raw_decode(rest)
        return other


def fingerprints(case: Case, nonce: bytes) -> dict[str, str]:
    """Return the HMAC under ``nonce`` of each setting that must be the same in all workers."""
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


def print_fingerprints() -> None:
    """Print the fingerprints of an app. The second process runs this function.

    The command line holds the nonce and, optionally, the import path of the app.
    """
    nonce, *path = sys.argv[1:]
    app = ScriptInfo(path[0] if path else None).load_app()
    click.echo(_MARK + json.dumps(fingerprints(Case.of(app), bytes.fromhex(nonce))))
