"""The routes: login, callback, disconnect, status. Here errors become HTTP answers."""

from __future__ import annotations

import logging
import re
from typing import Final

from flask import (
    Blueprint,
    Response,
    jsonify,
    make_response,
    render_template,
    request,
    url_for,
)

from . import guard
from .authorization import find_authorization, start_authorization, take_authorization
from .callback_url import callback_url_for
from .connection import drop_connection, get_connection, real_app, send
from .errors import (
    AccessDeniedError,
    KeyRejectedError,
    KeyStorageError,
    LoginError,
    NotConnectedError,
    OpenRouterError,
    OutOfCreditError,
    StateMismatchError,
)
from .pages import own_path, protect_page, see_other, show_problem
from .problems import PROBLEMS, Problem, problem_of
from .redirects import safe_next
from .services import Services, get_services
from .signals import key_connected, login_failed
from .storage.record import KeyRecord

logger = logging.getLogger("flask_openrouter")

# RFC 6749 Appendix A.11 allows spaces, too; OpenRouter's codes have none.
_CODE: Final = re.compile(r"[\x21-\x7e]{1,1024}")
_KEY_HASH: Final = re.compile(r"[0-9a-f]{64}")
#: A callback's query holds a state and a code; more than this is no callback. In bytes.
_MAX_QUERY: Final = 8192


def create_blueprint(url_prefix: str) -> Blueprint:
    """Return a new blueprint with the routes and error pages. It holds nothing of an app."""
    blueprint = Blueprint(
        "openrouter",
        __name__,
        url_prefix=url_prefix,
        template_folder="templates",
        static_folder="static/openrouter",
        static_url_path="/static",
    )
    blueprint.add_url_rule("/login", view_func=login)
    blueprint.add_url_rule("/callback", view_func=callback)
    blueprint.add_url_rule("/disconnect", view_func=disconnect, methods=["POST"])
    blueprint.add_url_rule("/disconnected", view_func=disconnected)
    blueprint.add_url_rule("/status", view_func=status)
    blueprint.before_app_request(guard.refuse_open_view)
    blueprint.app_errorhandler(KeyStorageError)(_show)
    blueprint.app_errorhandler(OutOfCreditError)(_show)
    blueprint.app_errorhandler(KeyRejectedError)(guard.heal)
    blueprint.app_errorhandler(NotConnectedError)(guard.heal)
    return blueprint


def login() -> Response:
    """Start a login: remember it in this browser's session and send the visitor to OpenRouter."""
    if (refusal := _refuse_background_load()) is not None:
        return refusal
    services = get_services()
    next_url = _next_url()
    try:
        callback_url = callback_url_for(services)
        pending = start_authorization(
            services,
            next_url=next_url,
            is_cross_site=request.headers.get("Sec-Fetch-Site") == "cross-site",
        )
    except (LoginError, KeyStorageError) as error:
        failure = error
    else:
        return protect_page(
            see_other(
                services.client.authorization_url(
                    callback_url,
                    services.client.create_code_challenge(pending.code_verifier),
                    "S256",
                    limit=services.settings.key_limit,
                    key_label=services.settings.key_label,
                    state=pending.state,
                )
            )
        )
    return _fail(problem_of(failure), next_url)


def callback() -> Response:
    """Finish a login: check the state, exchange the code once, store the key, go on."""
    if (refusal := _refuse_background_load()) is not None:
        return refusal
    services = get_services()
    next_url = None
    try:
        state, code = _read_callback(services)
        pending = find_authorization(services, state)
        next_url = pending.next_url and safe_next(pending.next_url, own_path=own_path())
        if code is None:
            take_authorization(services, pending)
            raise AccessDeniedError("The visitor declined.", reason="declined")
        previous = get_connection()
        previous_user_id = previous.openrouter_user_id if previous else None
        owner_id = services.owners.renew()
        services.vault.probe(owner_id)
        take_authorization(services, pending)
        key = services.client.exchange_code(code, pending.code_verifier, "S256")
    except OpenRouterError as error:
        failure = error
    else:
        record = KeyRecord(key.api_key, key.openrouter_user_id, int(services.clock()))
        if not _save(services, owner_id, record):
            return _fail(PROBLEMS["not_saved"], next_url)
        services.owners.remember(owner_id)
        drop_connection()
        _forget_previous(services, previous.owner_id, owner_id)
        logger.info("A key was connected.")
        send(
            key_connected,
            real_app(),
            owner_id=owner_id,
            openrouter_user_id=record.openrouter_user_id,
            previous_openrouter_user_id=previous_user_id,
        )
        landing = next_url or services.settings.login_redirect_url or _home_url()
        return protect_page(see_other(landing))
    return _fail(problem_of(failure), next_url)


