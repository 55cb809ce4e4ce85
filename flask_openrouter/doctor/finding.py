"""What a check finds out: a code that stays the same, how bad it is, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeVar

from ..errors import ConfigurationError

Subject = TypeVar("Subject")

#: In the message of a ConfigurationError, between what is wrong and what to do about it.
_BEFORE_REMEDY: Final = re.compile(r"\. |: (?=pip install )")


class Severity(str, Enum):
    """How bad a finding is. A problem breaks or endangers logins; a warning may be on purpose."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """One finding. No secret is in it: neither a key, nor the password of an address."""

    code: str
    severity: Severity
    #: What is so, in one sentence.
    title: str
    #: What to do, or None when all is well.
    remedy: str | None = None


def ok(code: str, title: str) -> Finding:
    """Return a finding that is worth telling, and no reason to act."""
    return Finding(code, Severity.OK, title)


def warning(code: str, title: str, remedy: str) -> Finding:
    """Return what may be wrong, or is only right in some places."""
    return Finding(code, Severity.WARNING, title, remedy)


def problem(code: str, title: str, remedy: str) -> Finding:
    """Return what breaks or endangers a login."""
    return Finding(code, Severity.PROBLEM, title, remedy)


@dataclass(frozen=True)
class Result:
    """What one check found. ``name`` stays the same; ``title`` is for people."""

    name: str
    title: str
    findings: tuple[Finding, ...]

    @property
    def severity(self) -> Severity:
        """The worst of its findings."""
        found = {finding.severity for finding in self.findings}
        for severity in (Severity.PROBLEM, Severity.WARNING):
            if severity in found:
                return severity
        return Severity.OK


def examine(
    name: str, title: str, check: Callable[[Subject], Iterable[Finding]], subject: Subject
) -> Result:
    """Run a check to its end. One that fails is a finding too: the others go on."""
    return Result(name, title, tuple(_run(check, subject)))


def misconfiguration(error: ConfigurationError) -> Finding:
    """Return the finding that a setting is wrong. Such an error names it, and never its value."""
    title, *remedy = _BEFORE_REMEDY.split(str(error), maxsplit=1)
    sentence = title if title.endswith((".", "?")) else f"{title}."
    return problem("configuration", sentence, remedy[0] if remedy else "Correct this setting.")


def _run(check: Callable[[Subject], Iterable[Finding]], subject: Subject) -> Iterator[Finding]:
    try:
        yield from check(subject)
    except ConfigurationError as error:
        yield misconfiguration(error)
    except Exception as error:
        # Not the message: it may quote an address with its password.
        yield problem(
            "check_failed",
            f"This could not be examined: {type(error).__name__} at {place_of(error)}.",
            "Correct what raises it, and run the doctor again.",
        )


def place_of(error: BaseException) -> str:
    """Return the file and line that raised an error."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "?" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
