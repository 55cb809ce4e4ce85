"""The programs that ``make clients`` runs against the emulator."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

DRIVERS: Final = Path(__file__).parent / "drivers"


@dataclass(frozen=True)
class Program:
    """A program of others, and the driver that runs it.

    :param requirement: the package and its version, as pip (``name==1.0``) or npm (``name@1.0``)
        write it.
    :param driver: the script below ``drivers/``. Its ending decides between Python and Node.
    :param others: more packages that the driver needs.
    :param is_quick: whether CI runs it.
    """

    requirement: str
    driver: str
    others: tuple[str, ...] = ()
    is_quick: bool = False

    @property
    def name(self) -> str:
        """The name of the package."""
        return self.requirement[: -len(self.version)].rstrip("=@").partition("[")[0]

    @property
    def version(self) -> str:
        """The version of the package."""
        return self.requirement.replace("==", "@").rpartition("@")[2]

    @property
    def is_node(self) -> bool:
        """Whether it is an npm package."""
        return self.driver.endswith(".mjs")

    @property
    def path(self) -> Path:
        """The driver."""
        return DRIVERS / self.driver


PROGRAMS: Final = (Program("openai==3.57.0", "openai_package.py", is_quick=True),)
