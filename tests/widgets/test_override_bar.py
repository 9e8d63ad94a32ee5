"""A press is stamped at once, a hold ends when it can no longer be seen, and nobody has to answer a question."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton

from widgets import override_bar
from widgets.override_bar import REASONS, OverrideBar


class Ticks:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Ticks:
    return Ticks()


@pytest.fixture
def bar(qtbot, clock: Ticks) -> OverrideBar:
    made = OverrideBar(now_ns=clock)
    qtbot.addWidget(made)
    made.resize(340, 400)
    made.show()
    return made


def heard(bar: OverrideBar) -> list[tuple[object, ...]]:
    told: list[tuple[object, ...]] = []

    def note(name: str) -> Callable[..., None]:
        return lambda *args: told.append((name, *args))

    for name in (
        "overridePressed", "overrideReleased", "nearMissPressed", "reasonChosen", "severityChosen", "questionClosed",
    ):  # fmt: skip
        getattr(bar, name).connect(note(name))
    return told


def test_holding_with_the_mouse_stamps_press_and_release(bar: OverrideBar, clock: Ticks, qtbot) -> None:
    told = heard(bar)

    qtbot.mousePress(bar._override, Qt.MouseButton.LeftButton)
    clock.now = 4_200
    qtbot.mouseRelease(bar._override, Qt.MouseButton.LeftButton)

    assert told == [("overridePressed", 1_000), ("overrideReleased", 4_200)]


def test_a_hold_ends_when_the_button_loses_the_focus_or_is_switched_off(bar: OverrideBar, qtbot) -> None:
    told = heard(bar)
    qtbot.mousePress(bar._override, Qt.MouseButton.LeftButton)

    bar.setEnabled(False)

    assert [name for name, *_ in told] == ["overridePressed", "overrideReleased"]
    assert not bar.is_held


def test_a_press_from_elsewhere_is_drawn_and_not_sent_again(bar: OverrideBar) -> None:
    told = heard(bar)

    bar.press(0)
    bar.show_held(3_000_000_000)
    words = bar._override.accessibleDescription()
    bar.release(4_000_000_000)

    assert words == "OVERRIDE 3 s"
    assert told == []


def test_space_holds_like_the_mouse_and_repeats_are_ignored(bar: OverrideBar, qtbot) -> None:
    told = heard(bar)

    qtbot.keyPress(bar._near_miss, Qt.Key.Key_Space)
    qtbot.keyRelease(bar._near_miss, Qt.Key.Key_Space)

    assert [name for name, *_ in told] == ["nearMissPressed"]


@pytest.mark.parametrize("digit", range(1, 10))
def test_a_digit_gives_the_reason_of_the_record(bar: OverrideBar, digit: int) -> None:
    told = heard(bar)
    bar.ask_reason("event-1")

    assert bar.choose_digit(digit)

    assert told == [("reasonChosen", "event-1", REASONS[digit - 1][0])]
    assert bar.asking is None


def test_a_digit_gives_the_severity(bar: OverrideBar) -> None:
    told = heard(bar)
    bar.ask_severity("event-2")
    assert not bar.choose_digit(7)
    assert bar.choose_digit(0)
    assert told == [("severityChosen", "event-2", 0)]


def test_digits_mean_nothing_while_nothing_is_asked(bar: OverrideBar) -> None:
    assert not bar.choose_digit(2)


def test_an_unanswered_question_closes_by_itself(qtbot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(override_bar, "ASK_MS", 5)
    bar = OverrideBar()
    qtbot.addWidget(bar)
    told = heard(bar)

    with qtbot.waitSignal(bar.questionClosed):
        bar.ask_reason("event-3")

    assert told == [("questionClosed", "event-3")]
    assert bar._last.text() == "reason: not given"
    assert bar.asking is None


def test_it_takes_six_seconds_to_close() -> None:
    assert override_bar.ASK_MS == 6000


def test_a_second_question_closes_the_first_unanswered(bar: OverrideBar) -> None:
    told = heard(bar)
    bar.ask_reason("event-4")
    bar.ask_severity("event-5")
    assert told == [("questionClosed", "event-4")]
    assert bar.asking == ("severity", "event-5")


def test_last_event_says_on_disk_only_when_told_so(bar: OverrideBar) -> None:
    bar.show_last("▲ near miss", "saving")
    assert "on disk" not in bar._last.text()
    bar.show_last("▲ near miss", "on disk")
    assert bar._last.text() == "Last: ▲ near miss · on disk"
    bar.show_last("▲ near miss", "not recorded")
    assert "start recording" in bar._last.text()


def test_reason_codes_are_those_of_the_session_format() -> None:
    codes = {
        "unexpected_motion", "person_in_zone", "object_in_zone", "model_surprise", "wrong_goal", "perception_error",
        "planner_error", "sensor_fault", "latency", "contact_or_force", "operator_preference", "test", "other",
    }  # fmt: skip
    assert {code for code, _words in REASONS} == codes


def test_severities_are_said_in_the_words_of_the_format(bar: OverrideBar) -> None:
    bar.ask_severity("event-9")

    buttons = [made for made in bar._question.findChildren(QPushButton) if made.isVisibleTo(bar)]

    assert [made.accessibleName() for made in buttons] == [
        "none",
        "property or process only",
        "reversible injury",
        "irreversible injury or death",
    ]
    assert "irreversible injury or death" in buttons[3].toolTip()
