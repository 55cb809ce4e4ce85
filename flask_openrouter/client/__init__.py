"""OpenRouter's OAuth and the calls around it, without Flask.

A person logs in from a script, with no web server (headless)::

    client = OpenRouterClient()
    code_verifier = client.create_code_verifier()
    code_challenge = client.create_code_challenge(code_verifier)
    print("Open", client.authorization_url(code_challenge=code_challenge))
    issued = client.exchange_code(input("Paste the code: ").strip(), code_verifier)
    print(client.get_key_info(issued.api_key))
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Final, cast
from uuid import UUID

from ..errors import ConfigurationError
from . import credentials
from .attribution import attribution_headers
from .authorization import build_auth_code_request, build_authorization_url
from .base_url import OPENROUTER, normalize_base_url
from .credentials import MALFORMED_KEY, hides_frames, is_api_key
from .environment import Environment

if TYPE_CHECKING:
    from .completions import Completion, Usage
    from .models import AuthCode, IssuedKey, KeyInfo
    from .session import APISession, OnUnauthorized, Timeout
    from .stream import CompletionStream, read_completion, read_stream
    from .transport import Transport
else:
    # Imported on first use, or by preload(): only a login or a stream needs them.
    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from . import completions, models, stream

        homes = [each for each in (models, completions, stream) if hasattr(each, name)]
        return getattr(homes[0], name)


__all__ = [
    "AuthCode",
    "Completion",
    "CompletionStream",
    "IssuedKey",
    "KeyInfo",
    "OpenRouterClient",
    "Usage",
    "read_completion",
    "read_stream",
]


class OpenRouterClient:
    """OpenRouter's OAuth, and the calls around it. Thread-safe; safe to use after a fork.

    :param base_url: OpenRouter, or an emulator on loopback, or a gateway of your own.
    :param timeout: seconds for one whole call by the wall clock, retries included; more than 0.
    :param app_url: the app's address, sent as attribution with calls that carry a key.
    :param app_title: the app's name, likewise.
    :param app_categories: at most two of OpenRouter's categories, likewise.
    :param retries: how often a call that changes nothing is tried again after a 5xx or a lost
        connection, 0 to 10. An exchange is never tried again.
    :param sleep: a function that waits that many seconds between two tries.
    :raises ConfigurationError: if a value breaks its rules, or the environment names a certificate
        bundle that does not exist or a proxy that cannot be used.
    """

    def __init__(
        self,
        base_url: str = OPENROUTER,
        *,
        timeout: float = 15.0,
        app_url: str | None = None,
        app_title: str | None = None,
        app_categories: Sequence[str] = (),
        retries: int = 2,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        #: OpenRouter's origin, such as ``https://openrouter.ai``: lower case, without slash.
        self.base_url: str = normalize_base_url(base_url)
        self._timeout = _checked_timeout(timeout)
        self._attribution = attribution_headers(app_url, app_title, app_categories)
        self._retries = _checked_retries(retries)
        self._sleep = sleep
        self._environment = Environment.read(self.base_url)

    def __repr__(self) -> str:
        return f"<OpenRouterClient {self.base_url}>"

    create_code_verifier: Final = staticmethod(credentials.create_code_verifier)
    create_code_challenge: Final = staticmethod(credentials.create_code_challenge)

    # A plain challenge is the code_verifier.
    @hides_frames
    def authorization_url(
        self,
        callback_url: str | None = None,
        code_challenge: str | None = None,
        code_challenge_method: str | None = None,
        *,
        limit: float | None = None,
        key_label: str | None = None,
        state: str | None = None,
        workspace_id: str | UUID | None = None,
        required_workspace_id: str | UUID | None = None,
    ) -> str:
        """Return the address of OpenRouter's consent page (``GET /auth``).

        :param callback_url: where the browser comes back, with ``code`` added to the query: https,
            or http on loopback. Without one (headless) the page shows the code.
        :param code_challenge: from :meth:`create_code_challenge`; required without a callback.
        :param code_challenge_method: ``"S256"``, the default with a challenge, or ``"plain"``.
        :param limit: the spending limit to ask for, in USD; 0 is a limit too. The person may change
            it.
        :param key_label: the key's name on the person's page, 1 to 100 characters.
        :param state: added to the query of ``callback_url``, which comes back complete. It is not a
            parameter of its own, since OpenRouter does not return that one in all cases.
        :param workspace_id: the UUID of the workspace to suggest for the key. The person may choose
            another one (OpenRouter guide "OAuth PKCE").
        :param required_workspace_id: the UUID of the only workspace that the key may be in. An
            account without it gets an error page at OpenRouter.
        :raises ValueError: if an argument breaks these rules.
        """
        return build_authorization_url(
            self.base_url,
            callback_url,
            code_challenge,
            code_challenge_method,
            limit=limit,
            key_label=key_label,
            state=state,
            workspace_id=workspace_id,
            required_workspace_id=required_workspace_id,
        )

    @hides_frames
    def exchange_code(
        self,
        code: str,
        code_verifier: str | None = None,
        code_challenge_method: str | None = None,
    ) -> IssuedKey:
        """Exchange a code for a key (``POST /api/v1/auth/keys``): one request, never repeated.

        :param code: 1 to 1024 printable ASCII characters; good once, for ten minutes.
        :param code_verifier: the verifier of the challenge sent to ``/auth``, if there was one.
        :param code_challenge_method: ``"S256"``, the default with a verifier, or ``"plain"``.
        :raises ValueError: if an argument is malformed; nothing is sent.
        :raises CodeRefusedError: the code, or its verifier, is wrong, spent or too old.
        :raises APIError: another error status.
        :raises InvalidAnswerError: a response without a well-formed key.
        :raises TransportError: no response. If ``was_sent``, a key may exist that was not received.
        """
        from . import calls

        return calls.exchange_code(
            self._transport, self._timeout, code, code_verifier, code_challenge_method
        )

    @hides_frames
    def create_auth_code(
        self,
        api_key: str,
        callback_url: str,
        *,
        code_challenge: str | None = None,
        code_challenge_method: str | None = None,
        expires_at: datetime | None = None,
        key_label: str | None = None,
        limit: float | None = None,
        usage_limit_type: str | None = None,
        workspace_id: str | UUID | None = None,
    ) -> AuthCode:
        """Create a code in the name of the key's owner (``POST /api/v1/auth/keys/code``).

        :param api_key: the owner's key; OpenRouter may require a management key.
        :param callback_url: as for :meth:`authorization_url`, and so are ``code_challenge``,
            ``code_challenge_method``, ``key_label`` and ``limit``.
        :param expires_at: when the new key expires, with a time zone.
        :param usage_limit_type: how often ``limit`` is reset: ``"daily"``, ``"weekly"`` or
            ``"monthly"``.
        :param workspace_id: the UUID of the new key's workspace.
        :raises ValueError: if an argument is malformed; nothing is sent.
        :raises APIError: 400, 401 (KeyRejectedError), 403, 409, 500, each as its own class.
        :raises InvalidAnswerError: a response without a well-formed code.
        :raises TransportError: no response.
        """
        from . import calls

        body = build_auth_code_request(
            callback_url,
            code_challenge,
            code_challenge_method,
            expires_at=expires_at,
            key_label=key_label,
            limit=limit,
            usage_limit_type=usage_limit_type,
            workspace_id=workspace_id,
        )
        return calls.create_auth_code(
            self._transport, self._timeout, self._attribution, api_key, body
        )

    @hides_frames
    def get_key_info(
        self, api_key: str, *, timeout: float | None = None, retries: int | None = None
    ) -> KeyInfo:
        """Return a key's limit and usage (``GET /api/v1/key``).

        :param timeout: seconds for this call by the wall clock, retries included, instead of the
            client's.
        :param retries: how often this call is tried again, instead of the client's number.
        :raises ValueError: if the key is malformed.
        :raises KeyRejectedError: the key was deleted, disabled or has expired.
        :raises APIError: another error status.
        :raises InvalidAnswerError: a response without data about a key.
        :raises TransportError: no response.
        """
        from . import calls

        return calls.get_key_info(
            self._transport,
            self._timeout if timeout is None else timeout,
            self._attribution,
            api_key,
            retries=self._retries if retries is None else retries,
            sleep=self._sleep,
        )

    @hides_frames
    def api_session(
        self,
        api_key: str,
        *,
        on_unauthorized: OnUnauthorized | None = None,
        timeout: Timeout | None = None,
    ) -> APISession:
        """Return a ``requests.Session`` for OpenRouter's API with this key; see ``APISession``.

        All sessions of a client share its connections, and nothing else.

        :param on_unauthorized: called for each 401 that names no provider of a model, with the
            error and the seconds that are left of the call's time limit. It returns the error to
            raise, or None for that one.
        :param timeout: seconds to wait for the next bytes, or to connect and to read; (5, 60) by
            default.
        :raises ValueError: if the key is malformed.
        """
        if not is_api_key(api_key):
            raise ValueError(MALFORMED_KEY)
        from .session import APISession

        return APISession(
            self._transport,
            api_key,
            headers=self._attribution,
            on_unauthorized=on_unauthorized,
            timeout=timeout,
        )

    def preload(self) -> None:
        """Import and prepare what the first call needs, before a server forks its workers."""
        from . import calls, session  # noqa: F401

        self._transport.preload()

    @cached_property
    def _transport(self) -> Transport:
        from .transport import Transport

        # If several threads get here at once, all use one transport: cached_property has no lock
        # since Python 3.12.
        transport = Transport(self.base_url, self._environment)
        return cast("Transport", vars(self).setdefault("_transport", transport))


def _checked_timeout(timeout: float) -> float:
    is_number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if not (is_number and math.isfinite(timeout) and timeout > 0):
        raise ConfigurationError("timeout must be a number of seconds greater than 0")
    return timeout


def _checked_retries(retries: int) -> int:
    if isinstance(retries, bool) or not isinstance(retries, int) or not 0 <= retries <= 10:
        raise ConfigurationError("retries must be a whole number from 0 to 10")
    return retries
