"""OpenRouter's own phrases at the start of an error's message, and the reasons that they name."""

from __future__ import annotations

import re
from typing import Final

from ..errors import APIError, OutOfCreditError, RateLimitError

#: OpenRouter's phrases at the start of a message: the statuses, the class (None: that of the
#: status) and the reason.
_PHRASES: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), statuses, kind, reason)
    for pattern, statuses, kind, reason in (
        # 402
        (
            r"this request requires more credits, or fewer max_tokens\..{0,80}"
            r"\bcan only afford (?!-|0\b)",
            {402},
            None,
            "max_tokens",
        ),
        # The page with the remedy follows, and tells which limit it is.
        (
            r"(?:this request requires more credits|prompt tokens limit exceeded)\b.{0,160}"
            r"/settings/keys\b",
            {402},
            None,
            "key_limit",
        ),
        (
            r"prompt tokens limit exceeded\b.{0,160}\bhigher (?:total|daily|weekly|monthly) limit",
            {402},
            None,
            "key_limit",
        ),
        # Some forms of the API have the code as the message.
        (r"in_flight_budget_exhausted\b", {402}, RateLimitError, "in_flight_budget"),
        # 402 and 403
        (r"key limit exceeded\b", {402, 403}, OutOfCreditError, "key_limit"),
        (
            r"(?:the )?workspace (?:\w+ )?budget\b.{0,60}\b(?:exceeded|exhausted|reached|spent)\b",
            {402, 403},
            OutOfCreditError,
            "workspace_budget",
        ),
        (
            r"(?:the )?guardrail (?:\w+ )?budget\b.{0,60}\b(?:exceeded|exhausted|reached|spent)\b",
            {402, 403},
            OutOfCreditError,
            "guardrail_budget",
        ),
        (r"budget limit exceeded\b", {402, 403}, OutOfCreditError, "account"),
        (
            r"insufficient (?:credits|funds|balance)\b",
            {402, 403},
            OutOfCreditError,
            "account",
        ),
        # 403
        (r"only management keys can\b", {403}, None, "permission"),
        (r"[^\"'\n]{1,80} requires moderation\b", {403}, None, "moderation"),
        (r"(?:request )?blocked by (?:a )?guardrail", {403}, None, "guardrail"),
        # 400
        (
            r"this (?:endpoint|model)'s maximum context length is \d[\d,]* tokens",
            {400, 413},
            None,
            "context_length",
        ),
        # 429
        (r"rate limit exceeded: free-models-per-day\b", {429}, None, "free_daily"),
        (r"rate limit exceeded: free-models-per-min\b", {429}, None, "free_per_minute"),
        (r"(?:rate limit exceeded: )?limit_(?:rpd|rpm|tpm)/", {429}, None, "model_limit"),
    )
)
_NONE_MATCHES: Final = (
    r"(?:no|0) endpoints (?:found|available|out of \d+ [\w ]{1,40}) matching your "
)
_BOTH: Final = "guardrail restrictions and data policy"
_VIOLATION: Final = (
    r"(?:(?:paid|free) model (?:training|publication)|zdr|zero data retention) violation\b"
)
#: Settings of the visitor's account. They are OpenRouter's own words with any status, even where
#: the error names the provider that was left out.
_SETTINGS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), reason)
    for pattern, reason in (
        # The lines that follow name the settings.
        (rf"{_NONE_MATCHES}{_BOTH}\b.{{0,1000}}\(account settings\)", "privacy"),
        (rf"{_NONE_MATCHES}{_BOTH}\b.{{0,1000}}\bguardrail\b", "guardrail"),
        (rf"{_NONE_MATCHES}(?:guardrail restrictions and )?data policy\b", "privacy"),
        (rf"{_NONE_MATCHES}guardrail restrictions\b", "guardrail"),
        (rf"(?:{_VIOLATION} \(|model blocked by )guardrail\b", "guardrail"),
        (_VIOLATION, "privacy"),
        (r"all providers have been ignored\b", "privacy"),
        # The app's own request can be what allows no provider.
        (r"no allowed providers are available\b(?!.{0,1800}\byour request's\b)", "privacy"),
        (r"this model requires you to complete the following before use\b", "permission"),
    )
)


def limit_in(status: int, words: str) -> tuple[type[APIError] | None, str | None]:
    """Return the class and the reason that OpenRouter's own phrases name, if they do."""
    for pattern, statuses, kind, reason in _PHRASES:
        if status in statuses and pattern.match(words):
            return kind, reason
    return None, None


def setting_in(words: str) -> str | None:
    """Return the reason if a setting of the visitor's account excludes the model."""
    return next((reason for pattern, reason in _SETTINGS if pattern.match(words)), None)
