"""Copy the project with links for a package index: ``published.py REPOSITORY TARGET``.

An index shows the README alone, so its links to files of the project become addresses below the
repository, at the tag of this version; and ``[project.urls]`` is filled. ``make wheel`` does this
if ``REPOSITORY`` is set in the Makefile.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
URLS = """
[project.urls]
Source = "{repository}"
Documentation = "{files}/docs/index.md"
Changes = "{files}/CHANGES.md"
Issues = "{repository}/issues"
"""


def publish(repository: str, target: Path) -> None:
    """Copy the files of the project to an empty folder, with addresses below ``repository``."""
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)  # noqa: S603
    for name in filter(None, listed.stdout.split("\0")):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target / name)
    code = (target / "flask_openrouter" / "__init__.py").read_text(encoding="utf-8")
    (version,) = re.findall(r'^__version__ = "(.+)"', code, re.M)
    repository = repository.rstrip("/")
    readme = target / "README.md"
    readme.write_text(absolute(readme.read_text(encoding="utf-8"), repository, version), "utf-8")
    urls = URLS.format(repository=repository, files=f"{repository}/blob/v{version}")
    with (target / "pyproject.toml").open("a", encoding="utf-8") as project:
        project.write(urls)


def absolute(text: str, repository: str, version: str) -> str:
    """Return Markdown in which no link and no picture is relative."""

    def replace(match: re.Match[str]) -> str:
        kind = "raw" if match[1] else "blob"
        return f"{match[1]}[{match[2]}]({repository}/{kind}/v{version}/{match[3]})"

    return re.sub(r"(!?)\[([^\]]*)\]\((?![a-z]+:|#)([^)]+)\)", replace, text)


if __name__ == "__main__":
    publish(sys.argv[1], Path(sys.argv[2]))
