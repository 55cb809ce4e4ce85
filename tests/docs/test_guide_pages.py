"""The guide pages describe what the code does."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from attack import save_jar
from doc_blocks import ROOT, Block, runs
from flask import Flask, request, session, url_for
from flask.views import MethodView
from visitor import NAVIGATE, Visitor

import flask_openrouter
from flask_openrouter import OpenRouterAuth
from flask_openrouter.connection import Connection
from flask_openrouter.emulator import Emulator
from flask_openrouter.errors import NotConnectedError
from flask_openrouter.testing import app_config

MakeApp = Callable[..., Flask]
Row = list[str]


def page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")


def rows(name: str, heading: str) -> list[Row]:
    """Return the cells of the first table below a heading."""
    section = page(name).partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    assert len(lines) > 2, f"no table below {heading} in {name}"
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def python_run(name: str, words: str) -> list[Block]:
    """Return the one run of a page's blocks that contains these words."""
    (found,) = [
        run
        for run in runs("python")
        if run[0].page.stem == name and any(words in block.code for block in run)
    ]
    return found


def names(cell: str) -> list[str]:
    return re.findall(r"`([\w~-]+)", cell)


def run_in(app: Flask, run: list[Block], **more: Any) -> dict[str, Any]:
    public = {name: getattr(flask_openrouter, name) for name in flask_openrouter.__all__}
    namespace = {**public, "__name__": "documented", "app": app, **more}
    for block in run:
        exec(compile(block.code, block.name, "exec"), namespace)  # noqa: S102 - our documentation
    return namespace


@pytest.fixture
def bare_app(emulator: Emulator, tmp_path: Path) -> Flask:
    app = Flask("documented", instance_path=str(tmp_path / "instance"))
    app.config.update(app_config(emulator))
    return app


# -- how a login works --------------------------------------------------------------------------


def test_the_cookies_are_named_as_the_page_says(make_app: MakeApp, emulator: Emulator) -> None:
    table = [names(row[0]) for row in rows("login", "What the browser holds")]
    login, key, replaced, unsaved, visitor_id = table
    for base_url, position in (("http://localhost", 0), ("https://localhost", 1)):
        visitor = Visitor(make_app(), base_url)
        visitor.start()
        (name,) = save_jar(visitor)
        start, dot, part = name.partition(".")
        assert (start, dot, len(part)) == (login[position], ".", 8)
        visitor.connect(emulator)
        assert {name.partition(".")[0] for name in save_jar(visitor)} == {key[position]}
        assert replaced[position] == f"{key[position]}~replaced"
        assert unsaved[position] == f"{key[position]}~unsaved"
        assert visitor_id[position] == f"{key[position]}~visitor"


def test_a_browser_holds_as_many_logins_as_the_page_says(make_app: MakeApp) -> None:
    assert "At most eight stay" in page("login")
    visitor = Visitor(make_app())
    for _ in range(9):
        visitor.start()
    assert len(save_jar(visitor)) == 8


def test_the_list_has_as_many_steps_as_the_picture() -> None:
    steps = re.findall(r"^(\d+)\. ", page("login"), re.M)
    picture = (ROOT / "docs" / "images" / "login.svg").read_text(encoding="utf-8")
    assert re.findall(r'class="number"[^>]*>(\d+)<', picture) == steps


# -- the guard ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "row", rows("guard", "What visitors without a key get"), ids=lambda row: row[0]
)
def test_visitors_without_a_key_get_what_the_table_says(row: Row, make_app: MakeApp) -> None:
    client = make_app().test_client()
    headers_of = {
        "a browser's tab": [
            NAVIGATE,
            {},
            {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "empty"},
            {"Sec-Fetch-Mode": "same-origin", "Accept": "text/html,*/*"},
        ],
        "a script": [
            {"Sec-Fetch-Mode": "cors"},
            {"X-Requested-With": "XMLHttpRequest"},
            {"Content-Type": "application/json"},
            {"Accept": "application/json"},
        ],
        "htmx": [{"HX-Request": "true"}],
        "a browser's preflight": [{}],
    }
    for headers in headers_of[row[0]]:
        method = "OPTIONS" if row[1] == "`OPTIONS`" else "GET"
        answer = client.open("/guarded", method=method, headers=headers)
        if method == "OPTIONS":
            assert answer.status_code == 200
        elif row[2].startswith("303"):
            assert (answer.status_code, answer.json) == (303, None)
        else:
            assert answer.status_code == 401
            assert set(answer.json or ()) == {"error", "message", "login_url"}
            assert ("HX-Redirect" in answer.headers) == (row[0] == "htmx")


