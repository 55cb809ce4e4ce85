"""The catalogues: no text is missing in any, and each is compiled."""

from __future__ import annotations

import re
from functools import cache

import pytest
from babel.messages.extract import extract_from_file
from babel.messages.frontend import parse_keywords
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from cases import case
from catalogues import FOLDER, catalogue
from project_files import project_files

from flask_openrouter.languages import LANGUAGES

TRANSLATED = [name for name in LANGUAGES if name != "en"]
KEYWORDS = parse_keywords(["_", "gettext", "openrouter_text"])
#: The same in every language.
NAMES = ("SECRET_KEY", "OPENROUTER_CALLBACK_URL", "ProxyFix", "https", "localhost", "127.0.0.1")


@cache
def texts_in_the_code() -> set[str]:
    """Return every text that is marked in the package, as ``make translations`` finds them."""
    found = set()
    for path in project_files("flask_openrouter"):
        if path.suffix == ".py" or (path.parent.name == "openrouter" and path.suffix == ".html"):
            method = "python" if path.suffix == ".py" else "jinja2"
            for _, message, _, _ in extract_from_file(method, path, KEYWORDS):
                found.add(message if isinstance(message, str) else message[0])
    return found


def placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"%\(\w+\)s|%", text))


def test_every_language_has_a_catalogue() -> None:
    assert {path.name for path in FOLDER.iterdir() if path.is_dir()} == set(TRANSLATED)


def test_the_template_of_the_catalogues_has_every_text() -> None:
    with (FOLDER / "flask_openrouter.pot").open("rb") as file:
        template = {message.id for message in read_po(file) if message.id}
    assert template == texts_in_the_code(), "run: make translations"
    assert len(template) > 100


@pytest.mark.parametrize("name", TRANSLATED)
def test_a_catalogue_has_a_translation_of_every_text(name: str) -> None:
    translations = catalogue(name)
    assert set(translations) == texts_in_the_code(), "run: make translations"
    for text, translation in translations.items():
        with case(text, translation):
            assert translation.strip() == translation != ""
            assert placeholders(translation) == placeholders(text)
            assert text.endswith(".") == translation.endswith((".", "。"))
            assert [word for word in NAMES if word in text and word not in translation] == []


@pytest.mark.parametrize("name", TRANSLATED)
def test_a_compiled_catalogue_is_that_of_its_source(name: str) -> None:
    with (FOLDER / name / "LC_MESSAGES" / "flask_openrouter.mo").open("rb") as file:
        compiled = {message.id: message.string for message in read_mo(file) if message.id}
    assert compiled == catalogue(name), "run: make translations"
