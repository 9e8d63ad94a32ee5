"""The load sheet over the real pipeline and engine: every released layout dropped, examined, loaded, looked through."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from tests.console.test_window_files import drop
from tests.console.test_window_systems import WAIT_MS, real_window
from tests.helpers import checkpoints as made
from tests.helpers.cli import CELL

CASES = Path(__file__).resolve().parents[1] / "golden" / "cases"


def copied(case: str, *names: str) -> Callable[[Path], Path]:
    """A folder with these files of a reference case, as a person would have it."""

    def make(folder: Path) -> Path:
        folder.mkdir()
        for name in names:
            shutil.copy(CASES / case / name, folder / name)
        return folder

    return make


LAYOUTS: dict[str, tuple[Callable[[Path], Path], str, str]] = {  # what is dropped → file in it ("" the folder), system
    "a hub's folder": (copied("hf-vjepa2-a", "config.json", "model.safetensors"), "", "V-JEPA 2"),
    "model.safetensors": (copied("hf-vjepa2-a", "config.json", "model.safetensors"), "model.safetensors", "V-JEPA 2"),
    "config.json of a hub's folder": (copied("hf-ijepa-a", "config.json", "model.safetensors"), "config.json", "I-JEPA"),
    "LeWM's folder": (copied("lewm-hub", "config.json", "weights.pt"), "", "LeWorldModel"),
    "weights.pt": (copied("lewm-hub", "config.json", "weights.pt"), "weights.pt", "LeWorldModel"),
    "*_object.ckpt": (copied("lewm-object", "lewm_object.ckpt"), "lewm_object.ckpt", "LeWorldModel"),
    "VideoSAUR's .ckpt": (copied("cjepa-videosaur", "config.json", "videosaur.ckpt"), "videosaur.ckpt", "C-JEPA"),
    ".pth.tar": (copied("ijepa-base", "params.yaml", "jepa-ep7.pth.tar"), "jepa-ep7.pth.tar", "I-JEPA"),
    "params.yaml": (copied("ijepa-base", "params.yaml", "jepa-ep7.pth.tar"), "params.yaml", "I-JEPA"),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_released_layout_that_is_dropped_ends_at_the_sheet(qtbot, tmp_path, layout):
    make, name, system = LAYOUTS[layout]
    folder = make(tmp_path / "dropped")

    with real_window(qtbot, tmp_path) as (window, pipeline):
        drop(window, folder / name if name else folder)
        sheet = window.sheet.sheet
        qtbot.waitUntil(lambda: sheet.state in ("examined", "refused"), timeout=WAIT_MS)

        assert sheet.state == "examined", sheet._verdict.text()
        assert window.sheet._info.family == system
        assert window.sheet._report.marks
        assert pipeline.checkpoint_info is None  # nothing is loaded before a person says so


def test_drop_enter_and_the_looks_begin(qtbot, tmp_path):
    with real_window(qtbot, tmp_path) as (window, pipeline):
        pipeline.open_source("world:cell?seed=3&frames=60", every_frame=True, speed=None)
        qtbot.waitUntil(lambda: window.live.frame is not None, timeout=WAIT_MS)
        drop(window, CELL)
        qtbot.waitUntil(lambda: window.sheet.sheet.state == "examined", timeout=WAIT_MS)

        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Return)
        qtbot.waitUntil(lambda: window.state.checkpoint is not None, timeout=WAIT_MS)
        pipeline.seek(0)
        pipeline.play()
        qtbot.waitUntil(lambda: window.panels["picture"].inspection is not None, timeout=WAIT_MS)

        assert not window.sheet.is_open
        assert window.state.screen == "live"


def test_a_refused_file_leaves_what_is_loaded_in_use(qtbot, tmp_path):
    def lose_a_block(content):
        for name in [each for each in content["predictor"] if "blocks.0." in each]:
            del content["predictor"][name]

    broken = made.write(tmp_path / "broken", change=lose_a_block)
    with real_window(qtbot, tmp_path) as (window, pipeline):
        pipeline.load_checkpoint(str(CELL))
        qtbot.waitUntil(lambda: window.state.checkpoint is not None, timeout=WAIT_MS)
        before = pipeline.checkpoint_info

        drop(window, broken)
        qtbot.waitUntil(lambda: window.sheet.sheet.state == "refused", timeout=WAIT_MS)

        assert len([name for name in window.sheet.sheet._names.shown() if "blocks.0." in name]) == 12
        assert pipeline.checkpoint_info is before
        assert window.state.checkpoint is not None


def test_another_precision_is_examined_and_loaded_so(qtbot, tmp_path):
    with real_window(qtbot, tmp_path) as (window, _pipeline):
        drop(window, CELL)
        sheet = window.sheet.sheet
        qtbot.waitUntil(lambda: sheet.state == "examined", timeout=WAIT_MS)
        before = window.sheet._report.memory_bytes

        sheet.options.choose(dtype="bfloat16", clip_frames=6)
        qtbot.waitUntil(lambda: sheet.state == "examined", timeout=WAIT_MS)
        assert window.sheet._report.memory_bytes < before
        sheet._load.click()
        qtbot.waitUntil(lambda: window.state.checkpoint is not None, timeout=WAIT_MS)

        assert window.state.checkpoint.dtype == "bfloat16"


def test_a_smaller_picture_is_forecast_and_loaded_so(qtbot, tmp_path):
    path = made.write(tmp_path / "rotary", settings=made.params(size=256))
    with real_window(qtbot, tmp_path) as (window, _pipeline):
        drop(window, path)
        sheet = window.sheet.sheet
        qtbot.waitUntil(lambda: sheet.state == "examined", timeout=WAIT_MS)
        info, report = window.sheet._info, window.sheet._report
        assert info.sizes[:2] == (256, 192)

        sheet.options.choose(size=192)
        qtbot.waitUntil(lambda: sheet.state == "examined", timeout=WAIT_MS)
        assert window.sheet._report.memory_bytes < report.memory_bytes
        sheet._load.click()
        qtbot.waitUntil(lambda: window.state.checkpoint is not None, timeout=WAIT_MS)

        assert window.state.checkpoint.input.size == 192
