"""What must not be written anywhere by accident."""

from __future__ import annotations

from typing import NoReturn


class HoldsSecret:
    """Base of what holds a key, a code or a code_verifier: it is neither pickled nor copied."""

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} holds a secret and is not pickled or copied")
