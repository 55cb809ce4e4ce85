"""What type checkers see of the public API. Never run: ``make lint`` checks it.

``type: ignore`` marks what must be refused; the checkers complain about one that is not needed.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from flask import Blueprint, Flask, Response
from flask.views import MethodView
from typing_extensions import assert_type

from flask_openrouter import (
    KeyStorage,
    OpenRouterAuth,
    OpenRouterClient,
    OpenRouterError,
    current_openrouter,
    requires_openrouter_key,
)
from flask_openrouter.client import (
    Completion,
    CompletionStream,
    Usage,
    read_completion,
    read_stream,
)
from flask_openrouter.client.models import AuthCode, IssuedKey, KeyInfo
from flask_openrouter.client.session import APISession
from flask_openrouter.connection import Connection
from flask_openrouter.emulator import Emulator, EmulatorConfig, create_emulator_app, run_in_thread
from flask_openrouter.errors import (
    APIError,
    ConfigurationError,
    KeyRejectedError,
    LoginError,
    RateLimitError,
    StateMismatchError,
    TransportError,
)
from flask_openrouter.signals import budget_low
from flask_openrouter.storage import ConnectedOwner
from flask_openrouter.storage.memory import MemoryStorage
from flask_openrouter.storage.redis import RedisStorage
from flask_openrouter.storage.sqlalchemy import SQLAlchemyStorage
from flask_openrouter.testing import KeyStorageContract

app = Flask(__name__)


# -- the extension ----------------------------------------------------------------------------


class Shelf:
    """A storage of the app's own: it inherits from nothing."""

    def get(self, owner_id: str) -> str | None:
        return owner_id

    def set(self, owner_id: str, ciphertext: str) -> None: ...
    def delete(self, owner_id: str) -> None: ...


class ForgetsToDelete:
    def get(self, owner_id: str) -> str | None:
        return owner_id

    def set(self, owner_id: str, ciphertext: str) -> None: ...


class SubFlask(Flask):
    """An app class of the user's own."""


auth = OpenRouterAuth()
auth.init_app(SubFlask(__name__))
OpenRouterAuth(app, storage=Shelf())
OpenRouterAuth(app, storage=MemoryStorage(), encrypt=False, url_prefix="/ai")
OpenRouterAuth(app, storage=Shelf)  # type: ignore[arg-type]
OpenRouterAuth(app, storage=ForgetsToDelete())  # type: ignore[arg-type]
OpenRouterAuth(app, "/ai")  # type: ignore[call-arg, arg-type, misc, unused-ignore]

shelves: list[KeyStorage] = [
    Shelf(),
    MemoryStorage(),
    RedisStorage("redis://localhost"),
    SQLAlchemyStorage("sqlite://"),
]


@auth.owner_loader
def load_owner() -> int | None:
    return 1


@auth.unauthorized_handler
def answer() -> tuple[str, int]:
    return "", 401


@auth.key_options
def limit_key() -> dict[str, float]:
    return {"limit": 1.5}


@auth.fallback_key
async def free_key() -> str | None:
    return None


assert_type(load_owner(), int | None)
assert_type(answer(), tuple[str, int])
assert_type(limit_key(), dict[str, float])
assert_type(auth.for_owner(7), Connection)
assert_type(auth.for_owner("seven"), Connection)
assert_type(auth.for_owner(UUID(int=7)), Connection)
auth.for_owner(None)  # type: ignore[arg-type]
assert_type(auth.claim(), bool)
assert_type(auth.claim(replace=True), bool)
assert_type(auth.import_key(7, "api_key", replace=True), bool)
assert_type(auth.import_key(UUID(int=7), "api_key"), bool)
auth.import_key("seven")  # type: ignore[call-arg]
auth.import_key(None, "api_key")  # type: ignore[arg-type]
assert_type([*auth.list_owners()], list[ConnectedOwner])
assert_type(next(auth.list_owners()).connected_at, datetime)
auth.protect(Blueprint("ai", __name__))


@budget_low.connect_via(app)
def warn(sender: Flask, *, owner_id: str, remaining: float, **extra: object) -> None: ...


# -- the guard: parameters stay, and the answer may be a refusal --------------------------------


@app.get("/<int:number>")
@requires_openrouter_key
def plain(number: int, *, loud: bool = False) -> str:
    return "!" * number if loud else ""


@app.get("/called/<int:number>")
@requires_openrouter_key(on_missing="json", next="/")
def called(number: int) -> tuple[str, int]:
    return "", number


@app.get("/async/<int:number>")
@requires_openrouter_key
async def asynchronous(number: int) -> str:
    return str(number)


