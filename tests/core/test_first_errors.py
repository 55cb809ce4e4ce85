"""The first errors that a developer meets: each says what is wrong and what to do."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from flask import Blueprint, Flask, render_template_string
from flask.views import MethodView

from flask_openrouter import OpenRouterAuth, current_openrouter, requires_openrouter_key
from flask_openrouter.errors import ConfigurationError
from flask_openrouter.storage.memory import MemoryStorage
from flask_openrouter.testing import KeyStorageContract


def new_app(**config: Any) -> Flask:
    """An app in testing mode, where what a view raises reaches the test."""
    app = Flask("tried")
    app.config.update(TESTING=True, SECRET_KEY=secrets.token_hex(), **config)
    return app


# -- a package that is not installed ----------------------------------------------------------

#: What ``import`` finds is as in an environment without the package, its parts and its plugins.
BLOCKER = """
import sys
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] == PACKAGE:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
"""

START = """
from flask import Flask
from flask_openrouter import OpenRouterAuth

app = Flask("tried")
app.config["SECRET_KEY"] = "0123456789abcdef" * 2
app.config["OPENROUTER_STORAGE_URI"] = URI
OpenRouterAuth(app)
"""

CALL = """
from flask import Flask
from flask_openrouter import OpenRouterAuth, current_openrouter
from flask_openrouter.testing import app_config, log_in, run_in_thread

with run_in_thread() as emulator:
    app = Flask("tried")
    app.config.update(app_config(emulator))
    OpenRouterAuth(app)
    app.get("/call")(lambda: str(getattr(current_openrouter, METHOD)()))
    client = app.test_client()
    log_in(client, emulator)
    client.get("/call")
