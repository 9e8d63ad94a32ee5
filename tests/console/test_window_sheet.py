"""From a file in a person's hand to Load: examined first, loaded only when asked, refused with its report."""

from __future__ import annotations

import json

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QPushButton

from console import notices
from console.window_sheet import cuda_names
from jepa_core.errors import KeysDiffer, OutOfMemory, UnsafeFile
from tests.console.test_window_files import drop
from tests.helpers.pipeline import make_checkpoint, make_report
from tests.helpers.window import open_window, watch

MISSING = tuple(f"predictor/blocks.{n}.norm1.weight" for n in range(12, 24))


@pytest.fixture
def opened(qtbot, tmp_path):
    with open_window(qtbot, tmp_path) as pair:
        yield pair


def examined(qtbot, window, pipeline, path="/models/vitl.pt", **report):
    """A file was dropped and the engine has read it."""
    drop(window, path)
    pipeline.script_examined(**report)
    qtbot.waitUntil(lambda: window.sheet.sheet.state == "examined")
    return window.sheet.sheet


def refused(qtbot, window, pipeline):
    drop(window, "/models/half.pt")
    error = KeysDiffer("12 of 24 predictor blocks are missing.", "Ask for the complete file.")
    pipeline.script_examined(error, matched=444, missing=MISSING)
    qtbot.waitUntil(lambda: window.sheet.sheet.state == "refused")
    return window.sheet.sheet


def button(sheet, text):
    found = [made for made in sheet.findChildren(QPushButton) if made.text() == text and made.isVisible()]
    assert len(found) == 1, f"{len(found)} buttons say {text!r}"
    return found[0]


def test_a_dropped_file_is_examined_and_nothing_is_loaded(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)

    sheet = examined(qtbot, window, pipeline)

    assert window.sheet.is_open
    assert pipeline.asked("load_checkpoint") == []
    assert window.state.checkpoint is not None  # the one in use goes on
    assert "stays in use" in sheet._hint.text()
    assert QApplication.focusWidget() is button(sheet, "Load")


def test_enter_loads_what_was_examined_and_leads_to_live(qtbot, opened):
    window, pipeline = opened
    examined(qtbot, window, pipeline)

    QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: window.sheet.sheet.state == "loading")
    assert pipeline.asked("load_checkpoint") == [("load_checkpoint", "/models/vitl.pt", None)]
    assert window.desk.progress.keys == ()  # the sheet shows it, not a second card
    pipeline.script_checkpoint()
    qtbot.waitUntil(lambda: not window.sheet.is_open)

    assert window.state.screen == "live"
    assert window.state.checkpoint is not None


def test_esc_in_mid_examination_calls_it_off_and_leaves_no_sheet(qtbot, opened):
    window, pipeline = opened
    drop(window, "/models/vitl.pt")
    qtbot.waitUntil(lambda: window.sheet.sheet.state == "examining")

    QTest.keyClick(window, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: not window.sheet.is_open)

    assert pipeline.asked("cancel_examine") == [("cancel_examine",)]


def test_a_late_answer_of_a_cancelled_examination_opens_nothing(qtbot, opened):
    window, pipeline = opened
    drop(window, "/models/vitl.pt")
    QTest.keyClick(window, Qt.Key.Key_Escape)

    pipeline.script_examined()
    qtbot.wait(1)

    assert not window.sheet.is_open


def test_esc_in_mid_load_stops_it_and_shows_again_what_was_examined(qtbot, opened):
    window, pipeline = opened
    sheet = examined(qtbot, window, pipeline)
    button(sheet, "Load").click()
    qtbot.waitUntil(lambda: sheet.state == "loading")

    QTest.keyClick(window, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: sheet.state == "examined")

    assert pipeline.asked("cancel_load") == [("cancel_load",)]
    assert window.sheet.is_open
    assert window.state.checkpoint is None
    QTest.keyClick(window, Qt.Key.Key_Escape)
    assert not window.sheet.is_open


