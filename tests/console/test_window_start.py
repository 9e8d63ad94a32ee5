"""Start screen, recovery, recomputing, preferences and appearance."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QPushButton

from console import config
from console.window_start import quick_checks, unfinished
from jepa_core.errors import RequestError
from tests.helpers.window import open_window, watch
from widgets.command_palette import CommandPalette
from widgets.shortcut_sheet import ShortcutSheet

CTRL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def opened(qtbot, tmp_path):
    with open_window(qtbot, tmp_path) as pair:
        yield pair


def test_quick_checks_name_disk_memory_and_display(tmp_path):
    titles = [item.title for item in quick_checks(tmp_path)]

    assert {"Disk", "Memory", "GPU", "Display"} <= set(titles)


def test_a_folder_that_is_not_there_has_nothing_to_recover(tmp_path):
    assert unfinished(tmp_path / "none") == []


def test_recovering_asks_the_pipeline_and_remembers_the_session(qtbot, opened):
    window, pipeline = opened

    window.start_page.recoverRequested.emit("/recordings/lost.wmj")
    qtbot.waitUntil(lambda: bool(window.desk.settings.recents("session")))

    assert pipeline.asked("recover") == [("recover", "/recordings/lost.wmj")]


def test_the_palette_runs_a_command_by_name(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)
    QTest.keyClick(window, Qt.Key.Key_K, CTRL)
    palette = window.findChild(CommandPalette)
    qtbot.waitUntil(palette.isVisible)

    palette.commandChosen.emit("layer_error")

    assert "error" not in window.state.layers
    palette.reject()


def test_the_palette_knows_every_command_with_its_keys(qtbot, opened):
    window, _ = opened
    window.look.show_palette()
    palette = window.findChild(CommandPalette)

    shown = set(palette.shown())

    assert {"near_miss", "record", "record_stop", "theme", "recompute"} <= shown
    palette.reject()


def test_the_key_sheet_opens_by_question_mark(qtbot, opened):
    window, _ = opened

    QTest.keyClick(window, Qt.Key.Key_Question, Qt.KeyboardModifier.NoModifier)
    sheet = window.findChild(ShortcutSheet)
    qtbot.waitUntil(lambda: sheet is not None and sheet.isVisible())

    assert "override" in sheet.shown()
    sheet.close()


def test_e_and_m_toggle_the_layers_everywhere(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)

    QTest.keyClick(window, Qt.Key.Key_E)
    QTest.keyClick(window, Qt.Key.Key_M)

    assert window.state.layers == {"slots"}  # of systems that see objects, where M toggles them instead
    assert not {"error", "masks"} & window.panels["layers"].layers


def test_zoom_and_theme_change_at_once_and_are_kept(qtbot, opened, tmp_path, monkeypatch):
    monkeypatch.setenv(config.ENVIRONMENT_VARIABLE, str(tmp_path / "kept.toml"))
    window, _ = opened

    window.commands["zoom_in"].trigger()
    window.commands["theme"].trigger()

    assert QApplication.instance().property("themeName") == "light"
    found = config.load()
    assert (found.look.theme, found.look.zoom) == ("light", 1.1)


def test_preferences_switch_single_letters_off_at_once(qtbot, opened, tmp_path, monkeypatch):
    monkeypatch.setenv(config.ENVIRONMENT_VARIABLE, str(tmp_path / "kept.toml"))
    window, pipeline = opened
    watch(qtbot, window, pipeline)

    window.look.take_preferences({"look.single_letter_keys": False})
    QTest.keyClick(window, Qt.Key.Key_N)

    assert pipeline.events == []


def test_recomputing_shows_progress_and_then_the_verdict(qtbot, tmp_path):
    with open_window(qtbot, tmp_path) as (window, pipeline):
        watch(qtbot, window, pipeline, "session")
        window.replay.recompute("/models/vitl.pt")
        pipeline.recompute_progress(0.4, "frame 40 of 100")
        qtbot.waitUntil(lambda: window.desk.progress.keys == ("recompute",))

        pipeline.recompute_done(
            {
                "verdict": "reproduced",
                "max_difference": 0.0,
                "tolerance": 0.0,
                "first_differing_seq": None,
                "table": [],
            },
            None,
        )
        qtbot.waitUntil(lambda: window.desk.progress.keys == ())

        assert any(
            widget.windowTitle() == "Recorded and recomputed" for widget in QApplication.topLevelWidgets()
        )
        for widget in QApplication.topLevelWidgets():
            if widget.windowTitle() == "Recorded and recomputed":
                widget.close()


def test_a_recomputation_that_failed_is_a_banner(qtbot, tmp_path):
    with open_window(qtbot, tmp_path) as (window, pipeline):
        watch(qtbot, window, pipeline, "session")
        window.replay.recompute("/models/vitl.pt")

        pipeline.recompute_done(None, RequestError("The recomputation did not finish."))
        qtbot.waitUntil(lambda: "request_error" in window.desk.banner.codes())


def test_a_screenshot_lies_beside_the_recordings(qtbot, opened, tmp_path):
    window, _ = opened

    window.commands["screenshot"].trigger()
    folder = tmp_path / "recordings" / "screenshots"
    qtbot.waitUntil(lambda: folder.is_dir() and bool(list(folder.glob("*.png"))))


def test_a_recent_file_that_is_gone_cannot_be_opened(qtbot, opened, tmp_path):
    window, _pipeline = opened
    there = tmp_path / "there.h5"
    there.touch()
    window.desk.settings.remember(str(there), "there.h5", "session")
    window.desk.settings.remember(str(tmp_path / "gone.h5"), "gone.h5", "session")

    window.start.refresh()

    def offered():
        return {
            made.accessibleName(): made.isEnabled()
            for made in window.start_page.findChildren(QPushButton)
            if made.accessibleName().endswith(".h5")
        }

    qtbot.waitUntil(lambda: offered() == {"Open there.h5": True, "Gone gone.h5": False})
