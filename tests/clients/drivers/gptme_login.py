"""``gptme``: both of its logins, and a chat with the key.

It has no setting for OpenRouter's address, so its constants and its client are set here.
"""

from __future__ import annotations

import os

from emulated import (
    API,
    MODEL,
    QUESTION,
    QUOTED,
    URL,
    check_key,
    run,
    set_constant,
    use_approving_browser,
)
from gptme.llm import llm_openrouter_subscription as by_command
from gptme.llm.llm_openai import get_available_models
from gptme.oauth import openrouter as by_account

by_command.OAUTH_AUTH_URL = by_account.OPENROUTER_AUTH_URL = f"{URL}/auth"
by_command.OAUTH_KEY_EXCHANGE_URL = by_account.OPENROUTER_TOKEN_URL = f"{API}/auth/keys"
set_constant(get_available_models, "https://openrouter.ai/api/v1/models", f"{API}/models")


def login() -> None:
    """Do what ``gptme auth openrouter`` does."""
    check_key(by_command.oauth_get_api_key(timeout=60))


def login_with_state() -> None:
    """Do what ``/account`` does. It refuses a callback without the top-level state."""
    api_key = by_account.authenticate(timeout=60)
    check_key(api_key)
    os.environ["OPENROUTER_API_KEY"] = api_key


def chat() -> None:
    from gptme.init import init
    from gptme.llm import llm_openai, reply
    from gptme.message import Message

    model = f"openrouter/{MODEL}"
    init(model, interactive=False, tool_allowlist=[], tool_format="markdown")
    llm_openai._init_openai_client(
        "openrouter", api_key=os.environ["OPENROUTER_API_KEY"], base_url=API
    )
    for stream in (False, True):
        answer = reply([Message("user", QUESTION)], model, stream=stream)
        assert QUOTED in answer.content, answer.content


if __name__ == "__main__":
    use_approving_browser()
    run(login, login_with_state, chat)
