"""The engine lives in its own process: nothing it does blocks the window's side, and it comes back from the dead."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from pathlib import Path

import numpy as np
import psutil
import pytest

from jepa_core import barcode
from jepa_core.clock import CancelToken
from jepa_core.engine_client import MAX_IN_FLIGHT, EngineClient
from jepa_core.engine_offer import State
from jepa_core.engine_process import DEATHS_MOST, EngineProcess, LocalEngine
from jepa_core.errors import KeysDiffer, NotFinite, OutOfMemory
from jepa_core.frame_ring import FrameRing
from jepa_core.jobs import Job, JobUpdate
from jepa_core.messages import (
    Beat,
    EngineBack,
    EngineDown,
    EngineFault,
    EngineOptions,
    Examined,
    Examining,
    LoadCancelled,
    Loaded,
    LoadProgress,
    Looked,
    Refused,
)
from jepa_core.types import Frame, MaskRule, RunStatus
from tests.helpers.models import LOADER

Start = Callable[[EngineProcess | LocalEngine], EngineProcess | LocalEngine]
Show = Callable[..., "Shower"]

MS = 1_000_000
WAIT_S = 60.0  # until a fact that must come; a loaded machine is slow
ROOT = Path(__file__).parents[2]
ONE_THREAD = EngineOptions(threads=1)


class Listener:
    """Everything the engine said, and a way to wait for something."""

    def __init__(self) -> None:
        self.messages: list[object] = []
        self._changed = threading.Condition()

    def __call__(self, message: object) -> None:
        with self._changed:
            self.messages.append(message)
            self._changed.notify_all()

    def wait_for(
        self, kind: type, count: int = 1, where: Callable[[object], bool] = lambda message: True
    ) -> list:
        def found() -> list:
            return [message for message in self.messages if isinstance(message, kind) and where(message)]

        with self._changed:
            came = self._changed.wait_for(lambda: len(found()) >= count, WAIT_S)
            assert came, f"no {count} {kind.__name__} in {[type(m).__name__ for m in self.messages]}"
            return found()

    def of(self, kind: type) -> list:
        with self._changed:
            return [message for message in self.messages if isinstance(message, kind)]


class Shower:
    """Makes frames in a ring, numbers them and shows them to an engine."""

    def __init__(self, engine: EngineClient, slots: int = 6) -> None:
        self.engine = engine
        self.ring = FrameRing.create(slots, 48 * 64 * 3)
        self.seq = 0
        self._skipped_before = engine.skipped
        engine.attach_ring(self.ring)

    @property
    def skipped(self) -> int:
        return self.engine.skipped - self._skipped_before

    def next_frame(self) -> tuple[Frame, int] | None:
        rgb = np.zeros((48, 64, 3), np.uint8)
        rgb[:] = self.seq % 256
        written = self.ring.write(rgb)
        if written is None:
            return None
        seq, self.seq = self.seq, self.seq + 1
        return Frame(seq, seq, seq, seq, -1, seq * 100 * MS, written.rgb, "video:test"), written.slot

    def offer(self, count: int) -> None:
        for _ in range(count):
            made = self.next_frame()
            if made is not None:
                self.engine.offer(*made)

    def offer_and_wait(self, count: int) -> list[bool]:
        answers = []
        for _ in range(count):
            made = self.next_frame()
            assert made is not None
            answers.append(self.engine.offer_and_wait(*made, CancelToken()))
        return answers


@pytest.fixture(scope="module", autouse=True)
def tracker_runs() -> None:
    """multiprocessing's own helper is there before any test, so that the leak guard never meets it half started."""
    resource_tracker.ensure_running()


@pytest.fixture
def listener() -> Listener:
    return Listener()


class Relay:
    """Lets tests share one engine process (a start costs an import of torch): each has its own listener."""

    def __init__(self) -> None:
        self.listener: Callable[[object], None] = Listener()

    def __call__(self, message: object) -> None:
        self.listener(message)


@pytest.fixture(scope="module", params=["process", "local"])
def shared(request: pytest.FixtureRequest) -> Iterator[tuple[EngineClient, Relay]]:
    """The same tests for both hostings."""
    relay = Relay()
    hosting = EngineProcess if request.param == "process" else LocalEngine
    engine = hosting(relay, loader=LOADER)
    engine.start()
    yield engine, relay
    engine.stop()
    assert not engine.is_alive


