"""Each system in the real window, with a real engine: its own kind of view, live and replayed, and plain words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shiboken6
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from console.main_window import MainWindow
from console.pipeline import Pipeline
from console.settings import Settings
from tests.helpers import (
    ac_checkpoints,
    checkpoints,
    cjepa_checkpoints,
    leveled_checkpoints,
    lewm_checkpoints,
    table_checkpoints,
    trajectories,
)
from tests.helpers.real_pipeline import test_config
from widgets.frame_view import FrameView

Write = Callable[[Path], Path]
SYSTEMS: dict[str, tuple[Write, Write]] = {
    "I-JEPA": (table_checkpoints.write_ijepa, trajectories.write_arm),
    "V-JEPA": (table_checkpoints.write_vjepa, trajectories.write_arm),
    "V-JEPA 2": (checkpoints.write, trajectories.write_arm),
    "V-JEPA 2-AC": (ac_checkpoints.write, trajectories.write_arm),
    "V-JEPA 2.1": (leveled_checkpoints.write, trajectories.write_arm),
    "LeWorldModel": (lewm_checkpoints.write, trajectories.write_pushed),
    "C-JEPA": (cjepa_checkpoints.write, trajectories.write_pushed),
}
WAIT_MS = 30_000


@contextmanager
def real_window(qtbot: Any, folder: Path) -> Iterator[tuple[MainWindow, Pipeline]]:
    """A window over the real pipeline; its engine lives in this process."""
    config = test_config(folder / "config", recording__directory=str(folder / "recordings"))
    pipeline = Pipeline(config, is_engine_local=True)
    window = MainWindow(pipeline, config, Settings(folder / "window.ini"))
    window.resize(1280, 800)
    window.begin()
    window.show()
    window.activateWindow()
    qtbot.waitUntil(lambda: QApplication.activeWindow() is window, timeout=WAIT_MS)
    try:
        yield window, pipeline
    finally:
        window.close()
        qtbot.waitUntil(lambda: not window.isVisible(), timeout=WAIT_MS)
        shiboken6.delete(window)


def play(
    qtbot: Any, window: MainWindow, pipeline: Pipeline, checkpoint: Path, source: Path, **how: Any
) -> FrameView:
    """The last frame of the source and the look that ends there are on the screen."""
    pipeline.load_checkpoint(str(checkpoint))
    qtbot.waitUntil(lambda: window.state.checkpoint is not None, timeout=WAIT_MS)
    pipeline.open_source(str(source), every_frame=True, speed=None, **how)
    view = window.panels["picture"]
    assert isinstance(view, FrameView)

    def is_at_its_end() -> bool:
        info, look = pipeline.source_info, view.inspection
        return (
            info is not None
            and look is not None
            and pipeline.position == info.frames - 1
            and view.staleness() == 0
        )

    qtbot.waitUntil(is_at_its_end, timeout=WAIT_MS)
    return view


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_system_is_watched_live(qtbot, tmp_path, system):
    write_checkpoint, write_source = SYSTEMS[system]
    with real_window(qtbot, tmp_path) as (window, pipeline):
        view = play(
            qtbot, window, pipeline, write_checkpoint(tmp_path / "c"), write_source(tmp_path / "made.npz")
        )
        look = view.inspection
        assert look is not None
        assert window.state.checkpoint.family == system
        assert look.note == ""
        assert np.isfinite(look.error).any()
        assert "prediction of frame" in view.header_text()
        assert ("actions between" in view.header_text()) == (window.state.checkpoint.action is not None)
        assert "Surprise" in view.footer_text()
        kind = look.layout.kind
        assert kind == {"LeWorldModel": "global", "C-JEPA": "slots"}.get(system, "grid")
        card = window.panels["layers"]
        shown = {name for name, box in card._boxes.items() if not box.isHidden()}
        assert shown == {"grid": {"error", "masks"}, "slots": {"error", "slots"}, "global": set()}[kind]
        assert not window.grab().isNull()


def test_replayed_slots_look_as_they_did_live(qtbot, tmp_path):
    checkpoint = cjepa_checkpoints.write(tmp_path / "c")
    source = trajectories.write_pushed(tmp_path / "made.npz", 12)
    with real_window(qtbot, tmp_path) as (window, pipeline):
        view = play(qtbot, window, pipeline, checkpoint, source, record_to=str(tmp_path / "recordings"))
        live = view.inspection
        pipeline.close_source()
        pipeline.stop_recording()
        qtbot.waitUntil(lambda: any((tmp_path / "recordings").glob("*.seal.json")), timeout=WAIT_MS)
        pipeline.unload_checkpoint()
        qtbot.waitUntil(lambda: window.state.checkpoint is None, timeout=WAIT_MS)

        window.files.open(str(next((tmp_path / "recordings").glob("*.h5"))))
        qtbot.waitUntil(
            lambda: window.state.source is not None and window.state.source.kind == "session", timeout=WAIT_MS
        )
        pipeline.seek(11)
        qtbot.waitUntil(
            lambda: view.inspection is not None and view.inspection.seq == live.seq, timeout=WAIT_MS
        )

        assert np.array_equal(view.inspection.regions, live.regions)
        assert view.inspection.assignment == live.assignment
        assert (
            view.footer_text()
            .split(" · frame difference")[0]
            .endswith(f"slot {int(np.nanargmax(live.error[-4:])) + 1}")
        )
        assert "and the actions between" in view.header_text()
        card = window.panels["layers"]
        assert not card._boxes["slots"].isHidden()
        QTest.keyClick(window, Qt.Key.Key_M)
        assert "slots" not in window.state.layers


def test_one_key_shows_and_hides_the_objects(qtbot, tmp_path):
    with real_window(qtbot, tmp_path) as (window, pipeline):
        play(
            qtbot,
            window,
            pipeline,
            cjepa_checkpoints.write(tmp_path / "c"),
            trajectories.write_pushed(tmp_path / "m.npz", 12),
        )
        assert "slots" in window.state.layers
        QTest.keyClick(window, Qt.Key.Key_M)
        assert "slots" not in window.state.layers
        assert "masks" in window.state.layers
        QTest.keyClick(window, Qt.Key.Key_M)
        assert "slots" in window.state.layers


def test_predictor_alone_is_not_shown_a_picture_and_says_so(qtbot, tmp_path):
    checkpoint = cjepa_checkpoints.write_predictor(tmp_path / "c")
    with real_window(qtbot, tmp_path) as (window, pipeline):
        pipeline.load_checkpoint(str(checkpoint))
        qtbot.waitUntil(lambda: window.state.checkpoint is not None, timeout=WAIT_MS)
        pipeline.open_source(str(trajectories.write_pushed(tmp_path / "m.npz", 6)), speed=None)
        view = window.panels["picture"]
        qtbot.waitUntil(lambda: view.frame is not None and pipeline.position == 5, timeout=WAIT_MS)
        assert "takes slots, not pictures" in view.footer_text()
        assert view.inspection is None
        assert window.panels["layers"]._rules["future"].isHidden()


def test_source_without_actions_is_told_in_a_calm_sentence(qtbot, tmp_path):
    plain = trajectories.write(tmp_path / "plain.npz", observations=trajectories.pictures(8), fps=4.0)
    with real_window(qtbot, tmp_path) as (window, pipeline):
        view = play(qtbot, window, pipeline, lewm_checkpoints.write(tmp_path / "c"), plain)
        assert view.footer_text() == "This source tells no actions; LeWorldModel predicts only under actions."
        assert not window._banner.isVisible()
