"""Calls of a storage: what fails there is a KeyStorageError, and nobody waits for it again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import ParamSpec, TypeVar

from ..client.credentials import without_trace
from ..errors import ConfigurationError, KeyStorageError
from .patience import current_patience

P = ParamSpec("P")
Result = TypeVar("Result")


@dataclass(frozen=True)
class StorageCalls:
    """Calls the methods of one storage.

    ``may_wait``: whether a call may take time, so that the next ones are spared after a slow
    failure. ``is_encrypting``: whether the storage's frames hold ciphertext only.
    """

    may_wait: bool
    is_encrypting: bool

    def run(
        self, action: str, operation: Callable[P, Result], *args: P.args, **kwargs: P.kwargs
    ) -> Result:
        """Return the result of an operation on the storage.

        ``action``: what the message says, such as "Saving". Raises :class:`KeyStorageError`.
        """
        failure: Exception | None = None
        stop: BaseException | None = None
        patience, started = current_patience() if self.may_wait else None, monotonic()
        if patience is not None:
            patience.check(started)
        try:
            return operation(*args, **kwargs)
        except Exception as exc:
            failure = exc
        except BaseException as exc:
            # Such as SystemExit, or gevent.Timeout.
            if self.is_encrypting:
                raise
            stop = without_trace(exc)
        finally:
            if patience is not None:
                patience.note(started, failed=failure is not None)
        if stop is not None:
            raise stop
        message = f"{action} the key failed: the storage raised {type(failure).__name__}."
        if isinstance(failure, ConfigurationError):
            # It names the remedy.
            message = f"{message} {failure}"
        if not self.is_encrypting:
            # The storage's frames hold the record in the clear, so they are dropped, as above.
            failure = None
        raise KeyStorageError(message) from failure
