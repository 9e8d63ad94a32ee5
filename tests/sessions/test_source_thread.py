"""The source thread against the clock that only moves when told to. Nothing here sleeps or measures wall time."""

from __future__ import annotations

import queue
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jepa_core.clock import CancelToken, FakeClock, SystemClock
from jepa_core.errors import ConsoleError, NotSeekable, SourceError, SourceLost, SourceNotFound
from jepa_core.types import SourceInfo
from sessions.source_thread import MOST_ERRORS_IN_A_ROW, SourceThread
from sessions.sources.base import Grab, Pace
from sessions.sources.session_file import SessionFile
from tests.helpers.sources import WAIT_S, ScriptedSource, SessionStandIn

MS = 1_000_000


class WatchedClock(FakeClock):
    """A FakeClock that tells the test when somebody waits, and until when. Time moves only with `advance`."""

    def __init__(self) -> None:
        super().__init__(start_ns=1_000 * MS)
        self.waits: queue.Queue[int] = queue.Queue()

    def wait_until(self, t_ns: int, cancel: CancelToken) -> bool:
        if t_ns > self.now_ns():
            self.waits.put(t_ns)
        return super().wait_until(t_ns, cancel)

    def next_wait(self) -> int:
        """The moment the thread has just begun to wait for."""
        return self.waits.get(timeout=WAIT_S)


class Player:
    """A thread under test and everything it said, in order."""

    def __init__(
        self, source: ScriptedSource | SessionFile, clock: FakeClock | SystemClock | None = None, **options
    ) -> None:
        self.clock = clock or WatchedClock()
        self.source = source
        self.grabs: queue.Queue[tuple[Grab, bool, int]] = queue.Queue()
        self.faults: queue.Queue[ConsoleError] = queue.Queue()
        self.ends: queue.Queue[str] = queue.Queue()
        self.infos: queue.Queue[SourceInfo] = queue.Queue()
        self.transports: queue.Queue[tuple[bool, float | None, Pace]] = queue.Queue()
        deliver = options.pop("deliver", self.collect)
        self.thread = SourceThread(
            source,
            deliver=deliver,
            on_end=lambda: self.ends.put("end"),
            on_fault=self.faults.put,
            on_open=self.infos.put,
            on_transport=lambda *now: self.transports.put(now),
            clock=self.clock,
            **options,
        )

    def collect(self, grab: Grab, is_jump: bool) -> None:
        self.grabs.put((grab, is_jump, self.clock.now_ns()))

    def start(self) -> Player:
        self.thread.start()
        return self

    def next(self) -> tuple[int, bool]:
        grab, is_jump, _ = self.grabs.get(timeout=WAIT_S)
        return grab.index, is_jump

    def next_at(self) -> tuple[int, int]:
        """Frame number and the time it was delivered at."""
        grab, _, now_ns = self.grabs.get(timeout=WAIT_S)
        return grab.index, now_ns

    def transport(self) -> tuple[bool, float | None, Pace]:
        return self.transports.get(timeout=WAIT_S)

    def fault(self) -> ConsoleError:
        return self.faults.get(timeout=WAIT_S)

    def end(self) -> str:
        return self.ends.get(timeout=WAIT_S)


@pytest.fixture
def player():
    """Makes players and stops whatever they left running."""
    made: list[Player] = []

    def make(source: ScriptedSource | SessionFile | None = None, **options) -> Player:
        made.append(Player(source if source is not None else ScriptedSource(), **options))
        return made[-1]

    yield make
    for one in made:
        for gate in getattr(one.source, "blocked", {}).values():
            gate.set()
        one.thread.stop(deadline=WAIT_S)


# -- pacing -------------------------------------------------------------------------------------------------------------


def test_pictures_come_when_they_are_due(player):
    play = player(ScriptedSource(frames=4, fps=10.0)).start()
    start = play.next_at()
    assert start == (0, 1_000 * MS)
    for number in (1, 2, 3):
        assert play.clock.next_wait() == (1_000 + 100 * number) * MS
        play.clock.advance(100 * MS)
        assert play.next_at() == (number, (1_000 + 100 * number) * MS)
    assert play.end() == "end"