"""


def last_line(package: str, program: str, **names: str) -> str:
    """Run a program where this package is missing; return the last line of its traceback."""
    constants = "".join(f"{name} = {value!r}\n" for name, value in names.items())
    done = subprocess.run(
        [sys.executable, "-c", f"PACKAGE = {package!r}\n{constants}{BLOCKER}{program}"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1, done.stderr
    # The reader needs no chain of causes to understand it.
    assert "During handling" not in done.stderr
    assert "direct cause" not in done.stderr
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("package", "uri", "message"),
    [
        (
            "sqlalchemy",
            "sqlite:///keys.db",
            "OPENROUTER_STORAGE_URI: Keeping keys in a database needs SQLAlchemy:"
            ' pip install "Flask-OpenRouter[sqlalchemy]"',
        ),
        (
            "redis",
            "redis://localhost",
            "OPENROUTER_STORAGE_URI: Keeping keys in Redis needs redis-py:"
            ' pip install "Flask-OpenRouter[redis]"',
        ),
        (
            "psycopg",
            "postgresql+psycopg://localhost/keys",
            "OPENROUTER_STORAGE_URI: The database driver cannot be imported (No module named"
            " 'psycopg'). Install it, or name another in the URL, as in postgresql+psycopg://…",
        ),
    ],
)
def test_a_storage_without_its_package(package: str, uri: str, message: str) -> None:
    found = last_line(package, START, URI=uri)
    assert found == f"flask_openrouter.errors.ConfigurationError: {message}"


@pytest.mark.parametrize(("method", "package"), [("openai", "openai"), ("sdk", "openrouter")])
def test_a_client_without_its_package(method: str, package: str) -> None:
    assert last_line(package, CALL, METHOD=method) == (
        f"flask_openrouter.errors.ConfigurationError: current_openrouter.{method}() needs the"
        f" {package} package: pip install {package}"
    )


def test_without_the_optional_packages_everything_else_works() -> None:
    """The blocker itself is tried too: it must not be what makes the programs above fail."""
    program = START.replace('app.config["OPENROUTER_STORAGE_URI"] = URI\n', "")
    for package in ("sqlalchemy", "redis", "openai", "openrouter"):
        done = subprocess.run(
            [sys.executable, "-c", f"PACKAGE = {package!r}\n{BLOCKER}{program}"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")


# -- the extension and its app ----------------------------------------------------------------

FORGOTTEN = (
    "This app has no OpenRouter extension. Did you forget OpenRouterAuth(app),"
    " or auth.init_app(app) in the app factory?"
)


def visit_guarded_view() -> None:
    app = new_app()
    app.get("/view")(requires_openrouter_key(lambda: "never"))
    app.test_client().get("/view")


def use_the_proxy() -> None:
    with new_app().test_request_context():
        _ = current_openrouter.api_key


def ask_for_an_owner() -> None:
    with new_app().app_context():
        OpenRouterAuth().for_owner(1)


@pytest.mark.parametrize("act", [visit_guarded_view, use_the_proxy, ask_for_an_owner])
def test_a_forgotten_init_app(act: Callable[[], None]) -> None:
    with pytest.raises(RuntimeError) as raised:
        act()
    assert str(raised.value) == FORGOTTEN
    assert raised.value.__suppress_context__


def test_two_extensions_on_one_app() -> None:
    app = new_app()
    OpenRouterAuth(app)
    with pytest.raises(ConfigurationError) as raised:
        OpenRouterAuth(app)
    assert str(raised.value) == (
        "This app already has an OpenRouter extension. Create OpenRouterAuth once per app,"
        " and either pass the app or call init_app."
    )


def test_one_extension_twice_on_one_app() -> None:
    """The usual slip: the app is passed, and ``init_app`` is called all the same."""
    app = new_app()
    auth = OpenRouterAuth(app)
    with pytest.raises(ConfigurationError, match="either pass the app or call init_app"):
        auth.init_app(app)


@pytest.mark.parametrize("secret", [None, "", b""])
def test_a_missing_secret_key(secret: object) -> None:
    app = new_app()
    app.config["SECRET_KEY"] = secret
    with pytest.raises(ConfigurationError) as raised:
        OpenRouterAuth(app)
    assert str(raised.value) == (
        "SECRET_KEY is not set. Make one with:"
        ' python -c "import secrets; print(secrets.token_hex())"'
    )


def test_the_program_in_that_message_makes_a_key_that_is_taken() -> None:
    program = "import secrets; print(secrets.token_hex())"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    app = new_app()
    app.config["SECRET_KEY"] = printed.stdout.strip()
    app.config["TESTING"] = False
    OpenRouterAuth(app)


# -- the storage ------------------------------------------------------------------------------


class OnlyGet:
    def get(self, owner_id: str) -> str | None: ...


class AsyncDelete(MemoryStorage):
    async def delete(self, owner_id: str) -> None:  # type: ignore[override]
        super().delete(owner_id)


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        (
            OnlyGet(),
            "storage (OnlyGet) lacks set(owner_id, ciphertext), delete(owner_id).",
        ),
        (
            "sqlite:///keys.db",
            "storage (str) lacks get(owner_id), set(owner_id, ciphertext), delete(owner_id).",
        ),
        (
            AsyncDelete(),
            "storage (AsyncDelete) has async methods, which are never awaited: get, set and"
            " delete must be plain functions.",
        ),
        (MemoryStorage, "storage is the class MemoryStorage: pass an object."),
    ],
    ids=["object", "address", "async", "class"],
)
def test_a_storage_that_is_none(storage: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        OpenRouterAuth(new_app(), storage=storage)
    assert str(raised.value) == message


@pytest.mark.parametrize("app", ["app", Blueprint("site", __name__), Flask], ids=str)
def test_what_is_no_app(app: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^init_app needs the Flask app, not \w+\. With"):
        OpenRouterAuth(app)


def test_a_whole_app_is_not_protected() -> None:
    """The login would be, too: it would send visitors to itself for ever."""
    app = new_app()
    with pytest.raises(TypeError, match=r"^protect guards a blueprint: pass one, before it is"):
        OpenRouterAuth(app).protect(app)  # type: ignore[arg-type]


def test_a_storage_in_the_clear_that_is_not_named() -> None:
    with pytest.raises(ConfigurationError) as raised:
        OpenRouterAuth(new_app(), encrypt=False)
    assert str(raised.value) == (
        "encrypt=False needs a storage of your own that keeps secrets safe: pass storage=…"
    )


def test_a_contract_without_a_storage() -> None:
    with pytest.raises(NotImplementedError) as raised:
        KeyStorageContract().make_storage()
    assert str(raised.value) == "Override make_storage and return your storage."


# -- the wrong place --------------------------------------------------------------------------


@pytest.mark.parametrize("has_app_context", [False, True])
def test_outside_of_a_request(has_app_context: bool) -> None:
    app = new_app()
    OpenRouterAuth(app)
    if has_app_context:
        with app.app_context(), pytest.raises(RuntimeError) as raised:
            _ = current_openrouter.api_key
    else:
        with pytest.raises(RuntimeError) as raised:
            _ = current_openrouter.api_key
    assert str(raised.value) == (
        "current_openrouter needs a request. Elsewhere, such as in a task queue, use"
        " auth.for_owner(owner_id)."
    )


def test_an_owner_whose_key_is_in_a_browser() -> None:
    app = new_app()
    auth = OpenRouterAuth(app)
    with app.app_context(), pytest.raises(ConfigurationError) as raised:
        auth.for_owner("ada")
    assert str(raised.value) == (
        "Keys live in the visitors' browsers, so none is available outside of a request. Set"
        " OPENROUTER_STORAGE_URI, such as sqlite:///keys.db."
    )


def test_an_owner_outside_of_an_app() -> None:
    """Flask's own message, which names the remedy."""
    auth = OpenRouterAuth(new_app(OPENROUTER_STORAGE_URI="memory://"))
    with pytest.raises(RuntimeError, match=r"app\.app_context\(\)"):
        auth.for_owner("ada")


