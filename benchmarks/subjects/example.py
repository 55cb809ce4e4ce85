"""The example app's streamed answers, the same directly from the emulator, and its memory.

gunicorn runs with the example's settings and one worker. The emulator has a process of its own.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import tempfile
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

import requests
from servers import free_port

from ..tools.processes import serving
from ..tools.rounds import interleaved
from ..tools.rows import Goal, Row

#: The emulated model quotes this: about 170 words, one in each chunk.
_QUESTION: Final = "a " * 139
_MODEL: Final = "openai/gpt-4o-mini"
#: Seconds between two words of a fast model.
_PACE: Final = 0.02
_DIRECT, _APP = "the emulator itself", "through the app"
#: Answers at once, and of one visitor: fewer than allowed, as the app notes an end late.
#: And answers before and while memory is measured.
_AT_ONCE, _OF_VISITOR, _WARM_UP, _ANSWERS = 50, 2, 200, 1_000

#: Yields once for each piece of text that arrives.
Stream = Callable[[], Generator[bytes, None, None]]


def run(rounds: int, quick: bool) -> list[Row]:
    """Measure everything, once the first answers have warmed up both."""
    emulator, app = (f"127.0.0.1:{free_port()}" for _ in range(2))
    with ExitStack() as stack:
        arguments = ("--port", emulator.rpartition(":")[2], "--word-delay", "0")
        config = f"http://{emulator}/_emulator/config"
        stack.enter_context(serving("flask_openrouter.emulator", *arguments, url=config))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="openrouter-bench-"))
        environment = {
            **os.environ,
            "FLASK_SECRET_KEY": "for this measurement only, long enough",
            "FLASK_OPENROUTER_BASE_URL": f"http://{emulator}",
            "FLASK_OPENROUTER_EMULATOR": "true",
            "FLASK_CHAT_DATABASE": f"{folder}/chat.db",
        }
        options = ("--config", "example_app/gunicorn.conf.py", "--bind", app, "--workers", "1")
        options += ("--pid", f"{folder}/pid")
        health = f"http://{app}/health"
        stack.enter_context(serving("gunicorn", *options, url=health, env=environment))
        streams = {_DIRECT: _direct(emulator), _APP: _through(app, emulator)}
        for stream in streams.values():
            _per_word(stream)
        words = interleaved({name: partial(_per_word, s) for name, s in streams.items()}, rounds)
        requests.patch(config, json={"word_delay": _PACE}, timeout=10).raise_for_status()
        first = interleaved({name: partial(_first, s) for name, s in streams.items()}, rounds)
        whole = interleaved({name: partial(_whole, s) for name, s in streams.items()}, rounds)
        requests.patch(config, json={"word_delay": 0}, timeout=10).raise_for_status()
        memory = _memory(app, emulator, Path(folder) / "pid", _ANSWERS // 10 if quick else _ANSWERS)
    return [
        Row("time to the first word of an answer", "ms", first, _DIRECT, Goal(1.5, column=_APP)),
        Row("a whole answer of 170 words, at 50 words a second", "ms", whole, _DIRECT),
        Row("each word, as fast as it goes", "µs", words, _DIRECT),
        Row(f"memory of a worker, {_AT_ONCE} answers at once", "MiB", memory),
    ]


def _memory(app: str, emulator: str, pid_file: Path, answers: int) -> dict[str, list[float]]:
    """Return the memory of the worker after a warm-up, and after so many answers more."""
    pid = pid_file.read_text().strip()
    children = Path(f"/proc/{pid}/task/{pid}/children")
    if not children.exists():
        return {}
    (worker,) = children.read_text().split()
    visitors = [_through(app, emulator) for _ in range(-(-_AT_ONCE // _OF_VISITOR))]
    of_threads = (visitors * _OF_VISITOR)[:_AT_ONCE]

    def resident(more: int) -> float:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda s: [_per_word(s) for _ in range(more // _AT_ONCE)], of_threads))
        status = Path(f"/proc/{worker}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1024

    return {
        f"after {_WARM_UP} answers": [resident(_WARM_UP)],
        f"after {answers:,} more": [resident(answers)],
    }


def _first(stream: Stream) -> float:
    """Return the milliseconds until the first word. The rest is not read."""
    begin = time.perf_counter()
    with closing(stream()) as pieces:
        next(pieces)
    return (time.perf_counter() - begin) * 1000


def _whole(stream: Stream) -> float:
    """Return the milliseconds of a whole answer."""
    begin = time.perf_counter()
    for _ in stream():
        pass
    return (time.perf_counter() - begin) * 1000


def _per_word(stream: Stream) -> float:
    """Return the microseconds of a whole answer, divided by its words."""
    return _whole(stream) * 1000 / len(_QUESTION.split())


def _direct(emulator: str) -> Stream:
    key = requests.post(f"http://{emulator}/_emulator/keys", json={}, timeout=10).json()["key"]
    messages = [{"role": "user", "content": _QUESTION}]
    body = {"model": _MODEL, "messages": messages, "stream": True}
    headers = {"Authorization": f"Bearer {key}"}
    return partial(_ask, emulator, "/api/v1/chat/completions", body, headers, b'"content": "')


def _through(app: str, emulator: str) -> Stream:
    """Return the stream of a new visitor, who has a new account: it has a limit of its own."""
    account = {"openrouter_user_id": f"user_{secrets.token_hex(8)}"}
    config = f"http://{emulator}/_emulator/config"
    requests.patch(config, json=account, timeout=10).raise_for_status()
    with requests.Session() as browser:
        consent = browser.get(f"http://{app}/openrouter/login?next=/", timeout=10)
        (hidden,) = re.findall(r'name="consent" value="([^"]+)"', consent.text)
        form = {"consent": hidden, "decision": "approve"}
        browser.post(f"http://{emulator}/auth", data=form, timeout=10).raise_for_status()
        cookies = "; ".join(f"{c.name}={c.value}" for c in browser.cookies)
    headers = {"Cookie": cookies, "Sec-Fetch-Site": "same-origin"}
    return partial(_ask, app, "/ask", {"model": _MODEL, "text": _QUESTION}, headers, b'"tail":"<')


def _ask(
    host: str, path: str, body: dict[str, Any], headers: dict[str, str], text: bytes
) -> Generator[bytes, None, None]:
    """Yield the lines that bring text. Raises RuntimeError for any other response."""
    with closing(HTTPConnection(host, timeout=120)) as connection:
        sent = {"Content-Type": "application/json", **headers}
        connection.request("POST", path, json.dumps(body), sent)
        response = connection.getresponse()
        if response.status != 200:
            raise RuntimeError(f"{path} answered {response.status}: {response.read()[:200]!r}")
        for line in response:
            # An empty piece opens the stream.
            if text in line and text + b'"' not in line:
                yield line