def disconnect() -> Response:
    """Forget the key. A page of this site must ask for it (OWASP ASVS 5.0, 3.5.1)."""
    if not _is_same_origin():
        return show_problem(PROBLEMS["cross_site"])
    settings = get_services().settings
    connection = get_connection()
    key_hash = None
    try:
        if connection:
            key_hash = connection.settings_url.rpartition("/")[2]
        connection.disconnect()
    except KeyStorageError:
        failed = True
    else:
        failed = False
    if failed:
        return show_problem(PROBLEMS["not_forgotten"])
    target = _next_url() or settings.disconnect_redirect_url
    return protect_page(see_other(target or url_for("openrouter.disconnected", key=key_hash)))


def disconnected() -> Response:
    """Say that the key lives on at OpenRouter, and link to it."""
    base_url = get_services().settings.base_url
    key_hash = request.args.get("key", "")
    keys_url = f"{base_url}/settings/keys"
    if _KEY_HASH.fullmatch(key_hash):
        keys_url = f"{base_url}/keys/{key_hash}"
    page = render_template(
        "openrouter/disconnected.html", keys_url=keys_url, home_url=_home_url(), base_url=base_url
    )
    return protect_page(make_response(page))


def status() -> Response:
    """Tell a front end whether this visitor is connected. Never the key."""
    connection = get_connection()
    is_connected = bool(connection)
    response = jsonify(
        connected=is_connected,
        masked_key=connection.masked_key if is_connected else None,
        login_url=url_for("openrouter.login"),
    )
    return protect_page(response)


def _refuse_background_load() -> Response | None:
    """Return the answer to a load that nobody asked for, or None for a visit.

    HEAD, prefetch and sub-resources neither start nor finish anything (Fetch Metadata; HTML
    Standard, "speculative loading").
    """
    headers = request.headers
    if request.method == "HEAD":
        return protect_page(Response(status=204))
    purposes = [headers.get(name, "") for name in ("Sec-Purpose", "Purpose", "X-Moz")]
    if any("prefetch" in purpose.lower() or "preview" in purpose.lower() for purpose in purposes):
        return protect_page(Response(status=503))
    if (
        headers.get("Sec-Fetch-Mode", "navigate") != "navigate"
        or headers.get("Sec-Fetch-Dest", "document") != "document"
    ):
        return show_problem(PROBLEMS["not_a_visit"])
    return None


def _read_callback(services: Services) -> tuple[str, str | None]:
    """Return state and code of a callback; code is None when the visitor declined.

    Raises :class:`StateMismatchError` for what is no callback at all: it spends no login.
    """
    malformed = StateMismatchError("This is not a callback.", reason="malformed")
    if len(request.query_string) > _MAX_QUERY:
        raise malformed
    values = {name: request.args.getlist(name) for name in ("state", "code", "error", "iss")}
    state, code, error, issuer = values.values()
    # A parameter given twice is an error, not a choice (RFC 6749 §3.1).
    if max(map(len, values.values())) > 1 or len(state) != 1 or (code and error):
        raise malformed
    if issuer and issuer != [services.settings.base_url]:
        # RFC 9207: an answer of another server.
        raise malformed
    if code:
        if not _CODE.fullmatch(code[0]):
            raise malformed
        return state[0], code[0]
    # OpenRouter's refusal is the bare callback address. A garbled code is not a refusal.
    if any(name.lower().startswith("code") for name in request.args):
        raise malformed
    return state[0], None


def _save(services: Services, owner_id: str, record: KeyRecord) -> bool:
    # The key exists at OpenRouter, and its code is spent: a second try costs little.
    for _ in range(2):
        try:
            services.vault.save(owner_id, record)
        except KeyStorageError:
            logger.warning("Saving a new key failed.")
        else:
            return True
    return False


def _forget_previous(services: Services, previous_id: str | None, owner_id: str) -> None:
    # Only browsers get a new id on connect. The cookie storage has replaced the old one already.
    if previous_id is None or previous_id == owner_id:
        return
    try:
        services.vault.forget(previous_id)
    except KeyStorageError:
        logger.warning("The key that was replaced could not be deleted from the storage.")


def _fail(problem: Problem, next_url: str | None) -> Response:
    send(login_failed, real_app(), reason=problem.code)
    return show_problem(problem, next_url=next_url)


def _show(error: OpenRouterError) -> Response:
    return show_problem(problem_of(error))


def _next_url() -> str | None:
    return safe_next(request.values.get("next"), own_path=own_path())


def _home_url() -> str:
    return f"{request.script_root}/"


def _is_same_origin() -> bool:
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site not in (None, "same-origin", "none"):
        return False
    if origin is None:
        return True
    here = request.host_url.removesuffix("/")
    if site == "same-origin":
        # A proxy that speaks https for us hides the scheme, never the browser's own verdict.
        return origin.partition("://")[2] == here.partition("://")[2]
    return origin == here