def test_timing_follows_uneven_time_stamps(player):
    stamps = [0, 20 * MS, 250 * MS, 260 * MS]
    play = player(ScriptedSource(frames=4, pts_ns=stamps)).start()
    play.next()
    for number in (1, 2, 3):
        assert play.clock.next_wait() == 1_000 * MS + stamps[number]
        play.clock.advance(stamps[number] - stamps[number - 1])
        assert play.next()[0] == number


def test_small_delays_do_not_add_up(player):
    play = player(ScriptedSource(frames=6, fps=10.0)).start()
    play.next()
    for number in range(1, 6):
        assert play.clock.next_wait() == (1_000 + 100 * number) * MS, (
            "due by the anchor, not by the last picture"
        )
        play.clock.advance(100 * MS + (3 * MS if number == 1 else 0))
        play.next()


def test_a_picture_that_is_late_comes_at_once(player):
    play = player(ScriptedSource(frames=4, fps=10.0)).start()
    play.next()
    play.clock.next_wait()
    play.clock.advance(250 * MS)  # frames 1 and 2 are late, 3 is due in 50 ms
    assert [play.next()[0], play.next()[0]] == [1, 2]
    assert play.clock.next_wait() == 1_300 * MS


def test_more_than_a_second_late_starts_the_clock_anew_instead_of_racing(player):
    play = player(ScriptedSource(frames=20, fps=10.0)).start()
    play.next()
    play.clock.next_wait()
    play.clock.advance(1_500 * MS)
    assert play.next_at() == (1, 2_500 * MS)
    assert play.clock.next_wait() == 2_600 * MS, "one interval after the late one"


@pytest.mark.parametrize(("speed", "interval_ms"), [(0.5, 200), (2.0, 50), (10.0, 10)])
def test_speed_stretches_the_intervals(player, speed: float, interval_ms: int):
    play = player(ScriptedSource(frames=3, fps=10.0), speed=speed).start()
    play.next()
    assert play.clock.next_wait() == (1_000 + interval_ms) * MS


def test_without_a_speed_pictures_come_as_fast_as_they_are_taken(player):
    play = player(ScriptedSource(frames=50, fps=10.0), speed=None).start()
    assert [play.next()[0] for _ in range(50)] == list(range(50))
    assert play.end() == "end"
    assert play.clock.waits.empty()


def test_a_new_speed_counts_from_the_picture_that_is_shown(player):
    play = player(ScriptedSource(frames=5, fps=10.0)).start()
    play.next()
    assert play.clock.next_wait() == 1_100 * MS
    play.clock.advance(40 * MS)
    for speed, due_ms in [(0.5, 1_200), (0.25, 1_400), (0.5, 1_200)]:  # a slider that is dragged
        play.thread.set_speed(speed)
        assert play.clock.next_wait() == due_ms * MS
    assert play.grabs.empty(), "no picture comes early because the speed was changed"
    play.clock.advance(160 * MS)
    assert play.next_at() == (1, 1_200 * MS)
    assert play.clock.next_wait() == 1_400 * MS
    assert [play.transport()[1] for _ in range(4)] == [1.0, 0.5, 0.25, 0.5]


@pytest.mark.parametrize("speed", [0.0, -1.0, float("inf"), float("nan")])
def test_a_speed_that_means_nothing_is_refused(player, speed: float):
    with pytest.raises(ValueError, match="speed"):
        player(ScriptedSource()).thread.set_speed(speed)


def test_a_recording_is_paced_by_its_capture_times(player, tmp_path: Path):
    stand_in = SessionStandIn(frames=4)
    play = player(SessionFile(tmp_path / "s.h5", stand_in)).start()
    play.next()
    first = int(stand_in.frame_t_ns[0])
    assert play.clock.next_wait() == 1_000 * MS + int(stand_in.frame_t_ns[1]) - first


# -- every frame ----------------------------------------------------------------------------------------------------------


def test_lossless_waits_for_the_consumer_and_loses_nothing(player):
    gate, entered = threading.Semaphore(0), threading.Semaphore(0)
    taken: list[int] = []

    def deliver(grab: Grab, is_jump: bool) -> None:
        entered.release()
        assert gate.acquire(timeout=WAIT_S)
        taken.append(grab.index)

    play = player(ScriptedSource(frames=5), pace=Pace.LOSSLESS, speed=None, deliver=deliver).start()
    for number in range(5):
        assert entered.acquire(timeout=WAIT_S)
        assert taken == list(range(number)), "nothing is read ahead past a consumer that has not taken"
        gate.release()
    assert play.end() == "end"
    assert taken == [0, 1, 2, 3, 4]


