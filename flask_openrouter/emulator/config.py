"""The settings of one emulator: one frozen object."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args, get_type_hints

from .amounts import is_amount, is_delay
from .labels import is_label, is_uuid
from .model import model_from

DenyStyle = Literal["bare", "error"]
Style = Literal["live", "documented"]

#: The account that is signed in at the emulator by default.
DEFAULT_USER_ID = "user_emulated"


@dataclass(frozen=True, kw_only=True)
class EmulatorConfig:
    """Settings of one emulator. By default it behaves as OpenRouter is known to behave.

    Where measurements of OpenRouter differ from its documentation, the values are ``"live"`` and
    ``"documented"``, or the two statuses.

    :param openrouter_user_id: the account that approves; with ``None`` the exchange returns
        ``"user_id": null``, which OpenRouter documents as possible.
    :param workspace_ids: UUIDs of the account's workspaces. With ``None`` the account has every
        workspace that an app asks for.
    :param deny_style: ``"bare"`` sends the browser back to the bare callback URL (seen live),
        ``"error"`` adds ``error=access_denied``.
    :param echo_state: return a top-level ``state`` of ``/auth`` on approval, as documented.
    :param echo_state_on_denial: return it on denial, too, which OpenRouter does not.
    :param resolve_hosts: a callback host counts as this machine if all addresses to which it
        resolves are loopback. By default names are not resolved.
    :param bad_code_style: the response to an unknown or spent code: ``"live"`` is 400
        ``Invalid code``, ``"documented"`` is 403 ``Invalid code or code_verifier``.
    :param bad_body_style: the response of the exchange to an invalid body: ``"live"`` is a
        ``ZodError``, or plain text for malformed JSON; ``"documented"`` is the documented error.
    :param exchange_get_status: the status of ``GET /api/v1/auth/keys``: 405 as in the guide, or
        404 as seen live.
    :param credits_style: the response of ``/credits`` to an ordinary key: ``"live"`` is 200,
        ``"documented"`` is 403.
    :param code_max_age: lifetime of an authorization code, in seconds.
    :param lenient_pkce: accept any ``code_verifier`` for a code that was issued without a
        ``code_challenge`` (a PKCE downgrade, RFC 9700 section 4.8.2). Refused by default.
    :param create_code_conflict: creating a code fails with 409, on the emulator's own page.
    :param management_keys_only: ``POST /auth/keys/code`` refuses ordinary keys with 403.
    :param spent_limit_status: the status for a key whose limit is spent: 403 as seen live, or 402
        as documented.
    :param word_delay: seconds between the streamed words of a chat answer.
    :param models: more models, each an id or an entry as ``GET /api/v1/models`` lists it. One with
        the id of a model of the emulator replaces it.
    :param any_model: serve every id of the form ``author/name``. By default, an unknown id is
        refused.
    :param usage_choice: the chunk with the ``usage`` of a stream has one choice, as seen live;
        without, it has none, as documented.
    :param usage_cost: ``usage`` has the ``cost``. Some relays leave it out.
    :param clock: function that returns the time in seconds since the epoch.
    :raises ValueError: if a value is invalid.
    """

    openrouter_user_id: str | None = DEFAULT_USER_ID
    workspace_ids: tuple[str, ...] | None = None
    deny_style: DenyStyle = "bare"
    echo_state: bool = True
    echo_state_on_denial: bool = False
    resolve_hosts: bool = False
    bad_code_style: Style = "live"
    bad_body_style: Style = "live"
    exchange_get_status: Literal[405, 404] = 405
    credits_style: Style = "live"
    code_max_age: float = 600.0
    lenient_pkce: bool = False
    create_code_conflict: bool = False
    management_keys_only: bool = False
    spent_limit_status: Literal[403, 402] = 403
    word_delay: float = 0.0
    models: Sequence[str | Mapping[str, Any]] = ()
    any_model: bool = False
    usage_choice: bool = True
    usage_cost: bool = True
    clock: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        if isinstance(self.workspace_ids, list):  # JSON has no tuples.
            object.__setattr__(self, "workspace_ids", tuple(self.workspace_ids))
        for name, hint in get_type_hints(EmulatorConfig).items():
            _check(name, getattr(self, name), hint)

    def changed(self, changes: Mapping[str, Any]) -> EmulatorConfig:
        """Return a copy with these settings changed.

        :raises ValueError: if a name or a value is not a setting.
        """
        unknown = set(changes) - {field.name for field in fields(self)}
        if unknown:
            raise ValueError(f"the emulator has no setting {', '.join(sorted(unknown))}")
        return replace(self, **changes)

    def as_json(self) -> dict[str, Any]:
        """Return every setting but the clock, which JSON cannot represent."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "clock"}

    def has_workspace(self, workspace_id: str) -> bool:
        """Whether the account has this workspace. The argument is a UUID in lower case."""
        return self.workspace_ids is None or workspace_id in map(str.lower, self.workspace_ids)


def _check(name: str, value: object, hint: object) -> None:
    choices = get_args(hint)
    if name == "models":
        _check_models(value)
        return
    if name == "word_delay":
        valid, wanted = is_delay(value), "a number of seconds from 0 to 86400"
    elif hint is float:
        valid, wanted = is_amount(value), "a number of seconds, zero or more"
    elif hint is bool:
        valid, wanted = isinstance(value, bool), "True or False"
    elif name == "openrouter_user_id":
        valid, wanted = (
            value is None or is_label(value),
            "None or a short string",
        )
    elif name == "workspace_ids":
        valid = value is None or (isinstance(value, tuple) and all(map(is_uuid, value)))
        wanted = "None or a list of UUIDs"
    elif name == "clock":
        valid, wanted = callable(value), "a callable that returns seconds"
    else:
        valid = value in choices and not isinstance(value, (bool, float))
        wanted = " or ".join(repr(choice) for choice in choices)
    if not valid:
        raise ValueError(f"{name} must be {wanted}")


def _check_models(value: object) -> None:
    if not isinstance(value, (list, tuple)):
        raise ValueError("models must be a list of ids or of objects with an id")
    for entry in value:
        try:
            model_from(entry)
        except ValueError as error:
            raise ValueError(f"models: {error}") from None
