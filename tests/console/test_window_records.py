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


def rows(window):
    return {row.kind: row for row in window.panels["events"].shown()}


def is_retracted(window, kind):
    return kind in rows(window) and rows(window)[kind].is_retracted


def test_the_answer_too_is_on_disk_only_when_it_is(qtbot, opened):
    window, pipeline = opened
    record(qtbot, window)
    last = window.panels["decide"]._last
    QTest.keyClick(window, Qt.Key.Key_N)
    pipeline.script_saved()
    qtbot.waitUntil(lambda: "on disk" in last.text())

    QTest.keyClick(window, Qt.Key.Key_2)
    assert "reversible injury" in last.text()
    assert "saving" in last.text()
    pipeline.script_saved()
    qtbot.waitUntil(lambda: "on disk" in last.text())


def test_taking_back_is_an_amendment_and_the_list_keeps_the_mark(qtbot, opened):
    window, pipeline = opened
    record(qtbot, window)
    QTest.keyClick(window, Qt.Key.Key_B)
    QTest.keyClick(window, Qt.Key.Key_N)
    near_miss = pipeline.events[-1]

    QTest.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: is_retracted(window, "near_miss"))

    assert pipeline.events[-1].payload["supersedes"] == near_miss.id
    assert window.panels["decide"].asking is None
    assert not rows(window)["bookmark"].is_retracted
    assert [kind for kind, _saved, _failed in marks(window)] == ["bookmark"]

    QTest.keyClick(window, Qt.Key.Key_Y, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: not is_retracted(window, "near_miss"))
    assert rows(window)["near_miss"].old_text == ""
    assert len(pipeline.events) == 4  # two marks and two amendments: nothing was removed


def test_a_mark_of_another_recording_is_not_taken_back_in_this_one(qtbot, opened):
    window, pipeline = opened
    QTest.keyClick(window, Qt.Key.Key_B)
    assert window.commands["undo"].isEnabled()

    record(qtbot, window)

    assert not window.commands["undo"].isEnabled()
    assert len(pipeline.events) == 1


def test_a_whole_override_is_taken_back_by_its_press(qtbot, opened):
    window, pipeline = opened
    record(qtbot, window)
    window.records.override_start(1_000_000_000)
    window.records.undo()
    assert len(pipeline.events) == 1  # a hold is not taken back while it lasts
    window.records.override_end(3_000_000_000)

    window.records.undo()

    qtbot.waitUntil(lambda: is_retracted(window, "override"))
    assert pipeline.events[-1].payload["supersedes"] == pipeline.events[0].id


def test_what_was_noted_stands_in_the_list(qtbot, opened):
    window, pipeline = opened

    pipeline.note(1, 0, "sleeve near the gripper")
    qtbot.waitUntil(lambda: "note" in rows(window))

    assert "sleeve near the gripper" in rows(window)["note"].text


def test_only_what_a_person_said_before_is_struck_through(qtbot, opened):
    window, pipeline = opened
    window.records.override_start(1_000_000_000)
    window.records.override_end(3_800_000_000)
    QTest.keyClick(window, Qt.Key.Key_2)
    qtbot.waitUntil(lambda: "person in zone" in rows(window)["override"].text if rows(window) else False)
    assert rows(window)["override"].old_text == ""  # nothing had been said before

    pipeline.amend(pipeline.events[0].id, reason_code="latency")
    pipeline.amend(pipeline.events[0].id, reason_code="test")
    qtbot.waitUntil(lambda: rows(window)["override"].text == "2.8 s · test")

    assert rows(window)["override"].old_text == "latency"


def test_a_recording_without_events_does_not_ask_to_press_keys(qtbot, opened):
    window, pipeline = opened
    empty = window.panels["events"]._empty

    watch(qtbot, window, pipeline, "session")
    qtbot.waitUntil(lambda: "Nobody marked" in empty.text())

    watch(qtbot, window, pipeline, "video")
    qtbot.waitUntil(lambda: "N marks a near miss" in empty.text())
