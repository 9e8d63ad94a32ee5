"""The picture says which frame it is, which frame the prediction is, and where the error lies."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QImage

from jepa_core.types import frozen
from tests.widgets.builders import make_checkpoint, make_frame, make_inspection
from widgets.colormaps import Scale, error_table
from widgets.frame_view import FrameView
from widgets.frame_words import square_words


@pytest.fixture
def view(qtbot) -> FrameView:
    made = FrameView()
    qtbot.addWidget(made)
    made.resize(1000, 640)
    made.show()
    made.show_state("live")
    return made


def at_frame(view: FrameView, x: float, y: float) -> QPoint:
    """Widget position of a place in frame pixels, by the layout a person sees: centred between two 40-px strips."""
    frame = view.frame
    assert frame is not None
    height, width, _ = frame.rgb.shape
    scale = min((view.width() - 24) / width, (view.height() - 80) / height)
    left, top = (view.width() - width * scale) / 2, (view.height() - height * scale) / 2
    return QPoint(round(left + x * scale), round(top + y * scale))


def pixel(view: FrameView, at: QPoint) -> NDArray[np.int64]:
    color = view.grab().toImage().convertToFormat(QImage.Format.Format_RGB888).pixelColor(at)
    return np.array([color.red(), color.green(), color.blue()])


def test_header_counts_how_stale_the_prediction_is(view: FrameView) -> None:
    view.show_frame(make_frame(243_118))
    view.show_inspection(make_inspection(243_117, rule="future"))

    words = view.header_text().replace("\N{NO-BREAK SPACE}", " ")

    assert words == "frame 243 118 · prediction of frames 243 114–117 · stale, 1 frame"


def test_header_is_not_stale_when_the_numbers_are_equal(view: FrameView) -> None:
    view.show_frame(make_frame(50))
    view.show_inspection(make_inspection(50, rule="future"))
    assert "stale" not in view.header_text()


def test_a_prediction_of_later_frames_is_said_too(view: FrameView) -> None:
    view.show_frame(make_frame(40))
    view.show_inspection(make_inspection(50, rule="future"))
    assert "10 frames ahead" in view.header_text()


def test_header_says_when_there_is_no_prediction_yet(view: FrameView) -> None:
    view.set_title("RECORDED")
    view.show_frame(make_frame(7))
    assert view.header_text() == "RECORDED · frame 7 · no prediction yet"


def test_footer_says_surprise_place_and_the_trivial_baseline(view: FrameView) -> None:
    view.show_frame(make_frame())
    view.show_inspection(make_inspection(rule="future"))
    assert view.footer_text() == "Surprise 0.42 · strongest upper centre · frame difference says 0.06"


@pytest.mark.parametrize("kind", ["slots", "global"])
def test_a_layout_without_places_gets_no_map(view: FrameView, kind: str) -> None:
    shape = (8, 7, 1) if kind == "slots" else (8, 1, 1)
    view.show_frame(make_frame())
    view.set_layers(set())
    view.show_inspection(make_inspection(kind=kind, rule="future", shape=shape))
    without = view.grab().toImage()

    view.set_layers({"error", "masks"})

    assert view.grab().toImage() == without
    assert "no map" in view.footer_text()
    assert view.token_words(0, 0) is None


def test_error_lies_over_the_square_the_model_saw(view: FrameView) -> None:
    frame = replace(make_frame(), rgb=frozen(np.zeros((360, 640, 3), np.uint8)))
    look = make_inspection(rule="future")
    error = np.full(look.layout.shape, np.nan, np.float32)
    error[-1] = 0.0
    error[-1, 3, 12] = 1.0
    view.set_layers({"error"})
    view.show_frame(frame)
    view.show_inspection(replace(look, error=frozen(error.reshape(-1))))

    side = 360 / 16  # the crop is 360 px at x = 140, 16 tokens across
    hot = pixel(view, at_frame(view, 140 + 12.5 * side, 3.5 * side))
    left = pixel(view, at_frame(view, 140 + 11.5 * side, 3.5 * side))
    outside = pixel(view, at_frame(view, 60, 3.5 * side))

    red, green, blue, alpha = error_table("inferno")[-1].astype(float)
    assert np.allclose(hot, np.array([red, green, blue]) * alpha / 255, atol=3)
    assert left.max() == 0
    assert outside.max() == 0


def test_the_same_error_has_the_same_colour_whatever_else_is_in_the_look(view: FrameView) -> None:
    view.set_layers({"error"})
    view.show_frame(make_frame())
    quiet, loud = make_inspection(rule="future"), make_inspection(rule="future")
    louder = loud.error.copy()
    louder.reshape(loud.layout.shape)[-1, 12, 2] = 50.0
    at = at_frame(view, 140 + 8.5 * 22.5, 4.5 * 22.5)

    view.show_inspection(quiet)
    before = pixel(view, at)
    view.show_inspection(replace(loud, error=frozen(louder)))

    assert np.array_equal(pixel(view, at), before)


def test_cursor_tells_row_column_value_and_frames(view: FrameView, qtbot) -> None:
    view.show_frame(make_frame())
    look = make_inspection(243_117, rule="future")
    view.show_inspection(look)
    told: list[object] = []
    view.tokenHovered.connect(told.append)

    qtbot.mouseMove(view, at_frame(view, 140 + 6.5 * 22.5, 3.5 * 22.5))

    value = look.error.reshape(look.layout.shape)[-1, 3, 6]
    words = str(told[-1]).replace("\N{NO-BREAK SPACE}", " ")
    assert words == f"row 4, column 7: {value:.2f} of scale 0–1, predicted for frames 243 116–117"
    assert view.footer_text().replace("\N{NO-BREAK SPACE}", " ") == words


def test_a_token_that_was_shown_to_the_model_says_so(view: FrameView) -> None:
    view.show_frame(make_frame())
    view.show_inspection(make_inspection(rule="multiblock"))
    assert "nothing was predicted here" in str(view.token_words(0, 0))


def test_dragging_with_the_region_tool_gives_frame_pixels(view: FrameView, qtbot) -> None:
    view.show_frame(make_frame())
    view.set_region_tool(True)
    first, last = at_frame(view, 100, 50), at_frame(view, 260, 170)

    with qtbot.waitSignal(view.regionDrawn) as drawn:
        qtbot.mousePress(view, Qt.MouseButton.LeftButton, pos=first)
        qtbot.mouseMove(view, last)
        qtbot.mouseRelease(view, Qt.MouseButton.LeftButton, pos=last)

    assert drawn.args[0] == pytest.approx((100, 50, 160, 120), abs=1.5)


def test_a_region_never_leaves_the_frame(view: FrameView, qtbot) -> None:
    view.show_frame(make_frame())
    view.set_region_tool(True)

    with qtbot.waitSignal(view.regionDrawn) as drawn:
        qtbot.mousePress(view, Qt.MouseButton.LeftButton, pos=at_frame(view, 600, 300))
        qtbot.mouseRelease(view, Qt.MouseButton.LeftButton, pos=QPoint(view.width() - 1, view.height() - 1))

    x, y, w, h = drawn.args[0]
    assert x + w <= 640.01
    assert y + h <= 360.01


def test_picture_is_shown_as_it_is(view: FrameView) -> None:
    view.show_frame(make_frame())  # its bright block is left of the middle, below the middle
    assert pixel(view, at_frame(view, 112, 240)).tolist() == pytest.approx([230, 80, 40], abs=2)


def test_a_shown_frame_is_borrowed_and_given_back(view: FrameView) -> None:
    class Pixels(np.ndarray):
        """An array that can be watched; a ring frame gives up its slot when it goes."""

    pixels = np.zeros((360, 640, 3), np.uint8).view(Pixels)
    pixels.setflags(write=False)
    watch = weakref.ref(pixels)
    view.show_frame(replace(make_frame(), rgb=pixels))
    del pixels
    gc.collect()
    assert watch() is not None

    view.show_frame(make_frame())
    gc.collect()

    assert watch() is None


def test_a_frame_is_reported_painted_once(view: FrameView, qtbot) -> None:
    painted: list[object] = []
    view.framePainted.connect(painted.append)
    frame = make_frame()
    view.show_frame(frame)

    view.grab()
    view.grab()

    assert painted == [frame]


def test_states_tell_a_sentence_and_offer_their_action(view: FrameView, qtbot) -> None:
    view.show_state("error", "The camera is gone.", "Plug it in again.", "Try now")
    button = view.findChild(type(view._notice._button))

    with qtbot.waitSignal(view.actionRequested) as asked:
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    assert asked.args == ["Try now"]
    assert view.accessibleDescription() == "The camera is gone. Plug it in again."


def test_text_twin_says_what_the_picture_shows(view: FrameView) -> None:
    view.set_checkpoint(make_checkpoint())
    view.show_frame(make_frame())
    view.show_inspection(make_inspection(rule="future"))
    assert "Surprise 0.42" in view.accessibleDescription()
    assert "upper centre" in view.accessibleDescription()


def test_square_says_the_size_this_look_was_made_at(view: FrameView) -> None:
    view.set_checkpoint(make_checkpoint())
    view.show_frame(make_frame())
    look = make_inspection(rule="future")

    view.show_inspection(look)

    side = look.layout.shape[2] * make_checkpoint().input.patch
    assert square_words(make_checkpoint(), look, hides_all=True)[-1] == f"saw {side} × {side}"


def test_a_rainbow_cannot_be_chosen(view: FrameView) -> None:
    with pytest.raises(ValueError, match="jet"):
        view.set_color_map("jet")


def test_scale_is_only_changed_from_outside(view: FrameView) -> None:
    view.show_frame(make_frame())
    view.show_inspection(make_inspection(rule="future"))
    view.set_scale(Scale(0.2, 0.8))
    assert "of scale 0.2–0.8" in str(view.token_words(4, 8))


def test_a_gap_is_said_in_words_and_nothing_lies_over_it(view: FrameView) -> None:
    frame = make_frame(50)
    gap = replace(frame, rgb=frozen(np.full_like(frame.rgb, 128)), is_gap=True)
    look = make_inspection(50, rule="future")
    view.show_frame(gap)
    view.show_inspection(look)
    corner = at_frame(view, look.layout.crop[0] + 20, look.layout.crop[1] + 20)

    assert "not kept" in view.description()
    assert pixel(view, corner).tolist() == [128, 128, 128]
    middle = view.grab(view.picture_rect().toRect().adjusted(150, 120, -150, -120)).toImage()
    assert any(middle.pixelColor(x, middle.height() // 2).lightness() < 60 for x in range(middle.width()))

    view.show_frame(frame)
    assert "not kept" not in view.description()
