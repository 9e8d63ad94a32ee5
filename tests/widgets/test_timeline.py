"""The curve asks for as much as it can show, tells marks apart, and turns clicks into moments."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt

from jepa_core.tracks import SignalTrack
from tests.widgets.gallery import SECOND, make_marks, make_track
from widgets.curve import polygon
from widgets.timeline import EventMark, Timeline


class CountingTrack(SignalTrack):
    """A real track that remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__("surprise", "l1")
        self.asked: list[tuple[int, int, int]] = []

    def window(self, t0: int, t1: int, columns: int):  # type: ignore[no-untyped-def]
        self.asked.append((t0, t1, columns))
        return super().window(t0, t1, columns)


@pytest.fixture
def line(qtbot) -> Timeline:
    made = Timeline()
    qtbot.addWidget(made)
    made.resize(1024, 180)
    made.show()
    made.set_track(make_track(), "Surprise")
    made.set_origin(0)
    made.refresh(107 * SECOND)
    return made


def x_of(line: Timeline, t_ns: int) -> int:
    t0, t1 = line.view_range()
    return round(44 + (t_ns - t0) / (t1 - t0) * (line.width() - 56))


def test_at_most_one_bucket_per_pixel_column_is_asked_for(qtbot) -> None:
    track, line = CountingTrack(), Timeline()
    qtbot.addWidget(line)
    for n in range(20_000):
        track.append(n * SECOND // 100, 0.5, n)
    line.resize(800, 180)
    line.set_track(track, "Surprise")

    line.refresh(200 * SECOND)
    line.grab()

    assert track.asked[-1][2] <= 800


def test_a_click_asks_for_its_moment(line: Timeline, qtbot) -> None:
    with qtbot.waitSignal(line.seekRequested) as asked:
        qtbot.mouseClick(line, Qt.MouseButton.LeftButton, pos=QPoint(x_of(line, 60 * SECOND), 120))

    assert abs(asked.args[0] - 60 * SECOND) < SECOND // 5


def test_a_moment_keeps_all_its_nanoseconds(line: Timeline, qtbot) -> None:
    start = 3_600_000_000_000_123_456
    line.set_track(make_track(), "Surprise")
    line.set_window(None)
    line.set_span(start, start + 10 * SECOND)

    with qtbot.waitSignal(line.seekRequested) as asked:
        qtbot.mouseClick(line, Qt.MouseButton.LeftButton, pos=QPoint(44, 120))

    assert asked.args[0] == start


def test_dragging_looks_back_while_live_goes_on_and_end_follows_again(line: Timeline, qtbot) -> None:
    told: list[bool] = []
    line.followChanged.connect(told.append)
    before = line.view_range()

    qtbot.mousePress(line, Qt.MouseButton.LeftButton, pos=QPoint(500, 120))
    qtbot.mouseMove(line, QPoint(550, 120))
    qtbot.mouseRelease(line, Qt.MouseButton.LeftButton, pos=QPoint(550, 120))
    back = line.view_range()
    qtbot.keyClick(line, Qt.Key.Key_End)

    assert back[0] < before[0]
    assert line.view_range() == before
    assert told == [False, True]


def test_dragging_a_whole_session_seeks_along(line: Timeline, qtbot) -> None:
    line.set_window(None)
    line.set_span(0, 100 * SECOND)
    asked: list[int] = []
    line.seekRequested.connect(asked.append)

    qtbot.mousePress(line, Qt.MouseButton.LeftButton, pos=QPoint(200, 120))
    for x in (300, 400, 500):
        qtbot.mouseMove(line, QPoint(x, 120))
    qtbot.mouseRelease(line, Qt.MouseButton.LeftButton, pos=QPoint(500, 120))

    assert asked == sorted(asked)
    assert len(asked) >= 3


def test_a_click_on_a_mark_activates_its_event(line: Timeline, qtbot) -> None:
    line.set_events(make_marks())

    with qtbot.waitSignal(line.eventActivated) as activated:
        qtbot.mouseClick(line, Qt.MouseButton.LeftButton, pos=QPoint(x_of(line, 72 * SECOND), 42))

    assert activated.args == ["b"]


def test_marks_say_in_words_whether_they_are_on_disk(line: Timeline) -> None:
    line.set_events(make_marks())
    words = {mark.id: line.mark_words(mark) for mark in make_marks()}
    assert "on disk" in words["b"]
    assert "not on disk yet" in words["c"]
    assert "could not be saved" in words["d"]
    assert words["a"].startswith("flag")


def test_a_mark_turns_from_hollow_to_solid_when_it_is_saved(line: Timeline) -> None:
    at = QPoint(x_of(line, 50 * SECOND), 42)
    pictures = []
    for is_saved in (False, True):
        line.set_events([EventMark("m", 50 * SECOND, -1, "near_miss", " ", is_saved=is_saved)])
        pictures.append(line.grab().toImage().pixelColor(at).name())

    assert pictures[1] == "#d55e00"
    assert pictures[0] != pictures[1]


def test_the_curve_grows_from_the_left_until_the_window_is_full(line: Timeline) -> None:
    line.set_origin(100 * SECOND)
    assert line.view_range() == (100 * SECOND, 200 * SECOND)


def test_the_height_of_the_scale_never_shrinks(line: Timeline) -> None:
    line.grab()
    before = line._ceiling
    line.set_window(1.0)
    line.grab()
    assert line._ceiling == before


def test_description_counts_the_events(line: Timeline) -> None:
    line.set_events(make_marks())
    assert line.description() == "Surprise over time. 1 flag, 1 override, 2 near misses, 1 bookmark"


def test_polygon_holds_the_points() -> None:
    points = np.array([[1.5, 2.0], [-3.0, 4.25]])
    made = polygon(points)
    assert [(p.x(), p.y()) for p in made] == [(1.5, 2.0), (-3.0, 4.25)]
    assert polygon(np.empty((0, 2))).isEmpty()
