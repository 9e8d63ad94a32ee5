"""Recording and events: hollow until saved, red when not, sealed at the end."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from console import notices
from jepa_core.errors import WriteFailed
from tests.helpers.window import open_window, watch


@pytest.fixture
def opened(qtbot, tmp_path):
    with open_window(qtbot, tmp_path) as (window, pipeline):
        watch(qtbot, window, pipeline, "world", is_live=True, is_seekable=False)
        yield window, pipeline


def marks(window):
    return [(mark.kind, mark.is_saved, mark.is_failed) for mark in window.panels["timeline"]._marks]


def record(qtbot, window):
    QTest.keyClick(window, Qt.Key.Key_R, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: window.state.recording is not None)


def test_recording_goes_to_the_folder_of_the_settings_and_is_plain_to_see(qtbot, opened, tmp_path):
    window, pipeline = opened

    record(qtbot, window)

    assert pipeline.asked("start_recording") == [("start_recording", str(tmp_path / "recordings"))]
    assert window._frame.isVisible()
    assert window.top.badge.isVisible()
    assert "REC" in window.windowTitle()


def test_a_mark_is_hollow_until_its_event_is_on_disk(qtbot, opened):
    window, pipeline = opened
    record(qtbot, window)

    QTest.keyClick(window, Qt.Key.Key_N)
    qtbot.waitUntil(lambda: marks(window) == [("near_miss", False, False)])
    pipeline.script_saved()
    qtbot.waitUntil(lambda: marks(window) == [("near_miss", True, False)])


def test_an_event_that_failed_stays_hollow_and_says_why(qtbot, opened):
    window, pipeline = opened
    record(qtbot, window)
    QTest.keyClick(window, Qt.Key.Key_B)
    event = pipeline.events[-1]

    pipeline.say(
        notices.EventFailed(event.id, WriteFailed("The journal cannot be written.", "Check the disk."))
    )
    qtbot.waitUntil(lambda: marks(window) == [("bookmark", False, True)])

    assert "write_failed" in window.desk.banner.codes()
    assert "not all is saved" in window.top.badge.accessibleName()


def test_without_a_recording_the_bar_says_that_nothing_is_kept(qtbot, opened):
    window, _pipeline = opened

    QTest.keyClick(window, Qt.Key.Key_B)

    assert "not recorded" in window.panels["decide"]._last.text()


def test_a_sealed_session_is_among_the_recents(qtbot, opened):
    window, _pipeline = opened
    record(qtbot, window)

    window.commands["record_stop"].trigger()
    qtbot.waitUntil(lambda: window.state.recording is None)

    assert [row.uri for row in window.desk.settings.recents("session")] == [str(Path("/recordings/s.h5"))]
    assert not window.top.badge.isVisible()


def test_a_session_is_not_opened_over_a_running_recording(qtbot, opened):
    window, pipeline = opened
    record(qtbot, window)

    window.files.open("/recordings/other.h5")

    assert pipeline.asked("open_source") == []
    assert "request_error" in window.desk.banner.codes()


def test_the_reviewer_role_waits_for_the_end_of_a_recording(qtbot, opened):
    window, _pipeline = opened
    record(qtbot, window)

    window.commands["role_reviewer"].trigger()

    assert window.state.role == "operator"


def test_severity_and_reason_stand_beside_the_mark(qtbot, opened):
    window, pipeline = opened
    QTest.keyClick(window, Qt.Key.Key_N)
    QTest.keyClick(window, Qt.Key.Key_2)
    qtbot.waitUntil(lambda: any("sev 2" in mark.label for mark in window.panels["timeline"]._marks))

    assert len(pipeline.events) == 2
