"""The storage: is it reachable, does it keep and delete entries, and do its keys decrypt?"""

from __future__ import annotations

import os
import secrets
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, Final

from ..errors import ConfigurationError, KeyStorageError
from ..storage import KeyStorage, ListableStorage
from ..storage.cookie import BROWSER, CookieStorage
from ..storage.listing import Listing
from ..storage.namespace import back_end, split_entry
from ..storage.outcomes import Age
from ..storage.record import KeyRecord
from .case import Case
from .durability import check_durability, check_memory, sqlite_file
from .finding import Finding, ok, problem, warning
from .storage_causes import cause_of

#: How many stored keys are decrypted to see whether the encryption key fits.
SAMPLE: Final = 50
#: How many owners are listed to choose them from. It bounds the time.
LISTED: Final = 1_000_000
#: How many entries are looked at for their namespace.
NAMESPACE_SAMPLE: Final = 1000


def check_storage(case: Case) -> Iterator[Finding]:
    """Write, read and delete an entry of an unused owner id, and decrypt some stored keys."""
    storage = back_end(case.services.vault.storage)
    if isinstance(storage, CookieStorage):
        yield ok("storage_cookie", "Keys live in the visitors' browsers. No server is needed.")
        return
    yield from check_memory(case, storage)
    failure = _round_trip(case)
    if failure is not None:
        yield failure
    else:
        yield from _check_sample(case)
        yield from check_durability(case, storage)
        yield from _check_namespaces(case)
        yield from _check_migrations(case, storage)


def _round_trip(case: Case) -> Finding | None:
    vault = case.services.vault
    # As long and as random as the owner id of an anonymous visitor.
    owner_id = f"{BROWSER}doctor-{secrets.token_urlsafe(16)}"
    record = KeyRecord(f"nobody-{secrets.token_hex()}", None, int(case.services.clock()))
    try:
        vault.probe(owner_id)
    except KeyStorageError as error:
        return _not_readable(case, error)
    try:
        vault.save(owner_id, record)
        vault.forget(owner_id)
        is_left = vault.probe(owner_id)
    except KeyStorageError as error:
        with suppress(KeyStorageError):
            vault.forget(owner_id)
        return _not_written(case, error)
    if is_left:
        return problem(
            "storage_keeps_deleted",
            "The storage still has an entry that was deleted, so visitors cannot disconnect.",
            "Correct the storage's delete(), or read from the same server that is written to.",
        )
    return None


def _not_readable(case: Case, error: KeyStorageError) -> Finding:
    if isinstance(error.__cause__, ConfigurationError):
        title, _, remedy = str(error.__cause__).partition(". ")
        return problem("storage_unusable", f"{title}.", remedy)
    storage = back_end(case.services.vault.storage)
    if _is_own(storage) and _is_refusal(error.__cause__):
        return warning(
            "storage_refuses_ids",
            f"get() of the storage raises {type(error.__cause__).__name__} for an unknown owner id."
            " Visitors who are not signed in get HTTP 503.",
            "Let get() return None for an id that no user has.",
        )
    path = sqlite_file(storage)
    if path:
        return problem(
            "storage_unreachable",
            f"The SQLite file {path} cannot be opened or created{_reason(error)}.",
            f"Let the app's account write to the folder {os.path.dirname(path) or '.'}. In a"
            " container, mount a volume there that belongs to this account.",
        )
    found = cause_of(error.__cause__)
    if found is None and _statement_of(error).startswith("CREATE TABLE"):
        return problem(
            "storage_table_missing",
            f"The table for the keys does not exist and cannot be created{_reason(error)}.",
            "Create it when you deploy, with SQLAlchemyStorage(…).create_table() or Alembic, or"
            " grant the app's account the right to create it.",
        )
    cause, remedy = found or (
        "",
        "Start its server. Check host, port, account and password in OPENROUTER_STORAGE_URI, and"
        " the account's right to read.",
    )
    title = f"The storage cannot be read{_reason(error)}. {cause}".rstrip()
    return problem("storage_unreachable", title, remedy)


def _not_written(case: Case, error: KeyStorageError) -> Finding:
    title = f"The storage cannot write, read back and delete an entry{_reason(error)}."
    if _is_own(back_end(case.services.vault.storage)):
        return warning(
            "storage_not_written",
            title,
            "Correct the storage, unless it refuses unknown users on purpose.",
        )
    cause, remedy = cause_of(error.__cause__) or (
        "",
        "Grant the app's account the rights to insert, update and delete. Check that the storage"
        " is neither a read-only replica nor full.",
    )
    return problem("storage_not_written", f"{title} {cause}".rstrip(), remedy)


