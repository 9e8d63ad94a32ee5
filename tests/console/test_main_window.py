"""The window as a whole: panels and commands from their tables, screens, layout, the ordered end."""

from __future__ import annotations

import subprocess
import sys

import pytest
from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from console.actions import ACTIONS
from console.panels import PANELS
from jepa_core.errors import SourceLost
from tests.helpers.pipeline import make_source
from tests.helpers.window import open_window, watch
from widgets import a11y


class _TopLevels(QObject):
    """Counts the windows that were ever shown."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Show and isinstance(watched, QWidget) and watched.isWindow():
            self.seen.append(type(watched).__name__)
        return False


@pytest.fixture
def opened(qtbot, tmp_path):
    with open_window(qtbot, tmp_path) as pair:
        yield pair


def test_importing_the_window_brings_no_torch():
    code = (
        "import sys, console.app, console.main_window\n"
        "heavy = {'torch', 'h5py', 'av'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if 'torch' in heavy else 0)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr


def test_importing_app_brings_no_qt_either():
    code = "import sys, console.app; sys.exit('PySide6' in sys.modules or 'torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_only_one_window_is_ever_shown(qtbot, tmp_path):
    spy = _TopLevels()
    app = QApplication.instance()
    app.installEventFilter(spy)
    try:
        with open_window(qtbot, tmp_path) as (window, pipeline):
            watch(qtbot, window, pipeline)
            pipeline.load_checkpoint("/models/x.pt")
            qtbot.waitUntil(lambda: window.models.is_loading)
            window.desk.say("Saved", "ok", "with details")
            pipeline.fail(SourceLost("The camera does not answer.", "Plug it in."))
            qtbot.waitUntil(lambda: bool(window.desk.banner.codes()))
            pipeline.start_recording("/recordings")
            qtbot.waitUntil(lambda: window.state.recording is not None)
            window.records.near_miss()
            window.records.stop()
            qtbot.waitUntil(lambda: window.state.recording is None)
            window.start.refresh()
            assert (
                QApplication.activeWindow() is window
            )  # a window that comes and goes would take the keyboard
    finally:
        app.removeEventFilter(spy)

    assert spy.seen == ["MainWindow"]


def test_docks_come_from_the_table_of_panels(opened):
    window, _ = opened

    docked = {row.id for row in PANELS.values() if row.area in ("left", "right", "bottom")}
    assert set(window.docks.docks) == docked
    assert all(dock.objectName() == name for name, dock in window.docks.docks.items())


def test_every_command_is_reachable_from_the_menu(opened):
    window, _ = opened

    in_menu = {
        action.objectName()
        for group in window.top._menu.menu().actions()
        for action in group.menu().actions()
    }

    assert in_menu == set(ACTIONS)


def test_every_control_has_an_accessible_name(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)

    unnamed = [widget for widget in a11y.unnamed_controls(window) if widget.isVisible()]

    assert [f"{type(widget).__name__} in {type(widget.parent()).__name__}" for widget in unnamed] == []


def test_the_start_screen_comes_first_and_shows_no_docks(opened):
    window, _ = opened

    assert window.state.screen == "start"
    assert window.start_page.isVisible()
    assert not any(dock.isVisible() for dock in window.docks.docks.values())


def test_a_video_leads_to_live_and_a_session_to_replay(qtbot, opened):
    window, pipeline = opened

    pipeline.script_source(make_source("video"))
    qtbot.waitUntil(lambda: window.state.screen == "live")
    pipeline.script_source(make_source("session"))
    qtbot.waitUntil(lambda: window.state.screen == "replay")

    assert not window.panels["decide"].isVisible()
    assert window.commands["recompute"].isEnabled()


def test_replay_without_a_session_says_so_and_keeps_the_live_source(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)

    QTest.keyClick(window, Qt.Key.Key_3, Qt.KeyboardModifier.ControlModifier)

    assert "No session is open" in window.panels["picture"].accessibleDescription()
    assert pipeline.asked("close_source") == []
    QTest.keyClick(window, Qt.Key.Key_1, Qt.KeyboardModifier.ControlModifier)
    assert window.live.frame is not None


def test_a_fault_is_a_banner_and_no_dialog(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)

    pipeline.fail(SourceLost("The camera does not answer.", "Plug it in."))
    qtbot.waitUntil(lambda: "source_lost" in window.desk.banner.codes())

    assert QApplication.activeModalWidget() is None


def test_a_layout_comes_back_for_its_role(qtbot, tmp_path):
    with open_window(qtbot, tmp_path) as (window, pipeline):
        watch(qtbot, window, pipeline)
        window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, window.docks.docks["events"])

    with open_window(qtbot, tmp_path) as (window, pipeline):
        watch(qtbot, window, pipeline)
        area = window.dockWidgetArea(window.docks.docks["events"])
        assert area == Qt.DockWidgetArea.LeftDockWidgetArea
        QTest.keyClick(
            window, Qt.Key.Key_R, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
        )
        assert window.dockWidgetArea(window.docks.docks["events"]) == Qt.DockWidgetArea.RightDockWidgetArea


def test_each_role_has_its_own_layout_and_the_reviewer_makes_no_records(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)

    window.commands["role_reviewer"].trigger()

    assert not window.panels["decide"].isVisible()
    assert not window.commands["near_miss"].isEnabled()
    assert "Reviewer" in window.windowTitle()


def test_closing_stops_the_pipeline_before_the_window_goes(qtbot, tmp_path):
    with open_window(qtbot, tmp_path) as (window, pipeline):
        watch(qtbot, window, pipeline)

    assert pipeline.calls[-1] == ("shutdown",)


def test_a_broken_panel_is_said_and_the_window_lives_on(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)

    window.bridge.receiverFailed.emit(ValueError("boom"))

    assert "error" in window.desk.banner.codes()