# -- the guard --------------------------------------------------------------------------------


def test_the_guard_above_the_route() -> None:
    app = new_app()
    OpenRouterAuth(app)

    @requires_openrouter_key
    @app.get("/ask")
    def ask() -> str:
        return "never"

    with pytest.raises(RuntimeError) as raised:
        app.test_client().get("/ask")
    assert str(raised.value) == (
        "The view 'ask' is not guarded: requires_openrouter_key stands above the route"
        " decorator. Put it below, next to the function."
    )


def test_the_guard_on_a_class() -> None:
    with pytest.raises(TypeError) as raised:

        @requires_openrouter_key
        class Ask(MethodView):
            pass

    assert str(raised.value) == (
        "requires_openrouter_key guards functions. In a class-based view write"
        " decorators = [requires_openrouter_key]."
    )


def test_a_blueprint_that_is_protected_too_late() -> None:
    """Flask's own message. What counts: it is no silence, and no open view."""
    app = new_app()
    auth = OpenRouterAuth(app)
    pages = Blueprint("pages", "pages")
    app.register_blueprint(pages)
    with pytest.raises(AssertionError, match="before registering it"):
        auth.protect(pages)


def test_a_handler_that_returns_nothing() -> None:
    app = new_app()
    auth = OpenRouterAuth(app)

    @auth.unauthorized_handler
    def answer() -> None:
        pass

    app.get("/ask")(requires_openrouter_key(lambda: "never"))
    with pytest.raises(TypeError, match="returned no response for a visitor without a key"):
        app.test_client().get("/ask")


def test_a_template_without_the_extension() -> None:
    """Jinja's own message names what is missing."""
    from jinja2 import UndefinedError

    with new_app().test_request_context(), pytest.raises(UndefinedError, match="openrouter_button"):
        render_template_string("{{ openrouter_button() }}")
