"""Keys as a person presses them: holds, the slow stop, and silence while somebody types."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit

from jepa_core.types import EventKind
from tests.helpers.window import open_window, watch


@pytest.fixture
def opened(qtbot, tmp_path):
    with open_window(qtbot, tmp_path) as (window, pipeline):
        watch(qtbot, window, pipeline, "world", is_live=True, is_seekable=False)
        yield window, pipeline


def lift(qtbot, window):
    QTest.keyRelease(window, Qt.Key.Key_O)
    qtbot.waitUntil(lambda: not window.keys.is_overriding)


def kinds(pipeline):
    return [(event.kind, event.payload.get("phase", "")) for event in pipeline.events]


def test_o_overrides_from_press_to_release(qtbot, opened):
    window, pipeline = opened

    QTest.keyPress(window, Qt.Key.Key_O)
    pipeline.clock.advance(2_000_000_000)
    lift(qtbot, window)

    assert kinds(pipeline) == [(EventKind.OVERRIDE, "start"), (EventKind.OVERRIDE, "end")]
    assert pipeline.events[1].payload["t_end_mono_ns"] - pipeline.events[0].t_ns == 2_000_000_000
    assert pipeline.events[0].seq == window.live.frame.seq


def test_auto_repeat_is_not_a_second_override(qtbot, opened):
    window, pipeline = opened
    repeat = QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_O, Qt.KeyboardModifier.NoModifier, "o", True)
    lifted = QKeyEvent(QEvent.Type.KeyRelease, Qt.Key.Key_O, Qt.KeyboardModifier.NoModifier, "o", True)

    QTest.keyPress(window, Qt.Key.Key_O)
    for event in (lifted, repeat, lifted, repeat):
        QApplication.sendEvent(window, event)
    lift(qtbot, window)

    assert len(pipeline.events) == 2


def test_a_repeat_that_the_x_server_did_not_mark_is_not_a_release(qtbot, opened):
    window, pipeline = opened

    QTest.keyPress(window, Qt.Key.Key_O)
    for t_ms in (100, 140, 180):
        for kind in (QEvent.Type.KeyRelease, QEvent.Type.KeyPress):
            event = QKeyEvent(kind, Qt.Key.Key_O, Qt.KeyboardModifier.NoModifier, "o", False)
            event.setTimestamp(t_ms)
            QApplication.sendEvent(window, event)

    assert kinds(pipeline) == [(EventKind.OVERRIDE, "start")]
    lift(qtbot, window)
    assert len(pipeline.events) == 2


def test_a_release_is_stamped_when_the_key_went_up(qtbot, opened):
    window, pipeline = opened
    QTest.keyPress(window, Qt.Key.Key_O)
    pipeline.clock.advance(1_000_000_000)
    lifted_ns = pipeline.clock.now_ns()

    QTest.keyRelease(window, Qt.Key.Key_O)
    pipeline.clock.advance(500_000_000)
    qtbot.waitUntil(lambda: len(pipeline.events) == 2)

    assert pipeline.events[1].payload["t_end_mono_ns"] == lifted_ns


def test_a_held_override_ends_when_the_window_loses_the_keyboard(qtbot, opened):
    window, pipeline = opened

    QTest.keyPress(window, Qt.Key.Key_O)
    QApplication.sendEvent(window, QEvent(QEvent.Type.WindowDeactivate))

    assert kinds(pipeline)[-1] == (EventKind.OVERRIDE, "end")
    assert not window.keys.is_overriding


@pytest.mark.parametrize("panel", ["picture", "timeline", "events", "signals", "layers", "transport"])
def test_override_and_near_miss_work_in_every_panel(qtbot, opened, panel):
    window, pipeline = opened
    widget = window.panels[panel]
    focus = next(
        (child for child in [widget, *widget.findChildren(type(widget).__mro__[-3])]
         if child.isWidgetType() and child.focusPolicy() != Qt.FocusPolicy.NoFocus and not isinstance(child, QLineEdit)
         and child.isVisible()),
        window,
    )  # fmt: skip
    focus.setFocus()

    QTest.keyPress(focus, Qt.Key.Key_O)
    QTest.keyRelease(focus, Qt.Key.Key_O)
    QTest.keyClick(focus, Qt.Key.Key_N)

    assert [kind for kind, _ in kinds(pipeline)] == [
        EventKind.OVERRIDE,
        EventKind.OVERRIDE,
        EventKind.NEAR_MISS,
    ]


def test_letters_never_fire_while_somebody_types(qtbot, opened):
    window, pipeline = opened
    field = window.panels["events"].findChild(QLineEdit)
    field.setFocus()
    qtbot.waitUntil(field.hasFocus)

    QTest.keyClicks(field, "one more?")

    assert field.text() == "one more?"
    assert pipeline.events == []
    assert QApplication.activeWindow() is window


def test_single_letters_can_be_switched_off(qtbot, tmp_path):
    with open_window(qtbot, tmp_path, look__single_letter_keys=False) as (window, pipeline):
        watch(qtbot, window, pipeline)

        QTest.keyPress(window, Qt.Key.Key_O)
        QTest.keyRelease(window, Qt.Key.Key_O)
        QTest.keyClick(window, Qt.Key.Key_N)

        assert pipeline.events == []


def test_a_digit_answers_the_question_after_a_near_miss(qtbot, opened):
    window, pipeline = opened

    QTest.keyClick(window, Qt.Key.Key_N)
    QTest.keyClick(window, Qt.Key.Key_3)

    assert pipeline.asked("amend") == [("amend", pipeline.events[0].id, {"severity_potential": 3})]


def test_a_digit_gives_the_reason_of_an_override(qtbot, opened):
    window, pipeline = opened

    QTest.keyPress(window, Qt.Key.Key_O)
    QTest.keyRelease(window, Qt.Key.Key_O)
    QTest.keyClick(window, Qt.Key.Key_2)

    assert pipeline.asked("amend") == [("amend", pipeline.events[0].id, {"reason_code": "person_in_zone"})]


def test_a_tap_of_ctrl_r_starts_but_never_stops(qtbot, opened):
    window, pipeline = opened
    ctrl = Qt.KeyboardModifier.ControlModifier

    QTest.keyClick(window, Qt.Key.Key_R, ctrl)
    qtbot.waitUntil(lambda: window.state.recording is not None)
    QTest.keyClick(window, Qt.Key.Key_R, ctrl)

    assert len(pipeline.asked("start_recording")) == 1
    assert pipeline.asked("stop_recording") == []


def test_ctrl_r_held_for_a_second_stops(qtbot, opened):
    window, pipeline = opened
    ctrl = Qt.KeyboardModifier.ControlModifier
    QTest.keyClick(window, Qt.Key.Key_R, ctrl)
    qtbot.waitUntil(lambda: window.state.recording is not None)

    with qtbot.waitSignal(window.keys.stopHoldEnded, timeout=3000) as held:
        QTest.keyPress(window, Qt.Key.Key_R, ctrl)
    QTest.keyRelease(window, Qt.Key.Key_R, ctrl)

    assert held.args == [True]
    assert len(pipeline.asked("stop_recording")) == 1


def test_space_presses_a_focused_button_instead_of_freezing(qtbot, opened):
    window, _pipeline = opened
    box = window.panels["layers"]._boxes["error"]
    box.setFocus()
    qtbot.waitUntil(box.hasFocus)

    QTest.keyClick(box, Qt.Key.Key_Space)

    assert not window.live.is_frozen
    assert "error" not in window.state.layers


def test_enter_presses_the_focused_button(qtbot, tmp_path):
    with open_window(qtbot, tmp_path) as (window, pipeline):
        window.start_page.focus_first()

        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Return)

        assert pipeline.asked("open_source")[0][1].startswith("world:")


def test_escape_cancels_the_load(qtbot, opened):
    window, pipeline = opened
    pipeline.load_checkpoint("/models/other.pt")
    qtbot.waitUntil(lambda: window.models.is_loading)

    QTest.keyClick(window, Qt.Key.Key_Escape)

    assert pipeline.asked("cancel_load") == [("cancel_load",)]


def test_replay_takes_no_overrides(qtbot, tmp_path):
    with open_window(qtbot, tmp_path) as (window, pipeline):
        watch(qtbot, window, pipeline, "session")

        QTest.keyPress(window, Qt.Key.Key_O)
        QTest.keyRelease(window, Qt.Key.Key_O)
        QTest.keyClick(window, Qt.Key.Key_N)

        assert pipeline.events == []


def test_a_repeat_that_was_not_marked_does_not_end_the_hold_that_stops_a_recording(qtbot, opened):
    window, pipeline = opened
    QTest.keyClick(window, Qt.Key.Key_R, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: window.keys.is_recording)
    window.keys._hold.setInterval(150)
    held = Qt.KeyboardModifier.ControlModifier
    began = []
    window.keys.stopHoldBegan.connect(lambda: began.append(True))

    QTest.keyPress(window, Qt.Key.Key_R, held)
    for t_ms in (100, 140):
        for kind in (QEvent.Type.KeyRelease, QEvent.Type.KeyPress):
            event = QKeyEvent(kind, Qt.Key.Key_R, held, "", False)
            event.setTimestamp(t_ms)
            QApplication.sendEvent(window.panels["picture"], event)  # goes up from widget to widget

    qtbot.waitUntil(lambda: bool(pipeline.asked("stop_recording")))
    assert began == [True]
    qtbot.waitUntil(lambda: window.keys.can_record)
    QTest.keyPress(window, Qt.Key.Key_R, held)  # still down, and again not marked
    assert len(pipeline.asked("start_recording")) == 1

    QTest.keyRelease(window, Qt.Key.Key_R, held)
    qtbot.waitUntil(lambda: not window.keys._settle.isActive())
    QTest.keyClick(window, Qt.Key.Key_R, held)
    assert len(pipeline.asked("start_recording")) == 2
