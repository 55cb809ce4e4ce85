"""The languages of the texts that visitors see, and their catalogues (GNU gettext)."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from gettext import GNUTranslations

#: The name of the catalogues: ours, and those that an app adds.
DOMAIN: Final = "flask_openrouter"
#: English, which is in the sources, and the languages that have a folder in ``translations/``.
LANGUAGES: Final = ("en", "de", "es", "fr", "ja", "pt_BR", "zh_Hans")
_FOLDER: Final = str(Path(__file__).with_name("translations"))
#: Subtags of Chinese in traditional characters, for which there is no catalogue.
_TRADITIONAL: Final = {"hant", "hk", "mo", "tw"}
_DIGITS: Final = re.compile(r"1(\D?)234(\D)56")


def _(text: str) -> str:
    """Mark a text for the catalogues. It is translated where it is shown."""
    return text


# Translators: write this amount of US dollars as your language does. Only its digits are replaced.
_AMOUNT: Final = _("$1,234.56")


@dataclass(frozen=True, slots=True)
class Language:
    """One language and its texts. ``tag``: for HTML's ``lang`` (RFC 5646)."""

    tag: str
    #: For HTML's ``dir``: ``ltr`` or ``rtl``.
    direction: str = "ltr"
    catalogue: GNUTranslations | None = field(default=None, repr=False)

    def gettext(self, message: str) -> str:
        """Return this English text in this language; in English if no catalogue has it."""
        return message if self.catalogue is None else self.catalogue.gettext(message)

    def markup(self, message: str, **values: object) -> Markup:
        """Return this English text in this language as HTML, with each ``%(name)s`` filled in.

        Values are escaped, unless they are markup.
        """
        text = escape(self.gettext(message))
        return text % values if values else text

    def dollars(self, amount: float) -> str:
        """Return an amount of USD with two decimal places, as this language writes it."""
        example = self.gettext(_AMOUNT)
        marks = _DIGITS.search(example)
        if marks is None:
            return f"${amount:,.2f}"
        number = f"{amount:,.2f}".translate({ord(","): marks[1], ord("."): marks[2]})
        return example.replace(marks[0], number)


ENGLISH: Final = Language("en")


def match_language(tag: str) -> str | None:
    """Return which of :data:`LANGUAGES` serves the readers of this one, or None.

    ``tag``: a language tag or the name of a locale. Those of ``pt-PT`` get ``pt_BR``.
    """
    first, *others = re.split("[-_]", tag.strip().lower())
    if first == "zh" and "hans" not in others and _TRADITIONAL.intersection(others):
        return None
    return next((name for name in LANGUAGES if name.partition("_")[0] == first), None)


@lru_cache(maxsize=128)
def load_language(locale: str, folders: tuple[str, ...] = (), direction: str = "ltr") -> Language:
    """Return the language of a locale, such as ``pt_BR``; English if there is no catalogue for it.

    ``folders``: where the app may have catalogues, which come before ours; the last one wins.
    ``direction``: that of the locale.
    """
    # Only a visitor who needs it waits for the import.
    from gettext import GNUTranslations

    parts = locale.split("_")
    names = ["_".join(parts[: n + 1]) for n in range(len(parts))]
    # A locale may have any text behind "@", and the app may take it from the visitor.
    places = [(f, name) for name in names for f in folders if not re.search(r"[/\\]", name)]
    ours = match_language(locale)
    language = ENGLISH
    for folder, name in [(_FOLDER, ours or "en"), *places]:
        path = Path(folder, name, "LC_MESSAGES", f"{DOMAIN}.mo")
        # Not Path.is_file, which raises OSError for a name that is too long.
        if os.path.isfile(path):
            with path.open("rb") as file:
                catalogue = GNUTranslations(file)
            if language.catalogue is not None:
                catalogue.add_fallback(language.catalogue)
            is_own = folder != _FOLDER
            language = Language(name.replace("_", "-"), direction if is_own else "ltr", catalogue)
    return language
