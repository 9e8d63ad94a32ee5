"""The clip is a function of the frames since the last reset, and of nothing else."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jepa_core.clip import MAX_FRAMES, TIE_NS, ClipBuffer, ClipFrame
from jepa_core.types import InputSpec

MS = 1_000_000
CROP = np.zeros((2, 2, 3), np.uint8)


def make_buffer(*, fps: float = 4.0, frames: int = 16, tubelet: int = 2, clip_frames: int = 16) -> ClipBuffer:
    return ClipBuffer(InputSpec(size=2, frames=frames, fps=fps, tubelet=tubelet, patch=2), clip_frames)


def feed(buffer: ClipBuffer, media_ns: list[int]) -> None:
    for seq, moment in enumerate(media_ns):
        buffer.add(ClipFrame(CROP, seq, t_ns=1000 + seq, media_ns=moment))


def seqs(buffer: ClipBuffer) -> list[int]:
    clip = buffer.clip()
    return [] if clip is None else list(clip.seqs)


def expected(media_ns: list[int], *, period_ns: int, most: int, tubelet: int) -> list[int]:
    """The rule, written down a second time, over all frames."""
    picked = [len(media_ns) - 1]
    while len(picked) < most:
        last = picked[-1]
        older = [
            at
            for at in range(last)
            if media_ns[last] - media_ns[at] >= period_ns - TIE_NS - (media_ns[at + 1] - media_ns[at]) / 2
        ]
        if not older:
            break
        picked.append(older[-1])
    whole = len(picked) // tubelet * tubelet
    return picked[:whole][::-1]


intervals = st.lists(
    st.one_of(
        st.integers(0, 400 * MS), st.sampled_from([33_333_333, 33 * MS, 40 * MS, 16_666_667, 5_000 * MS])
    ),
    min_size=0,
    max_size=150,
)


@given(steps=intervals, most=st.integers(2, 8), tubelet=st.sampled_from([1, 2]))
def test_clip_follows_the_rule_over_all_frames_though_old_ones_are_forgotten(
    steps: list[int], most: int, tubelet: int
):
    media_ns = [0, *np.cumsum(steps, dtype=np.int64).tolist()] if steps else [0]
    most -= most % tubelet
    buffer = make_buffer(frames=most, tubelet=tubelet)
    feed(buffer, media_ns)
    assert seqs(buffer) == expected(media_ns, period_ns=250 * MS, most=most, tubelet=tubelet)


@given(steps=intervals)
def test_clip_is_in_order_ends_at_the_newest_frame_and_repeats_none(steps: list[int]):
    media_ns = [0, *np.cumsum(steps, dtype=np.int64).tolist()] if steps else [0]
    buffer = make_buffer()
    feed(buffer, media_ns)
    clip = seqs(buffer)
    assert len(clip) % 2 == 0
    assert len(clip) <= 16
    assert all(a < b for a, b in pairwise(clip))
    assert not clip or clip[-1] == len(media_ns) - 1


@pytest.mark.parametrize(
    ("source_fps", "step"),
    [(30, 7), (29.97, 7), (25, 6), (24, 6), (60, 15), (50, 12), (8, 2), (4, 1), (3, 1), (0.2, 1)],
)
@pytest.mark.parametrize("unit_ns", [1, MS], ids=["exact stamps", "stamps in milliseconds"])
def test_steps_of_common_rates_are_even(source_fps: float, step: int, unit_ns: int):
    buffer = make_buffer()
    feed(buffer, [round(n * 1e9 / source_fps / unit_ns) * unit_ns for n in range(260)])
    clip = seqs(buffer)
    assert len(clip) == 16
    assert set(np.diff(clip)) == {step}


def test_no_clip_before_one_whole_tubelet():
    buffer = make_buffer(fps=10)
    feed(buffer, [0])
    assert buffer.clip() is None
    feed(buffer, [0, 100 * MS])
    assert seqs(buffer) == [0, 1]


def test_clip_grows_by_whole_tubelets():
    buffer = make_buffer(fps=10, frames=8)
    lengths = []
    for seq in range(10):
        buffer.add(ClipFrame(CROP, seq, seq, seq * 100 * MS))
        lengths.append(buffer.clip_frames)
    assert lengths == [0, 2, 2, 4, 4, 6, 6, 8, 8, 8]


@pytest.mark.parametrize(
    ("frames", "asked", "most"), [(64, 16, 16), (8, 16, 8), (64, 7, 6), (64, 1, 2), (16, 64, 16)]
)
def test_length_is_the_checkpoints_or_what_was_asked_in_whole_tubelets(frames: int, asked: int, most: int):
    buffer = make_buffer(fps=10, frames=frames, clip_frames=asked)
    feed(buffer, [n * 100 * MS for n in range(100)])
    assert len(seqs(buffer)) == most


def test_media_time_that_goes_backwards_empties_the_buffer():
    buffer = make_buffer(fps=10)
    feed(buffer, [0, 100 * MS, 200 * MS, 300 * MS])
    buffer.add(ClipFrame(CROP, 9, 9, 50 * MS))
    assert buffer.clip() is None
    assert len(buffer) == 1


def test_reset_forgets_everything():
    buffer = make_buffer(fps=10)
    feed(buffer, [0, 100 * MS])
    buffer.reset()
    assert buffer.clip() is None


def test_buffer_stays_bounded_whatever_the_stamps_say():
    buffer = make_buffer()
    feed(buffer, [n * 33_333_333 for n in range(2_000)])
    assert len(buffer) <= 16 * 8
    stuck = make_buffer()
    for seq in range(MAX_FRAMES + 10):
        stuck.add(ClipFrame(CROP, seq, seq, 0))
    assert len(stuck) == MAX_FRAMES


def test_crops_are_stacked_oldest_first():
    buffer = make_buffer(fps=10)
    for seq in range(2):
        buffer.add(ClipFrame(np.full((2, 2, 3), seq, np.uint8), seq, seq, seq * 100 * MS))
    clip = buffer.clip()
    assert clip is not None
    assert clip.crops()[:, 0, 0, 0].tolist() == [0, 1]
    assert clip.newest.seq == 1


def feed_actions(buffer: ClipBuffer, indices: list[int]) -> None:
    """Frames of a source that tells what was done: the action leaving frame i is (i, -i), the state there (i,)."""
    for at in indices:
        action, state = np.array([at, -at], np.float32), np.array([at], np.float32)
        buffer.add(ClipFrame(CROP, at, 1000 + at, at * 100 * MS, None, at, action, state))


def test_clip_by_steps_takes_every_nth_frame_and_all_actions_between():
    buffer = make_buffer(tubelet=1, frames=3)
    buffer.set_step(5)
    feed_actions(buffer, list(range(13)))

    clip = buffer.clip()

    assert clip is not None
    assert clip.seqs == (2, 7, 12)
    assert clip.motion.actions is not None
    first, second = clip.motion.actions  # each five actions of two numbers
    assert first.tolist() == [2, -2, 3, -3, 4, -4, 5, -5, 6, -6]
    assert second.tolist()[:2] == [7, -7]
    assert clip.motion.states is not None
    assert clip.motion.states.ravel().tolist() == [2, 7, 12]


def test_a_frame_missing_between_steps_empties_the_clip_since_its_action_is_missing_too():
    buffer = make_buffer(tubelet=1, frames=3)
    buffer.set_step(5)
    feed_actions(buffer, [*range(13), *range(14, 17)])
    assert seqs(buffer) == [16]


def test_clip_by_time_does_not_mind_a_missing_frame():
    buffer = make_buffer(fps=10.0, tubelet=1, frames=3)
    feed_actions(buffer, [0, 1, 3, 4])
    assert seqs(buffer) == [1, 3, 4]


def test_another_step_empties_the_clip():
    buffer = make_buffer(tubelet=1, frames=3)
    feed_actions(buffer, list(range(4)))
    buffer.set_step(2)
    assert buffer.clip() is None


def test_motion_is_unknown_where_one_frame_does_not_tell_it():
    buffer = make_buffer(fps=10.0, tubelet=1, frames=3)
    feed_actions(buffer, [0, 1])
    buffer.add(ClipFrame(CROP, 2, 1002, 200 * MS, None, 2))
    clip = buffer.clip()
    assert clip is not None
    assert clip.motion.states is None
    assert clip.motion.actions is not None  # of the two frames that were left, both told


@given(step=st.integers(1, 7), most=st.integers(1, 5), count=st.integers(1, 80))
def test_clip_by_steps_is_the_same_though_old_frames_are_forgotten(step: int, most: int, count: int):
    buffer = make_buffer(tubelet=1, frames=most)
    buffer.set_step(step)
    feed_actions(buffer, list(range(count)))
    assert seqs(buffer) == list(range(count - 1, -1, -step))[:most][::-1]
    assert len(buffer) <= step * most
