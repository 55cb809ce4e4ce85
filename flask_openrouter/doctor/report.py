"""The doctor's report: lines for people, or JSON for programs."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import asdict
from textwrap import TextWrapper
from typing import Any, Final, TextIO

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
        with _reserved_stdout() if as_json else nullcontext(sys.stdout) as stdout:
            for result in results:
                done.append(result)
                if not as_json:
                    _print_result(result)
            document = _document(done)
            if as_json:
                click.echo(json.dumps(document, indent=2), file=stdout)
    finally:
        logger.removeFilter(_drop)
    if not as_json:
        problems, warnings = document["problems"], document["warnings"]
        click.echo(f"\n{_number(problems, 'problem')}, {_number(warnings, 'warning')}.")
    return int(document["severity"] == Severity.PROBLEM)


@contextmanager
def _reserved_stdout() -> Iterator[TextIO]:
    """Yield the standard output. What the app prints goes to the standard error instead.

    Only JSON may reach the program that reads it. If this is the output of the process, it stays
    reserved until the process ends, because an app may print even then.
    """
    stdout = sys.stdout
    is_of_this_process = stdout is sys.__stdout__
    if not is_of_this_process:
        with redirect_stdout(sys.stderr):
            yield stdout
        return
    stdout.flush()
    # The descriptor, too: for programs that the app starts, and for what kept the old object.
    reserved: TextIO
    with open(os.dup(stdout.fileno()), "w", encoding="utf-8") as reserved:
        os.dup2(sys.stderr.fileno(), stdout.fileno())
        yield reserved


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