def test_a_refused_file_shows_every_tensor_and_cannot_be_loaded(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)

    sheet = refused(qtbot, window, pipeline)

    assert set(MISSING) <= set(sheet._names.shown())
    assert not [
        made for made in sheet.findChildren(QPushButton) if made.text() == "Load" and made.isVisible()
    ]
    assert "stays in use" in sheet._hint.text()
    assert window.state.checkpoint is not None
    assert window.desk.banner.codes() == ()  # the sheet says it
    QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Return)  # Close has the focus
    assert not window.sheet.is_open


def test_a_file_that_nobody_could_read_says_so_without_an_empty_report(qtbot, opened):
    window, pipeline = opened
    drop(window, "/models/x.pkl")

    error = UnsafeFile("x.pkl is a plain pickle. It was not opened.", "Ask for a dictionary of tensors.")
    pipeline.say(notices.CheckpointExamined("/models/x.pkl", None, None, error))
    qtbot.waitUntil(lambda: window.sheet.sheet.state == "refused")

    assert not window.sheet.sheet._refusal.isVisible()
    assert not window.sheet.sheet.options.isVisible()


def test_another_choice_is_examined_again_and_loaded_so(qtbot, opened):
    window, pipeline = opened
    sheet = examined(qtbot, window, pipeline)

    sheet.options.choose(dtype="bfloat16", clip_frames=8, predictor_heads=12)
    assert sheet.state == "examining"
    options = pipeline.asked("examine_checkpoint")[-1][3]
    pipeline.script_examined()
    qtbot.waitUntil(lambda: sheet.state == "examined")
    button(sheet, "Load").click()

    assert (options.dtype, options.clip_frames, options.choices.predictor_heads) == ("bfloat16", 8, 12)
    assert pipeline.options == options


def test_what_was_chosen_for_one_file_is_not_carried_to_the_next(qtbot, opened):
    window, pipeline = opened
    sheet = examined(qtbot, window, pipeline)
    sheet.options.choose(config="/models/other.yaml", encoder_heads=3)

    drop(window, "/models/next.pt")

    _, path, config, options = pipeline.asked("examine_checkpoint")[-1]
    assert (path, config, options.choices.encoder_heads) == ("/models/next.pt", None, None)


def test_another_choice_of_memory_is_taken_with_a_click(qtbot, opened):
    window, pipeline = opened
    sheet = examined(
        qtbot, window, pipeline,
        forecasts={"256 px, 64 frames, float32": 4 << 30, "256 px, 16 frames, bfloat16": 1 << 30},
        device_free_bytes=3 << 30,
    )  # fmt: skip

    next(made for made in sheet._memory.choices if "16 frames, bfloat16" in made.accessibleName()).click()

    options = pipeline.asked("examine_checkpoint")[-1][3]
    assert (options.clip_frames, options.dtype, options.size) == (16, "bfloat16", 0)  # 256 px is its own size


def test_a_smaller_picture_is_a_choice_too(qtbot, opened):
    window, pipeline = opened
    sheet = examined(qtbot, window, pipeline, forecasts={"192 px, 16 frames, float32": 1 << 30})

    sheet._memory.choices[0].click()

    assert pipeline.asked("examine_checkpoint")[-1][3].size == 192


def test_the_veil_is_never_over_a_picture(qtbot, opened):
    window, pipeline = opened
    examined(qtbot, window, pipeline)
    assert window.sheet._veil.isVisible()

    window.commands["screen_live"].trigger()
    assert not window.sheet._veil.isVisible()
    assert window.sheet.is_open
    window.commands["screen_models"].trigger()
    assert window.sheet._veil.isVisible()


def test_what_does_not_fit_says_what_would_and_may_still_be_tried(qtbot, opened):
    window, pipeline = opened
    sheet = examined(
        qtbot, window, pipeline, memory_bytes=12 << 30, device_free_bytes=8 << 30,
        forecasts={"256 px, 16 frames, float32": 12 << 30, "256 px, 8 frames, float32": 5 << 30},
    )  # fmt: skip

    assert "It would fit with 256 px, 8 frames, float32" in sheet._hint.text()
    assert button(sheet, "Load").isEnabled()


