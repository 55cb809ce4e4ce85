"""Findings of a check: a stable code, a severity, and a remedy."""

from __future__ import annotations

import os
import re
import sysconfig
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeVar

from ..errors import ConfigurationError

Subject = TypeVar("Subject")

#: Folders of code that is not the app's.
_LIBRARIES: Final = (
    *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
    os.path.dirname(os.path.dirname(__file__)),
    "<frozen ",
)
#: Separates the mistake from the remedy in the message of a ConfigurationError.
_BEFORE_REMEDY: Final = re.compile(r"\. |: (?=pip install )")


class Severity(str, Enum):
    """A severity. A problem breaks or endangers logins; a warning may be intended."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """One finding. It contains no secret: neither a key nor the password in a URL."""

    code: str
    severity: Severity
    #: The finding in one or two sentences.
    title: str
    #: What to do, or None when nothing is wrong.
    remedy: str | None = None


def ok(code: str, title: str) -> Finding:
    """Return a finding that informs and needs no action."""
    return Finding(code, Severity.OK, title)


def warning(code: str, title: str, remedy: str) -> Finding:
    """Return a finding that may be intended, or is only wrong in some environments."""
    return Finding(code, Severity.WARNING, title, remedy)


def problem(code: str, title: str, remedy: str) -> Finding:
    """Return a finding that breaks or endangers logins."""
    return Finding(code, Severity.PROBLEM, title, remedy)


@dataclass(frozen=True)
class Result:
    """The findings of one check. ``name`` is stable; ``title`` is for people."""

    name: str
    title: str
    findings: tuple[Finding, ...]

    @property
    def severity(self) -> Severity:
        """The worst severity of the findings."""
        found = {finding.severity for finding in self.findings}
        for severity in (Severity.PROBLEM, Severity.WARNING):
            if severity in found:
                return severity
        return Severity.OK


def run_check(
    name: str, title: str, check: Callable[[Subject], Iterable[Finding]], subject: Subject
) -> Result:
    """Run a check to its end. If it raises, that is a finding too, and other checks can go on."""
    return Result(name, title, tuple(_findings_of(check, subject)))


def misconfiguration(error: ConfigurationError) -> Finding:
    """Return the finding for a wrong setting. The error names the setting and never its value."""
    title, *remedy = _BEFORE_REMEDY.split(str(error), maxsplit=1)
    sentence = title if title.endswith((".", "?")) else f"{title}."
    return problem("configuration", sentence, remedy[0] if remedy else "Correct this setting.")


def location_of(error: BaseException) -> str:
    """Return the file and line that raised an error: the app's own, if it took part."""
    places = [
        (frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    own = [place for place in places if not place[0].startswith(_LIBRARIES)]
    return "{}:{}".format(*(own or places or [("?", 0)])[-1])


def _findings_of(
    check: Callable[[Subject], Iterable[Finding]], subject: Subject
) -> Iterator[Finding]:
    try:
        yield from check(subject)
    except ConfigurationError as error:
        yield misconfiguration(error)
    except (Exception, SystemExit) as error:
        # Without the message: it may quote a URL with its password.
        yield problem(
            "check_failed",
            f"This check failed: {type(error).__name__} at {location_of(error)}.",
            "Correct what raises it, and run the doctor again.",
        )
