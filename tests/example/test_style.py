"""Colours that everybody can read (WCAG 2.2, 1.4.3 and 1.4.11)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CSS = (Path(__file__).parents[2] / "example_app/static/chat.css").read_text()
LIGHT, DARK = (dict(re.findall(r"--([\w-]+): (#\w{6});", part)) for part in CSS.split("@media")[:2])

TEXT = [
    ("ink", "page"),
    ("ink", "surface"),
    ("ink", "sunken"),
    ("ink", "mine"),
    ("ink", "warn"),
    ("ink", "ribbon"),
    ("soft", "page"),
    ("soft", "surface"),
    ("accent", "page"),
    ("on-accent", "accent"),
    ("on-accent", "accent-strong"),
]
CONTROLS = [("control", "page"), ("control", "surface"), ("accent", "surface")]


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_controls_stand_out(theme: dict[str, str]) -> None:
    assert set(LIGHT) == set(DARK)
    for least, pairs in ((4.5, TEXT), (3, CONTROLS)):
        for front, back in pairs:
            assert contrast(theme[front], theme[back]) >= least, (front, back)
