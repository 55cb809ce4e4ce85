"""``aider``: its login, and a question to the model that it chooses then.

It has no setting for the addresses of ``/auth`` and of the exchange, so its constants are set here.
"""

from __future__ import annotations

import os

from emulated import API, QUESTION, URL, check_key, run, set_constant, use_approving_browser

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ["OPENROUTER_API_BASE"] = API

from aider import onboarding
from aider.main import main
from aider.openrouter import OpenRouterModelManager

OPENROUTER = "https://openrouter.ai"
set_constant(onboarding.start_openrouter_oauth_flow, f"{OPENROUTER}/auth", f"{URL}/auth")
set_constant(onboarding.exchange_code_for_key, f"{OPENROUTER}/api/v1/auth/keys", f"{API}/auth/keys")
set_constant(onboarding.check_openrouter_tier, f"{OPENROUTER}/api/v1/auth/key", f"{API}/auth/key")
OpenRouterModelManager.MODELS_URL = f"{API}/models"

ARGUMENTS = [
    "--yes-always",
    "--no-git",
    "--no-check-update",
    "--no-show-release-notes",
    "--no-show-model-warnings",
    "--analytics-disable",
    "--no-pretty",
    "--map-tokens=0",
]


def login_and_chat() -> None:
    """Start aider without any key: it logs in, chooses a model, and asks it."""
    coder = main(ARGUMENTS, return_coder=True)
    check_key(os.environ["OPENROUTER_API_KEY"])
    assert coder.main_model.name.startswith("openrouter/"), coder
    answer = coder.run(with_message=QUESTION)
    # aider appends its rules to the question.
    assert f"“{QUESTION}" in answer, answer


def cost() -> None:
    """Check the prices of the model, which aider reads from the emulator's list."""
    info = OpenRouterModelManager().get_model_info("openrouter/openai/gpt-4o-mini")
    assert info["input_cost_per_token"] > 0


if __name__ == "__main__":
    use_approving_browser()
    run(login_and_chat, cost)
