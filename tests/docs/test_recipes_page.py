"""docs/recipes.md: each recipe does what it says, with the emulator as OpenRouter."""

from __future__ import annotations

import re
import shlex
from importlib.util import find_spec
from typing import Any

import pytest
import yaml
from components import require
from doc_blocks import ROOT, blocks, runs
from flask import Flask, request
from visitor import Visitor

import flask_openrouter
from flask_openrouter.emulator import Emulator
from flask_openrouter.emulator.__main__ import emulator_command
from flask_openrouter.testing import api_key_of, app_config

PAGE = ROOT / "docs" / "recipes.md"
CHAT = "/api/v1/chat/completions"
QUESTION = {"question": "Hello?"}


def run(app: Flask, words: str, **more: Any) -> dict[str, Any]:
    """Run the block of the page that has these words; return its names."""
    ((block,),) = [r for r in runs("python") if r[0].page == PAGE and words in r[0].code]
    public = {name: getattr(flask_openrouter, name) for name in flask_openrouter.__all__}
    names: dict[str, Any] = {**public, "app": app, "request": request, **more}
    exec(compile(block.code, block.name, "exec"), names)  # noqa: S102 - our own documentation
    return names


def commands(page: str) -> list[str]:
    found = [b.code for b in blocks("text") if b.page == ROOT / "docs" / f"{page}.md"]
    return "".join(found).splitlines()


@pytest.fixture
def app(emulator: Emulator) -> Flask:
    app = Flask("documented")
    app.config.update(app_config(emulator))
    return app


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    return Visitor(app)


def test_what_may_work_later_is_tried_again_and_nothing_else(
    app: Flask, visitor: Visitor, emulator: Emulator
) -> None:
    waits: list[float] = []
    names = run(app, "def complete(")
    names["time"] = type("Clock", (), {"sleep": staticmethod(waits.append)})
    visitor.connect(emulator)
    with emulator.faults(path=CHAT, status=503, times=2):
        assert visitor.post("/ask", data=QUESTION).json["answer"]
    assert waits == [1, 2]
    with emulator.faults(path=CHAT, status=503, times=None):
        assert visitor.post("/ask", data=QUESTION).status_code == 502
    assert waits == [1, 2, 1, 2]
    for status, headers in ((400, {}), (429, {"Retry-After": "60"})):
        with emulator.faults(path=CHAT, status=status, headers=headers, times=None):
            assert visitor.post("/ask", data=QUESTION).status_code in (400, 429, 502)
    assert waits == [1, 2, 1, 2]


def test_a_limit_counts_visitors_apart_and_only_those_with_a_key(
    app: Flask, visitor: Visitor, emulator: Emulator
) -> None:
    if find_spec("flask_limiter") is None:
        require("Flask-Limiter", "not installed (pip install --group test)")
    run(app, "20/minute")
    assert {visitor.post("/ask", data=QUESTION).status_code for _ in range(25)} == {303}
    visitor.connect(emulator)
    statuses = [visitor.post("/ask", data=QUESTION).status_code for _ in range(21)]
    assert statuses == [200] * 20 + [429]
    other = Visitor(app)
    other.connect(emulator)
    assert other.post("/ask", data=QUESTION).status_code == 200


def test_a_key_that_a_package_finds_dead_leads_to_a_new_login(
    app: Flask, visitor: Visitor, emulator: Emulator
) -> None:
    class UnauthorizedError(Exception):
        status_code = 401

    def ask_with_package(api_key: str, question: str) -> str:
        if question == "refused":
            raise UnauthorizedError
        return f"{api_key[:9]} {question}"

    run(app, "ask_with_package", ask_with_package=ask_with_package)
    visitor.connect(emulator)
    assert visitor.post("/ask", data=QUESTION).json == {"answer": "sk-or-v1- Hello?"}
    # A 401 that OpenRouter does not confirm is the package's error.
    with pytest.raises(UnauthorizedError):
        visitor.post("/ask", data={"question": "refused"})
    visitor = Visitor(app)
    visitor.connect(emulator)
    emulator.revoke(api_key_of(visitor.client))
    response = visitor.post("/ask", data={"question": "refused"})
    assert response.status_code == 303
    assert response.location.startswith("/openrouter/login")


def test_the_packages_are_asked_by_their_drivers() -> None:
    """``make clients`` runs the functions, each with its package."""
    drivers = "".join(p.read_text("utf-8") for p in (ROOT / "tests/clients/drivers").glob("*.py"))
    left_out = [b for b in blocks("python") if b.page == PAGE and "make clients" in b.note]
    assert len(left_out) == 3
    for block in left_out:
        (name,) = re.findall(r"^def (\w+)", block.code, re.M)
        assert f'documented("{name}")' in drivers


def test_compose_starts_the_emulator_with_options_that_it_has() -> None:
    (block,) = [b for b in blocks("yaml") if b.page == PAGE]
    services = yaml.safe_load(block.code)["services"]
    program, *arguments = shlex.split(services["openrouter"]["command"].partition(" -m ")[2])
    assert program == "flask_openrouter.emulator"
    context = emulator_command.make_context(program, arguments)
    assert context.params["bind"] == "0.0.0.0"
    app = services["app"]
    assert app["network_mode"] == "service:openrouter"
    environment = app["environment"]
    port = context.params["port"]
    assert environment["FLASK_OPENROUTER_BASE_URL"] == f"http://127.0.0.1:{port}"
    published = {address.rpartition(":")[2] for address in services["openrouter"]["ports"]}
    assert published == {str(port), "5000"}
    assert all(address.startswith("127.0.0.1:") for address in services["openrouter"]["ports"])
    assert "redis" in services
    config = {name.removeprefix("FLASK_"): value for name, value in environment.items()}
    documented = Flask("documented")
    documented.config.update(config, DEBUG=True)
    flask_openrouter.OpenRouterAuth(documented)


def test_windows_has_every_command_of_the_quickstart() -> None:
    here = commands("recipes")
    for command in commands("quickstart"):
        if "make " in command:
            continue
        for word in re.findall(r"^FLASK_\S+(?= )", command):
            name, _, value = word.partition("=")
            assert f'$env:{name} = "{value}"' in here
            command = command.removeprefix(f"{word} ")
        command = command.replace("python3 ", "python ").replace(".venv/bin/", ".venv\\Scripts\\")
        command = command.replace(" > ", " | Out-File -Encoding ascii ")
        assert command in here
