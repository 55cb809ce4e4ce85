"""The account of a signed-in user of Flask-Login: an id that stays the same.

``current_user.get_id()`` is what Flask-Login keeps in the session. In many apps it changes with the
password ("alternative tokens" in Flask-Login's documentation, Flask-Security's ``fs_uniquifier``).
A key must not be lost then, so it belongs to the user's primary key.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import Any, Final

#: What may stand between a user's primary key and the rest of a session id.
_SEPARATOR: Final = "([-:|/.,;_~@ ])"
#: The kind of a user, such as "admin". A token has digits or is longer.
_KIND: Final = re.compile(r"[A-Za-z_]{1,20}")
#: A random text, long enough that nobody chose it, and without what an e-mail address has.
_RANDOM_ID: Final = re.compile(r"[A-Za-z0-9_=-]{16,}")
#: A random text that is no name: 32 hexadecimal digits or more, as Flask-Security makes them.
_HEX_ID: Final = re.compile(r"[0-9a-f]{32,}")
_UUID: Final = re.compile(r"[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}", re.I)


@dataclass(frozen=True, slots=True)
class Account:
    """A signed-in user. ``session_id`` is their ``get_id()``.

    ``primary_key`` is None if it is not known, or if users of another kind may have the same one.
    ``kind`` is the class of the user, or the one whose table has the user. ``may_change``: whether
    ``session_id`` may change while the user stays the same. ``may_be_name``: whether primary keys
    are texts, which people may choose.
    """

    session_id: object
    primary_key: str | None
    kind: type
    may_change: bool
    may_be_name: bool = False

    @property
    def former_id(self) -> str | None:
        """The id that owned keys before primary keys did, if it cannot be another user's now."""
        before, now = self.session_id, self.primary_key
        if not isinstance(before, str) or now is None or before == now:
            return None
        # Whoever can choose their own session id, such as a user name, must not find a key that
        # belongs to another user's primary key.
        pattern = _HEX_ID if self.may_be_name else _RANDOM_ID
        is_random = pattern.fullmatch(before) and not before.isdigit() and len(before) != len(now)
        return before if is_random else None


def account_of(user: Any) -> Account:
    """Return the account of this user, who is signed in."""
    session_id = user.get_id()
    found, kind = _primary_key(user)
    primary_key = None if found is None else str(found)
    text = session_id if isinstance(session_id, str) else str(session_id)
    if primary_key in (None, "", text):
        return Account(session_id, primary_key or None, kind, may_change=not primary_key)
    assert primary_key is not None  # noqa: S101  # for mypy
    if _has_several_kinds(kind, user):
        return Account(session_id, None, kind, may_change=True)
    rest = _rest(text, primary_key)
    if rest is None:
        is_text = isinstance(found, str)
        return Account(session_id, primary_key, kind, may_change=False, may_be_name=is_text)
    return Account(session_id, None, kind, may_change=_KIND.fullmatch(rest) is None)


def _primary_key(user: Any) -> tuple[object, type]:
    """Return the primary key, or None, and the kind of user that has it."""
    kind = type(user)
    sqlalchemy = sys.modules.get("sqlalchemy")
    state = None if sqlalchemy is None else sqlalchemy.inspect(user, raiseerr=False)
    if state is not None:
        kind = state.mapper.base_mapper.class_
        # Without a query, which reading an attribute may make. None: not in the database yet.
        if state.identity is not None:
            # Several columns make no single text.
            return (state.identity[0] if len(state.identity) == 1 else None), kind
    found = getattr(user, "id", None)
    if found is None:
        found = getattr(user, "pk", None)
    return (found if is_id(found) else None), kind


def is_id(found: object) -> bool:
    """Whether this is a number or text, or has a text of its own as a UUID or an ObjectId does."""
    # The class of what a proxy stands for.
    to_text: object = found.__class__.__str__
    has_text = isinstance(found, int | str) or to_text is not object.__str__
    return has_text and not isinstance(found, bool)


def is_same_kind(one: type[Any], other: type[Any]) -> bool:
    """Whether no user of one class can have the primary key of a user of the other.

    That is so if one class extends the other, and leaves its session ids as they are.
    """
    is_extended = issubclass(one, other) or issubclass(other, one)
    return is_extended and one.get_id is other.get_id


def _has_several_kinds(kind: type, user: Any) -> bool:
    """Whether other tables have users, too, so that two users may have the same primary key."""
    mapper = getattr(user, "__mapper__", None)
    others = () if mapper is None else mapper.registry.mappers
    return any(
        hasattr(other.class_, "get_id")
        and hasattr(other.class_, "is_authenticated")
        and other.base_mapper.class_ is not kind
        for other in others
    )


def _rest(session_id: str, primary_key: str) -> str | None:
    """Return what a session id says besides the primary key; None if that is nothing but a token.

    ``admin:1`` names a kind of user: there may be another user 1. In ``1:3`` or ``1|sTn4Gk…`` the
    rest is a version or a token.
    """
    key = re.escape(primary_key)
    before = re.fullmatch(rf"(.+?){_SEPARATOR}?{key}", session_id, re.S)
    is_glued = primary_key.isdigit() and before and _KIND.fullmatch(before[1])
    if before is not None and (before[2] or is_glued):
        # A random token may end like this by chance.
        is_random = before[2] in ("-", "_") and _RANDOM_ID.fullmatch(before[1])
        return None if is_random and not _UUID.fullmatch(before[1]) else before[1]
    after = re.fullmatch(rf"{key}{_SEPARATOR}(.+)", session_id, re.S)
    if after is None or after[2].isdigit() or _RANDOM_ID.fullmatch(after[2]):
        return None
    return after[2]
