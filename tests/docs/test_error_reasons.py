"""The table of reasons in docs/errors.md agrees with the code."""

from __future__ import annotations

import re

from cases import case
from doc_blocks import ROOT

from flask_openrouter import errors
from flask_openrouter.client import reasons

PAGE = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
HEAD = "| reason | class | status | means |\n|---|---|---|---|\n"
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.partition(HEAD)[2].partition("\n\n")[0].splitlines()
]


def known() -> set[str]:
    """Return the reasons that the reader of errors can give."""
    tables = (reasons._RATE_LIMITS, reasons._BUDGETS, reasons._SETTINGS)
    found = {row[-1] for table in tables for row in table}
    found |= {reason for *_, reason in reasons._PHRASES} | set(reasons._FORBIDDEN.values())
    source = (ROOT / "flask_openrouter" / "client" / "responses.py").read_text(encoding="utf-8")
    return found | set(re.findall(r'Cause\(APIError, "(\w+)"\)', source))


def test_every_reason_is_in_the_table() -> None:
    assert sorted(row[0].strip("`") for row in ROWS) == sorted(known())
    assert {"unconfirmed", "max_tokens", "shared_capacity", "permission"} <= known()


def test_every_class_and_status_in_the_table_can_be() -> None:
    for reason, name, statuses, *_ in ROWS:
        with case(reason):
            kind = getattr(errors, name.strip("`"))
            for status in statuses.split(", "):
                error = kind(int(status), reason=reason.strip("`"))
                assert (error.status, error.reason) == (int(status), reason.strip("`"))


def test_a_reason_that_changes_the_message_is_in_the_table() -> None:
    assert set(errors._SUMMARIES) <= known()
