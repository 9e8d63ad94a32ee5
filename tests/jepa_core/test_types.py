"""The nouns are frozen, cheap to share, and cross a pipe whole."""

from __future__ import annotations

import dataclasses
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jepa_core import errors, types
from jepa_core.types import (
    EventKind,
    Frame,
    Inspection,
    LoadReport,
    MaskSet,
    TokenLayout,
    freeze_arrays,
    frozen,
)

ROOT = Path(__file__).parents[2]


def make_frame(pts_ns: int = -1) -> Frame:
    return Frame(1, 1, 100, 101, -1, pts_ns, frozen(np.zeros((2, 2, 3), np.uint8)), "video:a")


def make_inspection() -> Inspection:
    return Inspection(
        seq=3,
        t_ns=1,
        clip=(0, 1, 2, 3),
        layout=TokenLayout("grid", (2, 2, 2), 2, (0, 0, 8, 8)),
        masks=MaskSet(frozen(np.arange(4, dtype=np.int32)), (frozen(np.arange(4, 8, dtype=np.int32)),), 0),
        error=frozen(np.zeros(8, np.float32)),
        metric="l1",
        signals={"surprise": 0.5},
        pooled=frozen(np.zeros((3, 4), np.float32)),
        colors=None,
        start_ns=1,
        end_ns=2,
        checkpoint="x",
    )


@pytest.mark.parametrize("array", [np.zeros((4, 4))[:, ::2], np.zeros((4, 4)).T, np.zeros(3)], ids=str)
def test_frozen_arrays_are_contiguous_and_read_only(array: np.ndarray):
    result = frozen(array)
    assert result.flags.c_contiguous
    assert not result.flags.writeable
    np.testing.assert_array_equal(result, array)


def test_nouns_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        make_frame().seq = 2  # type: ignore[misc]


def test_media_time_is_the_files_where_there_is_one():
    assert make_frame(pts_ns=40).media_ns == 40
    assert make_frame().media_ns == 100


@given(st.tuples(*[st.integers(1, 20)] * 3))
def test_layout_counts_its_tokens(shape: tuple[int, int, int]):
    assert TokenLayout("grid", shape, 2, (0, 0, 1, 1)).n_tokens == np.prod(shape)


def test_inspection_crosses_a_pipe_and_is_read_only_again():
    ours = make_inspection()
    theirs = freeze_arrays(pickle.loads(pickle.dumps(ours)))
    freeze_arrays(theirs.masks)
    np.testing.assert_array_equal(theirs.error, ours.error)
    arrays = [theirs.error, theirs.pooled, theirs.masks.context, *theirs.masks.targets]
    assert not any(array.flags.writeable for array in arrays)
    assert theirs.clip == ours.clip
    assert theirs.surprise == 0.5


def test_inspection_without_surprise_says_nan():
    assert np.isnan(dataclasses.replace(make_inspection(), signals={}).surprise)


def test_report_is_exact_only_without_differences():
    assert LoadReport("f", "V-JEPA 2", "x", 3, ignored=("opt",)).is_exact
    for field in ("missing", "unexpected", "reshaped"):
        assert not LoadReport("f", "V-JEPA 2", "x", 3, **{field: ("a",)}).is_exact


def test_event_numbers_are_those_of_the_session_format():
    assert [kind.name for kind in EventKind][:4] == ["NOTE", "OVERRIDE", "NEAR_MISS", "STOP"]
    assert [int(kind) for kind in EventKind] == list(range(14))


def error_kinds() -> list[type[errors.ConsoleError]]:
    found: list[type[errors.ConsoleError]] = []
    waiting = [errors.ConsoleError]
    while waiting:
        kind = waiting.pop()
        found.append(kind)
        waiting += kind.__subclasses__()
    return [kind for kind in found if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", error_kinds(), ids=lambda kind: kind.__name__)
def test_every_error_crosses_a_pipe_whole(kind: type[errors.ConsoleError]):
    error = kind("it broke", "mend it", "line 3")
    if isinstance(error, errors.CheckpointError):
        error.report = LoadReport("f", "V-JEPA 2", "x", 3, missing=("a",))
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert (copy.what, copy.hint, copy.detail) == ("it broke", "mend it", "line 3")
    assert str(copy) == "it broke mend it"
    if isinstance(error, errors.CheckpointError):
        assert copy.report == error.report


def test_error_codes_are_unique():
    codes = [kind.code for kind in error_kinds()]
    assert len(codes) == len(set(codes))


def test_nouns_need_nothing_but_numpy():
    code = (
        "import sys, jepa_core.types, jepa_core.errors, jepa_core.clock, jepa_core.lanes, jepa_core.registry;"
    )
    code += "print(*{name.split('.')[0] for name in sys.modules})"
    child = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    roots = set(child.stdout.split())
    assert "numpy" in roots
    assert roots.isdisjoint({"torch", "cv2", "h5py", "PySide6", "yaml", "psutil"})


def test_every_noun_is_frozen_and_has_slots():
    nouns = [noun for noun in vars(types).values() if dataclasses.is_dataclass(noun)]
    assert len(nouns) >= 9
    for noun in nouns:
        assert noun.__dataclass_params__.frozen, noun
        assert hasattr(noun, "__slots__"), noun
