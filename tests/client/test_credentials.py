"""The hash of a key, and the errors of a function that hides its frames."""

from __future__ import annotations

import copy
import inspect
import pickle
import traceback

import pytest
from cases import case

from flask_openrouter.client.credentials import KEY_HASH, hash_of_key, hides_frames
from flask_openrouter.client.models import IssuedKey

KEY = "sk-or-v1-" + "0123456789abcdef" * 4


def use(api_key: str, *, kind: type[BaseException] = ValueError) -> str:
    """Return the length of a key."""
    if api_key == KEY:
        try:
            raise LookupError(api_key)
        except LookupError as error:
            raise kind("No") from error
    return str(len(api_key))


hidden = hides_frames(use)


def test_a_decorated_function_looks_and_works_like_itself() -> None:
    assert hidden("12345678") == "8"
    assert inspect.signature(hidden) == inspect.signature(use)
    assert (hidden.__name__, hidden.__doc__) == (use.__name__, use.__doc__)


@pytest.mark.requirement("R65")
def test_an_error_leaves_without_frames_arguments_and_causes() -> None:
    for kind in [ValueError, KeyboardInterrupt, SystemExit]:
        with case(kind):
            with pytest.raises(kind) as caught:
                hidden(KEY, kind=kind)
            assert caught.value.__cause__ is caught.value.__context__ is None
            here, *others = traceback.walk_tb(caught.value.__traceback__)
            assert here[0].f_code.co_filename == __file__
            assert [frame.f_code.co_name for frame, _ in others] == ["call"]
            assert KEY not in repr([frame.f_locals for frame, _ in others])


def test_an_issued_key_is_neither_pickled_nor_copied() -> None:
    issued = IssuedKey(KEY, "user_1")
    for refuse in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError) as refused:
            refuse(issued)
        assert str(refused.value) == "IssuedKey holds a secret and is not pickled or copied"


def test_the_hash_of_a_key_matches_its_pattern() -> None:
    key_hash = hash_of_key(KEY)
    assert KEY_HASH.fullmatch(key_hash)
    for wrong in (key_hash[1:], key_hash.upper(), f"{key_hash}\n", f"/{key_hash}"):
        assert not KEY_HASH.fullmatch(wrong)
