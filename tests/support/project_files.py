"""The files that make up the project."""

from __future__ import annotations

import ast
import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
#: Made by tools, or other people's words.
_NOT_OURS: Final = {"node_modules", "dist", "build", "_build", "htmlcov", "__pycache__"}


def project_files(*below: str) -> list[Path]:
    """Return every file of the project, tracked or not yet, below these top-level names."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout.decode()
        paths = [ROOT / name for name in listed.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        # An unpacked archive.
        paths = [path for path in ROOT.rglob("*") if not _is_hidden(path)]
    wanted = {ROOT / name for name in below}
    return sorted(
        path for path in paths if path.is_file() and (not wanted or wanted & {path, *path.parents})
    )


def texts(*below: str) -> Iterator[tuple[Path, str]]:
    """Yield the project's text files below these names, with their contents."""
    for path in project_files(*below):
        try:
            yield path, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


@functools.cache
def tree_of(path: Path) -> ast.Module:
    """Return the syntax tree of a Python file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def _is_hidden(path: Path) -> bool:
    parts = path.relative_to(ROOT).parts
    return any(part in _NOT_OURS or part.startswith(".") for part in parts)
