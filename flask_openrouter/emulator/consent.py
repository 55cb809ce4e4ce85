"""The pages: ``/auth``, where a person approves or denies, and what follows without a callback."""

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
def ask() -> ResponseReturnValue:
    """Show who asks for what, with two buttons."""
    try:
        asked = read_query(request.args)
    except InvalidAuthorization as error:
        return message_page(400, "This request cannot be granted", f"{error}.")
    emulator = get_emulator()
    answer = page(
        "consent.html",
        asked=asked,
        origin=asked.callback_url and origin_of(asked.callback_url),
        limit="none asked for" if asked.limit is None else in_usd(asked.limit),
        consent=emulator.ledger.add_consent(asked),
        openrouter_user_id=emulator.config.openrouter_user_id,
        code_minutes=f"{emulator.config.code_max_age / 60:.3g}",
    )
    answer.headers["Content-Security-Policy"] = content_security_policy(_form_targets(asked))
    return answer


@bp.post("/auth")
def decide() -> ResponseReturnValue:
    """Do what the visitor decided, once."""
    if not is_own_form():
        return message_page(403, "This form was sent from elsewhere", "Nothing was granted.")
    decision = request.form.get("decision")
    if decision not in ("approve", "deny"):
        return message_page(400, "Nothing was decided", "Choose Approve or Deny.")
    emulator = get_emulator()
    asked = emulator.ledger.take_consent(request.form.get("consent", ""))
    if asked is None:
        return message_page(
            400,
            "This page was already answered",
            "A consent page works once. Start again from the app that sent you here.",
        )
    return _approve(emulator, asked) if decision == "approve" else _deny(emulator, asked)


def _approve(emulator: Emulator, asked: AuthorizationRequest) -> ResponseReturnValue:
    config = emulator.config
    if config.create_code_conflict:
        conflict = APIError(
            409,
            "Failed to create or update app while creating auth code. Please try again later.",
        )
        body = json.dumps({**conflict.as_json(), "user_id": config.openrouter_user_id})
        return message_page(409, "Something went wrong", f"Error granting auth: {body}")
    code = emulator.ledger.issue_code(asked, config.openrouter_user_id, emulator.now())
    if asked.callback_url is None:
        return page("code.html", code=code, code_minutes=f"{config.code_max_age / 60:.3g}")
    parameters = {"code": code}
    if config.echo_state and asked.state is not None:
        parameters["state"] = asked.state
    return redirect(add_parameters(asked.callback_url, parameters), code=303)


def _deny(emulator: Emulator, asked: AuthorizationRequest) -> ResponseReturnValue:
    if asked.callback_url is None:
        return message_page(200, "Denied", "No key was created. You can close this page.")
    if emulator.config.deny_style == "bare":
        return redirect(asked.callback_url, code=303)
    parameters = {
        "error": "access_denied",
        "error_description": "The user denied the authorization request",
    }
    return redirect(add_parameters(asked.callback_url, parameters), code=303)


def message_page(status: int, title: str, message: str) -> Response:
    """Return a page that says one thing and leads nowhere."""
    answer = page("message.html", title=title, message=message)
    answer.status_code = status
    return answer


def content_security_policy(form_action: str = "'none'") -> str:
    """Return the policy of a page: no script, no frame, forms to ``form_action`` only."""
    return (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
        f"frame-ancestors 'none'; form-action {form_action}"
    )


def _form_targets(asked: AuthorizationRequest) -> str:
    """Name where the form may lead: browsers apply the policy to its redirect as well."""
    if asked.callback_url is None:
        return "'self'"
    parts = urlsplit(asked.callback_url)
    if parts.hostname in ("localhost", "127.0.0.1"):
        return f"'self' {origin_of(asked.callback_url)}"
    # CSP level 3 section 2.3.1 cannot name any other address, IPv6 least of all.
    return f"'self' {parts.scheme}:"


def is_own_form() -> bool:
    """Whether the browser says that the form is ours, or says nothing at all."""
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    return site == "same-origin" and origin in (None, request.host_url.rstrip("/"))


def page(template: str, **values: object) -> Response:
    """Return one of the emulator's pages."""
    return Response(render_template(f"emulator/{template}", **values), mimetype="text/html")
