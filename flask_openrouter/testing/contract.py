"""The contract of a key storage as tests, for third-party storages."""

# Tests assert.
# ruff: noqa: S101

from __future__ import annotations

import unittest
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from ..storage import (
    AddingStorage,
    ComparingStorage,
    KeyStorage,
    ListableStorage,
    ReplacingStorage,
)

_THREADS: Final = 8

# Some back end takes each of these for another owner, a pattern, a command or nothing at all.
_AWKWARD_OWNER_IDS: Final = (
    *("a", "A", "a ", " a", "a\t", "a\n", "á", "a\u0301", "Á", "\ufeffa", "a\u200b"),
    *("0", "00", "-1", "1e0", "None", "null", "true", "[]", "{}", "ss", "ß", "\u0131", "i", "İ"),
    *("a:b", "a%3Ab", "a%3ab", "a/b", "a\\b", "a|b", "a,b", "a=b", "a+b", "a%20b", "a b", "a.b"),
    *("*", "?", "%", "_", "[a-z]", ".*", "..", "../../etc/passwd", "~", "#", "$HOME", "{0}", "%s"),
    *("' OR 1=1 --", '" OR ""="', "'; DROP TABLE openrouter_keys; --", ":owner_id", "\r\nFLUSHALL"),
    *("<script>", "user@example.com", "用户", "😀", "مستخدم", "\x01", "\x7f", "\x85", "\u2028"),
    *("x" * 255, "x" * 254 + "y", "x" * 254, "😀" * 255, "%" * 255),
)
# Not "old", though some databases compare texts so.
_OTHERS: Final = ("older", "OLD", "old ", "öld", "")


