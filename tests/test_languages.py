"""The languages: which one serves whom, where its texts come from, and how it writes amounts."""

from __future__ import annotations

from pathlib import Path

import pytest
from babel.numbers import format_currency
from cases import case
from catalogues import add_catalogue
from markupsafe import Markup

from flask_openrouter.languages import ENGLISH, LANGUAGES, load_language, match_language


def test_a_language_serves_its_readers_everywhere() -> None:
    for tag, name in {
        "de": "de",
        "de-AT": "de",
        "DE_ch": "de",
        "en-GB": "en",
        "ja-JP-u-ca-japanese": "ja",
        "pt": "pt_BR",
        "pt-BR": "pt_BR",
        "pt-PT": "pt_BR",
        "zh": "zh_Hans",
        "zh-CN": "zh_Hans",
        "zh-SG": "zh_Hans",
        "zh_Hans_CN": "zh_Hans",
        "zh-Hans-HK": "zh_Hans",
        "zh-TW": None,
        "zh-Hant": None,
        "zh-Hant-HK": None,
        "it": None,
        "den": None,
        "*": None,
        "": None,
    }.items():
        assert match_language(tag) == name, tag


def test_a_language_has_a_tag_for_html() -> None:
    tags = [load_language(name).tag for name in LANGUAGES]
    assert tags == ["en", "de", "es", "fr", "ja", "pt-BR", "zh-Hans"]
    assert {load_language(name).direction for name in LANGUAGES} == {"ltr"}
    assert load_language("it") is load_language("en_GB") is ENGLISH


@pytest.mark.parametrize("name", LANGUAGES)
def test_an_amount_is_written_as_in_the_language(name: str) -> None:
    language = load_language(name)
    for amount in (0.01, 12.5, 12_345.67, 1_234_567.0):
        assert language.dollars(amount) == format_currency(amount, "USD", locale=name)


def test_a_text_becomes_html_only_where_markup_is_meant() -> None:
    assert ENGLISH.markup("Fish & chips") == Markup("Fish &amp; chips")
    text = ENGLISH.markup("%(a)s < %(b)s", a="<b>", b=Markup("<i>"))
    assert text == Markup("&lt;b&gt; &lt; <i>")


def test_the_apps_catalogues_come_before_ours(tmp_path: Path) -> None:
    one = add_catalogue(tmp_path / "one", "de", {"Continue": "Los", "Connect": "Verbinde"})
    two = add_catalogue(tmp_path / "two", "de", {"Continue": "Auf"})
    add_catalogue(tmp_path / "two", "pt_PT", {"Continue": "Prosseguir"})
    german = load_language("de_AT", (one, two))
    texts = [german.gettext(text) for text in ("Continue", "Connect", "Disconnect", "Unknown")]
    assert (german.tag, texts) == ("de", ["Auf", "Verbinde", "Trennen", "Unknown"])
    portuguese = load_language("pt_PT", (one, two))
    assert portuguese.tag == "pt-PT"
    assert portuguese.gettext("Continue") == "Prosseguir"
    assert portuguese.gettext("Disconnect") == "Desconectar"
    assert load_language("de").gettext("Continue") == "Weiter"


def test_an_app_adds_a_language(tmp_path: Path) -> None:
    folder = add_catalogue(tmp_path, "ar", {"Continue": "متابعة", "$1,234.56": "كذا"})
    arabic = load_language("ar_EG", (folder,), "rtl")
    assert (arabic.tag, arabic.direction, arabic.gettext("Continue")) == ("ar", "rtl", "متابعة")
    with case("a form of amounts that has no number"):
        assert arabic.dollars(1234.5) == "$1,234.50"
    with case("the texts are English, so their direction is"):
        assert load_language("he", (folder,), "rtl") is ENGLISH
