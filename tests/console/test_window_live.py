"""What is on the screen: the newest frame, a look that is never of a later frame, and a view that can freeze."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from console import notices
from jepa_core.errors import SourceLost, SourceNotFound
from tests.helpers.pipeline import make_source
from tests.helpers.window import open_window, watch


@pytest.fixture
def opened(qtbot, tmp_path):
    with open_window(qtbot, tmp_path) as pair:
        yield pair


def test_the_badge_says_how_stale_the_prediction_is(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)

    for _ in range(3):
        frame = pipeline.script_frame()
    qtbot.waitUntil(lambda: window.live.frame is frame)

    assert window.panels["picture"].staleness() == 3
    assert "stale, 3 frames" in window.panels["picture"].header_text()


def test_a_look_of_a_frame_not_yet_shown_waits_for_it(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)
    view = window.panels["picture"]
    before = view.inspection

    frame = pipeline.script_frame()
    pipeline.shown.take()
    look = pipeline.script_look(frame)
    qtbot.waitUntil(lambda: window.live._look is look)
    assert view.inspection is before

    pipeline.shown.put(frame)
    qtbot.waitUntil(lambda: view.inspection is look)


def test_a_jump_back_takes_the_later_look_away(qtbot, opened):
    window, pipeline = opened
    first = None
    pipeline.script_source(make_source("session"))
    first = pipeline.script_frame()
    qtbot.waitUntil(lambda: window.live.frame is first)
    later = pipeline.script_frame()
    pipeline.script_look(later)
    qtbot.waitUntil(lambda: window.panels["picture"].inspection is not None)

    pipeline.shown.put(first)
    qtbot.waitUntil(lambda: window.live.frame is first)

    assert window.panels["picture"].inspection is None


def test_space_freezes_only_the_view_of_a_live_source(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline, "world", is_live=True, is_seekable=False)
    frozen = window.live.frame

    QTest.keyClick(window, Qt.Key.Key_Space)
    newest = pipeline.script_frame()
    qtbot.waitUntil(lambda: window.live.newest_seq == newest.seq)

    assert window.live.frame is frozen
    assert pipeline.asked("pause") == []
    QTest.keyClick(window, Qt.Key.Key_End)
    assert window.live.frame is newest


def test_near_miss_at_the_cursor_marks_the_frozen_frame_and_n_the_newest(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline, "world", is_live=True, is_seekable=False)
    frozen = window.live.frame
    QTest.keyClick(window, Qt.Key.Key_Space)
    newest = pipeline.script_frame()
    qtbot.waitUntil(lambda: window.live.newest_seq == newest.seq)

    QTest.keyClick(window, Qt.Key.Key_N)
    QTest.keyClick(window, Qt.Key.Key_N, Qt.KeyboardModifier.ShiftModifier)

    assert [event.seq for event in pipeline.events] == [newest.seq, frozen.seq]
    assert pipeline.events[1].t_ns == frozen.t_ns


def test_a_source_that_cannot_be_opened_says_why_in_the_middle(qtbot, opened):
    window, pipeline = opened
    window.files.open("/nowhere/clip.mp4")

    error = SourceNotFound("clip.mp4: no such file.", "Check the path.")
    pipeline.say(notices.SourceFailed("/nowhere/clip.mp4", error))
    view = window.panels["picture"]
    qtbot.waitUntil(lambda: "no such file" in view.accessibleDescription())

    assert window.desk.banner.codes() == ()  # said once
    assert window.desk.toasts.texts() == ()


def test_a_source_that_is_lost_leaves_its_last_picture_and_says_so_once(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)

    pipeline.say(notices.SourceFailed("clip.mp4", SourceLost("The file ends early.", "Copy it again.")))
    qtbot.waitUntil(lambda: window.desk.banner.codes() == ("source_lost",))

    assert window.live.frame is not None
    assert "ends early" not in window.panels["picture"].accessibleDescription()
    pipeline.script_source(make_source("video"))
    qtbot.waitUntil(lambda: window.desk.banner.codes() == ())  # another one is open


def test_painted_frames_are_told_to_the_pipeline(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)

    qtbot.waitUntil(lambda: window.live.frame.seq in pipeline.painted)


def test_the_newest_of_a_burst_is_shown(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)

    frames = [pipeline.script_frame() for _ in range(50)]
    qtbot.waitUntil(lambda: window.live.frame is frames[-1])

    assert pipeline.shown.skipped == 49


def test_closing_the_source_empties_the_screen(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)

    window.commands["close_source"].trigger()
    qtbot.waitUntil(lambda: window.state.source is None)

    assert window.live.frame is None
    assert "No live source" in window.panels["picture"].accessibleDescription()
