"""OpenRouter's SDK for TypeScript, started once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from typescript_sdk import TypeScriptSDK, running_typescript_sdk


@pytest.fixture(scope="session")
def typescript() -> Iterator[TypeScriptSDK]:
    """One Node process with the real ``@openrouter/sdk``; npm fetches it once."""
    with running_typescript_sdk() as sdk:
        yield sdk


@pytest.fixture(scope="module", autouse=True)
def _no_key_of_the_developer() -> Iterator[None]:
    """OpenRouter's packages would read it from the environment and send it."""
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("OPENROUTER_API_KEY", raising=False)
        yield
