"""Where the floor stores keys on a server: one table, or Redis, with the drivers' defaults."""

from __future__ import annotations

from redis import Redis
from sqlalchemy import Column, MetaData, String, Table, Text, bindparam, create_engine, select


class DatabaseKeys:
    """A table in any database of SQLAlchemy."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url)
        owner, key = Column("owner", String(64), primary_key=True), Column("key", Text)
        table = Table("keys", MetaData(), owner, key)
        table.create(self._engine)
        self._select = select(table.c.key).where(table.c.owner == bindparam("owner"))
        self._insert = table.insert()

    def get(self, owner: str) -> str:
        """Return what is stored for this owner, or ``""``."""
        with self._engine.connect() as connection:
            return connection.scalar(self._select, {"owner": owner}) or ""

    def set(self, owner: str, key: str) -> None:
        """Store it."""
        with self._engine.begin() as connection:
            connection.execute(self._insert, {"owner": owner, "key": key})

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


class RedisKeys:
    """Strings in Redis."""

    def __init__(self, url: str) -> None:
        self._redis: Redis = Redis.from_url(url, decode_responses=True)

    def get(self, owner: str) -> str:
        """Return what is stored for this owner, or ``""``."""
        key: object = self._redis.get(f"key:{owner}")
        return str(key or "")

    def set(self, owner: str, key: str) -> None:
        """Store it."""
        self._redis.set(f"key:{owner}", key)

    def close(self) -> None:
        """Close all connections."""
        self._redis.close()
