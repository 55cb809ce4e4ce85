"""The owner of a key when Flask-Login's session id is not the user's primary key."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable
from typing import Any

import flask_login
import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from visitor import Visitor

from flask_openrouter import current_openrouter
from flask_openrouter.emulator import Emulator
from flask_openrouter.login.account import account_of
from flask_openrouter.storage.memory import MemoryStorage


class User(flask_login.UserMixin):
    """A user whose session id is any text."""

    def __init__(self, id: Any, session_id: Any) -> None:
        self.id = id
        self.session_id = session_id

    def get_id(self) -> Any:
        return self.session_id


TOKEN = "3f0c9a5e7b1d4c2f8a6e0b9d7c5a3f1e"


def primary_key_of(id: Any, session_id: Any) -> str | None:
    return account_of(User(id, session_id)).primary_key


@pytest.mark.requirement("W5")
def test_a_user_is_known_by_the_primary_key_whatever_the_session_has() -> None:
    key = uuid.uuid4()
    for id, session_id in (
        (7, "7"),
        (7, 7),
        (7, TOKEN),
        (7, secrets.token_urlsafe(32)),
        (7, f"7|{TOKEN}"),
        (7, "7:3"),
        (7, "aB3dEf6hIjKlMnOpQrS_-7"),
        (7, "alice@example.org"),
        (7, "12"),
        ("alice", TOKEN),
        (key, str(key)),
        (key, key.hex),
    ):
        assert primary_key_of(id, session_id) == str(id), (id, session_id)


@pytest.mark.requirement("W5")
def test_a_session_id_that_names_the_kind_of_user_stays_the_owner() -> None:
    """``admin:1`` and ``customer:1`` are two people."""
    for id, session_id, may_change in (
        (1, "admin:1", False),
        (1, "customer-1", False),
        (1, "u1", False),
        (1, "1@admin", False),
        # Another tenant may have the same number. Whether the rest is stable is not known.
        (1, "2:1", True),
        (1, f"{uuid.uuid4()}-1", True),
        (1, "1@acme.example", True),
    ):
        account = account_of(User(id, session_id))
        assert (account.primary_key, account.session_id) == (None, session_id)
        assert account.may_change is may_change, session_id


def test_a_user_without_a_primary_key_is_known_by_the_session_id() -> None:
    for id in (None, object(), True, ""):
        account = account_of(User(id, "alice"))
        assert (account.primary_key, account.may_change) == (None, True), id

    class Document(User):
        pk = "5f43"

    assert account_of(Document(None, TOKEN)).primary_key == "5f43"


def test_only_a_token_may_have_owned_a_key_before() -> None:
    """A name that visitors choose may be the primary key of another user."""
    for id, session_id, former in (
        (7, TOKEN, TOKEN),
        ("alice", TOKEN, TOKEN),
        (7, "7", None),
        (7, "12", None),
        (7, "12345678901234567890", None),
        (7, "bob", None),
        (7, "a.long.name@example.org", None),
        (uuid.uuid4().hex, TOKEN, None),
        (7, "victoria_the_great", "victoria_the_great"),
        ("mallory", "victoria_the_great", None),
        ("12345", "victoria_the_great", None),
        ("mallory", "VictoriaTheGreat2024", None),
        (7, 12, None),
        (1, "admin:1", None),
    ):
        assert account_of(User(id, session_id)).former_id == former, (id, session_id)


class Tables(DeclarativeBase): ...


class Member(Tables, flask_login.UserMixin):
    __tablename__ = "member"
    #: A name that no attribute called "id" has.
    number: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[str]

    def get_id(self) -> str:
        return self.token


class OtherTables(DeclarativeBase): ...


class Seller(OtherTables, flask_login.UserMixin):
    __tablename__ = "seller"
    id: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[str]

    def get_id(self) -> str:
        return self.token


class Buyer(OtherTables, flask_login.UserMixin):
    __tablename__ = "buyer"
    shop: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[str]

    def get_id(self) -> str:
        return self.token


def test_the_primary_key_of_a_mapped_user_is_what_the_database_says() -> None:
    engine = sa.create_engine("sqlite://")
    Tables.metadata.create_all(engine)
    with Session(engine) as session:
        member = Member(number=4, token=TOKEN)
        assert account_of(member).primary_key is None, "not in the database yet"
        session.add(member)
        session.commit()
        assert account_of(member).primary_key == "4"
        assert account_of(member).kind is Member
    engine.dispose()


def test_users_of_several_tables_are_known_by_their_session_ids() -> None:
    engine = sa.create_engine("sqlite://")
    OtherTables.metadata.create_all(engine)
    with Session(engine) as session:
        users = [Seller(id=1, token=TOKEN), Buyer(shop=1, number=1, token=TOKEN[::-1])]
        session.add_all(users)
        session.commit()
        for user in users:
            account = account_of(user)
            assert (account.primary_key, account.may_change) == (None, True)
    engine.dispose()


Users = dict[str, User]


@pytest.fixture
def users() -> Users:
    """The users by name."""
    return {"alice": User(1, secrets.token_hex(16)), "bob": User(2, secrets.token_hex(16))}


def with_login(app: Flask, users: Users) -> Flask:
    login_manager = flask_login.LoginManager(app)

    @login_manager.user_loader
    def load(session_id: str) -> User | None:
        return next((u for u in users.values() if u.get_id() == session_id), None)

    @app.post("/sign-in/<name>")
    def sign_in(name: str) -> str:
        flask_login.login_user(users[name])
        return "welcome"

    @app.get("/owner")
    def owner() -> str:
        return str(current_openrouter.owner_id)

    return app


@pytest.fixture
def make_login_app(make_app: Any, users: Users) -> Callable[..., Flask]:
    def make(extension: dict[str, Any] | None = None, **config: Any) -> Flask:
        app: Flask = make_app(extension, **config)
        return with_login(app, users)

    return make


def sign_in(app: Flask, name: str) -> Visitor:
    visitor = Visitor(app)
    assert visitor.post(f"/sign-in/{name}").status_code == 200
    return visitor


@pytest.mark.requirement("W5")
def test_a_key_survives_a_new_session_id(
    make_login_app: Any, users: Users, emulator: Emulator
) -> None:
    """Flask-Security changes it with the password."""
    app = make_login_app({"storage": MemoryStorage()})
    visitor = sign_in(app, "alice")
    visitor.connect(emulator)
    key = visitor.key
    assert key is not None
    users["alice"].session_id = secrets.token_hex(16)
    visitor = sign_in(app, "alice")
    assert (visitor.key, visitor.get("/owner").text) == (key, "1")
    assert sign_in(app, "bob").key is None


@pytest.mark.requirement("W5")
def test_a_key_of_an_earlier_release_is_found_and_moved(
    stored_apps: Any, users: Users, emulator: Emulator
) -> None:
    app = with_login(stored_apps(), users)
    # As in the earlier release: the session id is all that is known.
    ids = {name: user.id for name, user in users.items()}
    for user in users.values():
        user.id = None
    visitor = sign_in(app, "alice")
    visitor.connect(emulator)
    key = visitor.key
    former = users["alice"].get_id()
    assert (visitor.get("/owner").text, key is not None) == (former, True)
    for name, user in users.items():
        user.id = ids[name]
    assert (visitor.get("/owner").text, visitor.key) == ("1", key)
    # Moved: it is there after the session id has changed.
    users["alice"].session_id = secrets.token_hex(16)
    visitor.post("/sign-in/alice")
    assert visitor.key == key
    visitor.post("/openrouter/disconnect")
    assert visitor.key is None
    users["alice"].session_id = former
    visitor.post("/sign-in/alice")
    assert visitor.key is None


@pytest.mark.requirement("W5")
def test_a_user_name_never_opens_the_key_of_another_primary_key(
    make_login_app: Any, users: Users, emulator: Emulator
) -> None:
    app = make_login_app({"storage": MemoryStorage()})
    visitor = sign_in(app, "bob")
    visitor.connect(emulator)
    users["alice"].session_id = "2"
    assert sign_in(app, "alice").key is None
    assert visitor.key is not None


class Base(flask_login.UserMixin):
    """Its subclasses are two tables of a database that SQLAlchemy does not know."""

    def __init__(self, id: Any, token: str) -> None:
        self.id = id
        self.token = token

    def get_id(self) -> str:
        return self.token


class Staff(Base): ...


class Customer(Base): ...


class Plain(flask_login.UserMixin):
    def __init__(self, id: Any) -> None:
        self.id = id


class Admin(User):
    def get_id(self) -> Any:
        return self.session_id


class Editor(User):
    """A user with more rights, in the same table."""


@pytest.mark.requirement("R24", "W5")
def test_two_kinds_of_users_with_tokens_never_share_a_primary_key(
    make_login_app: Any, users: Users, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    alice = users["alice"]
    for first, second in (
        (alice, Admin(1, TOKEN)),
        (Staff(1, TOKEN), Customer(1, TOKEN[::-1])),
        (Plain(1), alice),
        (alice, Plain(1)),
        (Staff("root", TOKEN), Plain("root")),
    ):
        caplog.clear()
        app = make_login_app({"storage": MemoryStorage()})
        users |= {"first": first, "second": second}
        assert sign_in(app, "first").connect(emulator).status_code == 303
        visitor = sign_in(app, "second")
        assert visitor.get("/guarded").status_code == 503
        assert (
            f"Users are of the classes {type(first).__name__} and {type(second).__name__}, and two"
            " of them may have the same primary key. Return an id that is unique among all users"
            " from @auth.owner_loader."
        ) in caplog.text


@pytest.mark.requirement("W5")
def test_kinds_of_users_who_cannot_have_the_same_primary_key_are_served(
    make_login_app: Any, users: Users, emulator: Emulator
) -> None:
    """An operator without a table, users with more rights, and two classes with unique ids."""
    alice = users["alice"]
    for first, second in (
        (Plain("root"), alice),
        (alice, Editor(3, TOKEN)),
        (Editor(3, TOKEN), alice),
        (Plain(7), type("Other", (Plain,), {})(8)),
        (Plain(7), type("Other", (flask_login.UserMixin,), {"id": 8})()),
    ):
        app = make_login_app({"storage": MemoryStorage()})
        users |= {"first": first, "second": second}
        assert sign_in(app, "first").connect(emulator).status_code == 303
        visitor = sign_in(app, "second")
        assert visitor.key is None
        assert visitor.connect(emulator).status_code == 303
        assert visitor.key is not None


def test_the_owner_loader_alone_decides(
    make_login_app: Any, users: Users, emulator: Emulator
) -> None:
    app = make_login_app({"storage": MemoryStorage()})
    users["alice"].id = None
    visitor = sign_in(app, "alice")
    visitor.connect(emulator)
    assert visitor.key is not None
    users["alice"].id = 1
    app.extensions["openrouter"].app_functions.owner_loader = lambda: 1
    assert visitor.key is None
