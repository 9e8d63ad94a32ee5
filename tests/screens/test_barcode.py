"""One frame number everywhere (UX, row 1), proved by a number painted into the picture itself.

The model is delayed at random by 0-500 ms. Thirty seconds here; BARCODE_SECONDS=300 for the long run.
"""

from __future__ import annotations

import os
import re
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import shiboken6
from PySide6.QtCore import QObject, QRect, Qt, Slot
from PySide6.QtGui import QImage
from pytestqt.qtbot import QtBot

from console.main_window import MainWindow
from console.notices import CheckpointLoaded, RecordingStarted, RecordingStopped
from console.pipeline import Pipeline
from console.settings import Settings
from jepa_core import barcode
from jepa_core.messages import EngineOptions
from jepa_core.types import Inspection
from sessions.reader import open_session
from tests.helpers.real_pipeline import DEMO_CHECKPOINT, every_look, running_pipeline, test_config, wait_for
from widgets.frame_view import FrameView

SECONDS = float(os.environ.get("BARCODE_SECONDS", "30"))
WORLD = "world:cell?barcode=1&fps=30&width=480&height=360"
DELAYED = EngineOptions(threads=1, delay_ms=(0, 500), reads_barcode=True)


@pytest.mark.slow
@pytest.mark.timeout(SECONDS * 2 + 120)
def test_every_saved_overlay_lies_on_the_frame_it_names(tmp_path: Path) -> None:
    """The engine reads the barcode out of the pixels it was given; the file holds the pixels everybody saw."""
    looks: list[Inspection] = []
    with running_pipeline(tmp_path, options=DELAYED) as (pipeline, ear):
        every_look(pipeline, looks.append)
        pipeline.load_checkpoint(str(DEMO_CHECKPOINT))
        wait_for(ear, CheckpointLoaded)
        pipeline.open_source(WORLD, record_to=str(tmp_path / "out"))
        wait_for(ear, RecordingStarted)
        threading.Event().wait(SECONDS)
        pipeline.stop_recording()
        stopped = wait_for(ear, RecordingStopped, seconds=120)

    session = open_session(stopped.session)
    painted = {int(seq): barcode.read(session.frame_rgb(row)) for row, seq in enumerate(session.frame_seq)}
    first = session.inspection(0).seq
    mismatches = Counter[str]()
    for look in looks:
        mismatches["engine saw another frame"] += look.signals["barcode"] != look.seq
        mismatches["clip does not end at the look"] += look.clip[-1] != look.seq
    for step in range(session.n_steps):
        look = session.inspection(step)
        mismatches["record names another frame"] += painted.get(look.seq) != look.seq
        mismatches["record names another clip"] += any(painted.get(seq, seq) != seq for seq in look.clip)
    session.close()

    assert session.n_steps >= SECONDS  # 0-500 ms of delay: two looks a second and more
    assert len(looks) >= session.n_steps
    assert first >= 0
    assert sum(mismatches.values()) == 0, dict(mismatches)


class Witness(QObject):
    """Looks at the view as a person would: takes a picture of the widget and reads what is on it."""

    def __init__(self, view: FrameView) -> None:
        super().__init__()
        self.view = view
        self.seen = 0
        self.with_badge = 0
        self.mismatches: list[str] = []
        view.framePainted.connect(self.look, Qt.ConnectionType.QueuedConnection)

    @Slot(object)
    def look(self, _frame: object) -> None:
        self.seen += 1
        if self.seen % 5:
            return
        image = self.view.grab(self.view.picture_rect().toRect()).toImage()
        number, words = barcode.read(pixels_of(image)), plain(self.view.header_text())
        said = re.search(r"frame (\d+)", words)
        if said is None or number != int(said.group(1)):
            self.mismatches.append(f"picture {number}, words {words!r}")
            return
        look = self.view.inspection
        behind = 0 if look is None else number - look.seq
        badge = re.search(r"stale, (\d+) frame", words)
        if behind != (int(badge.group(1)) if badge else 0):
            self.mismatches.append(f"{behind} frames behind, words {words!r}")
        self.with_badge += badge is not None


@pytest.mark.slow
@pytest.mark.timeout(SECONDS * 2 + 120)
def test_the_window_never_shows_an_overlay_on_another_frame_without_saying_so(
    qtbot: QtBot, tmp_path: Path
) -> None:
    config = test_config(tmp_path, look__layers=[], recording__directory=str(tmp_path / "out"))
    pipeline = Pipeline(config, options=DELAYED)
    window = MainWindow(pipeline, config, Settings(tmp_path / "window.ini"))
    window.resize(1280, 720)
    window.begin()
    window.show()
    view = window.panels["picture"]
    assert isinstance(view, FrameView)
    witness = Witness(view)
    pipeline.watch(WORLD, str(DEMO_CHECKPOINT))

    qtbot.wait(int(SECONDS * 1000))
    window.close()
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=30_000)
    shiboken6.delete(window)

    assert witness.seen > SECONDS * 5
    assert witness.with_badge > 0, "with a delayed model some overlays must have been stale"
    assert witness.mismatches == []


def plain(words: str) -> str:
    """Without the space that groups thousands: "frame 243 118" → "frame 243118"."""
    return re.sub(r"(?<=\d)[\xa0\u202f ](?=\d{3})", "", words)


def pixels_of(image: QImage) -> np.ndarray:
    """(H, W, 3) uint8 of what was painted."""
    image = image.convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : image.width() * 3].reshape(image.height(), image.width(), 3).copy()  # the image goes


def test_the_witness_can_tell(qtbot: QtBot) -> None:
    """A check that cannot fail proves nothing: a picture with the wrong number is found out."""
    view = FrameView()
    qtbot.addWidget(view)
    view.resize(960, 720)
    picture = np.full((360, 480, 3), 90, np.uint8)
    barcode.paint(picture, 7)
    from jepa_core.types import Frame, frozen

    frame = Frame(8, 8, 1, 1, -1, -1, frozen(picture), "world:cell")
    witness = Witness(view)
    witness.seen = 4  # the next one is looked at
    view.show_frame(frame)
    view.show()
    qtbot.waitUntil(lambda: witness.seen == 5)

    assert len(witness.mismatches) == 1
    assert QRect(view.picture_rect().toRect()).isValid()
