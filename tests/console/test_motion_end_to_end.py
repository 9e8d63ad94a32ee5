"""Systems that predict from what a body did: scored, watched and computed again, the numbers are the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from console import headless
from console.headless import HeadlessRequest
from console.notices import CheckpointLoaded, RecordingStopped, SourceEnded
from console.progress import Progress
from jepa_core.clock import CancelToken
from jepa_core.errors import NotAble, RequestError
from jepa_core.types import Inspection
from sessions import compare, verify
from sessions.compare import recompute_file
from sessions.reader import open_session
from tests.helpers import ac_checkpoints, checkpoints, cjepa_checkpoints, lewm_checkpoints, trajectories
from tests.helpers.real_pipeline import running_pipeline, test_config, wait_for

SYSTEMS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], Path]]] = {
    "V-JEPA 2-AC": (ac_checkpoints.write, lambda path: trajectories.write_arm(path, 10)),
    "LeWorldModel": (lewm_checkpoints.write, lambda path: trajectories.write_pushed(path, 24)),
    "C-JEPA": (cjepa_checkpoints.write, lambda path: trajectories.write_pushed(path, 24)),
}
every_system = pytest.mark.parametrize("system", SYSTEMS)


def score(system: str, folder: Path, source: Path | None = None) -> tuple[Path, Path]:
    """(session, checkpoint)"""
    write_checkpoint, write_source = SYSTEMS[system]
    checkpoint = write_checkpoint(folder / "checkpoint")
    source = source or write_source(folder / "made.npz")
    request = HeadlessRequest(str(source), str(checkpoint), folder / "out")
    done = headless.run(test_config(folder / "config"), request, Progress(), CancelToken())
    assert done.error is None, done.error
    return done.session, checkpoint


def looks_of(session: Path) -> list[Inspection]:
    with open_session(session) as reader:
        return [reader.inspection(step) for step in range(reader.n_steps)]


@every_system
def test_a_trajectory_is_scored_with_an_error_for_every_frame_to_come(system, tmp_path):
    session, _ = score(system, tmp_path)
    looks = looks_of(session)

    assert verify.verify_file(session).is_valid
    assert all(look.metric == ("l1" if system == "V-JEPA 2-AC" else "l2") for look in looks)
    whole = [look for look in looks if len(look.clip) == max(len(look.clip) for look in looks)]
    assert len(whole) >= 2
    for look in looks:
        per_step = np.isfinite(look.error.reshape(look.layout.shape[0], -1)).all(axis=1)
        assert per_step[-1]
        assert not per_step[0]
        assert np.isfinite(look.signals["surprise"])
        assert np.isfinite(look.pooled).all()
    if system == "C-JEPA":
        assert all(look.regions is not None and len(look.assignment) == 4 for look in looks)
    if system != "V-JEPA 2-AC":  # blocks of five environment steps: every fifth frame
        assert {b - a for look in looks for a, b in zip(look.clip, look.clip[1:], strict=False)} == {5}


@every_system
def test_a_recomputation_reproduces_every_look_to_the_last_bit(system, tmp_path):
    session, checkpoint = score(system, tmp_path)
    report = recompute_file(session, checkpoint, dtype="float32")
    assert report.verdict == compare.REPRODUCED
    assert report.max_difference == 0.0
    assert report.steps_compared == len(looks_of(session))
    assert report.skipped == {}
    assert report.is_same_checkpoint


@every_system
def test_watching_every_frame_gives_the_same_numbers_as_scoring(system, tmp_path):
    write_checkpoint, write_source = SYSTEMS[system]
    source, checkpoint = write_source(tmp_path / "made.npz"), write_checkpoint(tmp_path / "checkpoint")
    scored, _ = score(system, tmp_path, source)

    with running_pipeline(tmp_path / "live") as (pipeline, ear):  # the engine in a process of its own
        pipeline.load_checkpoint(str(checkpoint))
        wait_for(ear, CheckpointLoaded)
        pipeline.open_source(str(source), every_frame=True, speed=None, record_to=str(tmp_path / "live"))
        wait_for(ear, SourceEnded)
        pipeline.close_source()
        pipeline.stop_recording()
        watched = wait_for(ear, RecordingStopped).session

    ours, theirs = looks_of(scored), looks_of(watched)
    assert len(ours) == len(theirs) > 0
    for one, two in zip(ours, theirs, strict=True):
        assert np.array_equal(one.error, two.error, equal_nan=True)
        assert one.signals == two.signals
        assert one.assignment == two.assignment


def test_another_action_is_found_by_the_recomputation(tmp_path, monkeypatch):
    session, checkpoint = score("LeWorldModel", tmp_path)
    real = compare.SessionReader.frame_action
    monkeypatch.setattr(compare.SessionReader, "frame_action", lambda self, row: real(self, row) * 1.5)
    report = recompute_file(session, checkpoint, dtype="float32")
    assert report.verdict == compare.DIFFERS
    assert report.max_difference > 1e-3


@every_system
def test_a_source_that_tells_nothing_is_seen_and_not_predicted(system, tmp_path):
    plain = trajectories.write(tmp_path / "plain.npz", observations=trajectories.pictures(12), fps=4.0)
    session, checkpoint = score(system, tmp_path, plain)
    looks = looks_of(session)
    assert looks
    assert not any(np.isfinite(look.error).any() for look in looks)
    assert all(np.isfinite(look.pooled[2]).all() for look in looks)
    assert all(
        "this source" in look.note.lower() for look in looks
    )  # a replay says why, as the live view did
    with pytest.raises(compare.NothingToRecompute, match="can be recomputed") as nothing:
        recompute_file(session, checkpoint, dtype="float32")
    assert "nothing was predicted" in nothing.value.hint


def test_a_checkpoint_of_another_kind_is_refused_in_words(tmp_path):
    session, _ = score("LeWorldModel", tmp_path)
    other = checkpoints.write(tmp_path / "grid")
    with pytest.raises(
        RequestError, match="has a grid of patches; this session was recorded with one latent per frame"
    ):
        recompute_file(session, other, dtype="float32")


def test_a_predictor_without_an_encoder_is_not_shown_a_single_picture(tmp_path):
    checkpoint = cjepa_checkpoints.write_predictor(tmp_path / "checkpoint")
    source = trajectories.write_pushed(tmp_path / "made.npz", 8)
    request = HeadlessRequest(str(source), str(checkpoint), tmp_path / "out")
    with pytest.raises(NotAble, match="takes slots, not pictures"):
        headless.run(test_config(tmp_path / "config"), request, Progress(), CancelToken())
    session, _ = score("C-JEPA", tmp_path / "whole")
    with pytest.raises(RequestError, match="takes slots, not pictures"):
        recompute_file(session, checkpoint, dtype="float32")
