"""Secret keys that are too easy to guess."""

from __future__ import annotations

import re
from typing import Final

#: The shortest secret key that is accepted in production.
MIN_BYTES: Final = 16
# Samples from documentation and tutorials, reduced to lower-case letters and digits.
_SAMPLE_SECRETS: Final = {
    b"12345678901234567890",
    b"192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
    b"5791628bb0b13ce0c676dfde280ba245",
    b"5y2lf4q8z",
    b"5y2lf4q8znxec",
    b"a0zr98j3yxrxhhjmnlwxrt",
    b"averysecretkey",
    b"changemechangeme",
    b"changemeinproduction",
    b"devsecretkeychangeinproduction",
    b"flaskappsecretkey",
    b"hardtoguessstring",
    b"mysupersecretkey",
    b"pf9wkove4ikeaxvycqkedphv9cb3agwyjilbqdfw",
    b"replacewitharandomvalue",
    b"secretsecretsecret",
    b"supersecretkey",
    b"supersecretkey123",
    b"supersecretkeychangeinproduction",
    b"thisisasecretkey",
    b"thisismysecretkey",
    b"thisisnotsecret",
    b"yoursecretkey",
    b"yoursecretkeyhere",
    b"youwillneverguess",
}


def is_weak(key: bytes) -> bool:
    """Whether this secret is short, monotonous or a sample from documentation."""
    # Blanks around text do not count. Random bytes may begin or end with a blank.
    length = len(key.strip()) if key.isascii() else len(key)
    letters_and_digits = re.sub(rb"[^a-z0-9]", b"", key.lower())
    return length < MIN_BYTES or is_monotonous(key) or letters_and_digits in _SAMPLE_SECRETS


def is_monotonous(key: bytes) -> bool:
    """Whether this key repeats a few bytes, such as zeros: no random key does."""
    return len(set(key)) < 5
