"""The addresses in the project's files: openrouter.ai in one spelling, and known sites."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from project_files import texts

AUTHORITY = "openrouter.ai"
LOOKALIKE_NAME = "open" + "roouter"
#: Pages that the texts link to: standards, and the projects that this one stands on.
_KNOWN_SITES = (
    "w3.org", "rfc-editor.org", "ietf.org", "owasp.org", "whatwg.org", "mozilla.org", "python.org",
    "pypi.org", "palletsprojects.com", "readthedocs.io", "github.com", "sqlalchemy.org", "redis.io",
    "nist.gov", "gunicorn.org", "htmx.org", "keepachangelog.com", "semver.org",
)  # fmt: skip
_RESERVED = ("localhost", "example", "invalid", "test")


@pytest.mark.requirement("R112")
def test_no_file_spells_the_host_in_another_way() -> None:
    wrong = re.compile(r"open[a-z0-9-]*ter\.ai", re.IGNORECASE)
    found = {
        f"{path}: {word}"
        for path, text in texts()
        for word in wrong.findall(text)
        if word.lower() != AUTHORITY
    }
    assert found == set()


@pytest.mark.requirement("R112")
def test_another_spelling_would_be_noticed() -> None:
    assert re.search(r"open[a-z0-9-]*ter\.ai", f"https://{LOOKALIKE_NAME}.ai/")


@pytest.mark.requirement("R112")
def test_every_address_in_package_example_and_docs_is_a_known_one() -> None:
    unknown = set()
    for path, text in texts("flask_openrouter", "example_app", "docs", "README.md"):
        for url in re.findall(r"\b(?:https?|wss?)://[A-Za-z0-9\[][^\s\"'`<>(){}…\\]*", text):
            host = urlsplit(url.replace("[", "").replace("]", "")).netloc.rpartition("@")[2]
            host = re.sub(r":\d*$", "", host.rstrip(".,;"))
            is_known = (
                host == AUTHORITY
                or host in ("127.0.0.1", "::1")
                or host.isalpha()  # A name of a configuration, such as nginx's upstream.
                or host.rpartition(".")[2] in _RESERVED
                or any(host == site or host.endswith(f".{site}") for site in _KNOWN_SITES)
            )
            if not is_known:
                unknown.add(f"{path.name}: {url}")
    assert unknown == set()