@pytest.fixture
def engine(shared: tuple[EngineClient, Relay], listener: Listener) -> Iterator[EngineClient]:
    engine, relay = shared
    relay.listener = listener
    yield engine
    engine.attach_ring(None)
    engine.load(
        "scripted:last", None, ONE_THREAD
    )  # once it is loaded, nothing of this test is under way any more
    listener.wait_for(Loaded, where=lambda message: message.info.path == "scripted:last")
    engine.unload()


@pytest.fixture
def process(listener: Listener) -> Iterator[EngineProcess]:
    engine = EngineProcess(listener, loader=LOADER)
    engine.start()
    yield engine
    engine.stop()


@pytest.fixture
def show() -> Iterator[Callable[..., Shower]]:
    """Makes showers; closes their rings whatever the test did."""
    made: list[Shower] = []

    def make(engine: EngineClient, slots: int = 6) -> Shower:
        made.append(Shower(engine, slots))
        return made[-1]

    yield make
    for shower in made:
        shower.ring.close()


@pytest.fixture
def start() -> Iterator[Callable[[EngineProcess | LocalEngine], EngineProcess | LocalEngine]]:
    """Starts engines; stops them whatever the test did."""
    started: list[EngineProcess | LocalEngine] = []

    def begin(engine: EngineProcess | LocalEngine) -> EngineProcess | LocalEngine:
        engine.start()
        started.append(engine)
        return engine

    yield begin
    for engine in started:
        engine.stop()


@pytest.fixture
def shower(request: pytest.FixtureRequest, show: Callable[..., Shower]) -> Shower:
    """Frames for the test's engine."""
    name = "engine" if "engine" in request.fixturenames else "process"
    return show(request.getfixturevalue(name))


def load(
    engine: EngineClient, listener: Listener, script: str = "", options: EngineOptions = ONE_THREAD
) -> None:
    engine.load(f"scripted:?{script}", None, options)
    listener.wait_for(Loaded)