def test_lossless_never_makes_up_for_lost_time(player):
    play = player(ScriptedSource(frames=5, fps=10.0), pace=Pace.LOSSLESS).start()
    play.next()
    play.clock.next_wait()
    play.clock.advance(400 * MS)  # the consumer took long: frame 1 is 300 ms late
    assert play.next_at() == (1, 1_400 * MS)
    assert play.clock.next_wait() == 1_500 * MS, "frame 2 keeps its full distance from frame 1"


def test_a_consumer_that_blocks_is_let_go_by_stop(player):
    entered = threading.Event()

    def deliver(grab: Grab, is_jump: bool) -> None:
        entered.set()
        play.thread.cancel.wait(WAIT_S)

    play = player(ScriptedSource(), pace=Pace.LOSSLESS, speed=None, deliver=deliver).start()
    assert entered.wait(WAIT_S)
    assert play.thread.stop(deadline=WAIT_S)


# -- transport --------------------------------------------------------------------------------------------------------------


def test_the_first_picture_shows_even_when_paused(player):
    play = player(is_playing=False).start()
    assert play.next() == (0, True)
    assert play.transport() == (False, 1.0, Pace.LIVE)
    play.thread.play()
    assert play.next() == (1, False)


def test_pause_keeps_the_next_picture_and_play_gives_it_at_once(player):
    play = player(ScriptedSource(frames=4, fps=10.0)).start()
    play.next()
    play.clock.next_wait()
    play.thread.pause()
    assert [play.transport()[0], play.transport()[0]] == [True, False]
    play.clock.advance(60_000 * MS)
    assert play.grabs.empty()
    play.thread.play()
    assert play.next_at() == (1, 61_000 * MS)
    assert play.clock.next_wait() == 61_100 * MS, "the pause is not made up for"


def test_steps_go_one_by_one_and_pause(player):
    play = player(ScriptedSource(frames=10)).start()
    play.next()
    play.clock.next_wait()
    play.thread.step(1)
    assert play.next() == (1, False)
    play.thread.step(3)
    assert [play.next() for _ in range(3)] == [(2, False), (3, False), (4, False)]
    play.thread.step(-2)
    assert play.next() == (2, True)
    assert play.transport()[0] is True
    assert play.transport()[0] is False
    play.clock.advance(10_000 * MS)
    assert play.grabs.empty()


def test_a_seek_while_paused_shows_that_picture(player):
    play = player(ScriptedSource(frames=10), is_playing=False).start()
    play.next()
    play.thread.seek(7)
    assert play.next() == (7, True)
    play.thread.step(1)
    assert play.next() == (8, False)


def test_a_seek_while_playing_goes_on_from_there(player):
    play = player(ScriptedSource(frames=10, fps=10.0)).start()
    play.next()
    play.clock.next_wait()
    play.thread.seek(5)
    assert play.next() == (5, True)
    assert play.clock.next_wait() == 1_100 * MS
    play.clock.advance(100 * MS)
    assert play.next() == (6, False)


def test_seeks_beyond_the_ends_mean_the_ends(player):
    play = player(ScriptedSource(frames=10), is_playing=False).start()
    play.next()
    play.thread.seek(500)
    assert play.next() == (9, True)
    play.thread.seek(-3)
    assert play.next() == (0, True)
    play.thread.step(-1)
    assert play.next() == (0, True)


def test_many_seeks_cost_one(player):
    source = ScriptedSource(frames=500, blocked=[3])
    play = player(source, speed=None).start()
    assert [play.next()[0] for _ in range(3)] == [0, 1, 2]
    assert source.is_blocking.wait(WAIT_S)
    for index in range(20, 400):  # a person drags the slider while a read is slow
        play.thread.seek(index)
    source.release(3)
    seen = [play.next() for _ in range(2)]
    assert source.seeks == [399]
    assert seen[-1] in [(399, True), (400, False)]


def test_a_step_after_a_seek_is_counted_from_there(player):
    source = ScriptedSource(frames=50, blocked=[0])
    play = player(source, is_playing=False).start()
    assert source.is_blocking.wait(WAIT_S)
    play.thread.seek(20)
    play.thread.step(-5)
    source.release(0)
    numbers = [play.next()[0]]
    while numbers[-1] != 15:
        numbers.append(play.next()[0])
    assert source.seeks == [20, 15]