class KeyStorageContract:
    """The contract of :class:`~flask_openrouter.KeyStorage` as tests for your back end.

    Derive a class whose name begins with ``Test``, and return your storage::

        class TestMyStorage(KeyStorageContract):
            def make_storage(self):
                return MyStorage("https://vault.example")

    The data may outlive a test, because each test uses its own owners. The contracts of
    :class:`~flask_openrouter.storage.ListableStorage`,
    :class:`~flask_openrouter.storage.ReplacingStorage`,
    :class:`~flask_openrouter.storage.ComparingStorage` and
    :class:`~flask_openrouter.storage.AddingStorage` are tested if the storage has their methods.
    """

    def make_storage(self) -> KeyStorage:
        """Return a storage."""
        raise NotImplementedError("Override make_storage and return your storage.")

    def make_second_storage(self) -> KeyStorage | None:
        """Return another storage object for the same data, as in a second worker, or None."""
        return None

    def test_has_the_three_methods(self) -> None:
        assert isinstance(self.make_storage(), KeyStorage)

    def test_unknown_owner_has_nothing(self) -> None:
        assert self.make_storage().get(_new_owner_id()) is None

    def test_what_was_set_is_read_back_exactly(self) -> None:
        storage, owner_id = self.make_storage(), _new_owner_id()
        ciphertext = "Az09-_.~+/=:\"'%\\ {}"
        storage.set(owner_id, ciphertext)
        assert storage.get(owner_id) == ciphertext
        assert storage.get(owner_id) == ciphertext, "reading must not use it up"

    def test_last_set_wins(self) -> None:
        storage, owner_id = self.make_storage(), _new_owner_id()
        for ciphertext in ("first, and longer than the second", "second", "third"):
            storage.set(owner_id, ciphertext)
            assert storage.get(owner_id) == ciphertext

    def test_setting_the_same_again_is_no_error(self) -> None:
        storage, owner_id = self.make_storage(), _new_owner_id()
        storage.set(owner_id, "same")
        storage.set(owner_id, "same")
        assert storage.get(owner_id) == "same"

    def test_deleted_is_gone(self) -> None:
        storage, owner_id = self.make_storage(), _new_owner_id()
        storage.set(owner_id, "ciphertext")
        storage.delete(owner_id)
        assert storage.get(owner_id) is None

    def test_delete_is_idempotent(self) -> None:
        """Disconnecting twice is not an error: the key is gone, as the visitor wanted."""
        storage, owner_id = self.make_storage(), _new_owner_id()
        storage.delete(owner_id)
        storage.set(owner_id, "ciphertext")
        storage.delete(owner_id)
        storage.delete(owner_id)
        assert storage.get(owner_id) is None

    def test_set_works_after_delete(self) -> None:
        storage, owner_id = self.make_storage(), _new_owner_id()
        storage.set(owner_id, "old")
        storage.delete(owner_id)
        storage.set(owner_id, "new")
        assert storage.get(owner_id) == "new"

    def test_owners_never_share_an_entry(self) -> None:
        """Owner ids that differ in case, accents, spaces, patterns or escapes are different."""
        storage = self.make_storage()
        expected = {
            owner_id: f"ciphertext {number}" for number, owner_id in enumerate(_AWKWARD_OWNER_IDS)
        }
        for owner_id in expected:
            storage.delete(owner_id)
        for owner_id, ciphertext in expected.items():
            assert storage.get(owner_id) is None, f"{owner_id!r} has the entry of another owner"
            storage.set(owner_id, ciphertext)
        assert {owner_id: storage.get(owner_id) for owner_id in expected} == expected
        for owner_id in expected:
            storage.delete(owner_id)
            assert storage.get(owner_id) is None

    def test_delete_touches_one_owner_only(self) -> None:
        storage, owner_id = self.make_storage(), _new_owner_id()
        others = [owner_id + "x", owner_id[:-1], owner_id.upper(), owner_id + " "]
        for other in others:
            storage.set(other, "of the other")
        storage.set(owner_id, "ciphertext")
        storage.delete(owner_id)
        assert [storage.get(other) for other in others] == ["of the other"] * len(others)

    def test_large_ciphertext_is_kept_whole(self) -> None:
        storage, owner_id = self.make_storage(), _new_owner_id()
        ciphertext = "0123456789abcdef" * 512
        storage.set(owner_id, ciphertext)
        assert storage.get(owner_id) == ciphertext

    def test_threads_never_get_the_entry_of_another(self) -> None:
        storage, prefix = self.make_storage(), _new_owner_id()

        def connect_and_disconnect(number: int) -> list[str | None]:
            owner_id = f"{prefix}{number}"
            storage.set(owner_id, f"old {number}")
            storage.set(owner_id, f"ciphertext {number}")
            found = storage.get(owner_id)
            storage.delete(owner_id)
            return [found, storage.get(owner_id)]

        assert _run_in_threads(connect_and_disconnect, 5 * _THREADS) == [
            [f"ciphertext {number}", None] for number in range(5 * _THREADS)
        ]

    def test_threads_that_set_one_owner_leave_one_whole_entry(self) -> None:
        storage, owner_id = self.make_storage(), _new_owner_id()
        ciphertexts = [str(number) * 1000 for number in range(_THREADS)]
        _run_in_threads(lambda number: storage.set(owner_id, ciphertexts[number]), _THREADS)
        assert storage.get(owner_id) in ciphertexts
        storage.delete(owner_id)
        assert storage.get(owner_id) is None

    def test_another_worker_sees_every_change(self) -> None:
        storage, second = self.make_storage(), self.make_second_storage()
        if second is None:
            raise unittest.SkipTest("this storage does not share its data")
        owner_id = _new_owner_id()
        assert second.get(owner_id) is None
        storage.set(owner_id, "of the first")
        assert second.get(owner_id) == "of the first"
        second.set(owner_id, "of the second")
        assert storage.get(owner_id) == "of the second"
        storage.delete(owner_id)
        assert second.get(owner_id) is None

    def test_listing_finds_every_owner(self) -> None:
        storage, prefix = self._make_listable_storage(), _new_owner_id()
        owner_ids = {f"{prefix}{awkward}"[:255] for awkward in _AWKWARD_OWNER_IDS}
        before = storage.count_owners()
        for owner_id in owner_ids:
            storage.set(owner_id, "ciphertext")
        listed = list(storage.owner_ids())
        assert owner_ids <= set(listed)
        assert storage.count_owners() == before + len(owner_ids)
        for owner_id in owner_ids:
            storage.delete(owner_id)
        assert not owner_ids & set(storage.owner_ids())

    def test_listing_goes_on_where_it_ended(self) -> None:
        """An interrupted rotation may repeat some owners, but must not skip any."""
        storage, prefix = self._make_listable_storage(), _new_owner_id()
        for number in range(20):
            storage.set(f"{prefix}{'aA'[number % 2]}{number}", "ciphertext")
        listed = list(storage.owner_ids())
        for place in (0, len(listed) // 2, len(listed) - 1):
            assert set(listed[place + 1 :]) <= set(storage.owner_ids(after=listed[place]))

    def test_listing_allows_changes_meanwhile(self) -> None:
        storage, prefix = self._make_listable_storage(), _new_owner_id()
        owner_ids = {f"{prefix}{number}" for number in range(20)}
        for owner_id in owner_ids:
            storage.set(owner_id, "old")
        storage.set(_new_owner_id(), "of a neighbour")
        for owner_id in storage.owner_ids():
            if owner_id in owner_ids:
                storage.set(owner_id, "new")
        assert {storage.get(owner_id) for owner_id in owner_ids} == {"new"}

    def test_replacing_needs_what_is_stored(self) -> None:
        storage, owner_id = self._make_replacing_storage(), _new_owner_id()
        assert storage.replace(owner_id, "old", "new") is False
        assert storage.get(owner_id) is None
        storage.set(owner_id, "old")
        for other in _OTHERS:
            assert storage.replace(owner_id, other, "new") is False
        assert storage.get(owner_id) == "old"
        assert storage.replace(owner_id, "old", "new") is True
        assert storage.get(owner_id) == "new"

    def test_of_threads_that_replace_one_succeeds(self) -> None:
        storage, owner_id = self._make_replacing_storage(), _new_owner_id()
        storage.set(owner_id, "old")
        outcomes = _run_in_threads(
            lambda number: storage.replace(owner_id, "old", f"new {number}"), _THREADS
        )
        assert outcomes.count(True) == 1
        assert storage.get(owner_id) == f"new {outcomes.index(True)}"

    def test_conditional_delete_needs_what_is_stored(self) -> None:
        storage, owner_id = self._make_comparing_storage(), _new_owner_id()
        assert storage.delete_if(owner_id, "old") is False
        storage.set(owner_id, "old")
        storage.set(owner_id + "x", "old")
        for other in _OTHERS:
            assert storage.delete_if(owner_id, other) is False
        assert storage.get(owner_id) == "old"
        assert storage.delete_if(owner_id, "old") is True
        assert [storage.get(owner_id), storage.get(owner_id + "x")] == [None, "old"]
        assert storage.delete_if(owner_id, "old") is False

    def test_of_threads_that_delete_conditionally_one_succeeds(self) -> None:
        storage, owner_id = self._make_comparing_storage(), _new_owner_id()
        storage.set(owner_id, "old")
        outcomes = _run_in_threads(lambda _: storage.delete_if(owner_id, "old"), _THREADS)
        assert outcomes.count(True) == 1
        assert storage.get(owner_id) is None

    def test_conditional_delete_spares_what_is_set_meanwhile(self) -> None:
        """A key that is rejected while the visitor connects a new one must not cost the new one."""
        storage, owner_id = self._make_comparing_storage(), _new_owner_id()
        storage.set(owner_id, "old")

        def reject_or_connect(number: int) -> None:
            if number == _THREADS // 2:
                storage.set(owner_id, "new")
            else:
                storage.delete_if(owner_id, "old")

        _run_in_threads(reject_or_connect, _THREADS)
        assert storage.get(owner_id) == "new"

    def test_adding_needs_that_nothing_is_stored(self) -> None:
        storage, owner_id = self._make_adding_storage(), _new_owner_id()
        storage.set(owner_id + "x", "of a neighbour")
        assert storage.add(owner_id, "first") is True
        assert storage.get(owner_id) == "first"
        for ciphertext in ("second", "first"):
            assert storage.add(owner_id, ciphertext) is False
            assert storage.get(owner_id) == "first"
        storage.delete(owner_id)
        assert storage.add(owner_id, "third") is True
        assert [storage.get(owner_id), storage.get(owner_id + "x")] == ["third", "of a neighbour"]

    def test_of_threads_that_add_one_succeeds(self) -> None:
        storage, owner_id = self._make_adding_storage(), _new_owner_id()
        outcomes = _run_in_threads(lambda number: storage.add(owner_id, f"{number}"), _THREADS)
        assert outcomes.count(True) == 1
        assert storage.get(owner_id) == f"{outcomes.index(True)}"

    def _make_adding_storage(self) -> AddingStorage:
        storage = self.make_storage()
        if not isinstance(storage, AddingStorage):
            raise unittest.SkipTest("this storage has no add")
        return storage

    def _make_comparing_storage(self) -> ComparingStorage:
        storage = self.make_storage()
        if not isinstance(storage, ComparingStorage):
            raise unittest.SkipTest("this storage has no delete_if")
        return storage

    def _make_replacing_storage(self) -> ReplacingStorage:
        storage = self.make_storage()
        if not isinstance(storage, ReplacingStorage):
            raise unittest.SkipTest("this storage does not replace")
        return storage

    def _make_listable_storage(self) -> ListableStorage:
        storage = self.make_storage()
        if not isinstance(storage, ListableStorage):
            raise unittest.SkipTest("this storage does not list its owners")
        return storage


def _new_owner_id() -> str:
    return f"owner-{uuid.uuid4().hex}"


def _run_in_threads(work: Callable[[int], object], times: int) -> list[object]:
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(work, range(times)))
