"""Contrast of colours (WCAG 2.2, 1.4.3 and 1.4.11), and length of files.

The colours that are mixed from the accent are tested in a browser.
"""

from __future__ import annotations

import re

from project_files import ROOT, project_files

APP = ROOT / "example_app"
CSS = (APP / "static/base.css").read_text()
BRAND = (APP / "static/brand.css").read_text()
PAIR = r"--(?:openrouter-)?([\w-]+): light-dark\((#\w{6}), (#\w{6})\);"
PAIRS = re.findall(PAIR, BRAND + CSS)
LIGHT, DARK = ({pair[0]: pair[theme] for pair in PAIRS} for theme in (1, 2))

TEXT = [
    *[("ink", on) for on in ("page", "surface", "sunken", "warn")],
    *[("soft", on) for on in ("page", "surface", "sunken")],
    *[(name, "sunken") for name in LIGHT if name.startswith("code-")],
    ("accent", "page"),
    *[("danger", on) for on in ("page", "surface", "sunken")],
]
CONTROLS = [("control", "page"), ("control", "surface"), ("accent", "surface"), ("accent", "page")]


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_text_and_controls_have_enough_contrast() -> None:
    assert len(LIGHT) > 15
    for theme in (LIGHT, DARK):
        for least, pairs in ((4.5, TEXT), (3, CONTROLS)):
            for front, back in pairs:
                assert contrast(theme[front], theme[back]) >= least, (front, back, theme)


def test_no_file_of_the_example_is_long() -> None:
    lengths = {p.name: len(p.read_text().splitlines()) for p in project_files("example_app")}
    assert len(lengths) > 30
    assert {name: length for name, length in lengths.items() if length > 200} == {}


def test_style_sheets_and_scripts_load_nothing_from_elsewhere() -> None:
    for path in (*APP.glob("static/*.css"), *APP.glob("static/*.js")):
        text = path.read_text()
        assert "@import" not in text
        assert "url(" not in text
        assert not re.search(r"https?://\w", text), path
