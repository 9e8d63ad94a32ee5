"""What a body did and how it stood, recorded beside the pictures: in the journal, in the file, and back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from jepa_core.clock import CancelToken, FakeClock
from jepa_core.types import MotionSpec, TokenLayout, frozen
from sessions import fold, verify
from sessions.reader import open_session
from sessions.scan import JournalScan
from sessions.schema import RecordType
from sessions.sources.session_file import SessionFile
from sessions.streams import ModelStream, NumericStream
from tests.helpers.recordings import (
    DIM,
    make_checkpoint,
    make_header,
    make_look,
    make_recorder,
    make_row,
    make_source,
)

MOTION = MotionSpec(("push x", "push y"), ("N", "N"), ("x", "y", "angle"), ("m", "m", "rad"))
FRAMES = 9


def action_of(number: int) -> np.ndarray | None:
    """The last frame's action is not known, as in many data sets."""
    return None if number == FRAMES - 1 else np.array([number, -number], np.float32)


def state_of(number: int) -> np.ndarray:
    return np.array([number, number / 2, 0.1], np.float32)


def record(folder: Path, motion: MotionSpec | None = MOTION) -> Path:
    clock = FakeClock()
    recorder = make_recorder(folder, clock, header=make_header(clock, source=make_source(motion=motion)))
    recorder.start()
    for number in range(FRAMES):
        clock.advance(33_000_000)
        row = make_row(number, clock, action=action_of(number), state=state_of(number))
        recorder.frame(row.without_payload() if number == 4 else row)
    return recorder.stop()


@pytest.mark.parametrize("is_folded", [False, True], ids=["journal", "sealed"])
def test_every_action_and_state_comes_back_with_its_frame(is_folded, tmp_path):
    path = record(tmp_path)
    path = fold.fold(path) if is_folded else path
    with open_session(path) as reader:
        assert reader.n_frames == FRAMES
        assert reader.info.motion == MOTION
        for number in range(FRAMES):  # number 4 lost its pixels and kept its numbers
            wanted, action = action_of(number), reader.frame_action(number)
            assert (wanted is None) == (action is None)
            assert wanted is None or np.array_equal(action, wanted)
            assert np.array_equal(reader.frame_state(number), state_of(number))
        assert reader.frame_action(0).dtype == np.float32
        assert not reader.frame_state(0).flags.writeable


def test_session_as_a_source_gives_them_with_its_pictures(tmp_path):
    source = SessionFile(fold.fold(record(tmp_path)))
    source.open()
    grabs = [source.read(CancelToken()) for _ in range(FRAMES)]
    source.close()
    assert np.array_equal(grabs[3].action, action_of(3))
    assert np.array_equal(grabs[4].state, state_of(4))
    assert grabs[4].is_gap
    assert grabs[-1].action is None


def test_file_says_what_the_numbers_mean_and_verifies(tmp_path):
    path = fold.fold(record(tmp_path))
    assert verify.verify_file(path).is_valid
    with h5py.File(path) as file:
        group = file["/streams/state"]
        assert group.attrs["kind"] == "numeric"
        assert [name.decode() if isinstance(name, bytes) else name for name in group.attrs["names"]] == [
            "x",
            "y",
            "angle",
        ]
        assert [unit.decode() if isinstance(unit, bytes) else unit for unit in group.attrs["units"]] == [
            "m",
            "m",
            "rad",
        ]
        assert group["data"].shape == (FRAMES, 3)
        assert group["data"].dtype == np.float32
        assert group["valid"][:].tolist() == [1] * FRAMES
        assert file["/streams/action/valid"][:].tolist() == [1] * (FRAMES - 1) + [0]
        assert np.isnan(file["/streams/action/data"][-1]).all()
        assert group["seq"][:].tolist() == file["/streams/camera/seq"][:].tolist()
        assert group["t_mono_ns"][:].tolist() == file["/streams/camera/t_capture_mono_ns"][:].tolist()


def test_changed_number_is_found(tmp_path):
    path = fold.fold(record(tmp_path))
    with h5py.File(path, "r+") as file:
        file["/streams/action/data"][2, 0] = 99.0
    verdict = verify.verify_file(path)
    assert not verdict.is_valid
    assert "action" in str(verdict)


def test_source_that_tells_nothing_has_no_such_streams(tmp_path):
    path = record(tmp_path, motion=None)
    with JournalScan(path) as scan:
        assert [stream["name"] for stream in scan.header["streams"]] == ["camera", "model"]
        assert not [record for record in scan.records() if record.type == RecordType.SAMPLE]
    with open_session(fold.fold(path)) as reader:
        assert reader.info.motion is None
        assert reader.frame_action(0) is None
        assert reader.frame_state(0) is None


def test_only_what_is_told_becomes_a_stream():
    source = make_source(motion=MotionSpec(state_names=("x",), state_units=("m",)))
    assert [stream.name for stream in NumericStream.of(source)] == ["state"]


