"""The example app's streamed answers beside the emulator's own: first word, each word, memory.

gunicorn with the example's settings and one worker; the emulator in a process of its own.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import requests

from . import ROOT
from .record import Record
from .report import Goal, Result, Row
from .rounds import interleaved

NAME: Final = "stream"

#: The emulated model quotes this: about 170 words, one to a chunk.
_QUESTION: Final = "a " * 139
_MODEL: Final = "openai/gpt-4o-mini"
#: Seconds between two words, as those of a quick model.
_PACE: Final = 0.02
_AT_ONCE: Final = 50
_DIRECT, _APP = "the emulator itself", "through the app"

#: Yields for each piece of text that arrives.
Stream = Callable[[], Generator[bytes, None, None]]


def run(rounds: int, quick: bool) -> list[Row]:
    """Measure everything once the first answers have warmed up both."""
    answers = 200 if quick else 1_000
    with ExitStack() as stack:
        emulator = stack.enter_context(_emulator())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="openrouter-bench-")))
        app, worker = stack.enter_context(_app(emulator, folder))
        streams: dict[str, Stream] = {_DIRECT: _direct(emulator), _APP: _through(app, emulator)}
        for stream in streams.values():
            _finish(stream)
        _set_pace(emulator, _PACE)
        paced = 2 if quick else min(rounds, 7)
        first = interleaved({name: partial(_first, s) for name, s in streams.items()}, rounds)
        whole = interleaved({name: partial(_finish, s) for name, s in streams.items()}, paced)
        _set_pace(emulator, 0)
        # Warm again, then as fast as it goes.
        hurried = interleaved({name: partial(_per_word, s) for name, s in streams.items()}, rounds)
        memory = _memory(streams[_APP], worker, answers)
    before, after = memory
    return [
        Row("time to the first word of an answer", "ms", first, _DIRECT, Goal(1.5, column=_APP)),
        Row(
            f"a whole answer at {1 / _PACE:.0f} words a second",
            "ms",
            whole,
            _DIRECT,
            Goal(1.05, column=_APP),
        ),
        Row(
            "each word, as fast as it goes",
            "µs",
            hurried,
            _DIRECT,
            note="The app parses, renders, cleans and saves what the emulator only sends.",
        ),
        Row(
            f"memory over {answers:,} streamed answers, {_AT_ONCE} at once, once warm",
            "MiB",
            {"before": [before], "after": [after]},
            "before",
            Goal(1.05, column="after"),
            note=f"Warm is after {2 * answers:,}: until then the heaps of its threads fill.",
        ),
    ]


def _first(stream: Stream) -> float:
    """Return the milliseconds until the first word; the rest is left unheard."""
    begin = time.perf_counter()
    with closing(stream()) as pieces:
        next(pieces)
    return (time.perf_counter() - begin) * 1000


def _finish(stream: Stream) -> float:
    begin = time.perf_counter()
    for _ in stream():
        pass
    return (time.perf_counter() - begin) * 1000


def _per_word(stream: Stream) -> float:
    return _finish(stream) * 1000 / len(_QUESTION.split())


def _memory(stream: Stream, worker: int, answers: int) -> tuple[float, float]:
    """Return the worker's MiB before and after these answers, once it is warm."""
    sizes = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for count in (2 * answers, answers):
            for _ in pool.map(lambda _: _finish(stream), range(count)):
                pass
            sizes.append(_resident(worker))
    return sizes[0], sizes[1]


def _resident(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


def _direct(emulator: str) -> Stream:
    key = requests.post(f"{emulator}/_emulator/keys", json={}, timeout=10).json()["key"]
    messages = [{"role": "user", "content": _QUESTION}]
    body = {"model": _MODEL, "messages": messages, "stream": True}
    headers = {"Authorization": f"Bearer {key}"}
    return partial(_ask, f"{emulator}/api/v1/chat/completions", body, headers, b'"content": "')


def _through(app: str, emulator: str) -> Stream:
    with requests.Session() as browser:
        consent = browser.get(f"{app}/openrouter/login?next=/", timeout=10)
        (hidden,) = re.findall(r'name="consent" value="([^"]+)"', consent.text)
        form = {"consent": hidden, "decision": "approve"}
        browser.post(f"{emulator}/auth", data=form, timeout=10).raise_for_status()
        cookies = "; ".join(f"{c.name}={c.value}" for c in browser.cookies)
    headers = {"Cookie": cookies, "Sec-Fetch-Site": "same-origin"}
    return partial(_ask, f"{app}/ask", {"model": _MODEL, "text": _QUESTION}, headers, b'"tail":"<')


def _ask(
    url: str, body: Mapping[str, Any], headers: Mapping[str, str], text: bytes
) -> Generator[bytes, None, None]:
    """Yield the lines that bring text. Raises RuntimeError for any other answer."""
    parts = urlsplit(url)
    with closing(HTTPConnection(parts.netloc, timeout=120)) as connection:
        sent = {"Content-Type": "application/json", **headers}
        connection.request("POST", parts.path, json.dumps(body), sent)
        answer = connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"{url} answered {answer.status}: {answer.read()[:200]!r}")
        for line in answer:
            # An empty piece opens the stream.
            if text in line and text + b'"' not in line:
                yield line


@contextmanager
def _emulator() -> Iterator[str]:
    port = _free_port()
    command = [sys.executable, "-m", "flask_openrouter.emulator", "--port", str(port)]
    with _running([*command, "--word-delay", "0"], os.environ):
        yield _ready(f"http://127.0.0.1:{port}", "/_emulator/config")


def _set_pace(emulator: str, word_delay: float) -> None:
    url = f"{emulator}/_emulator/config"
    requests.patch(url, json={"word_delay": word_delay}, timeout=10).raise_for_status()


@contextmanager
def _app(emulator: str, folder: Path) -> Iterator[tuple[str, int]]:
    port = _free_port()
    environment = {
        **os.environ,
        "FLASK_SECRET_KEY": "for this measurement only, long enough",
        "FLASK_OPENROUTER_BASE_URL": emulator,
        "FLASK_OPENROUTER_EMULATOR": "true",
        "FLASK_CHAT_DATABASE": str(folder / "chat.db"),
    }
    command = [sys.executable, "-m", "gunicorn", "--config", "example_app/gunicorn.conf.py"]
    command += ["--bind", f"127.0.0.1:{port}", "--workers", "1"]
    command += ["--access-logfile", "/dev/null", "--log-level", "error"]
    with _running(command, environment) as pid:
        origin = _ready(f"http://127.0.0.1:{port}", "/health")
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        yield origin, int(children[0])


@contextmanager
def _running(command: list[str], environment: Mapping[str, str]) -> Iterator[int]:
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def _ready(origin: str, path: str) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if requests.get(origin + path, timeout=5).ok:
                return origin
        except requests.RequestException:
            time.sleep(0.05)
    raise TimeoutError(f"Nothing answers at {origin}.")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


if __name__ == "__main__":
    alone = Record.of_this_machine(rounds=15, quick=False)
    alone.results.append(Result(NAME, run(15, quick=False)))
    print(alone.to_markdown())
