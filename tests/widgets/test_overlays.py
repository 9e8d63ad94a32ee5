"""Overlays: golden colours, outlines that enclose what they should, and the way from tokens to pixels and back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PySide6.QtCore import QPointF, QRectF

from jepa_core.types import MaskSet, TokenLayout, frozen
from tests.widgets.builders import make_inspection
from widgets import overlays
from widgets.colormaps import Scale, color_error, error_table, table
from widgets.overlays.base import OVERLAYS, Stage, newest_step, predicted_frames, strongest_words, target_map
from widgets.overlays.error import ErrorOverlay
from widgets.overlays.masks import MasksOverlay
from widgets.theme import Theme


def test_golden_colours_of_the_error_scale() -> None:
    error = np.array([[0.0, 0.5, 1.0, np.nan, 7.0]], np.float32)

    colored = color_error(error, Scale(0.0, 1.0))

    assert colored[0, 0, 3] == 0  # what was expected is transparent
    assert colored[0, 1].tolist() == [*table("inferno")[127].tolist(), 198]
    assert colored[0, 2].tolist() == [*table("inferno")[255].tolist(), 199]
    assert colored[0, 3].tolist() == [0, 0, 0, 0]  # nothing was predicted
    assert (
        colored[0, 4].tolist() == colored[0, 2].tolist()
    )  # above the scale: last colour, hatched by the overlay


def test_alpha_and_lightness_only_rise() -> None:
    for name in ("inferno", "cividis"):
        alpha = error_table(name)[:, 3].astype(int)
        light = table(name).astype(float) @ [0.2126, 0.7152, 0.0722]
        assert (np.diff(alpha) >= 0).all()
        assert (np.diff(light) > -0.6).all()


def test_no_rainbow_is_reachable() -> None:
    for name in ("jet", "turbo", "hsv", "CET-R4"):
        with pytest.raises(ValueError, match=name):
            table(name)


def test_every_overlay_file_has_its_line() -> None:
    from importlib import import_module
    from pathlib import Path

    files = {path.stem for path in Path(overlays.__file__).parent.glob("*.py")} - {"__init__", "base"}
    assert files == set(OVERLAYS)
    for target in OVERLAYS.values():
        module, _, name = target.partition(":")
        assert callable(getattr(import_module(module), name))


@pytest.mark.parametrize("kind", ["slots", "global"])
def test_layouts_without_places_have_no_picture(qapp, kind: str) -> None:
    look = make_inspection(kind=kind, rule="future", shape=(8, 7, 1) if kind == "slots" else (8, 1, 1))
    error, masks = ErrorOverlay(), MasksOverlay()

    error.prepare(look)
    masks.prepare(look)

    assert error.image(Scale(), "inferno") is None
    assert masks.outline() == []
    assert target_map(look) is None


def test_error_shows_the_newest_step_that_has_values(qapp) -> None:
    look = make_inspection(rule="future")
    error = look.error.reshape(look.layout.shape).copy()
    error[-1] = np.nan
    error[-2] = 0.25
    older = replace(look, error=frozen(error.reshape(-1)))
    overlay = ErrorOverlay()

    overlay.prepare(older)
    shown = overlay.image(Scale(), "inferno")

    assert newest_step(older) == 6
    assert shown is not None
    assert (shown[..., :3] == table("inferno")[63]).all()
    assert predicted_frames(older) == older.clip[12:14]


def test_strongest_place_is_told_in_words() -> None:
    look = make_inspection(rule="future")
    error = np.zeros(look.layout.shape, np.float32)
    for place, words in (
        ((0, 0), "upper left"),
        ((8, 8), "centre"),
        ((15, 15), "lower right"),
        ((8, 0), "left"),
    ):
        error[:] = 0
        error[(-1, *place)] = 1
        assert strongest_words(replace(look, error=frozen(error.reshape(-1).copy()))) == words


@given(hidden=arrays.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_outline_is_exactly_the_border_between_hidden_and_shown(hidden: np.ndarray) -> None:
    rows, columns = hidden.shape
    flat = frozen(np.flatnonzero(hidden).astype(np.int32))
    look = replace(
        make_inspection(),
        layout=TokenLayout("grid", (1, rows, columns), 2, (0.0, 0.0, 1.0, 1.0)),
        masks=MaskSet(flat, (flat,), 0),
    )
    overlay = MasksOverlay()

    overlay.prepare(look)

    padded = np.pad(hidden, 1).astype(int)
    border = np.abs(np.diff(padded, axis=0)).sum() + np.abs(np.diff(padded, axis=1)).sum()
    assert sum(line.length() for line in overlay.outline()) == pytest.approx(border)


@given(
    row=st.integers(0, 23),
    column=st.integers(0, 23),
    crop=st.tuples(st.floats(0, 500), st.floats(0, 300), st.floats(64, 800), st.floats(64, 800)),
    picture=st.tuples(st.floats(0, 90), st.floats(0, 90), st.floats(50, 2000), st.floats(50, 2000)),
)
def test_tokens_map_to_pixels_and_back(row: int, column: int, crop: tuple, picture: tuple) -> None:
    layout = TokenLayout("grid", (8, 24, 24), 2, crop)
    stage = Stage(QRectF(*picture), (1280, 720), Theme(), Scale(), "inferno", frozenset())
    transform = stage.token_transform(layout)

    on_screen = transform.map(QPointF(column + 0.5, row + 0.5))
    in_frame = stage.to_frame(on_screen)
    back = transform.inverted()[0].map(on_screen)

    assert (int(back.x()), int(back.y())) == (column, row)
    assert in_frame.x() == pytest.approx(crop[0] + (column + 0.5) * crop[2] / 24, abs=1e-3)
    assert in_frame.y() == pytest.approx(crop[1] + (row + 0.5) * crop[3] / 24, abs=1e-3)