def test_the_end_is_said_once_and_a_seek_brings_it_back(player):
    play = player(ScriptedSource(frames=3), speed=None).start()
    assert [play.next()[0] for _ in range(3)] == [0, 1, 2]
    assert play.end() == "end"
    assert [play.transport()[0], play.transport()[0]] == [True, False]
    play.thread.step(1)
    play.thread.seek(1)
    assert play.next() == (1, True)
    assert play.ends.empty()
    assert play.thread.is_alive


def test_play_at_the_end_begins_again(player):
    play = player(ScriptedSource(frames=2), speed=None).start()
    assert [play.next(), play.next()] == [(0, True), (1, False)]
    play.end()
    play.thread.play()
    assert [play.next(), play.next()] == [(0, True), (1, False)]


def test_a_source_that_cannot_be_sought_says_so_and_plays_on(player):
    play = player(ScriptedSource(frames=5, is_seekable=False), is_playing=False).start()
    play.next()
    play.thread.seek(3)
    assert isinstance(play.fault(), NotSeekable)
    play.thread.step(1)
    assert play.next() == (1, False)


# -- faults ------------------------------------------------------------------------------------------------------------------


def test_a_source_that_does_not_open_is_reported_and_closed(player):
    source = ScriptedSource(open_error=SourceNotFound("There is no clip.mp4.", "Look again."))
    play = player(source).start()
    assert play.fault().what == "There is no clip.mp4."
    assert play.thread.stop(WAIT_S)
    assert source.closes >= 1
    assert play.infos.empty()


def test_one_bad_picture_is_told_and_passed_over(player):
    source = ScriptedSource(frames=4, errors={1: SourceError("picture1.png cannot be read.")})
    play = player(source, speed=None).start()
    assert [play.next()[0] for _ in range(3)] == [0, 2, 3]
    assert play.fault().what == "picture1.png cannot be read."
    assert play.end() == "end"


def test_an_error_nobody_knows_becomes_a_sentence(player):
    source = ScriptedSource(frames=3, errors={1: ZeroDivisionError("division by zero")})
    play = player(source, speed=None).start()
    fault = play.fault()
    assert isinstance(fault, SourceError)
    assert fault.code == "source_error"
    assert "ZeroDivisionError" not in fault.what
    assert "ZeroDivisionError" in fault.detail
    assert [play.next()[0], play.next()[0]] == [0, 2]


def test_a_source_that_only_fails_is_stopped_and_can_still_be_sought(player):
    errors = {number: SourceError(f"{number} is bad.") for number in range(2, 40)}
    play = player(ScriptedSource(frames=50, errors=errors), speed=None).start()
    told = [play.fault() for _ in range(MOST_ERRORS_IN_A_ROW + 1)]
    assert isinstance(told[-1], SourceLost)
    assert play.end() == "end"
    play.thread.seek(45)
    assert [play.next()[0] for _ in range(3)] == [0, 1, 45]


def test_a_consumer_that_fails_does_not_end_the_source(player):
    taken: queue.Queue[int] = queue.Queue()

    def deliver(grab: Grab, is_jump: bool) -> None:
        if grab.index == 1:
            raise KeyError("a bug behind the source")
        taken.put(grab.index)

    play = player(ScriptedSource(frames=3), speed=None, deliver=deliver).start()
    assert [taken.get(timeout=WAIT_S), taken.get(timeout=WAIT_S)] == [0, 2]
    assert "KeyError" in play.fault().detail


# -- stopping ------------------------------------------------------------------------------------------------------------------


def test_stop_ends_a_read_that_minds_the_token(player):
    source = ScriptedSource(blocked=[0])
    play = player(source).start()
    assert source.is_blocking.wait(WAIT_S)
    assert play.thread.stop(deadline=WAIT_S)
    assert source.closes == 1
    assert play.grabs.empty()


def test_stop_unblocks_a_read_by_closing_the_source(player):
    source = ScriptedSource(blocked=[0], minds_cancel=False)
    play = player(source).start()
    assert source.is_blocking.wait(WAIT_S)
    assert play.thread.stop(deadline=1.0)
    assert play.grabs.empty()