class TestBothHostings:
    def test_load_tells_progress_and_what_was_loaded(self, engine: EngineClient, listener: Listener):
        load(engine, listener)
        assert listener.of(LoadProgress)[0].fraction == 0.5
        assert listener.of(Loaded)[0].info.family == "Scripted"
        assert engine.is_ready

    def test_refused_file_is_told_with_its_report(self, engine: EngineClient, listener: Listener):
        engine.load("scripted:?refuse=1")
        error = listener.wait_for(Refused)[0].error
        assert isinstance(error, KeysDiffer)
        assert error.report is not None
        assert not engine.is_ready

    def test_load_can_be_called_off(self, engine: EngineClient, listener: Listener):
        engine.load("scripted:?slow=1")
        listener.wait_for(LoadProgress)
        engine.cancel_load()
        listener.wait_for(LoadCancelled)
        assert engine.state is State.EMPTY

    def test_a_newer_load_replaces_an_older_one_and_only_it_is_answered(
        self, engine: EngineClient, listener: Listener
    ):
        engine.load("scripted:?slow=1")
        listener.wait_for(LoadProgress)
        load(engine, listener)
        assert listener.of(LoadCancelled) == []
        assert len(listener.of(Loaded)) == 1

    def test_examining_says_what_a_file_is_and_loads_nothing(self, engine: EngineClient, listener: Listener):
        engine.examine("scripted:", options=ONE_THREAD)
        [answer] = listener.wait_for(Examined)
        assert answer.info is not None
        assert answer.info.family == "Scripted"
        assert answer.error is None
        assert [told.text for told in listener.of(Examining)] == ["reading the script"]
        assert engine.state is State.EMPTY

    def test_examining_a_refused_file_tells_why_with_its_report(
        self, engine: EngineClient, listener: Listener
    ):
        engine.examine("scripted:?refuse=1", options=ONE_THREAD)
        [answer] = listener.wait_for(Examined)
        assert isinstance(answer.error, KeysDiffer)
        assert answer.report is not None
        assert answer.info is None

    def test_examining_can_be_called_off(self, engine: EngineClient, listener: Listener):
        engine.examine("scripted:?slow=1", options=ONE_THREAD)
        listener.wait_for(Examining)
        engine.cancel_examine()
        [answer] = listener.wait_for(Examined)
        assert answer.is_cancelled

    def test_a_newer_question_replaces_an_older_one(self, engine: EngineClient, listener: Listener):
        engine.examine("scripted:?slow=1", options=ONE_THREAD)
        listener.wait_for(Examining)
        engine.examine("scripted:?frames=4", options=ONE_THREAD)
        [answer] = listener.wait_for(Examined)
        assert answer.path == "scripted:?frames=4"

    def test_loaded_checkpoint_goes_on_looking_while_another_is_examined(
        self, engine: EngineClient, listener: Listener, shower: Shower
    ):
        engine.load("scripted:", options=ONE_THREAD)
        listener.wait_for(Loaded)
        engine.examine("scripted:?slow=1", options=ONE_THREAD)
        listener.wait_for(Examining)
        assert all(shower.offer_and_wait(6))
        assert listener.of(Looked)
        engine.cancel_examine()
        listener.wait_for(Examined)

    def test_lossless_frames_are_all_looked_at_in_step(
        self, engine: EngineClient, listener: Listener, shower: Shower
    ):
        load(engine, listener)
        assert shower.offer_and_wait(12) == [True] * 12
        looks = [message.inspection for message in listener.of(Looked)]
        assert [look.seq for look in looks] == [3, 5, 7, 9, 11]
        assert looks[-1].clip == tuple(range(4, 12))
        assert shower.skipped == 0

    def test_inspections_arrive_read_only(self, engine: EngineClient, listener: Listener, shower: Shower):
        load(engine, listener)
        shower.offer_and_wait(4)
        look = listener.of(Looked)[0].inspection
        arrays = [look.error, look.pooled, look.masks.context, *look.masks.targets]
        assert not any(array.flags.writeable for array in arrays)

    def test_slow_model_does_not_block_offer_and_skips_are_counted(
        self, engine: EngineClient, listener: Listener, shower: Shower
    ):
        load(engine, listener, "delay_ms=150")
        while len(listener.of(Looked)) < 2:
            shower.offer(1)
        seen = listener.of(Looked)[-1].inspection.seq
        assert seen < shower.seq - 1  # the source went on while the model looked
        shower.offer_and_wait(1)
        assert 0 < shower.skipped < shower.seq

    def test_mask_rule_can_be_changed_between_looks(
        self, engine: EngineClient, listener: Listener, shower: Shower
    ):
        load(engine, listener)
        shower.offer_and_wait(4)
        engine.set_mask(MaskRule("region", region=(8.0, 0.0, 24.0, 24.0)))
        shower.offer_and_wait(2)
        seeds = [message.inspection.masks.seed for message in listener.of(Looked)]
        assert seeds == [0, -1]

    def test_frames_from_before_a_jump_are_forgotten(
        self, engine: EngineClient, listener: Listener, shower: Shower
    ):
        load(engine, listener)
        shower.offer_and_wait(7)
        engine.reset_clip()
        shower.offer_and_wait(4)
        assert listener.of(Looked)[-1].inspection.clip == (7, 8, 9, 10)

    def test_failed_look_is_told_once_and_the_next_is_made(
        self, engine: EngineClient, listener: Listener, shower: Shower
    ):
        load(engine, listener, "nan_at=1")
        assert shower.offer_and_wait(8) == [True] * 8
        assert [type(message.error) for message in listener.of(EngineFault)] == [NotFinite]
        assert [message.inspection.seq for message in listener.of(Looked)] == [3, 7]

    def test_unexpected_failure_of_a_look_is_a_fault_and_not_the_end(
        self, engine: EngineClient, listener: Listener, shower: Shower
    ):
        load(engine, listener, "fail_at=0")
        shower.offer_and_wait(6)
        assert listener.of(EngineFault)[0].error.what
        assert [message.inspection.seq for message in listener.of(Looked)] == [5]

    def test_without_a_checkpoint_frames_are_let_go_at_once(
        self, engine: EngineClient, listener: Listener, shower: Shower
    ):
        shower.offer(3)
        assert shower.offer_and_wait(2) == [False, False]
        assert shower.ring.free == shower.ring.slots
        assert shower.skipped == 0

    def test_unloaded_engine_looks_no_more(self, engine: EngineClient, listener: Listener, shower: Shower):
        load(engine, listener)
        shower.offer_and_wait(4)
        engine.unload()
        assert shower.offer_and_wait(2) == [False, False]
        load(engine, listener)
        listener.wait_for(Loaded, 2)
        assert shower.offer_and_wait(1) == [True]

    def test_every_slot_comes_back(self, engine: EngineClient, listener: Listener, shower: Shower):
        load(engine, listener)
        shower.offer(40)
        shower.offer_and_wait(1)
        assert shower.ring.free == shower.ring.slots

    def test_waiting_for_a_frame_can_be_cancelled(
        self, engine: EngineClient, listener: Listener, shower: Shower
    ):
        load(engine, listener, "delay_ms=400")
        shower.offer_and_wait(3)
        cancel = CancelToken()
        made = shower.next_frame()
        assert made is not None
        waiter = threading.Timer(0.1, cancel.cancel)
        waiter.start()
        assert engine.offer_and_wait(*made, cancel) is False
        waiter.join()

    def test_listener_that_fails_is_reported_and_the_engine_goes_on(
        self, engine: EngineClient, listener: Listener, shared: tuple[EngineClient, Relay]
    ):
        failures = iter([True])

        def touchy(message: object) -> None:
            if isinstance(message, LoadProgress) and next(failures, False):
                raise RuntimeError("touchy")
            listener(message)

        shared[1].listener = touchy
        load(engine, listener)
        assert "touchy" in listener.of(EngineFault)[0].error.detail


