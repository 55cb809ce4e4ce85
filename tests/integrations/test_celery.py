"""The Celery recipe of docs/recipes.md, with the task of docs/storage.md, Redis and a worker."""

from __future__ import annotations

import base64
import json
import os
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import redis
from components import require
from deployment_page import block
from live_app import Browser
from polling import wait_until
from servers import RedisServer, Server

from flask_openrouter.emulator import Emulator
from flask_openrouter.errors import ProviderError, RateLimitError, StateMismatchError
from flask_openrouter.testing import app_config

ROOT = Path(__file__).parents[2]
HEAD = """
import json
from flask import Flask, request
from flask_openrouter import *

app = Flask(__name__)
app.config.from_file("config.json", load=json.load)
"""
SITE = "flask run --port {port}"


class Process(Server):
    """One of the two programs, in a folder of its own with the same app, as on two machines."""

    def __init__(self, folder: Path, code: str, config: str, *, command: str, ready: str) -> None:
        super().__init__(folder)
        folder.mkdir()
        (folder / "app.py").write_text(code, encoding="utf-8")
        (folder / "config.json").write_text(config, encoding="utf-8")
        self._arguments = shlex.split(command.format(port=self.port))
        self._ready = ready

    def command(self) -> list[str]:
        return [sys.executable, "-m", *self._arguments]

    def is_ready(self) -> bool:
        return self._ready in self.log

    def _identity(self) -> dict[str, Any]:
        path = os.pathsep.join([str(ROOT), *sys.path])
        return {"cwd": self.folder, "env": {**os.environ, "PYTHONPATH": path}}


def test_a_worker_uses_the_key_of_the_owner_that_the_task_names(
    tmp_path: Path, emulator: Emulator, redis_server: RedisServer
) -> None:
    if find_spec("celery") is None:
        require("celery", "not installed (pip install --group test)")
    recipe = block("python", "Celery(", "recipes")
    recipe = recipe.replace("redis://localhost:6379/", redis_server.url.removesuffix("0"))
    code = "\n".join([HEAD, recipe, block("python", "def summarize(", "storage")])
    config = json.dumps(app_config(emulator))
    start_worker = block("text", "celery --app", "recipes").strip()
    command = f"{start_worker} --pool solo"
    site = Process(tmp_path / "site", code, config, command=SITE, ready="Running on")
    worker = Process(tmp_path / "worker", code, config, command=command, ready="[queues]")
    try:
        site.start()
        browser = Browser(f"http://localhost:{site.port}")
        browser.get(emulator.approve(browser.start()))
        assert browser.post("/summarize", text="A long story.").text == "Started."
        # It waits in Redis, with the owner and without the key.
        (message,) = messages(redis_server)
        body = base64.b64decode(json.loads(message)["body"]).decode()
        assert "browser:" in body
        assert "sk-or-" not in message + body
        worker.start()
        assert "A long story." in wait_until(lambda: results(redis_server)).pop()
    finally:
        worker.kill()
        site.kill()
    assert "sk-or-" not in site.log + worker.log


@pytest.mark.requirement("W9")
def test_an_error_comes_back_from_a_json_result() -> None:
    if find_spec("celery") is None:
        require("celery", "not installed (pip install --group test)")
    from celery import Celery

    backend = Celery(broker="memory://", backend="cache+memory://").backend
    for error in (
        RateLimitError(429, "Slow down", retry_after=7.0, reason="free_daily"),
        ProviderError(503, "Too busy", provider_name="Venice"),
        StateMismatchError("Too late", reason="expired"),
    ):
        stored = json.dumps(backend.prepare_exception(error, serializer="json"))
        restored = backend.exception_to_python(json.loads(stored))
        assert type(restored) is type(error)
        assert (str(restored), vars(restored)) == (str(error), vars(error))


def messages(server: RedisServer) -> list[str]:
    with redis.Redis(port=server.port, db=1, decode_responses=True) as client:
        return client.lrange("celery", 0, -1)  # type: ignore[return-value]


def results(server: RedisServer) -> set[str]:
    with redis.Redis(port=server.port, db=1, decode_responses=True) as client:
        stored = [client.get(name) for name in client.scan_iter("celery-task-meta-*")]
    return {json.loads(str(each))["result"] for each in stored}