def test_the_other_kinds_of_views_are_guarded(bare_app: Flask, emulator: Emulator) -> None:
    run_in(bare_app, python_run("guard", "auth.protect(chat)"))
    assert "`decorators = [requires_openrouter_key]`" in page("guard")

    class Report(MethodView):
        decorators: ClassVar = [flask_openrouter.requires_openrouter_key]

        def get(self) -> str | None:
            return flask_openrouter.current_openrouter.masked_key

    bare_app.add_url_rule("/report", view_func=Report.as_view("report"))
    visitor = Visitor(bare_app)
    paths = ("/chat/", "/report")
    for path in paths:
        assert visitor.get(path).location == f"/openrouter/login?next={path}"
    visitor.connect(emulator)
    for path in paths:
        answer = visitor.get(path)
        assert answer.text.startswith("sk-or-v1-…")
        # Only the guard sets this header. Without it the view would answer, too.
        assert answer.headers["Cache-Control"] == "no-store"


# -- the connection -----------------------------------------------------------------------------


def test_the_attributes_in_the_table_exist() -> None:
    table = [name for row in rows("connection", "What it has") for name in names(row[0])]
    assert len(table) > 10
    assert [name for name in table if not hasattr(Connection, name)] == []


def test_whatever_needs_a_key_raises_without_one(make_app: MakeApp) -> None:
    """The others are of use without a key, too."""
    harmless = {"owner_id", "disconnect", "detach", "is_fallback", "visitor_id", "restore"}
    harmless |= {"report_rejection", "is_set_aside", "is_set_aside_again", "is_meant_by"}
    app = make_app()
    with app.test_request_context("/"):
        connection = Connection(app, None)
        for name in {name for name in dir(Connection) if not name.startswith("_")} | {"owner_id"}:
            if name in harmless:
                getattr(connection, name)
                continue
            with pytest.raises(NotConnectedError):
                _use(connection, name)


def _use(connection: Connection, name: str) -> None:
    value = getattr(connection, name)
    assert callable(value)
    value()


def test_the_streamed_answer_arrives(bare_app: Flask, emulator: Emulator) -> None:
    run_in(bare_app, python_run("connection", '"stream": True'), request=request)
    visitor = Visitor(bare_app)
    visitor.connect(emulator)
    answer = visitor.post("/stream", data={"question": "Hello?"})
    assert answer.mimetype == "text/event-stream"
    assert answer.text.count('data: "') > 3
    assert answer.text.endswith("event: end\ndata: {}\n\n")
    (sent,) = [r for r in emulator.requests if r.path == "/api/v1/chat/completions"]
    assert sent.status == 200
    # An error in the middle ends the stream, and one in its place is a response of its own.
    with emulator.faults(path="/api/v1/chat/completions", mid_stream=True, status=502):
        answer = visitor.post("/stream", data={"question": "Hello?"})
    assert answer.text.endswith('event: failed\ndata: "OpenRouter does not work right now"\n\n')
    refusal = {"error": {"code": 402}}
    with emulator.faults(path="/api/v1/chat/completions", status=200, body=refusal):
        assert visitor.post("/stream", data={"question": "Hello?"}).status_code == 402


# -- users, and logins without a callback --------------------------------------------------------


