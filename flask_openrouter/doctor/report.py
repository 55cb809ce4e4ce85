"""The doctor's report: lines for people, or JSON for programs."""

from __future__ import annotations

import json
import logging
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict
from textwrap import TextWrapper
from typing import Any, Final

import click

from .finding import Finding, Result, Severity

logger: Final = logging.getLogger("flask_openrouter")

#: Version of the JSON document. It changes when programs that read it must change.
VERSION: Final = 1

_MARKS: Final = {
    Severity.OK: ("ok", "green"),
    Severity.WARNING: ("warn", "yellow"),
    Severity.PROBLEM: ("FAIL", "red"),
}
_INDENT: Final = " " * 6
# People copy package names and commands, so lines break between words only.
_LINES: Final = TextWrapper(
    100,
    initial_indent=_INDENT,
    subsequent_indent=_INDENT,
    break_on_hyphens=False,
    break_long_words=False,
)


def print_report(results: Iterable[Result], *, as_json: bool) -> int:
    """Print the results and return the exit status, 0 or 1. Lines appear as each check ends."""
    done = []
    # What the extension would log is reported as a finding.
    logger.addFilter(_drop)
    try:
        # An app may print while it is created. Only JSON may reach the program that reads it.
        with redirect_stdout(sys.stderr) if as_json else nullcontext():
            for result in results:
                done.append(result)
                if not as_json:
                    _print_result(result)
    finally:
        logger.removeFilter(_drop)
    document = _document(done)
    if as_json:
        click.echo(json.dumps(document, indent=2))
    else:
        problems, warnings = document["problems"], document["warnings"]
        click.echo(f"\n{_number(problems, 'problem')}, {_number(warnings, 'warning')}.")
    return int(document["severity"] == Severity.PROBLEM)


def _document(results: Sequence[Result]) -> dict[str, Any]:
    findings = tuple(finding for result in results for finding in result.findings)
    counts = Counter(finding.severity for finding in findings)
    return {
        "version": VERSION,
        "severity": Result("", "", findings).severity.value,
        "problems": counts[Severity.PROBLEM],
        "warnings": counts[Severity.WARNING],
        "checks": [
            {
                "name": result.name,
                "title": result.title,
                "severity": result.severity.value,
                "findings": [asdict(finding) for finding in result.findings],
            }
            for result in results
        ],
    }


def _print_result(result: Result) -> None:
    mark, color = _MARKS[result.severity]
    click.secho(f"{mark:<6}", fg=color, nl=False)
    click.echo(result.title)
    for finding in result.findings:
        _print_finding(finding)


def _print_finding(finding: Finding) -> None:
    click.echo(_LINES.fill(f"{finding.title} [{finding.code}]"))
    if finding.remedy is not None:
        click.echo(_LINES.fill(f"Remedy: {finding.remedy}"))


def _drop(record: logging.LogRecord) -> bool:
    return False


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
