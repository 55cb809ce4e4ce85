"""How to explain each error in plain words, with the next step, and never in OpenRouter's."""

import math
from dataclasses import asdict, dataclass, replace

from werkzeug.exceptions import HTTPException

from flask_openrouter import OpenRouterError, errors
from flask_openrouter.connection import Connection


@dataclass(frozen=True)
class Problem:
    """A problem as the page shows it: one or two sentences, and what the visitor can do now.

    ``status``: the HTTP status of the app's response, if that has not started yet. ``link_url``: a
    page that helps. ``choose`` and ``retry``: whether to offer another model, and "Try again",
    after ``wait`` seconds.
    """

    error: str
    status: int
    message: str
    link_text: str = ""
    link_url: str = ""
    choose: bool = False
    retry: bool = True
    wait: int = 0

    def as_json(self) -> dict[str, object]:
        """Return the fields for the page's script."""
        return asdict(self)


class Refused(HTTPException):
    """A request is refused because of a problem. ``pages.py`` turns it into the response."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.code = problem.status
        self.problem = problem


# fmt: off
NOT_SAVED = Problem("not_saved", 503,
    "This server could not save the conversation. Copy what you need, and try again later.")
BUSY = Problem("busy", 409,
    "Another answer is still being written in this conversation, perhaps in another tab.")
TOO_MANY = Problem("too_many", 429,
    "You are waiting for several answers already. Try again when one is finished.", wait=3)
CROWDED = Problem("crowded", 503,
    "This server is writing as many answers as it can. Try again in a moment.", wait=5)
ENDED = Problem("ended", 409,
    "The answer was stopped, because you disconnected or deleted it meanwhile.", retry=False)
NETWORK = Problem("network", 502,
    "OpenRouter cannot be reached from here at the moment. Try again in a minute.")
INTERRUPTED = Problem("interrupted", 502,
    "The connection to OpenRouter broke before the answer was complete. What arrived is kept.")
NO_MODELS = Problem("no_models", 502,
    "OpenRouter does not show its list of models at the moment. Try again in a minute.")
PROVIDER_DOWN = Problem("provider_down", 502,
    "The provider of this model is not answering. Try again, or choose another model.", choose=True)
MODEL_GONE = Problem("model_gone", 502,
    "This model does not accept the question; OpenRouter may no longer offer it. Choose another.",
    choose=True, retry=False)
TOO_LONG = Problem("too_long", 400,
    "This conversation is too long for the model. Start a new chat, or choose a model with more "
    "context.", choose=True, retry=False)
NOT_ALLOWED = Problem("not_allowed", 403,
    "OpenRouter does not allow this with your settings or this model. Choose another model, or put "
    "the question differently.", choose=True, retry=False)
REFUSED = Problem("refused", 403,
    "A moderator of this model refused the conversation because of its contents. Put the question "
    "differently, or choose another model.", choose=True, retry=False)
OUT_OF_CREDIT = Problem("out_of_credit", 402,
    "There is no credit left on your OpenRouter account. Add some, then try again. Models marked "
    "as free work without.", "Add credit at OpenRouter", choose=True)
KEY_LIMIT = Problem("key_limit", 402,
    "The key of this app has reached its spending limit. Raise it, then try again.",
    "Raise the limit at OpenRouter")
BUDGET = Problem("budget", 402,
    "The budget that your OpenRouter workspace sets is spent. Its administrator can raise it.")
RATE_LIMITED = Problem("rate_limited", 429,
    "Too many questions in a short time for this model. Wait a little, or choose another.",
    choose=True)
TOO_EXPENSIVE = Problem("too_expensive", 402,
    "Your credit is too small for an answer of this length by this model. Add some, or choose a "
    "cheaper model.", "Add credit at OpenRouter", choose=True)
RESERVED = Problem("reserved", 429,
    "Your other requests have reserved the rest of your credit. Wait for their end.")
FREE_DAILY = Problem("free_daily", 429,
    "You have used up today's questions to free models. New ones come at midnight UTC. Credit at "
    "OpenRouter raises their number.", "Add credit at OpenRouter", choose=True, retry=False)
PRIVACY = Problem("privacy", 403,
    "Your privacy settings at OpenRouter exclude this model. Change them, or choose another model.",
    "Open your privacy settings", choose=True)
UNCONFIRMED = Problem("unconfirmed", 502,
    "OpenRouter could not check your key just now. You are still connected. Try again.")
# fmt: on

#: Flask-OpenRouter: an error has a reason if OpenRouter gives one, in a status or in a stream.
_BY_REASON = {
    "account": OUT_OF_CREDIT,
    "content_policy": REFUSED,
    "context_length": TOO_LONG,
    "free_daily": FREE_DAILY,
    "guardrail_budget": BUDGET,
    "in_flight_budget": RESERVED,
    "key_limit": KEY_LIMIT,
    "max_tokens": TOO_EXPENSIVE,
    "moderation": REFUSED,
    "privacy": PRIVACY,
    "refusal": REFUSED,
    "unconfirmed": UNCONFIRMED,
    "workspace_budget": BUDGET,
}
_BY_STATUS = {400: MODEL_GONE, 404: MODEL_GONE, 413: TOO_LONG, 422: MODEL_GONE, 429: RATE_LIMITED}
#: Problems of payment that last until the visitor does something. All pages show them.
LASTING = {problem.error for problem in (OUT_OF_CREDIT, KEY_LIMIT, BUDGET)}
#: The longest countdown on the page, and the wait if OpenRouter names none, in seconds.
_LONGEST_WAIT, _USUAL_WAIT = 3600, 10


def problem_of(error: OpenRouterError, connection: Connection) -> Problem:
    """Return an error of OpenRouter, or of the connection to it, in words."""
    if isinstance(error, errors.TransportError):
        is_timeout = isinstance(error, errors.TransportTimeoutError)
        return replace(NETWORK, status=504) if is_timeout else NETWORK
    if isinstance(error, errors.RequestTimeoutError):
        return replace(PROVIDER_DOWN, status=504)
    if not isinstance(error, errors.APIError):
        return PROVIDER_DOWN
    is_forbidden = isinstance(error, errors.ForbiddenError)
    by_status = NOT_ALLOWED if is_forbidden else _BY_STATUS.get(error.status)
    problem = _BY_REASON.get(error.reason or "") or by_status or PROVIDER_DOWN
    if problem is OUT_OF_CREDIT and _is_limit_spent(connection):
        problem = KEY_LIMIT
    if problem.link_text:
        url = connection.settings_url if problem is KEY_LIMIT else error.help_url
        problem = replace(problem, link_url=url or "")
    if problem.status == 429 and problem.retry:
        wait = _USUAL_WAIT if error.retry_after is None else error.retry_after
        problem = replace(problem, wait=min(math.ceil(wait), _LONGEST_WAIT))
    if isinstance(error, errors.OutOfCreditError) and (day := error.resets_at):
        renewed = f" It is renewed on {day.day} {day:%B at %H:%M %Z}."
        problem = replace(problem, message=problem.message + renewed)
    return problem


def _is_limit_spent(connection: Connection) -> bool:
    """Whether the key has a limit, and it is spent: a 402 can mean that, too."""
    try:
        left = connection.key_info().limit_remaining
    except OpenRouterError:
        return False
    return left is not None and left <= 0
