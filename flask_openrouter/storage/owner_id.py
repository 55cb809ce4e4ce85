"""What every back end of ours takes as an owner id, so that none of them ever alters one."""

from __future__ import annotations

from typing import Final

#: Characters (code points) of the longest owner id.
MAX_LENGTH: Final = 255


def check_owner_id(owner_id: object) -> str:
    """Return the owner id if a back end can keep it exactly.

    Raises ValueError unless it is a string of 1 to 255 characters, without NUL or lone surrogates:
    databases cut, refuse or alter the others, and an altered owner is somebody else.
    """
    if not isinstance(owner_id, str) or not 1 <= len(owner_id) <= MAX_LENGTH:
        raise ValueError(f"An owner id is a string of 1 to {MAX_LENGTH} characters.")
    if "\0" in owner_id or any("\ud800" <= character <= "\udfff" for character in owner_id):
        raise ValueError("An owner id holds no NUL character and no lone surrogates.")
    return owner_id
