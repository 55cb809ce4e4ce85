"""The pages: ``/auth``, where a person approves or denies, and the list of the issued keys."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from flask import Blueprint, Response, redirect, render_template, request
from flask.typing import ResponseReturnValue

from .amounts import in_usd
from .authorization import (
    AuthorizationRequest,
    InvalidAuthorization,
    add_parameters,
    origin_of,
    read_query,
)
from .config import EmulatorConfig
from .emulator import Emulator, get_emulator
from .errors import APIError
from .loopback import is_loopback_host, resolves_to_loopback

#: Keys on one page of the list.
KEYS_PER_PAGE = 50

bp: Final = Blueprint("consent", __name__)


@bp.get("/auth")
def show_consent() -> ResponseReturnValue:
    """Show which app asks for what, with a button to approve and one to deny."""
    try:
        authorization = read_query(request.args)
    except InvalidAuthorization as error:
        return message_page(400, "This request cannot be granted", f"{error}.")
    emulator = get_emulator()
    refusal = _refusal(authorization, emulator.config)
    if refusal is not None:
        return refusal
    authorization = _with_workspace(authorization, authorization.workspace_id, emulator.config)
    limit, callback_url = authorization.limit, authorization.callback_url
    response = _page(
        "consent.html",
        authorization=authorization,
        origin=callback_url and origin_of(callback_url),
        limit="none asked for" if limit is None else in_usd(limit),
        consent=emulator.ledger.add_consent(authorization),
        openrouter_user_id=emulator.config.openrouter_user_id,
        code_minutes=f"{emulator.config.code_max_age / 60:.3g}",
        workspace_ids=emulator.config.workspace_ids or (),
    )
    policy = content_security_policy(_form_targets(authorization))
    response.headers["Content-Security-Policy"] = policy
    return response


@bp.post("/auth")
def decide() -> ResponseReturnValue:
    """Carry out the visitor's decision, once."""
    if not _is_own_form():
        return message_page(403, "This form was sent from elsewhere", "Nothing was granted.")
    decision = request.form.get("decision")
    if decision not in ("approve", "deny"):
        return message_page(400, "Nothing was decided", "Choose Approve or Deny.")
    emulator = get_emulator()
    authorization = emulator.ledger.take_consent(request.form.get("consent", ""))
    if authorization is None:
        return message_page(
            400,
            "This page was already answered",
            "A consent page works once. Start again from the app that sent you here.",
        )
    refusal = _refusal(authorization, emulator.config)
    if refusal is not None:
        return refusal
    if decision == "deny":
        return _deny(emulator, authorization)
    chosen = request.form.get("workspace_id") or authorization.workspace_id
    return _approve(emulator, _with_workspace(authorization, chosen, emulator.config))


@bp.get("/")
@bp.get("/settings/keys", endpoint="keys")
@bp.get("/settings/credits", endpoint="credits")
@bp.get("/logs", endpoint="logs")
@bp.get("/keys/<key_hash>", endpoint="key")
def list_keys(key_hash: str | None = None) -> ResponseReturnValue:
    """Show the issued keys with their spending, the newest first, or one key."""
    ledger, now = get_emulator().ledger, get_emulator().now()
    wanted = key_hash or request.args.get("api_key_hash")
    number = request.args.get("page", "1")
    page = int(number) if number.isascii() and number.isdigit() and len(number) < 7 else 1
    first = (max(page, 1) - 1) * KEYS_PER_PAGE
    if wanted is None:
        keys, total = ledger.latest_keys(now, first, KEYS_PER_PAGE), ledger.count_keys()
    else:
        found = ledger.describe(wanted, now)
        if found is None:
            return message_page(404, "No such key", "This emulator has not issued it.")
        keys, total = [found], 1
    response = _page(
        "index.html",
        base_url=request.host_url.rstrip("/"),
        keys=keys,
        newer=page - 1 if page > 1 else None,
        older=page + 1 if first + KEYS_PER_PAGE < total else None,
    )
    response.headers["Content-Security-Policy"] = content_security_policy("'self'")
    return response


@bp.post("/keys/<key_hash>")
def delete_key(key_hash: str) -> ResponseReturnValue:
    """Delete a key, as its owner does at OpenRouter: apps that use it get 401 from now on."""
    if not _is_own_form():
        return message_page(403, "This form was sent from elsewhere", "Nothing was deleted.")
    try:
        get_emulator().ledger.revoke(key_hash)
    except LookupError:
        return message_page(404, "No such key", "This emulator has not issued it.")
    return redirect("/settings/keys", code=303)


