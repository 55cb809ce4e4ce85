"""The catalogues of the extension, and some that an app adds to them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from project_files import ROOT

FOLDER: Final = ROOT / "flask_openrouter" / "translations"


def catalogue(name: str) -> dict[str, str]:
    """Return the translations in the source of one of our catalogues, by their English texts."""
    with (FOLDER / name / "LC_MESSAGES" / "flask_openrouter.po").open("rb") as file:
        messages = [message for message in read_po(file, locale=name) if message.id]
    assert not [message.id for message in messages if message.fuzzy]
    return {str(message.id): str(message.string) for message in messages}


def add_catalogue(folder: Path, locale: str, texts: Mapping[str, str]) -> str:
    """Write the compiled catalogue of an app for a locale, and return the folder."""
    added = Catalog()
    for message, translation in texts.items():
        added.add(message, translation)
    path = folder / locale / "LC_MESSAGES" / "flask_openrouter.mo"
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        write_mo(file, added)
    return str(folder)
