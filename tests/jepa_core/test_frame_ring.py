"""A slot is written again only when every holder let go, and shared memory never stays behind."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import textwrap
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jepa_core.errors import OutOfMemory
from jepa_core.frame_ring import FrameRing

SHAPE = (4, 6, 3)
NBYTES = 72
ROOT = Path(__file__).parents[2]


def picture(level: int) -> np.ndarray:
    return np.full(SHAPE, level, np.uint8)


@pytest.fixture(scope="module", autouse=True)
def tracker_runs() -> None:
    """multiprocessing's own helper is there before any test, so that the leak guard never meets it half started."""
    resource_tracker.ensure_running()


@pytest.fixture
def ring():
    ring = FrameRing.create(3, NBYTES)
    yield ring
    ring.close()


def test_frame_is_what_was_written_and_read_only(ring: FrameRing):
    rgb = np.arange(72, dtype=np.uint8).reshape(SHAPE)
    written = ring.write(rgb)
    assert written is not None
    np.testing.assert_array_equal(written.rgb, rgb)
    assert not np.shares_memory(written.rgb, rgb)
    with pytest.raises(ValueError, match="read-only"):
        written.rgb[0, 0, 0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        written.rgb.setflags(write=True)


def test_other_side_sees_the_same_pixels_without_a_copy(ring: FrameRing):
    written = ring.write(picture(7))
    assert written is not None
    other = FrameRing.attach(ring.name, ring.slots, ring.slot_bytes)
    np.testing.assert_array_equal(other.read(written.slot, SHAPE), picture(7))
    other.close()


def test_slot_is_free_again_when_the_array_is_garbage(ring: FrameRing):
    written = ring.write(picture(1))
    assert ring.free == 2
    del written
    assert ring.free == 3


def test_derived_view_keeps_the_slot(ring: FrameRing):
    written = ring.write(picture(1))
    assert written is not None
    row = written.rgb[1:3, ::2].transpose(1, 0, 2)[..., :1]
    del written
    gc.collect()
    assert ring.free == 2
    assert row.max() == 1
    del row
    assert ring.free == 3


def test_full_ring_refuses_and_counts(ring: FrameRing):
    held = [ring.write(picture(level)) for level in range(3)]
    assert ring.write(picture(9)) is None
    assert ring.refused == 1
    assert [frame.rgb.max() for frame in held if frame is not None] == [0, 1, 2]


def test_engines_hold_outlives_the_array(ring: FrameRing):
    written = ring.write(picture(1))
    assert written is not None
    slot = written.slot
    ring.lend(slot)
    del written
    assert ring.free == 2
    ring.release(slot)
    assert ring.free == 3
    ring.release(slot)
    assert ring.free == 3


def test_array_outlives_the_engines_hold(ring: FrameRing):
    written = ring.write(picture(1))
    assert written is not None
    ring.lend(written.slot)
    ring.release(written.slot)
    assert ring.free == 2


def test_all_holds_of_a_dead_engine_are_released(ring: FrameRing):
    slots = []
    for level in range(3):
        written = ring.write(picture(level))
        assert written is not None
        ring.lend(written.slot)
        ring.lend(written.slot)
        slots.append(written.slot)
    del written
    assert ring.free == 0
    ring.release_all()
    assert ring.free == 3


def test_free_slot_cannot_be_lent(ring: FrameRing):
    with pytest.raises(ValueError, match="free"):
        ring.lend(0)


def test_frame_larger_than_a_slot_is_a_fault_of_the_caller(ring: FrameRing):
    assert not ring.fits(NBYTES + 1)
    with pytest.raises(ValueError, match="does not fit"):
        ring.write(np.zeros((5, 6, 3), np.uint8))
    assert ring.free == 3
    with pytest.raises(ValueError, match="no slot"):
        ring.read(3, SHAPE)


@given(
    st.lists(st.tuples(st.sampled_from(["write", "drop", "lend", "release"]), st.integers(0, 5)), max_size=60)
)
def test_no_holder_ever_sees_another_frames_pixels(steps: list[tuple[str, int]]):
    ring = FrameRing.create(3, NBYTES)
    here: list[tuple[int, object]] = []  # level, frame
    lent: list[tuple[int, int]] = []  # level, slot
    level = 0
    for what, which in steps:
        if what == "write":
            level += 1
            written = ring.write(picture(level))
            taken = {frame.slot for _, frame in here} | {slot for _, slot in lent}
            assert (written is None) == (len(taken) == 3)
            if written is not None:
                here.append((level, written))
            del written
        elif what == "drop" and here:
            here.pop(which % len(here))
        elif what == "lend" and here:
            of, frame = here[which % len(here)]
            ring.lend(frame.slot)
            lent.append((of, frame.slot))
            del frame
        elif what == "release" and lent:
            ring.release(lent.pop(which % len(lent))[1])
        for of, frame in here:
            assert (frame.rgb == of).all()
        for of, slot in lent:
            assert (ring.read(slot, SHAPE) == of).all()
        frame = None
    here.clear()
    ring.release_all()
    assert ring.free == 3
    ring.close()


def test_closed_ring_is_gone_but_its_arrays_stay_readable():
    ring = FrameRing.create(2, NBYTES)
    name = ring.name
    written = ring.write(picture(5))
    assert written is not None
    ring.close()
    ring.close()
    with pytest.raises(FileNotFoundError):
        SharedMemory(name)
    assert (written.rgb == 5).all()
    assert ring.write(picture(6)) is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives memory out late")
def test_no_room_is_said_at_once_and_leaves_nothing():
    before = set(os.listdir("/dev/shm"))
    with pytest.raises(OutOfMemory, match="shared memory"):
        FrameRing.create(1, 1 << 50)
    assert set(os.listdir("/dev/shm")) == before


CHILD = """
    import multiprocessing, sys
    import numpy as np
    from jepa_core.frame_ring import FrameRing

    def look(name, pipe):
        ring = FrameRing.attach(name, 2, 72)
        pipe.send(int(ring.read(0, (4, 6, 3)).max()))
        ring.close()
        if {stays}:
            pipe.recv()

    if __name__ == "__main__":
        ring = FrameRing.create(2, 72)
        frame = ring.write(np.full((4, 6, 3), 9, np.uint8))
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        child = context.Process(target=look, args=(ring.name, theirs), daemon=True)
        child.start()
        theirs.close()
        assert ours.recv() == 9
        print(ring.name, flush=True)
        if {stays}:
            sys.stdin.read()
        child.join()
        ring.close()
"""


def start_program(tmp_path: Path, *, stays: bool) -> subprocess.Popen[str]:
    """A parent and a spawned child that attaches; the parent prints the ring's name."""
    script = tmp_path / "program.py"
    script.write_text(textwrap.dedent(CHILD).format(stays=stays), encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /dev/shm")
def test_two_processes_leave_no_segment_and_no_warning(tmp_path: Path):
    program = start_program(tmp_path, stays=False)
    out, err = program.communicate(timeout=60)
    assert program.returncode == 0, err
    assert err == ""
    assert not Path("/dev/shm", out.strip()).exists()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /dev/shm")
def test_killed_parent_leaves_no_segment(tmp_path: Path):
    program = start_program(tmp_path, stays=True)
    assert program.stdout is not None
    name = program.stdout.readline().strip()
    assert Path("/dev/shm", name).exists()
    program.send_signal(signal.SIGKILL)
    program.communicate(timeout=60)  # stderr ends when the resource tracker, the last of the family, is gone
    assert not Path("/dev/shm", name).exists()
