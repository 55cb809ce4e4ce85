"""A storage in Redis, whose entries expire by themselves."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from ..client.credentials import hides_frames
from ..errors import ConfigurationError
from . import check_owner_id
from .namespace import is_of_browser

if TYPE_CHECKING:
    from redis import Redis, RedisCluster

__all__ = ["RedisStorage"]

#: Seconds to wait for a connection or an answer: a visitor waits behind each of them.
TIMEOUT: Final = 5
#: Connections of one process at most; the next thread waits for one.
MAX_CONNECTIONS: Final = 20
#: Seconds of idleness after which a connection is tried before it is used.
HEALTH_CHECK_INTERVAL: Final = 30
#: Seconds that the entry of a browser lives by default.
_BROWSER_MAX_AGE: Final = 31 * 24 * 3600
#: The schemes of URLs, and what redis-py calls them.
SCHEMES: Final = {
    "redis": "redis",
    "rediss": "rediss",
    "unix": "unix",
    "valkey": "redis",
    "valkeys": "rediss",
}
# Keys that the server looks at in one step of a listing.
_SCAN_COUNT: Final = 500

# One script is one step for the server, also in a cluster.
_REPLACE: Final = """
if redis.call("GET", KEYS[1]) ~= ARGV[1] then return 0 end
redis.call("SET", KEYS[1], ARGV[2], "KEEPTTL")
return 1
"""
_RENEW: Final = """
if redis.call("GET", KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == "" then return redis.call("PERSIST", KEYS[1]) end
return redis.call("EXPIRE", KEYS[1], ARGV[2])
"""
_DELETE_IF: Final = """
if redis.call("GET", KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call("DEL", KEYS[1])
"""


class RedisStorage:
    """Keeps each ciphertext under ``prefix`` and the percent-encoded owner id.

    ``url_or_client``: ``redis://``, ``rediss://`` (TLS) or ``unix://``, also spelled ``valkey://``
    and ``valkeys://``; or a client of redis-py, also one for
    Sentinel (``sentinel.master_for(...)``) or Cluster (``RedisCluster``), with or without
    ``decode_responses``. A client of the app keeps its own time-outs and retries. With a URL,
    everything takes 5 seconds at most and a lost connection is opened once more; the URL's query
    (``?socket_timeout=2``) wins.

    ``prefix``: two apps that share one database need different prefixes.

    ``max_age``: seconds after which an entry expires, counted from the last set. By default this
    follows ``OPENROUTER_KEY_MAX_AGE``: 31 days for the entries of browsers, and no expiry for those
    of the app's users unless the app sets it.

    The constructor raises ConfigurationError when redis-py is missing and when an argument cannot
    be used. Every method raises ValueError for an owner id that ``check_owner_id`` refuses, and
    the errors of redis-py for the rest.
    """

    @hides_frames
    def __init__(
        self,
        url_or_client: str | Redis | RedisCluster,
        *,
        prefix: str = "openrouter:key:",
        max_age: int | None = None,
    ) -> None:
        if max_age is not None and max_age < 1:
            raise ConfigurationError("max_age of RedisStorage must be 1 second or more.")
        self._is_own = isinstance(url_or_client, str)
        # redis-py types every response as "awaitable or not", so its types are of no use here.
        self._client: Any = (
            _create_client(url_or_client) if isinstance(url_or_client, str) else url_or_client
        )
        if inspect.iscoroutinefunction(getattr(self._client, "execute_command", None)):
            raise ConfigurationError("RedisStorage needs a client of redis, not of redis.asyncio.")
        self._prefix = prefix
        self._max_age = max_age
        #: Those of the apps, for browsers and for users, once an app has said them.
        self._ages: tuple[int, int | None] | None = None

    @property
    def location(self) -> str:
        """Where the entries are, for messages. Without user name and password."""
        options = getattr(getattr(self._client, "connection_pool", None), "connection_kwargs", {})
        server = options.get("path") or f"{options.get('host')}:{options.get('port')}"
        place = f"Redis at {server}, database {options.get('db', 0)}"
        if not options.get("path") and not options.get("host"):
            place = type(self._client).__name__
        return f"{place}, keys {self._prefix}*"

    def get(self, owner_id: str) -> str | None:
        """Return the ciphertext that was set last for this owner, or None."""
        ciphertext = self._client.get(self._key(owner_id))
        return None if ciphertext is None else _text(ciphertext)

    def set(self, owner_id: str, ciphertext: str) -> None:
        """Store this ciphertext for this owner, replacing any other, and start its time anew."""
        self._write("set", self._key(owner_id), ciphertext, ex=self._age_of(owner_id))

    def add(self, owner_id: str, ciphertext: str) -> bool:
        """Store this ciphertext if nothing is stored for this owner; return whether it was."""
        key, max_age = self._key(owner_id), self._age_of(owner_id)
        return bool(self._write("set", key, ciphertext, ex=max_age, nx=True))

    def follow(self, *, browsers: int, users: int | None) -> None:
        """Let entries expire after so many seconds, unless ``max_age`` was given. None: never.

        The extension calls it with the app's settings. Of several apps that share this object, the
        longest time counts: each ignores what is too old for itself.
        """
        if self._ages is not None:
            others, other_users = self._ages
            browsers = max(browsers, others)
            users = None if users is None or other_users is None else max(users, other_users)
        self._ages = (browsers, users)

    def replace(self, owner_id: str, ciphertext: str, new_ciphertext: str) -> bool:
        """Store ``new_ciphertext`` if ``ciphertext`` is what is stored; return whether it was.

        The entry expires when it would have. Needs Redis 6.0 or newer, and the right to EVAL.
        """
        key = self._key(owner_id)
        return bool(self._write("eval", _REPLACE, 1, key, ciphertext, new_ciphertext))

    def renew(self, owner_id: str, ciphertext: str) -> None:
        """Start the time of the entry anew if ``ciphertext`` is what is stored.

        Needs the right to EVAL.
        """
        max_age = self._age_of(owner_id)
        self._write("eval", _RENEW, 1, self._key(owner_id), ciphertext, max_age or "")

    def delete(self, owner_id: str) -> None:
        """Delete this owner's ciphertext. No error if there is none."""
        self._write("delete", self._key(owner_id))

    def delete_if(self, owner_id: str, ciphertext: str) -> bool:
        """Delete the entry if ``ciphertext`` is what is stored; return whether it was.

        Needs the right to EVAL.
        """
        return bool(self._write("eval", _DELETE_IF, 1, self._key(owner_id), ciphertext))

    def owner_ids(self, after: str | None = None) -> Iterator[str]:
        """Yield the owners in no order, some perhaps twice. Redis begins again whatever ``after``.

        Reads the whole database in small steps: other commands are served in between.
        """
        pattern = re.sub(r"([*?\[\]\\])", r"\\\1", self._prefix) + "*"
        for key in self._client.scan_iter(match=pattern, count=_SCAN_COUNT):
            yield unquote(_text(key)[len(self._prefix) :])

    def count_owners(self) -> int:
        """Return about how many owners there are, by a walk over all of them."""
        return sum(1 for _ in self.owner_ids())

    def close(self) -> None:
        """Close the pooled connections, unless the client is the app's. They open again on use."""
        if self._is_own:
            self._client.connection_pool.disconnect()

    def _age_of(self, owner_id: str) -> int | None:
        if self._max_age is not None:
            return self._max_age
        browsers, users = self._ages or (_BROWSER_MAX_AGE, None)
        return browsers if is_of_browser(owner_id) else users

    def _write(self, command: str, *arguments: Any, **options: Any) -> Any:
        from redis.exceptions import ReadOnlyError

        try:
            return getattr(self._client, command)(*arguments, **options)
        except ReadOnlyError:
            # A client of the app does not replace such a connection by itself.
            pool = getattr(self._client, "connection_pool", None)
            if pool is not None:
                pool.disconnect(inuse_connections=False)
            raise

    def _key(self, owner_id: str) -> str:
        # Reversible, one key per owner, and free of separators, patterns and line ends.
        return self._prefix + quote(check_owner_id(owner_id), safe="")


def _text(answer: bytes | str) -> str:
    # Bytes that are not UTF-8 are not our ciphertext. They shall fail to decrypt, not to decode.
    return answer if isinstance(answer, str) else answer.decode(errors="replace")


def _create_client(url: str) -> Redis:
    scheme, _, rest = url.partition("://")
    url = f"{SCHEMES.get(scheme, scheme)}://{rest}"
    try:
        from redis import BlockingConnectionPool, Redis, RedisError
        from redis.backoff import NoBackoff
        from redis.exceptions import ConnectionError as RedisConnectionError
        from redis.exceptions import ReadOnlyError
        from redis.retry import Retry
    except ImportError:
        is_missing = True
    else:
        is_missing = False
    if is_missing:
        raise ConfigurationError(
            'Keeping keys in Redis needs redis-py: pip install "Flask-OpenRouter[redis]"'
        )
    try:
        tcp_only = {} if scheme == "unix" else {"socket_keepalive": True}
        # The pool checks the process id at each use, and opens new connections after a fork.
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=MAX_CONNECTIONS,
            timeout=TIMEOUT,
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            **tcp_only,
            health_check_interval=HEALTH_CHECK_INTERVAL,
            # Get, set and delete may be repeated harmlessly. After a fail-over behind one address,
            # only a new connection finds the new primary.
            retry=Retry(NoBackoff(), 1, (RedisConnectionError, ReadOnlyError)),
            retry_on_error=[RedisConnectionError, ReadOnlyError],
        )
        # Made, but not connected: unknown options fail now and not at the first visitor's login.
        pool.connection_class(**pool.connection_kwargs)
        return Redis(connection_pool=pool)
    except (RedisError, TypeError, ValueError):
        # The URL may hold a password, and the cause may quote it.
        pass
    raise ConfigurationError(
        "This is no Redis URL that redis-py takes. Write it as redis://user:password@host:6379/0"
        " (rediss:// for TLS), with special characters of the password percent-encoded."
    )