def test_a_read_that_never_comes_back_is_abandoned_and_delivers_nothing(player):
    source = ScriptedSource(blocked=[0], minds_cancel=False, minds_close=False)
    play = player(source).start()
    assert source.is_blocking.wait(WAIT_S)
    assert play.thread.stop(deadline=0.2) is False
    source.release(0)
    assert play.thread.stop(deadline=WAIT_S), "it ends as soon as its read comes back"
    assert play.grabs.empty()


def test_stop_works_before_the_start_and_twice(player):
    play = player(ScriptedSource())
    assert play.thread.stop()
    other = player(ScriptedSource()).start()
    other.next()
    assert other.thread.stop(WAIT_S)
    assert other.thread.stop(WAIT_S)


def test_stop_from_its_own_callback_does_not_hang(player):
    done = threading.Event()

    def deliver(grab: Grab, is_jump: bool) -> None:
        play.thread.stop()
        done.set()

    play = player(ScriptedSource(), deliver=deliver)
    play.start()  # not chained: deliver may run before a chained start has returned
    assert done.wait(WAIT_S)
    assert play.thread.stop(WAIT_S)


def test_only_one_thread_touches_the_source_and_it_has_a_name(player):
    source = ScriptedSource(frames=3)
    play = player(source, speed=None).start()
    play.end()
    play.thread.seek(1)
    assert [play.next()[0] for _ in range(4)] == [0, 1, 2, 1]
    assert source.threads == {"source-ScriptedSource"}


# -- live sources ---------------------------------------------------------------------------------------------------------------


def test_a_live_source_is_neither_paced_nor_paused(player):
    source = ScriptedSource(frames=5, is_live=True, blocked=[3])
    play = player(source, speed=0.001, is_playing=False).start()
    assert [play.next()[0] for _ in range(3)] == [0, 1, 2]
    assert source.is_blocking.wait(WAIT_S)
    play.thread.pause()
    source.release(3)
    assert [play.next()[0], play.next()[0]] == [3, 4]
    assert isinstance(play.fault(), NotSeekable)


def test_silence_of_a_live_source_is_told_once_until_it_speaks_again(player):
    source = ScriptedSource(frames=3, is_live=True, blocked=[1, 2])
    play = player(source).start()
    assert play.next()[0] == 0
    assert source.is_blocking.wait(WAIT_S)
    assert play.clock.next_wait() == 3_000 * MS
    play.clock.advance(2_000 * MS)
    fault = play.fault()
    assert isinstance(fault, SourceLost)
    assert "2 s" in fault.what
    play.clock.next_wait()
    play.clock.advance(2_000 * MS)
    play.clock.next_wait()
    assert play.faults.empty(), "one silence, one sentence"
    source.is_blocking.clear()
    source.release(1)
    assert play.next()[0] == 1
    assert source.is_blocking.wait(WAIT_S)
    play.clock.advance(2_000 * MS)
    while play.faults.empty():
        play.clock.next_wait()
        play.clock.advance(2_000 * MS)
    assert isinstance(play.fault(), SourceLost)


# -- the law behind all of it ---------------------------------------------------------------------------------------------------

WISHES = st.one_of(
    st.tuples(st.sampled_from(["play", "pause"])),
    st.tuples(st.just("step"), st.integers(-40, 40).filter(bool)),
    st.tuples(st.just("seek"), st.integers(-5, 60)),
    st.tuples(st.just("set_speed"), st.sampled_from([None, 0.5, 1000.0])),
    st.tuples(st.just("set_pace"), st.sampled_from(list(Pace))),
)


@given(wishes=st.lists(WISHES, max_size=12), last=st.integers(0, 49))
def test_whatever_is_wished_frames_follow_each_other_except_after_a_jump(wishes, last: int):
    play = Player(ScriptedSource(frames=50, fps=1000.0), clock=SystemClock()).start()
    try:
        for name, *arguments in wishes:
            getattr(play.thread, name)(*arguments)
        play.thread.pause()
        play.thread.seek(last)
        seen = [play.next()]
        assert seen[0][1], "the first picture is a jump"
        while seen[-1] != (last, True) or not play.grabs.empty():
            seen.append(play.next())
            index, is_jump = seen[-1]
            assert is_jump or index == seen[-2][0] + 1
    finally:
        assert play.thread.stop(WAIT_S)
    assert play.faults.empty()