@app.get("/called-async/<int:number>")
@requires_openrouter_key(on_missing="redirect")
async def called_asynchronous(number: int) -> str:
    return str(number)


@app.get("/free/<int:number>")
@requires_openrouter_key(fallback=True)
async def free(number: int) -> str:
    return str(number)


class View(MethodView):
    decorators = [requires_openrouter_key]  # noqa: RUF012

    @requires_openrouter_key
    def post(self, number: int) -> str:
        return str(number)


assert_type(plain(1, loud=True), str | Response)
assert_type(called(1), tuple[str, int] | Response)
assert_type(View().post(1), str | Response)
assert_type(asynchronous(1), str | Response)
assert_type(called_asynchronous(1), str | Response)
assert_type(free(1), str | Response)
plain("1")  # type: ignore[arg-type]
plain(1, quiet=True)  # type: ignore[call-arg]
called()  # type: ignore[call-arg]
asynchronous("1")  # type: ignore[arg-type]
View().post("1")  # type: ignore[arg-type]
requires_openrouter_key("json")  # type: ignore[call-overload]
requires_openrouter_key(on_missing=401)  # type: ignore[call-overload]
requires_openrouter_key(fallback="sk-or-v1-key")  # type: ignore[call-overload]


# -- the connection ---------------------------------------------------------------------------

assert_type(bool(current_openrouter), bool)
assert_type(current_openrouter.api_key, str)
assert_type(current_openrouter.masked_key, str)
assert_type(current_openrouter.openrouter_user_id, str | None)
assert_type(current_openrouter.connected_at, datetime)
assert_type(current_openrouter.session, APISession)
assert_type(current_openrouter.key_info(), KeyInfo)
assert_type(current_openrouter.detach(), Connection)
assert_type(current_openrouter.disconnect(), None)
assert_type(current_openrouter.is_fallback, bool)
assert_type(current_openrouter.visitor_id, str)
current_openrouter.api_key = "another"  # type: ignore[misc]
current_openrouter.api_kye  # type: ignore[attr-defined] # noqa: B018


# -- the client -------------------------------------------------------------------------------

client = OpenRouterClient(timeout=5, app_title="Typed", app_categories=["cli-agent"])
assert_type(client.base_url, str)
assert_type(OpenRouterClient.create_code_verifier(), str)
assert_type(client.create_code_challenge("code_verifier", "plain"), str)
assert_type(client.authorization_url("https://a.example/callback", limit=1.5), str)
assert_type(client.authorization_url("https://a.example/callback", workspace_id=UUID(int=1)), str)
assert_type(client.exchange_code("code", "code_verifier"), IssuedKey)
assert_type(client.exchange_code("code").api_key, str)
assert_type(client.exchange_code("code").openrouter_user_id, str | None)
assert_type(client.create_auth_code("api_key", "https://a.example/callback"), AuthCode)
assert_type(client.get_key_info("api_key").limit_remaining, float | None)
assert_type(client.api_session("api_key"), APISession)
reply = client.api_session("api_key").post("chat/completions", stream=True)
assert_type(read_completion(reply), Completion)
assert_type(read_stream(reply, heartbeat=1), CompletionStream)
assert_type(read_stream([b"data: [DONE]"]).start().completion.usage, Usage | None)
read_stream("text")  # type: ignore[arg-type]
OpenRouterClient(timeout="5")  # type: ignore[arg-type]
client.exchange_code()  # type: ignore[call-arg]


# -- errors -----------------------------------------------------------------------------------


def tell(error: OpenRouterError) -> str | float | None:
    if isinstance(error, StateMismatchError | LoginError):
        return assert_type(error.reason, str)
    if isinstance(error, KeyRejectedError):
        return assert_type(error.key_hash, str | None)
    if isinstance(error, RateLimitError | APIError):
        assert_type(error.status, int)
        assert_type(error.is_retryable, bool)
        return assert_type(error.retry_after, float | None)
    if isinstance(error, TransportError):
        assert_type(error.was_sent, bool)
    return None


value_error: ValueError = ConfigurationError("wrong")
bases: list[type[OpenRouterError]] = [APIError, LoginError, TransportError]


# -- what tests use ---------------------------------------------------------------------------


class TestShelf(KeyStorageContract):
    def make_storage(self) -> KeyStorage:
        return Shelf()


def use_emulator() -> None:
    with run_in_thread(EmulatorConfig(), port=0) as emulator:
        assert_type(emulator, Emulator)
        assert_type(emulator.url, str)
        assert_type(emulator.issue_key(limit=1.0), str)
        assert_type(emulator.count("POST", "/api/v1/auth/keys"), int)
    assert_type(create_emulator_app(), Flask)
