"""The contract finds mistakes: each broken storage fails the test that is meant for it."""

from __future__ import annotations

import unittest
from collections import defaultdict
from collections.abc import Iterator
from itertools import count
from threading import Barrier, current_thread, main_thread

import pytest

from flask_openrouter.storage import KeyStorage
from flask_openrouter.storage.memory import MemoryStorage
from flask_openrouter.testing import KeyStorageContract


class OneSlot(MemoryStorage):
    """One row for all owners."""

    def get(self, owner_id: str) -> str | None:
        return super().get("everybody")

    def set(self, owner_id: str, ciphertext: str) -> None:
        super().set("everybody", ciphertext)


class FirstWins(MemoryStorage):
    """INSERT OR IGNORE."""

    def set(self, owner_id: str, ciphertext: str) -> None:
        self._ciphertexts.setdefault(owner_id, ciphertext)


class StrictDelete(MemoryStorage):
    """An error for what is not there."""

    def delete(self, owner_id: str) -> None:
        del self._ciphertexts[owner_id]


class LazyDelete(MemoryStorage):
    """A delete that does nothing."""

    def delete(self, owner_id: str) -> None:
        pass


class Mapped(MemoryStorage):
    """Alters owners on their way in."""

    def alter(self, owner_id: str) -> str:
        raise NotImplementedError

    def get(self, owner_id: str) -> str | None:
        return super().get(self.alter(owner_id))

    def set(self, owner_id: str, ciphertext: str) -> None:
        super().set(self.alter(owner_id), ciphertext)

    def delete(self, owner_id: str) -> None:
        super().delete(self.alter(owner_id))


class CaseBlind(Mapped):
    def alter(self, owner_id: str) -> str:
        return owner_id.lower()


class SpaceBlind(Mapped):
    def alter(self, owner_id: str) -> str:
        return owner_id.rstrip(" ") or " "


class Cutting(Mapped):
    def alter(self, owner_id: str) -> str:
        return owner_id[:64]


class CutCiphertext(MemoryStorage):
    """VARCHAR(4000)."""

    def set(self, owner_id: str, ciphertext: str) -> None:
        super().set(owner_id, ciphertext[:4000])


class ShortListing(MemoryStorage):
    """Only the first page."""

    def owner_ids(self, after: str | None = None) -> Iterator[str]:
        yield from sorted(super().owner_ids(after))[:10]


class ForgetfulDeleteIf(MemoryStorage):
    """A conditional delete that compares nothing."""

    def delete_if(self, owner_id: str, ciphertext: str) -> bool:
        is_stored = self.get(owner_id) is not None
        self.delete(owner_id)
        return is_stored


class ForgetfulReplace(MemoryStorage):
    """A replacement that compares nothing."""

    def replace(self, owner_id: str, ciphertext: str, new_ciphertext: str) -> bool:
        self.set(owner_id, new_ciphertext)
        return True


class CarelessAdd(MemoryStorage):
    """An addition that looks at nothing."""

    def add(self, owner_id: str, ciphertext: str) -> bool:
        self.set(owner_id, ciphertext)
        return True


class TwoSteps(MemoryStorage):
    """Compares in one step and deletes in another. Two threads compare before either deletes."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: defaultdict[str, count[int]] = defaultdict(count)
        self.both_have_compared = Barrier(2, timeout=30)

    def delete_if(self, owner_id: str, ciphertext: str) -> bool:
        is_stored = self.get(owner_id) == ciphertext
        if current_thread() is not main_thread() and next(self.calls[owner_id]) < 2:
            self.both_have_compared.wait()
        if is_stored:
            self.delete(owner_id)
        return is_stored


def failing_tests(storage: KeyStorage) -> set[str]:
    """Return the names of the contract's tests that this storage fails."""

    class Contract(KeyStorageContract):
        def make_storage(self) -> KeyStorage:
            return storage

    failed = set()
    for name in dir(Contract):
        if name.startswith("test_"):
            try:
                getattr(Contract(), name)()
            except unittest.SkipTest:
                pass
            except Exception:
                failed.add(name)
    return failed


def test_broken_storage_fails_the_test_made_for_it() -> None:
    cases: list[tuple[type[MemoryStorage], str]] = [
        (OneSlot, "test_owners_never_share_an_entry"),
        (OneSlot, "test_threads_never_get_the_entry_of_another"),
        (FirstWins, "test_last_set_wins"),
        (StrictDelete, "test_delete_is_idempotent"),
        (LazyDelete, "test_deleted_is_gone"),
        (CaseBlind, "test_owners_never_share_an_entry"),
        (SpaceBlind, "test_owners_never_share_an_entry"),
        (Cutting, "test_owners_never_share_an_entry"),
        (CutCiphertext, "test_large_ciphertext_is_kept_whole"),
        (ShortListing, "test_listing_finds_every_owner"),
        (ForgetfulReplace, "test_replacing_needs_what_is_stored"),
        (ForgetfulReplace, "test_of_threads_that_replace_one_succeeds"),
        (ForgetfulDeleteIf, "test_conditional_delete_needs_what_is_stored"),
        (CarelessAdd, "test_adding_needs_that_nothing_is_stored"),
        (CarelessAdd, "test_of_threads_that_add_one_succeeds"),
        (TwoSteps, "test_of_threads_that_delete_conditionally_one_succeeds"),
    ]
    failing = {broken: failing_tests(broken()) for broken, _ in cases}
    assert [(broken, test) for broken, test in cases if test not in failing[broken]] == []


def test_right_storage_fails_none() -> None:
    assert failing_tests(MemoryStorage()) == set()


def test_contract_asks_for_a_storage() -> None:
    with pytest.raises(NotImplementedError, match="make_storage"):
        KeyStorageContract().make_storage()