def test_a_load_that_fails_after_a_good_examination_stays_on_the_sheet(qtbot, opened):
    window, pipeline = opened
    sheet = examined(qtbot, window, pipeline)
    button(sheet, "Load").click()
    qtbot.waitUntil(lambda: sheet.state == "loading")

    error = OutOfMemory("The device ran out of memory while loading the model.", "Use --dtype bfloat16.")
    pipeline.say(notices.CheckpointRefused("/models/vitl.pt", error))
    qtbot.waitUntil(lambda: sheet.state == "refused")

    assert "ran out of memory" in sheet._verdict.text()
    assert window.desk.banner.codes() == ()
    assert sheet.options.isVisible()  # another precision may fit


def test_a_file_dropped_while_another_is_loaded_waits_for_a_person(qtbot, opened):
    window, pipeline = opened
    sheet = examined(qtbot, window, pipeline)
    button(sheet, "Load").click()
    qtbot.waitUntil(lambda: sheet.state == "loading")

    drop(window, "/models/other.pt")

    assert len(pipeline.asked("examine_checkpoint")) == 1
    assert "being loaded" in window.desk.toasts.texts()[-1]


def test_a_newer_drop_replaces_what_is_being_examined(qtbot, opened):
    window, pipeline = opened
    drop(window, "/models/a.pt")

    sheet = examined(qtbot, window, pipeline, path="/models/b.pt")

    assert sheet._path.whole() == "/models/b.pt"


def test_a_stray_config_means_the_checkpoint_beside_it(qtbot, opened, tmp_path):
    window, pipeline = opened
    (tmp_path / "vitl.pt").touch()
    (tmp_path / "vitl.params.yaml").touch()

    drop(window, tmp_path / "vitl.params.yaml")

    assert pipeline.asked("examine_checkpoint")[0][1:3] == (
        str(tmp_path / "vitl.pt"),
        str(tmp_path / "vitl.params.yaml"),
    )


def test_tab_stays_on_the_sheet(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)
    sheet = examined(qtbot, window, pipeline)

    seen = set()
    for _ in range(30):
        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
        seen.add(QApplication.focusWidget())
        assert sheet.isAncestorOf(QApplication.focusWidget())

    assert len(seen) > 5
    assert button(sheet, "Cancel") in seen


def test_the_keys_of_the_operator_work_while_the_sheet_is_open(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline, "world", is_live=True, is_seekable=False)
    examined(qtbot, window, pipeline)

    QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_N)

    assert [event.kind.name for event in pipeline.events] == ["NEAR_MISS"]


def test_the_focus_goes_back_where_it_was(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)
    before = QApplication.focusWidget()
    examined(qtbot, window, pipeline)

    QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Escape)

    assert QApplication.focusWidget() is before


def test_the_report_is_saved_as_the_command_line_prints_it(qtbot, opened, tmp_path, monkeypatch):
    window, pipeline = opened
    sheet = refused(qtbot, window, pipeline)
    path = tmp_path / "half.json"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))

    button(sheet, "Save as JSON…").click()
    qtbot.waitUntil(lambda: path.is_file() and path.stat().st_size > 0)

    assert json.loads(path.read_text())["report"]["missing"] == list(MISSING)


def test_the_demo_is_loaded_without_asking(qtbot, opened):
    window, pipeline = opened

    window.commands["demo"].trigger()

    assert len(pipeline.asked("load_checkpoint")) == 1
    assert pipeline.asked("examine_checkpoint") == []
    assert not window.sheet.is_open


def test_a_load_from_elsewhere_does_not_touch_an_open_sheet(qtbot, opened):
    window, pipeline = opened
    sheet = examined(qtbot, window, pipeline)

    pipeline.say(notices.CheckpointLoaded(make_checkpoint(), make_report()))
    qtbot.waitUntil(lambda: window.state.checkpoint is not None)

    assert window.sheet.is_open
    assert sheet.state == "examined"


def test_graphics_cards_are_counted_without_torch(tmp_path):
    assert cuda_names(tmp_path / "none") == ()
    for name in ("0000:01:00.0", "0000:41:00.0"):
        (tmp_path / name).mkdir()
    assert cuda_names(tmp_path) == ("cuda:0", "cuda:1")