def _check_sample(case: Case) -> Iterator[Finding]:
    vault = case.services.vault
    if not isinstance(vault.storage, ListableStorage):
        return
    readable = unreadable = 0
    for owner_id in _spread(Listing(vault).owner_ids()):
        age = vault.prune(owner_id, dry_run=True)
        readable += age in (Age.CURRENT, Age.PAST)
        unreadable += age is Age.UNREADABLE
    if unreadable:
        report = warning if readable else problem
        yield report(
            "stored_keys_unreadable",
            f"Of {readable + unreadable} stored keys in the sample, {unreadable} cannot be"
            " decrypted. Their owners count as not connected.",
            "Add the OPENROUTER_ENCRYPTION_KEY or SECRET_KEY that encrypted them to the fallbacks,"
            " and check OPENROUTER_BASE_URL. If that key is lost: flask openrouter forget. If"
            " another app stores keys here, give each app an OPENROUTER_NAMESPACE.",
        )


def _spread(owner_ids: Iterable[str]) -> set[str]:
    """Return some of these owners at even distances, and always the last.

    An interrupted rotation leaves older keys at the end of the listing.
    """
    chosen: list[str] = []
    distance, last = 1, deque[str](maxlen=1)
    for number, owner_id in enumerate(islice(owner_ids, LISTED)):
        last.append(owner_id)
        if number % distance == 0:
            if len(chosen) == SAMPLE:
                del chosen[1::2]
                distance *= 2
            chosen.append(owner_id)
    return {*chosen[: SAMPLE - 1], *last}


def _check_namespaces(case: Case) -> Iterator[Finding]:
    storage, own = back_end(case.services.vault.storage), case.services.settings.namespace
    if not isinstance(storage, ListableStorage):
        return
    entries = islice(storage.owner_ids(), NAMESPACE_SAMPLE)
    counts = Counter(split_entry(entry)[0] for entry in entries)
    if own is not None and counts[None]:
        yield warning(
            "keys_without_namespace",
            f"The storage has keys without a namespace ({counts[None]} in the sample): another"
            " app's, or this app's from before OPENROUTER_NAMESPACE was set. Their owners must"
            " connect again.",
            "If they are this app's keys and matter, remove OPENROUTER_NAMESPACE.",
        )
    others = sorted(namespace for namespace in counts if namespace not in (None, own))
    if own is None and others:
        yield warning(
            "keys_of_other_namespaces",
            "The storage has keys of the namespace"
            f" {', '.join(map(repr, others))}, which this app does not use.",
            "If they are this app's keys, set OPENROUTER_NAMESPACE again. Otherwise a namespace"
            " for this app removes the warning.",
        )


def _check_migrations(case: Case, storage: Any) -> Iterator[Finding]:
    """Find a table of keys that Flask-Migrate takes for one that the app has given up."""
    extensions = case.app.extensions
    is_unknown = False
    # The app may have neither extension, another release of them, or a storage of its own.
    with suppress(Exception):
        db, arguments = extensions["sqlalchemy"], extensions["migrate"].configure_args
        place = _place(storage._load_engine())
        is_unknown = (
            sqlite_file(storage) != ""
            and place in map(_place, db.engines.values())
            and not any(storage.table.key in each.tables for each in db.metadatas.values())
            and arguments.keys().isdisjoint(("include_name", "include_object"))
        )
    if is_unknown:
        yield warning(
            "migrations_drop_keys",
            f"The table {storage.table.fullname} is in the app's database and unknown to its db:"
            " flask db migrate writes a migration that drops it, with all keys.",
            "Hand over the db, as in SQLAlchemyStorage(db), or pass include_name to Migrate.",
        )


def _place(engine: Any) -> tuple[object, ...]:
    url = engine.url
    return url.get_backend_name(), url.host, url.port, url.database


def _is_refusal(cause: BaseException | None) -> bool:
    """Whether a storage failed because it does not know the owner."""
    # The last one is SQLAlchemy's, for a result without a row.
    is_known = isinstance(cause, ValueError | LookupError | TypeError | AttributeError)
    return is_known or type(cause).__name__ == "NoResultFound"


def _is_own(storage: KeyStorage) -> bool:
    """Whether the storage is a class of the app."""
    return not type(back_end(storage)).__module__.startswith("flask_openrouter.")


def _statement_of(error: KeyStorageError) -> str:
    """Return the SQL statement that failed, without parameters, or ``""`` if none was sent."""
    return str(getattr(error.__cause__, "statement", None) or "").strip().upper()


def _reason(error: KeyStorageError) -> str:
    # The class only: the message may quote what was stored, or the URL with its password.
    cause = error.__cause__
    if cause is None:
        return ""
    return f" ({type(getattr(cause, 'orig', None) or cause).__name__})"