def test_numbers_of_another_width_are_recorded_as_not_known(tmp_path):
    clock = FakeClock()
    recorder = make_recorder(tmp_path, clock, header=make_header(clock, source=make_source(motion=MOTION)))
    recorder.start()
    recorder.frame(make_row(0, clock, action=np.zeros(5, np.float32), state=state_of(0)))
    with open_session(fold.fold(recorder.stop())) as reader:
        assert reader.frame_action(0) is None
        assert np.array_equal(reader.frame_state(0), state_of(0))


# --- looks of other layouts ------------------------------------------------------------------------------------------

SLOTS = make_checkpoint(
    layout="slots", slots=3, metric="l2", abilities=frozenset({"temporal", "slots", "actions"}), embed_dim=DIM
)
GLOBAL = make_checkpoint(
    layout="global", metric="l2", abilities=frozenset({"temporal", "actions"}), embed_dim=DIM
)


def look_of(number: int, clock: FakeClock, kind: str, per_step: int, **changes):
    steps = 4
    layout = TokenLayout(kind, (steps, per_step, 1), 2, (8.0, 0.0, 48.0, 48.0))
    known = make_look(number, clock)
    half = layout.n_tokens // 2
    error = np.full(layout.n_tokens, np.nan, np.float32)
    error[half:] = np.arange(layout.n_tokens - half) + number / 10
    masks = replace(
        known.masks,
        context=frozen(np.arange(half, dtype=np.int32)),
        targets=(frozen(np.arange(half, layout.n_tokens, dtype=np.int32)),),
    )
    return replace(known, layout=layout, masks=masks, error=frozen(error), metric="l2", **changes)


@pytest.mark.parametrize("is_folded", [False, True], ids=["journal", "sealed"])
def test_slots_come_back_with_their_errors_regions_and_pairing(is_folded, tmp_path):
    clock = FakeClock()
    stream = ModelStream.of(SLOTS, signal_names=("surprise", "surprise_top"))
    assert stream.grid == (4, 3, 1)
    assert (stream.layout, stream.metric, stream.regions) == ("slots", "l2", (2, 2))
    regions = np.random.default_rng(0).dirichlet(np.ones(3), (2, 2)).transpose(2, 0, 1).astype(np.float32)
    recorder = make_recorder(tmp_path, clock, header=replace(make_header(clock), model=stream))
    recorder.start()
    was = look_of(9, clock, "slots", 3, regions=frozen(regions), assignment=(2, 0, 1))
    recorder.step(was)
    recorder.step(look_of(10, clock, "slots", 3))  # a look without them: nothing is made up
    path = recorder.stop()
    assert len(recorder.parts) == 1

    path = fold.fold(path) if is_folded else path
    if is_folded:
        assert verify.verify_file(path).is_valid
    with open_session(path) as reader:
        seen, bare = reader.inspection(0), reader.inspection(1)
    assert seen.layout == was.layout
    assert seen.metric == "l2"
    assert np.array_equal(seen.error, was.error, equal_nan=True)
    assert np.array_equal(seen.regions, regions)
    assert seen.assignment == (2, 0, 1)
    assert (bare.regions, bare.assignment) == (None, ())


def test_one_latent_per_frame_comes_back(tmp_path):
    clock = FakeClock()
    stream = ModelStream.of(GLOBAL, signal_names=("surprise", "surprise_top"))
    assert stream.grid == (4, 1, 1)
    assert stream.descriptor("camera")["attributes"]["grid_w"] == 1
    recorder = make_recorder(tmp_path, clock, header=replace(make_header(clock), model=stream))
    recorder.start()
    was = look_of(9, clock, "global", 1)
    recorder.step(was)
    path = fold.fold(recorder.stop())
    assert len(recorder.parts) == 1
    assert verify.verify_file(path).is_valid
    with open_session(path) as reader, h5py.File(path) as file:
        assert reader.inspection(0).layout == was.layout
        assert np.array_equal(reader.inspection(0).error, was.error, equal_nan=True)
        assert "slot_region" not in file["/streams/model"]
        assert file["/streams/model"].attrs["prediction_kind"] == "future_state"


def test_look_with_other_regions_goes_into_a_part_that_can_hold_them(tmp_path):
    clock = FakeClock()
    stream = ModelStream.of(SLOTS, signal_names=("surprise", "surprise_top"))
    recorder = make_recorder(tmp_path, clock, header=replace(make_header(clock), model=stream))
    recorder.start()
    regions = frozen(np.full((3, 4, 4), 1 / 3, np.float32))
    recorder.step(look_of(9, clock, "slots", 3, regions=regions))
    recorder.stop()
    assert len(recorder.parts) == 2
    with open_session(recorder.parts[0]) as reader:
        assert np.array_equal(reader.inspection(0).regions, regions)
