"""A WSGI app that has used its storage, the one of ``SHARED_URI``, when its import ends.

A POST stores something for the owner in the path, and every request reads what is stored.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import ModuleType
from urllib.parse import unquote

from flask_openrouter.storage.uri import storage_from_uri

# The asynchronous half of redis-py imports it before Python 3.11.3, and Debian 12 has 3.11.2. The
# tests' own Python may be newer, and then it is not installed.
sys.modules.setdefault("async_timeout", ModuleType("async_timeout")).timeout = None  # type: ignore[attr-defined]

storage = storage_from_uri(os.environ["SHARED_URI"], max_age=60)
storage.get("owner")


def application(environ: dict[str, str], start_response: Callable[..., object]) -> list[bytes]:
    owner_id = unquote(environ["PATH_INFO"][1:])
    if environ["REQUEST_METHOD"] == "POST":
        storage.set(owner_id, f"ciphertext of {owner_id}")
    start_response("200 OK", [("X-Worker", str(os.getpid()))])
    return [(storage.get(owner_id) or "").encode()]