def message_page(status: int, title: str, message: str) -> Response:
    """Return a page with one message and no links."""
    response = _page("message.html", title=title, message=message)
    response.status_code = status
    return response


def content_security_policy(form_action: str = "'none'") -> str:
    """Return the policy of a page: no script, no frame, forms to ``form_action`` only."""
    return (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
        f"frame-ancestors 'none'; form-action {form_action}"
    )


def _approve(emulator: Emulator, authorization: AuthorizationRequest) -> ResponseReturnValue:
    config = emulator.config
    if config.create_code_conflict:
        conflict = APIError(
            409,
            "Failed to create or update app while creating auth code. Please try again later.",
        )
        body = json.dumps({**conflict.as_json(), "user_id": config.openrouter_user_id})
        return message_page(409, "Something went wrong", f"Error granting auth: {body}")
    code = emulator.ledger.issue_code(authorization, config.openrouter_user_id, emulator.now())
    if authorization.callback_url is None:
        return _page("code.html", code=code, code_minutes=f"{config.code_max_age / 60:.3g}")
    parameters = {"code": code, **_echoed(authorization, config.echo_state)}
    return redirect(add_parameters(authorization.callback_url, parameters), code=303)


def _deny(emulator: Emulator, authorization: AuthorizationRequest) -> ResponseReturnValue:
    if authorization.callback_url is None:
        return message_page(200, "Denied", "No key was created. You can close this page.")
    parameters = _echoed(authorization, emulator.config.echo_state_on_denial)
    if emulator.config.deny_style == "error":
        error = {
            "error": "access_denied",
            "error_description": "The user denied the authorization request",
        }
        parameters = {**error, **parameters}
    return redirect(add_parameters(authorization.callback_url, parameters), code=303)


def _echoed(authorization: AuthorizationRequest, is_on: bool) -> dict[str, str]:
    return {"state": authorization.state} if is_on and authorization.state is not None else {}


def _refusal(authorization: AuthorizationRequest, config: EmulatorConfig) -> Response | None:
    """Return the page for a request that this account or this emulator cannot grant, if so."""
    workspace_id = authorization.workspace_id
    if authorization.requires_workspace and not config.has_workspace(workspace_id or ""):
        return message_page(
            403,
            "This account is not in the workspace",
            f"The app asks for a key of the workspace {workspace_id}, and the account "
            f"{config.openrouter_user_id or 'without an id'} does not have it.",
        )
    host = urlsplit(authorization.callback_url or "http://localhost").hostname or ""
    if is_loopback_host(host) or (config.resolve_hosts and resolves_to_loopback(host)):
        return None
    return message_page(
        400,
        "This request cannot be granted",
        "The emulator sends visitors back to this machine only, so that no code leaves it: "
        "callback_url must be on localhost, 127.0.0.1 or [::1]. OpenRouter itself accepts every "
        "https address. For a host name that resolves to this machine, start the emulator with "
        "--resolve-hosts.",
    )


def _with_workspace(
    authorization: AuthorizationRequest, workspace_id: str | None, config: EmulatorConfig
) -> AuthorizationRequest:
    """Return the request with the workspace that the visitor chose, if it is theirs to choose."""
    is_free = config.workspace_ids is not None and not authorization.requires_workspace
    if workspace_id is None or not is_free:
        return authorization
    is_known = config.has_workspace(workspace_id.lower())
    return replace(authorization, workspace_id=workspace_id.lower() if is_known else None)


def _form_targets(authorization: AuthorizationRequest) -> str:
    """Return the targets of the form: browsers apply the policy to its redirect as well."""
    if authorization.callback_url is None:
        return "'self'"
    parts = urlsplit(authorization.callback_url)
    if parts.hostname == "127.0.0.1" or not _is_address(parts.hostname or ""):
        return f"'self' {origin_of(authorization.callback_url)}"
    # CSP level 3 section 2.3.1 cannot name any other address, IPv6 least of all.
    return f"'self' {parts.scheme}:"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_own_form() -> bool:
    """Whether the browser reports this origin as the form's, or reports no origin at all."""
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    return site == "same-origin" and origin in (None, request.host_url.rstrip("/"))


def _page(template: str, **values: object) -> Response:
    return Response(render_template(f"emulator/{template}", **values), mimetype="text/html")