def test_blocked_model_does_not_block_offer(listener: Listener, start: Start, show: Show):
    """Law 5: the model stands still, the source does not."""
    engine = start(LocalEngine(listener, loader=f"{__name__}:load_blocked"))
    shower = show(engine)
    engine.load("blocked")
    listener.wait_for(Loaded)
    try:
        shower.offer_and_wait(3)
        while not BLOCK.is_entered.is_set():
            shower.offer(1)
        seen = shower.seq
        shower.offer(200)
        assert shower.seq == seen + 200
        assert listener.of(Looked) == []
    finally:
        BLOCK.may_go.set()
    assert listener.wait_for(Looked)


class Block:
    def __init__(self) -> None:
        self.is_entered = threading.Event()
        self.may_go = threading.Event()

    def __call__(self) -> None:
        self.is_entered.set()
        self.may_go.wait(WAIT_S)


BLOCK = Block()


def load_blocked(order: object, progress: object, cancel: object) -> object:
    from tests.helpers.models import ScriptedModel

    return ScriptedModel(before=BLOCK)


def test_stopped_engine_process_does_not_block_offer_and_holds_few_slots(
    process: EngineProcess, listener: Listener, shower: Shower
):
    """The process stands still altogether (SIGSTOP): frames go on, at most a few slots are held."""
    load(process, listener)
    shower.offer_and_wait(4)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)
    while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
        pass  # the kernel stops a process a moment after it was told to
    shower.offer(100)
    assert shower.seq == 104
    assert shower.skipped >= 100 - MAX_IN_FLIGHT - 1
    assert shower.ring.free >= 6 - MAX_IN_FLIGHT - 1
    os.kill(process.pid, signal.SIGCONT)
    shower.offer_and_wait(2)


def test_clip_stays_dense_while_a_look_takes_long(process: EngineProcess, listener: Listener, shower: Shower):
    load(process, listener, "delay_ms=400")
    shower.offer_and_wait(3)
    for _ in range(9):  # the first begins a long look; each is taken in while it lasts
        shower.offer(1)
        wait_until(lambda: shower.ring.free == shower.ring.slots)
    looks = listener.wait_for(Looked, 2)
    assert looks[1].inspection.clip == tuple(range(4, 12))
    assert shower.skipped == 0


