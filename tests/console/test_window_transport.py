"""Play, step, seek and speed, from keys to the pipeline."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from tests.helpers.window import open_window, watch

SHIFT, ALT, CTRL = (
    Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.AltModifier,
    Qt.KeyboardModifier.ControlModifier,
)
NONE = Qt.KeyboardModifier.NoModifier


@pytest.fixture
def opened(qtbot, tmp_path):
    with open_window(qtbot, tmp_path) as (window, pipeline):
        pipeline_frame = 150
        watch(qtbot, window, pipeline, "session")
        frame = pipeline.script_frame(index=pipeline_frame)
        qtbot.waitUntil(lambda: window.live.frame is frame)
        pipeline.calls.clear()
        yield window, pipeline


@pytest.mark.parametrize(
    ("key", "modifier", "asked"),
    [
        (Qt.Key.Key_Left, NONE, ("step", -1)),
        (Qt.Key.Key_Comma, NONE, ("step", -1)),
        (Qt.Key.Key_Right, NONE, ("step", 1)),
        (Qt.Key.Key_Period, NONE, ("step", 1)),
        (Qt.Key.Key_Left, SHIFT, ("seek", 120)),
        (Qt.Key.Key_Right, SHIFT, ("seek", 180)),
        (Qt.Key.Key_Left, ALT, ("seek", 0)),
        (Qt.Key.Key_Right, ALT, ("seek", 299)),
        (Qt.Key.Key_Home, NONE, ("seek", 0)),
        (Qt.Key.Key_End, NONE, ("seek", 299)),
        (Qt.Key.Key_K, NONE, ("pause",)),
        (Qt.Key.Key_Space, NONE, ("pause",)),
        (Qt.Key.Key_J, NONE, ("seek", 120)),
        (Qt.Key.Key_L, NONE, ("set_speed", 2.0)),
        (Qt.Key.Key_Less, NONE, ("set_speed", 0.5)),
        (Qt.Key.Key_Greater, NONE, ("set_speed", 2.0)),
    ],
)
def test_a_key_does_what_the_sheet_says(opened, key, modifier, asked):
    window, pipeline = opened

    QTest.keyClick(window, key, modifier)

    assert pipeline.calls == [asked]


def test_space_plays_again_after_a_pause(qtbot, opened):
    window, pipeline = opened
    QTest.keyClick(window, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: not window.transport._is_playing)

    QTest.keyClick(window, Qt.Key.Key_Space)

    assert pipeline.calls == [("pause",), ("play",)]


def test_the_timeline_seeks_by_time(opened):
    window, pipeline = opened

    window.panels["timeline"].seekRequested.emit(2**61)

    assert pipeline.calls == [("seek_time", 2**61)]


def test_the_next_event_is_jumped_to(qtbot, opened):
    window, pipeline = opened
    now_ns = window.state.cursor_t_ns
    pipeline.near_miss(now_ns + 5, 7)
    qtbot.waitUntil(lambda: len(window.events._items) == 1)

    QTest.keyClick(window, Qt.Key.Key_Right, CTRL)

    assert pipeline.calls == [("seek_time", now_ns + 5)]


def test_a_live_source_is_never_sought(qtbot, tmp_path):
    with open_window(qtbot, tmp_path) as (window, pipeline):
        watch(qtbot, window, pipeline, "world", is_live=True, is_seekable=False)
        pipeline.calls.clear()

        for key in (Qt.Key.Key_Left, Qt.Key.Key_Home, Qt.Key.Key_J, Qt.Key.Key_K):
            QTest.keyClick(window, key)

        assert pipeline.calls == []
