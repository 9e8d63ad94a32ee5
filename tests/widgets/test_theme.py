"""Contrast, colour-blind distance of the marks, and that no colour is written anywhere else."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QApplication, QLabel

from tests.widgets.vision import cie_distance, simulate
from widgets import theme
from widgets.marks import MARKS
from widgets.theme import Theme, contrast

WIDGETS = Path(theme.__file__).parent
GROUNDS = ("background", "panel", "raised")
TEXTS = (
    "text", "dim", "heading", "accent_text", "ok", "bad", "flag_text", "near_miss_text", "override_text", "health_text",
)  # fmt: skip
EVENTS = ("near_miss", "override", "flag", "bookmark", "health", "good", "review")


@pytest.mark.parametrize("name", ["dark", "light"])
def test_every_text_colour_is_readable_on_every_ground(name: str) -> None:
    tokens = Theme(name).tokens
    poor = [
        (text, ground, round(contrast(getattr(tokens, text), getattr(tokens, ground)), 2))
        for text in TEXTS
        for ground in (*GROUNDS, "chip")
        if contrast(getattr(tokens, text), getattr(tokens, ground)) < 4.5
    ]
    assert poor == []


@pytest.mark.parametrize("name", ["dark", "light"])
def test_words_on_coloured_controls_are_readable(name: str) -> None:
    tokens = Theme(name).tokens

    assert contrast(tokens.on_accent, tokens.accent) >= 4.5
    assert contrast(tokens.ink_light, tokens.override) >= 4.5
    assert contrast(tokens.text, tokens.selection) >= 4.5
    assert contrast(tokens.text, tokens.pressed) >= 4.5


@pytest.mark.parametrize("name", ["dark", "light"])
def test_every_mark_stands_out_by_its_fill_or_its_outline(name: str) -> None:
    tokens = Theme(name).tokens
    for style in MARKS.values():
        edge = style.text_token if style.is_hollow else "mark_outline"
        best = max(contrast(getattr(tokens, role), tokens.panel) for role in (style.token, edge))
        assert best >= 3, style.word
    for role in ("signal", "border", "accent"):
        assert contrast(getattr(tokens, role), tokens.panel) >= 3, role


@pytest.mark.parametrize("eyes", ["normal", "protan", "deutan", "tritan"])
def test_event_colours_differ_for_every_pair_of_eyes(eyes: str) -> None:
    tokens = Theme().tokens
    seen = {role: simulate(_rgb(getattr(tokens, role)), eyes) for role in EVENTS}
    nearest = min(cie_distance(seen[a], seen[b]) for a, b in combinations(EVENTS, 2))
    assert nearest >= 10


def test_every_mark_has_its_own_shape_or_hollowness_and_word() -> None:
    people = [
        MARKS[kind]
        for kind in ("near_miss", "override", "flag", "bookmark", "fault", "good", "review", "note")
    ]
    assert len({(mark.shape, mark.is_hollow) for mark in people}) == len(people)
    assert len({mark.word for mark in people}) == len(people)


def test_no_colour_is_written_outside_the_theme() -> None:
    literal = re.compile(r"""["']#[0-9a-fA-F]{3,8}["']|QColor\(\s*["'0-9]|Qt\.GlobalColor\.(?!transparent)""")
    found = [
        f"{path.name}:{n}"
        for path in sorted(WIDGETS.rglob("*.py"))
        if path.name != "theme.py"
        for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if literal.search(line)
    ]
    assert found == []


def test_style_sheet_has_no_unfilled_place() -> None:
    for name in ("dark", "light"):
        assert re.findall(r"@\w*@?", theme.stylesheet(Theme(name, 1.5))) == []


def test_bundled_fonts_are_found_and_small(qapp: QApplication) -> None:
    assert {theme.SANS, theme.MONO} <= set(theme.load_fonts())
    assert sum(path.stat().st_size for path in theme.FONT_DIRECTORY.iterdir()) < 3_000_000
    assert {path.name for path in theme.FONT_DIRECTORY.glob("LICENSE*")}


def test_zoom_stays_within_its_range_and_unknown_themes_are_refused() -> None:
    assert (Theme(zoom=9).zoom, Theme(zoom=0.1).zoom) == (2.0, 0.8)
    with pytest.raises(ValueError, match="sepia"):
        Theme("sepia")


def test_a_change_of_theme_reaches_a_widget_once(qtbot, qapp: QApplication) -> None:
    theme.apply(qapp, Theme())
    words, seen = QLabel("x"), []
    qtbot.addWidget(words)
    theme.follow(words, seen.append)

    theme.apply(qapp, Theme("light", 1.5))
    theme.apply(qapp, Theme())

    assert [(item.name, item.zoom) for item in seen] == [("dark", 1.0), ("light", 1.5), ("dark", 1.0)]


def _rgb(name: str) -> NDArray[np.float64]:
    color = QColor(name)
    return np.array([color.redF(), color.greenF(), color.blueF()])
