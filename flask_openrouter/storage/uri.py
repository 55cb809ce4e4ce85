"""The storage that the setting OPENROUTER_STORAGE_URI names."""

from __future__ import annotations

from typing import Final

from ..client.credentials import hides_frames
from ..errors import ConfigurationError
from . import KeyStorage

__all__ = ["storage_from_uri"]

SETTING: Final = "OPENROUTER_STORAGE_URI"
#: What other libraries call Redis, its cluster and its sentinels.
REDIS_LIKE: Final = ("redis", "valkey", "sentinel", "keydb")


@hides_frames
def storage_from_uri(
    uri: str, *, max_age: int | None = None, instance_folder: str | None = None
) -> KeyStorage:
    """Return the storage that a URI names. It connects on first use.

    ``memory://``; ``redis://``, ``rediss://``, ``valkey://``, ``valkeys://`` and ``unix://``;
    everything else is a database URL of SQLAlchemy.
    ``max_age``: seconds until an entry expires, in storages that can do so (Redis). None: those of
    browsers after 31 days, those of users never. ``instance_folder``: where relative paths of
    SQLite files begin, or None for the working directory.
    Raises ConfigurationError, naming the setting and the remedy but never the URI's password.
    """
    try:
        return _create_storage(uri, max_age, instance_folder)
    except ConfigurationError as exc:
        problem = str(exc)
    raise ConfigurationError(f"{SETTING}: {problem}")


def _create_storage(uri: str, max_age: int | None, instance_folder: str | None) -> KeyStorage:
    if not isinstance(uri, str) or "://" not in uri:
        raise ConfigurationError(
            "this is no URI. Write, for example, sqlite:///keys.db, postgresql+psycopg://…,"
            " redis://… or memory://"
        )
    scheme, _, rest = uri.partition("://")
    if scheme == "memory":
        if rest:
            raise ConfigurationError("memory:// takes nothing behind the slashes.")
        from .memory import MemoryStorage

        return MemoryStorage()
    from .redis import SCHEMES, RedisStorage

    if scheme in SCHEMES:
        return RedisStorage(uri, max_age=max_age)
    if scheme.startswith(REDIS_LIKE):
        raise ConfigurationError(
            f"{scheme!r} is no scheme that this extension knows. Write redis://, rediss:// (TLS) or"
            " unix://. For Sentinel or Cluster, make the client yourself, and pass"
            " storage=RedisStorage(client) to OpenRouterAuth."
        )
    from .sqlalchemy import SQLAlchemyStorage

    storage = SQLAlchemyStorage(uri)
    if instance_folder is not None:
        storage.anchor(instance_folder)
    return storage