def test_engine_killed_in_the_middle_comes_back_and_looks_again(
    process: EngineProcess, listener: Listener, shower: Shower
):
    load(process, listener)
    process.set_mask(MaskRule("multiblock", generator="long", seed=70))
    shower.offer_and_wait(6)
    looks_before = len(listener.of(Looked))
    old = process.pid
    assert old is not None

    os.kill(old, signal.SIGKILL)

    down = listener.wait_for(EngineDown)[0]
    back = listener.wait_for(EngineBack)[0]
    assert "SIGKILL" in down.reason
    assert 0 < back.seconds < WAIT_S
    assert process.pid != old
    assert all(shower.offer_and_wait(6))
    again = [message.inspection for message in listener.of(Looked)[looks_before:]]
    assert [look.clip[0] for look in again] == [6] * len(again)
    assert again[0].masks.seed == 70  # the mask rule that was set later holds again
    assert len(listener.of(Loaded)) == 1  # to the pipeline it is the checkpoint it knows
    assert shower.ring.free == shower.ring.slots


def test_lossless_wait_ends_when_the_engine_dies_and_waits_for_it_afterwards(
    process: EngineProcess, listener: Listener, shower: Shower
):
    load(process, listener, "crash_at=0")
    answers = shower.offer_and_wait(6)
    assert answers == [True, True, True, False, True, True]
    listener.wait_for(EngineBack)


def test_silent_engine_is_killed_and_replaced(listener: Listener, start: Start):
    engine = start(EngineProcess(listener, loader=LOADER, heartbeat_deadline=2.0, beat_s=0.2))
    load(engine, listener)
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGSTOP)
    assert "no sign of life" in listener.wait_for(EngineDown)[0].reason
    listener.wait_for(EngineBack)
    assert engine.is_ready


def test_slow_look_is_not_a_dead_engine(listener: Listener, start: Start, show: Show):
    engine = start(EngineProcess(listener, loader=LOADER, heartbeat_deadline=1.5, beat_s=0.1))
    shower = show(engine)
    load(engine, listener, "delay_ms=2000")
    assert all(shower.offer_and_wait(4))
    assert listener.of(EngineDown) == []
    assert listener.of(Beat)[-1].rss_bytes > 1e6


def test_death_while_loading_refuses_the_checkpoint_and_leaves_an_empty_engine(
    process: EngineProcess, listener: Listener
):
    process.load("scripted:?die=1")
    assert isinstance(listener.wait_for(Refused)[0].error, OutOfMemory)
    listener.wait_for(EngineBack)
    assert process.state is State.EMPTY
    load(process, listener)


def test_death_while_examining_answers_the_question_and_asks_it_no_more(
    process: EngineProcess, listener: Listener
):
    process.examine("scripted:?die=1", options=ONE_THREAD)
    [answer] = listener.wait_for(Examined)
    assert isinstance(answer.error, OutOfMemory)
    process.examine("scripted:", options=ONE_THREAD)
    assert listener.wait_for(Examined, 2)[-1].info is not None


