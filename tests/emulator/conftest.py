"""Clients of the shared emulator: plain HTTP, and OpenRouter's SDK for TypeScript."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from polling import PATIENCE
from trust_store import one_trusted_authority

if TYPE_CHECKING:
    from typescript_sdk import TypeScriptSDK

__all__ = ["one_trusted_authority"]


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> None:
    """Load the plugin of schemathesis for the one file that needs it: it takes a second."""
    if file_path.name == "test_openapi.py":
        plugins = parent.config.pluginmanager
        if not plugins.hasplugin("schemathesis"):
            plugins.import_plugin("schemathesis.pytest.plugin")


class PatientSession(requests.Session):
    """A client that waits as long as a busy machine needs."""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        return super().send(request, **{**options, "timeout": options["timeout"] or PATIENCE})


@pytest.fixture
def http() -> Iterator[requests.Session]:
    """A client without proxies or netrc."""
    with PatientSession() as session:
        session.trust_env = False
        yield session


@pytest.fixture(scope="session")
def typescript() -> Iterator[TypeScriptSDK]:
    """One Node process with the real ``@openrouter/sdk``; npm fetches it once."""
    # It imports the ``openrouter`` package, which most tests here do not need.
    from typescript_sdk import running_typescript_sdk

    with running_typescript_sdk() as sdk:
        yield sdk


@pytest.fixture(scope="module", autouse=True)
def no_key_of_the_developer() -> Iterator[None]:
    """OpenRouter's packages would read it from the environment and send it."""
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("OPENROUTER_API_KEY", raising=False)
        yield
