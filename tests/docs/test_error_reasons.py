"""The table of reasons in docs/errors.md agrees with the code."""

from __future__ import annotations

import re

from cases import case
from errors_page import rows_below
from project_files import ROOT

from flask_openrouter import errors
from flask_openrouter.client import phrases, reasons
from flask_openrouter.views.causes import problem_of

#: One row per reason.
ROWS = [
    (reason, *(cell.strip("`") for cell in cells))
    for reasons_of_row, *cells in rows_below("| reason | class | status | code |")
    for reason in re.findall(r"`(\w+)`", reasons_of_row)
]


def known() -> set[str]:
    """Return the reasons that the reader of errors can give."""
    tables = (reasons._RATE_LIMITS, reasons._BUDGETS, phrases._SETTINGS)
    found = {row[-1] for table in tables for row in table}
    found |= {reason for *_, reason in phrases._PHRASES} | set(reasons._FORBIDDEN.values())
    source = (ROOT / "flask_openrouter" / "client" / "responses.py").read_text(encoding="utf-8")
    return found | set(re.findall(r'Cause\(APIError, "(\w+)"\)', source))


def test_every_reason_is_in_the_table() -> None:
    assert {row[0] for row in ROWS} == known()
    assert {"unconfirmed", "max_tokens", "shared_capacity", "permission"} <= known()


def test_every_class_status_and_code_in_the_table_can_be() -> None:
    for reason, name, statuses, code in ROWS:
        with case(reason):
            for status in statuses.split(", "):
                error = getattr(errors, name)(int(status), reason=reason)
                assert (error.status, error.reason) == (int(status), reason)
                assert problem_of(error).code == (code or reason)


def test_a_reason_that_changes_the_message_is_in_the_table() -> None:
    assert set(errors._SUMMARIES) <= known()
