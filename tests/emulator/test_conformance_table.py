"""The conformance page matches what OpenRouter's SDKs, our client and the emulator do."""

from __future__ import annotations

import os
import re
from pathlib import Path

import openrouter
import pytest
from callers import python_sdk
from conformance import Conformance, Row, as_markdown, methods_of_oauth
from typescript_sdk import TypeScriptSDK

from flask_openrouter.emulator import Emulator

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
TELEMETRY = "`spawn_agent`, `spawn_cloud` of `/auth/keys/code`"
WRITE = os.environ.get("OPENROUTER_WRITE_DOCS") == "1"

# The package warns about its own deprecated fields whenever it parses a key.
pytestmark = pytest.mark.filterwarnings("ignore:.*DEPRECATED:DeprecationWarning")


def test_the_tables_of_the_page_are_true(emulator: Emulator, typescript: TypeScriptSDK) -> None:
    """With OPENROUTER_WRITE_DOCS=1 the test writes the tables: check the difference then."""
    tables = Conformance(emulator, typescript).tables()
    measured = {heading: as_markdown(rows) for heading, rows in tables.items()}
    if WRITE:
        PAGE.write_text(_with_tables(PAGE.read_text(encoding="utf-8"), measured), encoding="utf-8")
    assert _tables_of(PAGE.read_text(encoding="utf-8")) == measured


def test_the_page_names_the_versions_that_were_compared(typescript: TypeScriptSDK) -> None:
    """Newer versions than these must still agree with the tables."""
    text = PAGE.read_text(encoding="utf-8")
    stated = dict(re.findall(r"`(openrouter|@openrouter/sdk)` (\d+\.\d+\.\d+)", text))
    installed = {
        "openrouter": openrouter.VERSION,
        "@openrouter/sdk": typescript.call("version", "http://unused").value,
    }
    for name, version in installed.items():
        assert _numbers(stated[name]) <= _numbers(version)


def test_the_sdks_have_no_oauth_method_that_the_table_leaves_out(typescript: TypeScriptSDK) -> None:
    """Workload identity federation (RFC 8693, RFC 7517) is another protocol."""
    with python_sdk("http://unused", None) as sdk:
        assert methods_of_oauth(sdk) == {
            "exchange_auth_code_for_api_key",
            "create_auth_code",
            "create_oauth_token",
            "list_oauth_jwks",
        }
    assert set(typescript.call("oauth_methods", "http://unused").value) == {
        "createAuthorizationUrl",
        "createSHA256CodeChallenge",
        "exchangeAuthCodeForAPIKey",
        "createAuthCode",
        "createOauthToken",
        "listOauthJwks",
    }


def test_the_client_has_everything_that_openrouter_documents() -> None:
    """Except ``spawn_*``, telemetry of an OpenRouter program. For the key fields see the page."""
    gaps = {
        row[0]
        for heading, row in _rows_of_the_page()
        if row[1] != "no" and row[-2] == "no" and not heading.startswith("Fields")
    }
    assert gaps == {TELEMETRY}


def test_the_emulator_serves_everything_in_the_tables() -> None:
    gaps = {row[0] for _, row in _rows_of_the_page() if row[-1] == "no"}
    assert gaps == {TELEMETRY}


def _rows_of_the_page() -> list[tuple[str, Row]]:
    """Return (heading, row) for each row. The first test compares the tables with the facts."""
    tables = _tables_of(PAGE.read_text(encoding="utf-8"))
    return [
        (heading, tuple(cell.strip() for cell in line.strip("|").split("|")))
        for heading, table in tables.items()
        for line in table.splitlines()[2:]
    ]


def _tables_of(page: str) -> dict[str, str]:
    """Return the tables of the page by the heading above each."""
    sections = re.findall(r"^## (.+)\n((?:(?!^## ).*\n?)*)", page, re.M)
    found = {}
    for heading, text in sections:
        table = "\n".join(line for line in text.splitlines() if line.startswith("|"))
        if table:
            found[heading] = table
    return found


def _with_tables(page: str, tables: dict[str, str]) -> str:
    for heading, table in tables.items():
        before, mark, after = page.partition(f"## {heading}\n")
        assert mark, f"the page has no heading {heading}"
        section, next_heading, rest = after.partition("\n## ")
        prose = [line for line in section.splitlines() if not line.startswith("|")]
        text = "\n".join(prose).strip()
        page = f"{before}{mark}\n{text}\n\n{table}\n{next_heading}{rest}"
    return page


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