@pytest.mark.parametrize("storage_uri", [None, "memory://"])
def test_each_user_has_a_key_of_its_own_as_the_page_says(
    bare_app: Flask, emulator: Emulator, storage_uri: str | None
) -> None:
    bare_app.config["OPENROUTER_STORAGE_URI"] = storage_uri
    run_in(bare_app, python_run("users", 'session.get("user_id")'), session=session)
    visitor = Visitor(bare_app)

    @bare_app.get("/become/<name>")
    def become(name: str) -> str:
        session["user_id"] = None if name == "nobody" else name
        return name

    def is_connected() -> bool:
        return bool((visitor.get("/openrouter/status").json or {})["connected"])

    visitor.connect(emulator)
    begun_by_nobody = visitor.start()
    visitor.get("/become/ada")
    assert not is_connected()
    refused = visitor.get(emulator.approve(begun_by_nobody))
    assert "This login belongs to somebody else" in refused.text
    visitor.get("/become/nobody")
    assert is_connected()
    visitor.get("/become/ada")
    visitor.connect(emulator)
    visitor.get("/become/nobody")
    assert is_connected() == (storage_uri is not None)
    visitor.get("/become/bob")
    assert not is_connected()
    visitor.get("/become/nobody")
    visitor.get("/become/ada")
    assert is_connected()


def test_only_users_may_begin_a_login_if_the_app_says_so(bare_app: Flask) -> None:
    run_in(bare_app, python_run("users", "only_users_connect"), request=request, session=session)
    client = bare_app.test_client()
    for path in ("/openrouter/login", "/openrouter/code"):
        assert client.get(path).status_code == 401
    with client.session_transaction() as kept:
        kept["user_id"] = 1
    assert client.get("/openrouter/login").status_code == 303
    assert client.get("/openrouter/code").status_code == 200


def test_on_plain_http_a_code_can_be_pasted(bare_app: Flask, emulator: Emulator) -> None:
    names_of_flask = {"url_for": url_for, "request": request}
    run_in(bare_app, python_run("login", "unauthorized_handler"), **names_of_flask)
    visitor = Visitor(bare_app, "http://chat.example")
    assert "insecure_address" in visitor.get("/openrouter/login").text
    form = visitor.get("/openrouter/code?next=/chat").text
    (address,) = re.findall(r'href="([^"]+/auth\?[^"]+)"', form)
    (state,) = re.findall(r'name="state" value="([^"]+)"', form)
    code = emulator.approve_headless(unescape(address))
    answer = visitor.post("/openrouter/code", data={"code": code, "state": state})
    assert (answer.status_code, answer.location) == (303, "/chat")


# -- deployment ---------------------------------------------------------------------------------


def test_behind_a_proxy_the_callback_is_https(bare_app: Flask) -> None:
    run_in(bare_app, python_run("deployment", "ProxyFix"))
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "app.example"}
    client = bare_app.test_client()
    answer = client.get("/openrouter/login", base_url="http://10.0.0.5", headers=forwarded)
    (callback,) = parse_qs(urlsplit(answer.location).query)["callback_url"]
    assert callback.startswith("https://app.example/openrouter/callback?state=")
    assert client.get("/openrouter/login", base_url="http://10.0.0.5").status_code == 400


def test_a_storage_that_is_down_is_not_ready(
    bare_app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_in(bare_app, python_run("deployment", "/readyz"))
    client = bare_app.test_client()
    assert client.get("/readyz").text == "ready"
    (tmp_path / "instance" / "down").mkdir()
    broken = Flask("broken", instance_path=bare_app.instance_path)
    broken.config.update(bare_app.config)
    run = python_run("deployment", "/readyz")
    code = "\n".join(block.code for block in run).replace("sqlite:///keys.db", "sqlite:///down")
    exec(compile(code, run[0].name, "exec"), {"OpenRouterAuth": OpenRouterAuth, "app": broken})  # noqa: S102
    assert broken.test_client().get("/readyz").status_code == 503
    assert broken.test_client().get("/healthz").text == "alive"


def test_the_table_of_capacity_adds_up() -> None:
    questions, in_busiest_hour, seconds, threads = 20, 1 / 5, 8, 4 * 32
    for row in rows("deployment", "Capacity"):
        visitors, per_second, under_way, machines = (float(cell.replace(",", "")) for cell in row)
        exact = visitors * questions * in_busiest_hour / 3600
        assert per_second == pytest.approx(exact, rel=0.05)
        assert under_way == pytest.approx(exact * seconds, abs=1)
        assert machines == -(-exact * seconds // threads)
