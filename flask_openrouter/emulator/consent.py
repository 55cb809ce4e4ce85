"""The pages: ``/auth``, where a person approves or denies, and the list of the issued keys."""

from __future__ import annotations

import json
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
from .emulator import Emulator, get_emulator
from .errors import APIError

bp: Final = Blueprint("consent", __name__)


@bp.get("/auth")
def show_consent() -> ResponseReturnValue:
    """Show which app asks for what, with a button to approve and one to deny."""
    try:
        authorization = read_query(request.args)
    except InvalidAuthorization as error:
        return message_page(400, "This request cannot be granted", f"{error}.")
    emulator = get_emulator()
    limit, callback_url = authorization.limit, authorization.callback_url
    response = _page(
        "consent.html",
        authorization=authorization,
        origin=callback_url and origin_of(callback_url),
        limit="none asked for" if limit is None else in_usd(limit),
        consent=emulator.ledger.add_consent(authorization),
        openrouter_user_id=emulator.config.openrouter_user_id,
        code_minutes=f"{emulator.config.code_max_age / 60:.3g}",
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
    act = _approve if decision == "approve" else _deny
    return act(emulator, authorization)


@bp.get("/")
@bp.get("/settings/keys", endpoint="keys")
@bp.get("/settings/credits", endpoint="credits")
@bp.get("/logs", endpoint="logs")
@bp.get("/keys/<key_hash>", endpoint="key")
def list_keys(key_hash: str | None = None) -> ResponseReturnValue:
    """Show every issued key with its spending, or one key."""
    emulator = get_emulator()
    wanted = key_hash or request.args.get("api_key_hash")
    keys = [key for key in emulator.ledger.keys(emulator.now()) if wanted in (None, key["hash"])]
    if wanted is not None and not keys:
        return message_page(404, "No such key", "This emulator has not issued it.")
    response = _page("index.html", base_url=request.host_url.rstrip("/"), keys=keys)
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
    parameters = {"code": code}
    if config.echo_state and authorization.state is not None:
        parameters["state"] = authorization.state
    return redirect(add_parameters(authorization.callback_url, parameters), code=303)


def _deny(emulator: Emulator, authorization: AuthorizationRequest) -> ResponseReturnValue:
    if authorization.callback_url is None:
        return message_page(200, "Denied", "No key was created. You can close this page.")
    if emulator.config.deny_style == "bare":
        return redirect(authorization.callback_url, code=303)
    parameters = {
        "error": "access_denied",
        "error_description": "The user denied the authorization request",
    }
    return redirect(add_parameters(authorization.callback_url, parameters), code=303)


def _form_targets(authorization: AuthorizationRequest) -> str:
    """Return the targets of the form: browsers apply the policy to its redirect as well."""
    if authorization.callback_url is None:
        return "'self'"
    parts = urlsplit(authorization.callback_url)
    if parts.hostname in ("localhost", "127.0.0.1"):
        return f"'self' {origin_of(authorization.callback_url)}"
    # CSP level 3 section 2.3.1 cannot name any other address, IPv6 least of all.
    return f"'self' {parts.scheme}:"


def _is_own_form() -> bool:
    """Whether the browser reports this origin as the form's, or reports no origin at all."""
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    return site == "same-origin" and origin in (None, request.host_url.rstrip("/"))


def _page(template: str, **values: object) -> Response:
    return Response(render_template(f"emulator/{template}", **values), mimetype="text/html")
