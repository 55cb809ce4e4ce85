"""A local provider in a process of its own, and what it saw."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from certificates import CertificateAuthority

from . import ROOT


@dataclass(frozen=True)
class Counts:
    """What the provider has seen since it was started."""

    connections: int
    handshakes: int
    exchanges: int
    refused: int


class Provider:
    """The handle on the provider's process."""

    def __init__(self, process: subprocess.Popen[str], scheme: str) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._input: IO[str] = process.stdin
        self._output: IO[str] = process.stdout
        #: Its origin.
        self.url = f"{scheme}://127.0.0.1:{int(self._output.readline())}"

    def counts(self) -> Counts:
        """Ask what it has seen."""
        return self._ask("counts")

    def delay(self, seconds: float) -> None:
        """Let each answer wait from now on, as one that comes over the internet does."""
        self._ask(f"delay {seconds}")

    def hang_up(self) -> None:
        """Let it close all connections, as after a long silence."""
        self._ask("hang-up")

    def _ask(self, command: str) -> Counts:
        print(command, file=self._input, flush=True)
        return Counts(**json.loads(self._output.readline()))


@contextmanager
def running_provider(*, tls: bool) -> Iterator[Provider]:
    """Start a provider and end it afterwards.

    With ``tls`` its certificate is of an authority that only this environment trusts, by
    ``REQUESTS_CA_BUNDLE``; apps must be created inside.
    """
    with tempfile.TemporaryDirectory(prefix="openrouter-bench-") as folder:
        command = [sys.executable, "-m", "benchmarks.provider_process"]
        before = os.environ.get("REQUESTS_CA_BUNDLE")
        if tls:
            authority = CertificateAuthority(Path(folder))
            authority.server_context("127.0.0.1")
            command.append(str(Path(folder, "server.pem")))
            os.environ["REQUESTS_CA_BUNDLE"] = str(authority.bundle)
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT) as process:
            try:
                yield Provider(process, "https" if tls else "http")
            finally:
                process.terminate()
                os.environ.pop("REQUESTS_CA_BUNDLE", None)
                if before is not None:
                    os.environ["REQUESTS_CA_BUNDLE"] = before
