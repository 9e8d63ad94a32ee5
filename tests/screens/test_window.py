"""The whole window in every state, theme and size: not blank, nothing wider than the window, texts not cut.

Pictures are checked by numbers: how many colours, where the picture is, whether a label has room for its words.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication, QLabel, QPushButton

from console import notices
from jepa_core.errors import KeysDiffer, SourceLost
from jepa_core.types import LatentBasis, LatentView, frozen
from tests.helpers.pipeline import make_report, make_source
from tests.helpers.window import open_window, watch

SIZES = [(1280, 720, 1.0), (1280, 720, 1.5), (1920, 1080, 1.0), (1920, 1080, 1.5)]


def start(qtbot, window, pipeline):
    qtbot.waitUntil(lambda: window.start_page.isVisible())


def empty(qtbot, window, pipeline):
    window.commands["screen_live"].trigger()


def live(qtbot, window, pipeline):
    watch(qtbot, window, pipeline, "video")


def recording(qtbot, window, pipeline):
    watch(qtbot, window, pipeline, "world", is_live=True, is_seekable=False)
    pipeline.start_recording("/recordings")
    qtbot.waitUntil(lambda: window.state.recording is not None)
    window.records.near_miss()


def replay(qtbot, window, pipeline):
    watch(qtbot, window, pipeline, "session")


def latents(qtbot, window, pipeline):
    watch(qtbot, window, pipeline, "video")
    window.commands["layer_projection"].trigger()
    frame = pipeline.script_frame()
    n = 4 * 64
    colors = np.random.default_rng(0).integers(0, 256, (n, 3), dtype=np.uint8)
    basis = LatentBasis("3fa96c01be77", (0.41, 0.17, 0.09), 384, -1, (12, 12))
    look = replace(pipeline.script_look(frame), view=LatentView("pca"), colors=frozen(colors), basis=basis)
    pipeline.looks.take()
    pipeline.looks.put(look)
    qtbot.waitUntil(lambda: window.panels["picture"].inspection is look)


def similarity(qtbot, window, pipeline):
    watch(qtbot, window, pipeline, "video")
    window.commands["layer_similarity"].trigger()
    qtbot.waitUntil(lambda: cut_texts(window) == [])  # the docks make room on timers of their own


def lost(qtbot, window, pipeline):
    watch(qtbot, window, pipeline, "video")
    error = SourceLost(
        "clip.mp4: the file ends in the middle of a picture.", "Copy it again; what was read is shown."
    )
    pipeline.say(notices.SourceFailed("clip.mp4", error))
    qtbot.waitUntil(lambda: bool(window.desk.banner.codes()))


def refused(qtbot, window, pipeline):
    pipeline.script_source(make_source("video"))
    report = make_report(matched=300, missing=tuple(f"predictor.blocks.{n}.norm1.weight" for n in range(12)))
    error = KeysDiffer(
        "12 of 24 predictor blocks are missing from this file.", "Choose the 12-block config.", report=report
    )
    pipeline.say(notices.CheckpointRefused("/models/vitl.pt", error))
    qtbot.waitUntil(lambda: bool(window.desk.banner.codes()))


def loading(qtbot, window, pipeline):
    pipeline.script_source(make_source("video"))
    pipeline.load_checkpoint("/models/vitl.pt")
    qtbot.waitUntil(lambda: window.models.is_loading)


def sheet_good(qtbot, window, pipeline):
    watch(qtbot, window, pipeline, "video")
    window.files.open("/models/vitl.pt")
    pipeline.script_examined(
        marks=("a 3-D patch embedding and rotary blocks",), device_free_bytes=22 << 30,
        forecasts={"256 px, 64 frames, float32": 6 << 30, "256 px, 16 frames, bfloat16": 1 << 30},
        assumed={"encoder heads": "16 (table of released sizes, by width and depth)"},
    )  # fmt: skip
    qtbot.waitUntil(lambda: window.sheet.sheet.state == "examined")


def sheet_refused(qtbot, window, pipeline):
    window.files.open("/models/half.pt")
    error = KeysDiffer("12 of 24 predictor blocks are missing from this file.", "Ask for the complete file.")
    names = tuple(f"predictor/blocks.{n}.norm1.weight" for n in range(12, 24))
    pipeline.script_examined(error, matched=444, missing=names)
    qtbot.waitUntil(lambda: window.sheet.sheet.state == "refused")


def sheet_loading(qtbot, window, pipeline):
    sheet_good(qtbot, window, pipeline)
    window.sheet.load()
    qtbot.waitUntil(lambda: window.models.is_loading)


def models(qtbot, window, pipeline):
    window.commands["screen_models"].trigger()
    notice = window.models_page.library.list._notice
    qtbot.waitUntil(lambda: "No checkpoint" in notice._text.text(), timeout=20_000)


def released(qtbot, window, pipeline):
    window.commands["models_released"].trigger()
    qtbot.waitUntil(lambda: bool(window.models_page.released.list.shown()))


def claims(qtbot, window, pipeline):
    pipeline.script_checkpoint()
    window.commands["models_claims"].trigger()
    qtbot.waitUntil(lambda: window.models_page.claims.system() == "V-JEPA 2")


STATES = [
    start,
    empty,
    live,
    recording,
    replay,
    latents,
    similarity,
    lost,
    refused,
    loading,
    sheet_good,
    sheet_refused,
    sheet_loading,
    models,
    released,
    claims,
]


def pixels(image: QImage) -> np.ndarray:
    image = image.convertToFormat(QImage.Format.Format_RGB888)
    data = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return (
        data[:, : image.width() * 3].reshape(image.height(), image.width(), 3).copy()
    )  # the image goes with its bits


def cut_texts(window):
    """Labels and buttons that are visible and have less room than their words need."""
    found = []
    for widget in [*window.findChildren(QLabel), *window.findChildren(QPushButton)]:
        if not widget.isVisible() or not widget.text() or widget.visibleRegion().isEmpty():
            continue
        if isinstance(widget, QLabel) and (widget.wordWrap() or type(widget) is not QLabel):
            needed = widget.fontMetrics().height() * 0.9
            is_cut = widget.height() < needed
        else:
            is_cut = widget.width() + 2 < widget.minimumSizeHint().width()
        if is_cut:
            found.append(f"{type(widget.parent()).__name__}: {widget.text()!r}")
    return found


def settle(qtbot, window):
    """Layouts settle on timers of zero length, one after another; a machine with much to do takes longer for them."""
    qtbot.wait(60)
    with contextlib.suppress(qtbot.TimeoutError):  # what is cut then is told by the test itself
        qtbot.waitUntil(lambda: cut_texts(window) == [], timeout=3_000)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}@{size[2]:.0%}")
@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_the_window_is_whole(qtbot, tmp_path, state, theme, size):
    width, height, zoom = size
    with open_window(qtbot, tmp_path, size=(width, height), look__theme=theme, look__zoom=zoom) as (
        window,
        pipeline,
    ):
        state(qtbot, window, pipeline)
        settle(qtbot, window)
        picture = pixels(window.grab().toImage())

        assert (picture.shape[1], picture.shape[0]) == (width, height)
        assert len(np.unique(picture.reshape(-1, 3)[::7], axis=0)) > 20
        assert picture.std() > 5
        if state in (live, recording, replay):
            view = window.panels["picture"]
            least = (
                0.25 if width >= 1280 * zoom else 0.1
            )  # as small a window keeps every panel within reach first
            assert view.width() * view.height() > least * width * height
        assert cut_texts(window) == []
    assert QApplication.activeModalWidget() is None


def test_the_picture_is_the_largest_thing_at_full_hd(qtbot, tmp_path):
    with open_window(qtbot, tmp_path, size=(1920, 1080)) as (window, pipeline):
        live(qtbot, window, pipeline)
        qtbot.wait(60)
        view = window.panels["picture"]

        assert view.width() > 1200
        assert view.height() > 700


def test_at_720_lines_every_choice_of_masks_is_seen_without_scrolling(qtbot, tmp_path):
    with open_window(qtbot, tmp_path, size=(1280, 720)) as (window, pipeline):
        live(qtbot, window, pipeline)
        qtbot.wait(60)
        card = window.panels["layers"]

        assert all(not radio.visibleRegion().isEmpty() for radio in card._rules.values())
        assert card.visibleRegion().boundingRect().bottom() > card._rules["region"].geometry().bottom()