def test_engine_that_dies_again_and_again_is_given_up_and_a_new_load_revives_it(
    process: EngineProcess, listener: Listener, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("jepa_core.engine_process.BACK_OFF_S", (0.0,))
    for death in range(1, DEATHS_MOST + 1):
        wait_until(lambda: process.is_alive)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        listener.wait_for(EngineDown, death)
    assert "not started again" in listener.wait_for(EngineFault)[0].error.what
    assert process.state is State.GONE
    load(process, listener)
    assert process.is_ready


def test_stop_kills_an_engine_that_does_not_listen(process: EngineProcess, listener: Listener):
    load(process, listener)
    pid = process.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    process.stop(deadline=0.2)
    assert not process.is_alive
    assert not psutil.pid_exists(pid)


def test_a_new_source_may_bring_a_new_ring(process: EngineProcess, listener: Listener, show: Show):
    load(process, listener)
    old = show(process)
    old.offer(5)
    new = show(process)
    assert all(new.offer_and_wait(4))
    assert old.ring.free == old.ring.slots


def test_barcode_under_every_look_is_the_number_of_its_frame(process: EngineProcess, listener: Listener):
    """The drill: a model that is slow at random, a ring that is short; no look is ever of another frame."""
    options = EngineOptions(threads=1, delay_ms=(0, 30), reads_barcode=True)
    load(process, listener, "", options)
    ring = FrameRing.create(4, 120 * 160 * 3)
    process.attach_ring(ring)
    seq = 0
    while len(listener.of(Looked)) < 20:
        rgb = np.zeros((120, 160, 3), np.uint8)
        barcode.paint(rgb, seq)
        written = ring.write(rgb)
        if written is not None:
            process.offer(
                Frame(seq, seq, seq, seq, -1, seq * 100 * MS, written.rgb, "world:test"), written.slot
            )
        seq += 1
    looks = [message.inspection for message in listener.of(Looked)]
    assert [look.signals["barcode"] for look in looks] == [look.seq for look in looks]
    ring.close()


def test_engine_process_and_local_engine_give_the_same_bits(
    process: EngineProcess, listener: Listener, start: Start, show: Show
):
    other = Listener()
    local = start(LocalEngine(other, loader=LOADER))
    for engine, ears in ((process, listener), (local, other)):
        load(engine, ears)
        show(engine).offer_and_wait(12)
    pairs = zip(listener.of(Looked), other.of(Looked), strict=True)
    for ours, theirs in pairs:
        assert ours.inspection.error.tobytes() == theirs.inspection.error.tobytes()
        assert ours.inspection.pooled.tobytes() == theirs.inspection.pooled.tobytes()
        assert ours.inspection.signals == theirs.inspection.signals


def test_looks_go_on_while_a_job_runs(listener: Listener, start: Start, show: Show):
    engine = start(LocalEngine(listener, loader=LOADER))
    load(engine, listener)
    shower = show(engine)
    updates: list[JobUpdate] = []
    is_over = threading.Event()

    def on_update(update: JobUpdate) -> None:
        updates.append(update)
        if update.status is not RunStatus.RUNNING:
            is_over.set()

    def endless(cancel: CancelToken) -> Iterator[object]:
        while True:
            yield len(listener.of(Looked))

    job = Job("rollout", endless, on_update)
    engine.submit(job)
    shower.offer_and_wait(12)
    job.cancel.cancel()
    assert is_over.wait(WAIT_S)
    assert (
        len({update.value for update in updates if update.value is not None}) >= 3
    )  # it saw looks come in between
    assert updates[-1].status is RunStatus.CANCELLED


def test_window_side_never_imports_torch():
    code = """
        import sys
        import jepa_core.engine_process, jepa_core.frame_ring, jepa_core.tracks, jepa_core.signals
        import jepa_core.barcode, jepa_core.messages, jepa_core.lanes, jepa_core.jobs, jepa_core.clip
        sys.exit(any(name in sys.modules for name in ("torch", "cv2", "h5py", "PySide6")))
    """
    child = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, timeout=WAIT_S, check=False
    )
    assert child.returncode == 0


PROGRAM = """
    import sys, threading
    from jepa_core.engine_process import EngineProcess
    from jepa_core.frame_ring import FrameRing
    from jepa_core.messages import Beat
    if __name__ == "__main__":
        is_up = threading.Event()
        engine = EngineProcess(lambda message: is_up.set() if isinstance(message, Beat) else None)
        engine.start()
        ring = FrameRing.create(2, 100)
        engine.attach_ring(ring)
        is_up.wait(60)
        print(engine.pid, ring.name, flush=True)
        sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /dev/shm")
def test_engine_ends_and_shared_memory_goes_when_the_window_is_killed(tmp_path: Path):
    script = tmp_path / "program.py"
    script.write_text(textwrap.dedent(PROGRAM), encoding="utf-8")
    program = subprocess.Popen(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    pid, segment = program.stdout.readline().split()
    engine = psutil.Process(int(pid))
    program.send_signal(signal.SIGKILL)
    program.communicate(timeout=WAIT_S)
    wait_until(lambda: is_over(engine))
    wait_until(lambda: not Path("/dev/shm", segment).exists())  # the tracker unlinks after its parent's death


def is_over(process: psutil.Process) -> bool:
    """Ended, reaped or not: an orphan stays a zombie where process 1 does not reap."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until(is_true: Callable[[], bool]) -> None:
    """For facts nobody signals; bounded, and only in tests."""
    never = threading.Event()
    for _ in range(int(WAIT_S / 0.002)):
        if is_true():
            return
        never.wait(0.002)
    raise AssertionError("it never became true")
