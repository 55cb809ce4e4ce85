"""The error pages that visitors see, each with a code, an HTTP status and a plain sentence.

The texts are in English here. ``pages/language.py`` translates them where they are shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from .languages import _


@dataclass(frozen=True)
class Problem:
    """An error as visitors see it, in fixed words: nothing from the URL or from OpenRouter.

    ``code``: see :doc:`errors`. ``status``: the HTTP status. ``title`` and ``message``: for people.
    """

    code: str
    status: int
    title: str
    message: str
    #: Likely causes, most likely first.
    hints: tuple[str, ...] = ()
    #: Whether OpenRouter may have created a key that the app did not receive.
    key_may_exist: bool = False
    #: What helps: ``login``, ``retry``, or a change at OpenRouter: ``credit``, ``limit``,
    #: ``settings``.
    remedy: str = "login"

    @property
    def is_of_call(self) -> bool:
        """Whether it concerns a call to OpenRouter, and not the connection itself."""
        return self.remedy != "login"


_LOST_LOGIN: Final = (
    _("The login took longer than ten minutes, or was finished already in this browser."),
    _(
        "The browser did not send this site's cookie: cookies are off, were cleared, or the login"
        " was started in another browser or in a private window."
    ),
    _(
        "The login was started at another address of this site: localhost and 127.0.0.1, or the"
        " name with and without www, do not share cookies."
    ),
    _("For the operator: all workers must have the same SECRET_KEY."),
)

_ALL: Final = (
    Problem(
        "malformed", 400, _("This link is not complete"),
        _("The address that brought you here cannot finish a login. Nothing was changed."),
    ),
    Problem(
        "unknown", 400, _("This login is not known here"),
        _("This browser has no login that this address could finish. Nothing was changed."),
        _LOST_LOGIN,
    ),
    Problem(
        "expired", 400, _("This login took too long"),
        _("A login has to be finished within ten minutes. Nothing was changed; please try again."),
    ),
    Problem(
        "foreign", 400, _("This login belongs to somebody else"),
        _("It was started by another user of this site. Nothing was changed."),
    ),
    Problem(
        "signed_out", 400, _("You are signed out of this site"),
        _("You were signed in when this login began. Nothing was changed; please sign in and"
          " connect again."),
        (
            _("Your session at this site has ended, or you signed out in another tab."),
            _("Your browser was updated during the login, and this site then ends sessions."),
        ),
    ),
    Problem(
        "lost", 409, _("This login was finished already"),
        _("Its key is not in this browser. OpenRouter may have created one that got lost on the way"
          " to you; this site has no copy of it."),
        key_may_exist=True,
    ),
    Problem(
        "declined", 400, _("You declined"),
        _("Nothing was connected, and nothing was changed."),
    ),
    Problem(
        "code_refused", 400, _("OpenRouter refused this login"),
        _("Its code has expired, was used already, or does not belong to this login. If it was used"
          " already, OpenRouter may have created a key that this site did not receive."),
        key_may_exist=True,
    ),
    Problem(
        "busy", 502, _("OpenRouter is busy"),
        _("It asked this site to wait. Please try again in a minute."),
    ),
    Problem(
        "provider_failed", 502, _("OpenRouter has trouble"),
        _("It could not finish the login. Please try again a little later."),
    ),
    Problem(
        "unexpected_answer", 502, _("Unexpected answer from OpenRouter"),
        _("It cannot be used, so nothing was connected. A key may have been created all the same."),
        key_may_exist=True,
    ),
    Problem(
        "unreachable", 502, _("OpenRouter cannot be reached"),
        _("This site could not connect to it. Please try again a little later."),
    ),
    Problem(
        "connection_lost", 502, _("The connection to OpenRouter was lost"),
        _("It was lost before the answer arrived. OpenRouter may have created a key that this site"
          " did not receive."),
        key_may_exist=True,
    ),
    Problem(
        "timeout", 504, _("OpenRouter did not answer in time"),
        _("OpenRouter may have created a key that this site did not receive."),
        key_may_exist=True,
    ),
    Problem(
        "storage_unavailable", 503, _("Keys cannot be stored or read right now"),
        _("This site's storage does not answer. Please try again in a few minutes."),
    ),
    Problem(
        "not_saved", 503, _("Your key is not saved yet"),
        _("OpenRouter created a key for this site, but this site cannot store it. It waits in your"
          " browser, encrypted, for ten minutes."),
        key_may_exist=True,
    ),
    Problem(
        "nothing_to_save", 400, _("No key is waiting to be saved"),
        _("It was saved already, or ten minutes have passed."),
    ),
    Problem(
        "not_forgotten", 503, _("Still connected"),
        _("The key could not be deleted: this site's storage does not answer. Please try again in a"
          " few minutes."),
    ),
    Problem(
        "insecure_address", 400, _("This address cannot be used to connect"),
        _("OpenRouter sends visitors back to https addresses only, or to localhost."),
        (
            _("Open this site by its https address."),
            _("For the operator: behind a proxy that speaks https add the ProxyFix middleware or"
              " set OPENROUTER_CALLBACK_URL."),
        ),
    ),
    Problem(
        "cross_site", 403, _("This request came from another page"),
        _("Only a page of this site may do this. Nothing was changed."),
        (_("For the operator: behind a proxy that changes the host name add ProxyFix."),),
    ),
    Problem(
        "not_a_visit", 403, _("Open this address in a tab"),
        _("A login starts and ends with a visit to this address, not with a request in the"
          " background."),
    ),
    Problem(
        "key_required", 401, _("Connect OpenRouter first"),
        _("This page needs your OpenRouter account."),
    ),
    Problem(
        "key_rejected", 401, _("Connect OpenRouter again"),
        _("OpenRouter no longer accepts your key: it was deleted, disabled or has expired."),
    ),
    Problem(
        "new_key_rejected", 502, _("OpenRouter does not accept the new key"),
        _("It rejects the key that it has just created, so connecting again would not help. Please"
          " try again in ten minutes."),
        (
            _("OpenRouter has an incident."),
            _("The key was deleted or disabled on OpenRouter's pages."),
        ),
        remedy="retry",
    ),
    Problem(
        "unconfirmed", 502, _("OpenRouter is not sure about your key"),
        _("It refused your key, but does not confirm that the key is dead. You are still connected."
          " Please try again."),
        remedy="retry",
    ),
    Problem(
        "fallback_failed", 502, _("This site's access to OpenRouter does not work"),
        _("Please try again a little later, or connect your own OpenRouter account."),
        remedy="retry",
    ),
    Problem(
        "out_of_credit", 402, _("No credit left"),
        _("Your OpenRouter credit or the key's limit is used up. You are still connected."),
        remedy="credit",
    ),
    Problem(
        "key_limit", 402, _("The limit of your key is used up"),
        _("Raise it at OpenRouter, or wait until it is reset. You are still connected."),
        remedy="limit",
    ),
    Problem(
        "workspace_budget", 402, _("The workspace's budget is used up"),
        _("An admin of your OpenRouter workspace can raise it. You are still connected."),
        remedy="settings",
    ),
    Problem(
        "guardrail_budget", 402, _("A budget at OpenRouter is used up"),
        _("A guardrail of your OpenRouter account sets it. You are still connected."),
        remedy="settings",
    ),
    Problem(
        "max_tokens", 402, _("Not enough credit for this request"),
        _("A shorter answer may still be possible. Otherwise add credit at OpenRouter."),
        remedy="credit",
    ),
    Problem(
        "rate_limited", 429, _("Too many requests"),
        _("OpenRouter asks to wait. Please try again a little later."),
        remedy="retry",
    ),
    Problem(
        "free_daily", 429, _("Today's free requests are used up"),
        _("New ones come at midnight UTC. Credit at OpenRouter raises their number."),
        remedy="credit",
    ),
    Problem(
        "refused", 403, _("This request was refused"),
        _("OpenRouter or the provider of the model found that it breaks their rules. Please change"
          " it."),
        remedy="retry",
    ),
    Problem(
        "guardrail", 403, _("Your OpenRouter account forbids this"),
        _("A guardrail or a permission of your account does not allow this request."),
        remedy="settings",
    ),
    Problem(
        "privacy", 403, _("Your privacy settings exclude this model"),
        _("Change them at OpenRouter, or choose another model."),
        remedy="settings",
    ),
    Problem(
        "too_long", 400, _("This is too long for the model"),
        _("Please shorten it, or choose a model that reads more."),
        remedy="retry",
    ),
    Problem(
        "timed_out", 504, _("The answer took too long"),
        _("OpenRouter or the model did not answer in time. Please try again."),
        remedy="retry",
    ),
    Problem(
        "model_failed", 502, _("The model cannot answer now"),
        _("Its provider reports trouble. Please try again, or choose another model."),
        remedy="retry",
    ),
    Problem(
        "request_failed", 502, _("OpenRouter did not accept this request"),
        _("The cause is this site or the chosen model. Another model may help."),
        remedy="retry",
    ),
    Problem(
        "openrouter_failed", 502, _("OpenRouter does not work right now"),
        _("You are still connected. Please try again a little later."),
        remedy="retry",
    ),
)  # fmt: skip

PROBLEMS: Final[Mapping[str, Problem]] = MappingProxyType({p.code: p for p in _ALL})
