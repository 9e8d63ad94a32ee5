"""The ladder: what is given up when memory runs out, in which order, and where it ends."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jepa_core.ladder import (
    LEAST_CANDIDATES,
    ORDER,
    Limits,
    Rung,
    limits_of,
    precision_down,
    sizes_below,
    step_down,
    way_down,
)

FREE = Limits(sizes=(384, 256, 192), least_frames=4, step_frames=2)
FIXED = Limits()


def steps(now: Rung, limits: Limits) -> list[str]:
    said = []
    while (step := step_down(now, limits)) is not None:
        assert step.what in ORDER
        said.append(step.text)
        now = step.rung
    return said


def test_candidates_come_first_then_resolution_frames_and_precision():
    assert steps(Rung(384, 16, "float32", candidates=32), FREE) == [
        "candidates: 32 at once → 16 at once",
        "candidates: 16 at once → 8 at once",
        "resolution: 384 px → 256 px",
        "resolution: 256 px → 192 px",
        "frames: 16 frames → 8 frames",
        "frames: 8 frames → 4 frames",
        "precision: float32 → bfloat16",
    ]


def test_resolution_is_passed_over_where_positions_are_a_table():
    assert steps(Rung(224, 16, "float32"), limits_of((), 16, 2)) == [
        "frames: 16 frames → 8 frames",
        "frames: 8 frames → 4 frames",
        "precision: float32 → bfloat16",
    ]


def test_picture_model_can_only_become_coarser():
    assert steps(Rung(224, 1, "float32"), limits_of((), 1, 1)) == ["precision: float32 → bfloat16"]


def test_the_ladder_ends():
    assert step_down(Rung(224, 4, "bfloat16"), limits_of((), 16, 2)) is None
    assert step_down(Rung(192, 4, "float16"), FREE) is None


def test_while_loading_only_the_precision_helps():
    assert precision_down(Rung(384, 64, "float32")).rung == Rung(384, 64, "bfloat16")
    assert precision_down(Rung(384, 64, "bfloat16")) is None


def test_a_size_that_a_person_raised_comes_back_by_the_checkpoints_own():
    assert step_down(Rung(512, 16, "bfloat16"), FREE).text == "resolution: 512 px → 384 px"


def test_clip_of_an_odd_length_stays_whole_tubelets():
    assert step_down(Rung(192, 18, "bfloat16"), FREE).rung.frames == 8


@pytest.mark.parametrize(
    ("native", "patch", "sizes"),
    [(384, 16, (384, 256, 192)), (256, 16, (256, 192, 128)), (224, 14, (224,)), (32, 8, (32,))],
)
def test_sizes_are_whole_patches_and_half_of_the_built_one_at_least(native, patch, sizes):
    assert sizes_below(native, patch) == sizes


@given(
    size=st.sampled_from([512, 384, 256, 192]),
    frames=st.integers(1, 64),
    dtype=st.sampled_from(["float32", "bfloat16", "float16"]),
    candidates=st.integers(0, 800),
    limits=st.sampled_from([FREE, FIXED, Limits(least_frames=4, step_frames=2), Limits(sizes=(256,))]),
)
def test_every_way_down_ends_and_gives_up_one_thing_at_a_time(size, frames, dtype, candidates, limits):
    way = list(way_down(Rung(size, frames, dtype, candidates), limits))

    assert len(way) < 40
    kinds = []
    for upper, lower in pairwise(way):
        changed = [name for name in Rung.__slots__ if getattr(upper, name) != getattr(lower, name)]
        assert len(changed) == 1
        kinds.append(["candidates", "size", "frames", "dtype"].index(changed[0]))
        if changed[0] != "dtype":
            assert getattr(lower, changed[0]) < getattr(upper, changed[0])
    assert kinds == sorted(kinds)  # the stated order
    assert way[-1].candidates <= max(LEAST_CANDIDATES, 0)
