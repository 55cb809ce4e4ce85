"""Access to stored keys: encryption above any storage, with each key bound to its owner."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from ..errors import KeyStorageError
from ..log import log_note
from . import BROWSER, AddingStorage, ComparingStorage, KeyStorage, ReplacingStorage
from .calls import StorageCalls
from .cipher import KeyCipher, bound_to
from .outcomes import Age, Outcome
from .record import KeyRecord

logger: Final = logging.getLogger("flask_openrouter")

#: Seconds after which a key that was set aside is deleted.
SET_ASIDE_SECONDS: Final = 24 * 3600
#: How often a key may change while it is re-encrypted. More means that the storage never replaces.
_MOST_TRIES: Final = 10
_NOT_GIVEN_BACK: Final = "The storage did not give back the key that was saved."


class KeyVault:
    """Loads, saves and deletes the keys of owners.

    ``cipher``: None passes records to the storage in the clear, for secrets managers.
    ``base_url``: keys of another provider or emulator do not open.
    ``max_age``: seconds after which a record counts as deleted, or None.
    ``keeps_users``: whether ``max_age`` holds for the keys of browsers only.
    ``clock``: returns Unix time in seconds.

    Every method raises :class:`KeyStorageError` when the storage fails.
    """

    def __init__(
        self,
        storage: KeyStorage,
        cipher: KeyCipher | None,
        *,
        base_url: str,
        max_age: int | None = None,
        keeps_users: bool = False,
        clock: Callable[[], float] = lambda: time.time(),
    ) -> None:
        self.storage = storage
        self._cipher = cipher
        # Only the cookie storage has one of its own.
        purpose = getattr(storage, "purpose", "api_key")
        # That one is in the request itself: nobody waits for it, or shares it.
        self._is_shared = purpose == "api_key"
        calls = StorageCalls(may_wait=self._is_shared, is_encrypting=cipher is not None)
        self._run = calls.run
        #: The context of an owner's ciphertext.
        self._context = partial(bound_to, purpose, base_url)
        self._max_age = max_age
        self._keeps_users = keeps_users
        self._clock = clock

    @property
    def is_encrypting(self) -> bool:
        """Whether the storage sees ciphertext only."""
        return self._cipher is not None

    def load(self, owner_id: str) -> KeyRecord | None:
        """Return the record of this owner, or None. A record that does not open is not deleted.

        ``rejected_at`` tells a key that was set aside, which must not be used.
        """
        record, is_stored = self._read(owner_id)
        if not is_stored:
            return None
        if record is None:
            logger.warning(
                "What is stored for this owner does not open; treated as not connected.%s",
                log_note(owner_id),
            )
        elif self._is_past_its_age(owner_id, record):
            return None
        elif record.rejected_at is not None:
            return self._kept_aside(owner_id, record)
        return record

    def save(self, owner_id: str, record: KeyRecord) -> None:
        """Store the record and read it back. It counts as stored only if it can be read."""
        # Sealed inside: with encrypt=False the sealed text is the key, which no frame between here
        # and the storage may hold.
        self._run("Saving", lambda: self.storage.set(owner_id, self._seal(record, owner_id)))
        found = self.load(owner_id)
        # Another login of this owner may have replaced it at once. Its key is not older.
        if found is None or (found != record and found.connected_at < record.connected_at):
            raise KeyStorageError(_NOT_GIVEN_BACK)

    def replace(self, owner_id: str, old: KeyRecord | None, new: KeyRecord) -> bool:
        """Save ``new`` if ``old`` is still what :meth:`load` returns. Return whether it was saved.

        With a storage that is no :class:`~flask_openrouter.storage.AddingStorage`, a key that is
        connected between the last read and the write, about a round trip, is replaced if ``old`` is
        None.
        """
        if self._run("Saving", self._put, owner_id, old, new) is None:
            return False
        self._check_replaced(owner_id, old, new)
        return True

    def move(
        self, former_id: str, owner_id: str, record: KeyRecord, present: KeyRecord | None = None
    ) -> bool:
        """Move ``record`` to another owner, if both still have what :meth:`load` returned for them.

        ``present``: what the new owner has. Return whether it was moved. What does not open is not
        replaced. Two requests may move the same key at once.

        With encrypt=False, or a storage that is not adding, replacing and comparing, a disconnect
        of the former owner between the first read and the write, about two round trips, is undone.
        """
        put = partial(self._put, is_careful=True)
        moved = self._run("Saving", put, owner_id, present, record)
        if moved is None:
            return False
        self._check_replaced(owner_id, present, record)
        kinds = (AddingStorage, ReplacingStorage, ComparingStorage)
        can_prove = self._is_shared and all(isinstance(self.storage, kind) for kind in kinds)
        if self._cipher is None or not can_prove:
            self.forget_if(former_id, record)
            return True
        # A storage repeats what got no answer. So a deletion does not tell who has deleted, but a
        # replacement does: nobody else has this ciphertext.
        taken = self._run("Saving", put, former_id, record, record)
        if taken is not None:
            self._run("Deleting", self._delete, former_id, taken)
            return True
        # It was disconnected, or another request has moved it as well. That one has then stored a
        # ciphertext of its own for the new owner, which stays.
        if present is None:
            self._run("Deleting", self._delete, owner_id, moved)
        elif present.api_key != record.api_key:
            self._run("Saving", self._replace, owner_id, moved, self._seal(present, owner_id))
        return self.load(owner_id) == record

    def set_aside(self, owner_id: str, record: KeyRecord) -> KeyRecord | None:
        """Set a rejected key aside, if ``record`` is still what is stored.

        Return the new record, or None. No key is lost if OpenRouter was wrong: see
        :meth:`give_back`.
        """
        return self._swap(owner_id, record, replace(record, rejected_at=int(self._clock())))

    def give_back(self, owner_id: str, record: KeyRecord) -> KeyRecord | None:
        """Make a key that was set aside usable again, if ``record`` is still what is stored.

        Return the new record, or None.
        """
        return self._swap(owner_id, record, replace(record, rejected_at=None))

    def _swap(self, owner_id: str, record: KeyRecord, new: KeyRecord) -> KeyRecord | None:
        return None if self._run("Saving", self._put, owner_id, record, new) is None else new

    def _put(
        self, owner_id: str, old: KeyRecord | None, new: KeyRecord, *, is_careful: bool = False
    ) -> str | None:
        """Store ``new`` if ``old`` is what counts for this owner now.

        Return its ciphertext, or None if it was not stored. With encrypt=False that is an empty
        text: no frame above _run may hold what is stored. ``is_careful``: not over what does not
        open.
        """
        for _ in range(_MOST_TRIES):
            stored = self.storage.get(owner_id)
            if self._counted(stored, owner_id) != old:
                return None
            if is_careful and stored is not None and self._open(stored, owner_id) is None:
                return None
            sealed = self._seal(new, owner_id)
            # A storage that got no answer asks again, and then finds what it has stored.
            if self._replace(owner_id, stored, sealed) or self.storage.get(owner_id) == sealed:
                if stored is not None and (old is None or old.api_key != new.api_key):
                    # A storage whose entries expire keeps the time of the one that was replaced.
                    getattr(self.storage, "renew", lambda *_: None)(owner_id, sealed)
                return "" if self._cipher is None else sealed
            # The same record may have been encrypted anew.
        return None

    def _check_replaced(self, owner_id: str, old: KeyRecord | None, new: KeyRecord) -> None:
        found = self.load(owner_id)
        # A third one was saved by another request at once.
        if found != new and found in (None, old):
            raise KeyStorageError(_NOT_GIVEN_BACK)

    def _kept_aside(self, owner_id: str, record: KeyRecord) -> KeyRecord | None:
        if not self._is_given_up(record):
            return record
        try:
            self.forget_if(owner_id, record)
        except KeyStorageError:
            logger.info("A key that was set aside could not be deleted now.%s", log_note(owner_id))
        return None

    def forget(self, owner_id: str) -> None:
        """Delete what is stored for this owner. No error if there is nothing."""
        self._run("Deleting", self.storage.delete, owner_id)

    def forget_if(self, owner_id: str, record: KeyRecord) -> bool:
        """Delete what is stored for this owner if it is still ``record``. Return whether it was."""

        def forget() -> bool:
            stored = self.storage.get(owner_id)
            if stored is None or self._open(stored, owner_id) != record:
                return False
            return self._delete(owner_id, stored)

        # In one step: with encrypt=False no frame above _run may hold what is stored.
        return self._run("Deleting", forget)

    def probe(self, owner_id: str) -> bool:
        """Return whether anything is stored for this owner, readable or not.

        One cheap read, which detects a storage that is down before a code is spent.
        """
        return self._run("Reading", self.storage.get, owner_id) is not None

    def is_unreadable(self, owner_id: str) -> bool:
        """Return whether something is stored for this owner that does not open."""
        record, is_stored = self._read(owner_id)
        return is_stored and record is None

    def connected_at(self, owner_id: str) -> int | None:
        """Return when this owner's key was connected (Unix time, seconds), or None without one."""
        record, _ = self._read(owner_id)
        if record is None or record.rejected_at is not None:
            return None
        return None if self._is_past_its_age(owner_id, record) else record.connected_at

    def prune(self, owner_id: str, *, dry_run: bool = False) -> Age:
        """Delete this owner's record if it opens and is past its age. ``dry_run``: only look.

        A key that is connected meanwhile stays, if the storage is a
        :class:`~flask_openrouter.storage.ComparingStorage`. With any other, a key that is connected
        between the last read and the deletion, about a round trip, is deleted.
        """
        record, is_stored = self._read(owner_id)
        if not is_stored:
            return Age.GONE
        if record is None:
            return Age.UNREADABLE
        if not self._is_given_up(record) and not self._is_past_its_age(owner_id, record):
            return Age.CURRENT
        if dry_run or self.forget_if(owner_id, record):
            return Age.PAST
        return Age.GONE

    def reencrypt(self, owner_id: str) -> Outcome:
        """Encrypt this owner's record with the newest key if it opens with a fallback only.

        A key that is saved or deleted meanwhile wins, if the storage is a
        :class:`~flask_openrouter.storage.ReplacingStorage`. With any other, one that is
        saved or deleted between the last read and the write, about a round trip, is undone.
        """
        for _ in range(_MOST_TRIES):
            stored = self._run("Reading", self.storage.get, owner_id)
            if stored is None:
                return Outcome.GONE
            sealed = self._reseal(stored, owner_id)
            if sealed is None:
                return Outcome.UNREADABLE
            if sealed == stored:
                return Outcome.CURRENT
            if self._run("Saving", self._replace, owner_id, stored, sealed):
                return Outcome.ROTATED
        raise KeyStorageError("The key changed again and again while it was to be re-encrypted.")

    def _read(self, owner_id: str) -> tuple[KeyRecord | None, bool]:
        """Return the record that opens, or None, and whether anything is stored.

        With encrypt=False what is stored is the key, so it stays in this frame.
        """
        stored = self._run("Reading", self.storage.get, owner_id)
        return self._open(stored, owner_id), stored is not None

    def _counted(self, stored: str | None, owner_id: str) -> KeyRecord | None:
        """Return the record that :meth:`load` would return."""
        record = self._open(stored, owner_id)
        if record is None or self._is_past_its_age(owner_id, record) or self._is_given_up(record):
            return None
        return record

    def _is_given_up(self, record: KeyRecord) -> bool:
        rejected_at = record.rejected_at
        return rejected_at is not None and self._clock() - rejected_at > SET_ASIDE_SECONDS

    def _is_past_its_age(self, owner_id: str, record: KeyRecord) -> bool:
        if self._max_age is None or (self._keeps_users and not owner_id.startswith(BROWSER)):
            return False
        return self._clock() - record.connected_at > self._max_age

    def _seal(self, record: KeyRecord, owner_id: str) -> str:
        if self._cipher is None:
            return record.to_json()
        return self._cipher.encrypt(record.to_bytes(), self._context(owner_id))

    def _open(self, stored: object, owner_id: str) -> KeyRecord | None:
        if not isinstance(stored, str):
            return None
        if self._cipher is None:
            return KeyRecord.from_json(stored)
        plaintext = self._cipher.decrypt(stored, self._context(owner_id))
        return None if plaintext is None else KeyRecord.from_bytes(plaintext)

    def _reseal(self, stored: object, owner_id: str) -> str | None:
        # Here, so that no frame above the storage holds a record in the clear.
        record = self._open(stored, owner_id)
        if record is None or not isinstance(stored, str):
            return None
        if self._cipher is None or self._cipher.is_current(stored, self._context(owner_id)):
            return stored
        return self._seal(record, owner_id)

    def _replace(self, owner_id: str, stored: str | None, sealed: str) -> bool:
        if stored is None and isinstance(self.storage, AddingStorage):
            return self.storage.add(owner_id, sealed)
        if stored is not None and isinstance(self.storage, ReplacingStorage):
            return self.storage.replace(owner_id, stored, sealed)
        if self.storage.get(owner_id) != stored:
            return False
        self.storage.set(owner_id, sealed)
        return True

    def _delete(self, owner_id: str, stored: str) -> bool:
        if isinstance(self.storage, ComparingStorage):
            return self.storage.delete_if(owner_id, stored)
        self.storage.delete(owner_id)
        return True
