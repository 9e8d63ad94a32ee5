"""The whole pipeline on real parts: capture that never waits, events that are confirmed only on disk, an engine that
dies and comes back."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest

from console.notices import (
    CheckpointLoaded,
    CheckpointRefused,
    EngineLost,
    EngineRestored,
    EventMade,
    EventSaved,
    Faulted,
    MaskChanged,
    RecordingStarted,
    RecordingStopped,
    SourceEnded,
    SourceFailed,
    SourceOpened,
    TransportChanged,
)
from console.pipeline import Pipeline
from jepa_core.messages import EngineOptions
from jepa_core.types import EventKind, Inspection, MaskRule
from sessions.reader import open_session
from tests.helpers.media import write_video
from tests.helpers.real_pipeline import DEMO_CHECKPOINT, every_look, running_pipeline, wait_for

CELL = str(DEMO_CHECKPOINT)


def test_a_source_that_is_not_there_is_said_in_words(tmp_path: Path) -> None:
    with running_pipeline(tmp_path) as (pipeline, ear):
        pipeline.open_source(str(tmp_path / "none.mp4"))

        failed = wait_for(ear, SourceFailed)

    assert "none.mp4" in failed.error.what
    assert failed.error.hint


def test_recording_without_a_source_is_refused_with_a_hint(tmp_path: Path) -> None:
    with running_pipeline(tmp_path) as (pipeline, ear):
        pipeline.start_recording(str(tmp_path / "out"))

        assert wait_for(ear, Faulted).error.hint


def test_a_model_that_hangs_does_not_hold_the_source(tmp_path: Path) -> None:
    """Law 5, the model blocked: each look takes ten seconds, yet all frames are captured and recorded."""
    slow = EngineOptions(threads=1, delay_ms=(10_000, 10_000))
    with running_pipeline(tmp_path, options=slow) as (pipeline, ear):
        pipeline.load_checkpoint(CELL)
        wait_for(ear, CheckpointLoaded)
        pipeline.open_source(
            "world:cell?frames=90&width=320&height=240", speed=30.0, record_to=str(tmp_path / "out")
        )
        wait_for(ear, SourceEnded, seconds=60)
        pipeline.stop_recording()
        stopped = wait_for(ear, RecordingStopped, seconds=60)

    assert stopped.summary["frames"] == 90
    assert stopped.summary["gaps"] == 0
    assert stopped.summary["steps"] == 0, "the model was blocked: nothing may have been predicted"


def test_a_screen_that_never_takes_a_frame_does_not_hold_the_source(tmp_path: Path) -> None:
    """Law 5, the screen blocked: nobody empties the slot, every frame is captured, the skips are counted."""
    with running_pipeline(tmp_path) as (pipeline, ear):
        pipeline.open_source("world:cell?frames=60&width=320&height=240", speed=None)
        wait_for(ear, SourceEnded)

        assert pipeline.position == 59
        assert pipeline.health().skipped["shown"] == 59


def test_an_event_is_confirmed_once_and_found_in_the_file(tmp_path: Path) -> None:
    with running_pipeline(tmp_path) as (pipeline, ear):
        pipeline.open_source("world:cell?width=320&height=240", record_to=str(tmp_path / "out"))
        wait_for(ear, RecordingStarted)
        begun = pipeline.override_start(pipeline.clock.now_ns(), pipeline.seq)
        ended = pipeline.override_end(pipeline.clock.now_ns(), pipeline.seq)
        missed = pipeline.near_miss(pipeline.clock.now_ns(), pipeline.seq)
        amended = pipeline.amend(missed.id, severity_potential=2)
        confirmed = [wait_for(ear, EventSaved).event_id for _ in range(4)]
        pipeline.stop_recording()
        stopped = wait_for(ear, RecordingStopped, seconds=60)

    assert ended is not None
    assert confirmed == [begun.id, ended.id, missed.id, amended.id]
    recorded = {event.id: event for event in open_session(stopped.session).events()}
    assert set(confirmed) <= set(recorded)
    assert recorded[ended.id].payload["supersedes"] == begun.id
    assert recorded[amended.id].payload["supersedes"] == missed.id


def test_an_event_outside_a_recording_is_marked_as_not_recorded(tmp_path: Path) -> None:
    with running_pipeline(tmp_path) as (pipeline, ear):
        pipeline.bookmark(pipeline.clock.now_ns(), -1)

        assert wait_for(ear, EventMade).is_recording is False


def test_a_release_without_a_press_makes_no_event(tmp_path: Path) -> None:
    with running_pipeline(tmp_path) as (pipeline, _):
        assert pipeline.override_end(pipeline.clock.now_ns(), 0) is None
        assert pipeline.events == []


def test_killing_the_engine_costs_no_frame_and_predictions_come_back(tmp_path: Path) -> None:
    """Law 10: kill -9 in the middle of a recording."""
    looks: list[Inspection] = []
    with running_pipeline(tmp_path) as (pipeline, ear):
        every_look(pipeline, looks.append)
        pipeline.load_checkpoint(CELL)
        wait_for(ear, CheckpointLoaded)
        pipeline.open_source("world:cell?width=320&height=240&fps=30", record_to=str(tmp_path / "out"))
        wait_for(ear, RecordingStarted)
        os.kill(engine_pid(), signal.SIGKILL)
        wait_for(ear, EngineLost)
        before = len(looks)
        restored = wait_for(ear, EngineRestored)
        wait_until_more_looks(ear, looks, before + 3)
        pipeline.stop_recording()
        stopped = wait_for(ear, RecordingStopped, seconds=60)

    assert restored.seconds < 10.0
    session = open_session(stopped.session)
    faults = [event for event in session.events() if event.kind is EventKind.FAULT]
    assert [event.payload["subtype"] for event in faults] == ["engine_restarted"]
    with h5py.File(stopped.session) as file:
        index = file["/streams/camera/capture_index"][:]
    assert np.all(np.diff(index.astype(np.int64)) == 1), "no frame may be missing from the record"


def test_a_refused_checkpoint_is_a_status_event_of_the_session(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pt"
    wrong.write_bytes(b"PK\x03\x04 but not really")
    with running_pipeline(tmp_path) as (pipeline, ear):
        pipeline.open_source("world:cell?width=320&height=240", record_to=str(tmp_path / "out"))
        wait_for(ear, RecordingStarted)
        pipeline.load_checkpoint(str(wrong))
        refused = wait_for(ear, CheckpointRefused)
        pipeline.stop_recording()
        stopped = wait_for(ear, RecordingStopped, seconds=60)

    assert refused.error.hint
    subtypes = [event.payload["subtype"] for event in open_session(stopped.session).events()]
    assert "checkpoint_refused" in subtypes


def test_a_change_of_the_mask_rule_is_in_the_record_and_does_not_roll_the_file(tmp_path: Path) -> None:
    with running_pipeline(tmp_path) as (pipeline, ear):
        pipeline.load_checkpoint(CELL)
        wait_for(ear, CheckpointLoaded)
        pipeline.open_source("world:cell?width=320&height=240", record_to=str(tmp_path / "out"))
        wait_for(ear, RecordingStarted)
        pipeline.set_mask(MaskRule(kind="multiblock", generator="long", seed=5))
        assert wait_for(ear, MaskChanged).rule.kind == "multiblock"
        wait_for(ear, EventSaved)
        pipeline.stop_recording()
        wait_for(ear, RecordingStopped, seconds=60)

    assert len(list((tmp_path / "out").glob("*.h5"))) == 1


def test_replay_goes_through_the_same_slots_as_live(tmp_path: Path) -> None:
    """Law 8: recorded looks reach the screen's slot with their recorded numbers, and no model is there."""
    live: list[Inspection] = []
    with running_pipeline(tmp_path) as (pipeline, ear):
        every_look(pipeline, live.append)
        pipeline.watch(
            "world:cell?frames=30&width=320&height=240", CELL, every_frame=True, speed=None,
            record_to=str(tmp_path / "out"),
        )  # fmt: skip
        wait_for(ear, SourceEnded, seconds=60)
        pipeline.stop_recording()
        stopped = wait_for(ear, RecordingStopped, seconds=60)

    replayed: list[Inspection] = []
    with running_pipeline(tmp_path) as (pipeline, ear):
        every_look(pipeline, replayed.append)
        pipeline.open_source(str(stopped.session), speed=None)
        assert wait_for(ear, SourceOpened).info.kind == "session"
        wait_for(ear, SourceEnded)
        assert pipeline.is_replay
        assert pipeline.checkpoint_info is None
        pipeline.seek(7)
        wait_for(ear, TransportChanged)

    assert [look.seq for look in replayed[: len(live)]] == [look.seq for look in live]
    for ours, theirs in zip(replayed[: len(live)], live, strict=True):
        np.testing.assert_array_equal(ours.error, theirs.error)


def engine_pid() -> int:
    """The child that runs the engine: the one with torch mapped."""
    for child in psutil.Process().children(recursive=True):
        if any("libtorch" in region.path for region in child.memory_maps()):
            return child.pid
    pytest.fail("no engine process")


def wait_until_recorded(pipeline: Pipeline, frames: int) -> None:
    """The recorder counts what it wrote; nobody signals a single frame."""
    tick = threading.Event()
    for _ in range(600):
        status = pipeline.recording.status()
        if status is not None and status.frames >= frames:
            return
        tick.wait(0.05)
    pytest.fail(f"fewer than {frames} frames were recorded")


def wait_until_more_looks(ear: object, looks: list[Inspection], count: int) -> None:
    """Look counts grow by the engine's own messages; give it half a minute."""
    tick = threading.Event()
    for _ in range(600):
        if len(looks) >= count:
            return
        tick.wait(0.05)
    pytest.fail(f"{len(looks)} looks, waited for {count}")


# --- races and lost errors ---------------------------------------------------------------------------------------------


def test_a_recording_that_is_stopped_before_it_began_leaves_no_tap_behind(tmp_path: Path) -> None:
    """Start and stop in one breath: the start waits for the worker, and must not hand its recorder out afterwards."""
    with running_pipeline(tmp_path) as (pipeline, ear):
        pipeline.open_source("world:cell?width=320&height=240")
        wait_for(ear, SourceOpened)
        pipeline.start_recording(str(tmp_path / "out"))
        pipeline.stop_recording()
        wait_for(ear, RecordingStarted)
        stopped = wait_for(ear, RecordingStopped, seconds=60)
        before = pipeline._intake.tap

    assert before is None, "frames would be encoded for a recorder that has ended"
    assert stopped.session is not None
    assert not pipeline.is_recording


def test_a_recording_that_cannot_begin_leaves_nothing_behind_and_the_next_one_works(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("in the way", encoding="utf-8")
    with running_pipeline(tmp_path) as (pipeline, ear):
        pipeline.open_source("world:cell?width=320&height=240", record_to=str(blocker / "out"))
        refused = wait_for(ear, Faulted)
        assert pipeline._intake.tap is None
        pipeline.start_recording(str(tmp_path / "out"))
        wait_for(ear, RecordingStarted)
        pipeline.stop_recording()
        stopped = wait_for(ear, RecordingStopped, seconds=60)

    assert refused.error.code == "write_failed"
    assert stopped.session is not None


def test_another_source_calls_off_what_waited_for_the_checkpoint(tmp_path: Path) -> None:
    """A source that waits for its checkpoint must not take the place of one that a person opened meanwhile."""
    with running_pipeline(tmp_path) as (pipeline, ear):
        pipeline.watch("world:cell?frames=5&width=320&height=240", CELL, every_frame=True)
        pipeline.open_source("world:cell?frames=9&width=320&height=240")
        opened = wait_for(ear, SourceOpened)
        wait_for(ear, CheckpointLoaded)
        pipeline._worker.submit(lambda: None)
        later = ear.all(SourceOpened)

    assert opened.info.frames == 9
    assert later == []


def test_two_sources_in_a_row_leave_only_the_second(tmp_path: Path) -> None:
    with running_pipeline(tmp_path) as (pipeline, ear):
        for frames in (5, 6, 7):
            pipeline.open_source(f"world:cell?frames={frames}&width=320&height=240", speed=None)
        ended = wait_for(ear, SourceEnded)
        assert pipeline.source_info is not None
        name = pipeline.source_info.frames
        failures = ear.all(SourceFailed)

    while ended.info.frames != 7:  # the earlier ones may have come to their own end before
        ended = wait_for(ear, SourceEnded)
    assert name == 7
    assert failures == []


def test_a_shutdown_while_a_checkpoint_loads_opens_nothing_afterwards(tmp_path: Path) -> None:
    with running_pipeline(tmp_path) as (pipeline, ear):
        pipeline.watch(
            "world:cell?width=320&height=240", CELL, every_frame=True, record_to=str(tmp_path / "out")
        )
        pipeline.shutdown()

        assert ear.all(SourceOpened) == []
        assert not pipeline.is_recording
        assert not (tmp_path / "out").exists()


def test_a_source_that_breaks_during_a_recording_is_in_the_record(tmp_path: Path) -> None:
    cut = write_video(tmp_path / "whole.mp4", frames=60, container_options={"movflags": "faststart"})
    content = cut.read_bytes()
    cut.write_bytes(content[: len(content) * 6 // 10])
    with running_pipeline(tmp_path) as (pipeline, ear):
        pipeline.open_source(str(cut), speed=None, record_to=str(tmp_path / "out"))
        failed = wait_for(ear, SourceFailed)
        wait_for(ear, SourceEnded)
        pipeline.stop_recording()
        stopped = wait_for(ear, RecordingStopped, seconds=60)

    faults = [event for event in open_session(stopped.session).events() if event.kind is EventKind.FAULT]
    assert [event.payload["subtype"] for event in faults] == [failed.error.code]
    assert failed.uri == str(cut)


def test_opening_a_replay_ends_the_recording_before_its_first_frame(tmp_path: Path) -> None:
    """Recorded frames of another time must not slip into the record of now."""
    with running_pipeline(tmp_path) as (pipeline, ear):
        pipeline.open_source(
            "world:cell?frames=20&width=320&height=240", speed=None, record_to=str(tmp_path / "a")
        )
        wait_for(ear, SourceEnded)
        pipeline.stop_recording()
        first = wait_for(ear, RecordingStopped, seconds=60)
        pipeline.open_source("world:cell?width=320&height=240", record_to=str(tmp_path / "b"))
        wait_for(ear, RecordingStarted)
        wait_for(ear, RecordingStarted)
        wait_until_recorded(pipeline, frames=3)
        pipeline.open_source(str(first.session), speed=None)
        second = wait_for(ear, RecordingStopped, seconds=60)

    assert len(list((tmp_path / "b").glob("*.h5"))) == 1
    with open_session(second.session) as reader:
        numbers = np.asarray(reader.frame_seq)
    assert numbers.min() >= 20, "the first session's frames have the numbers 0 to 19"
    assert np.all(np.diff(numbers.astype(np.int64)) > 0)


def test_a_source_of_another_size_begins_a_new_part_with_its_first_frame(tmp_path: Path) -> None:
    with running_pipeline(tmp_path) as (pipeline, ear):
        pipeline.open_source(
            "world:cell?frames=12&width=320&height=240", speed=None, record_to=str(tmp_path / "out")
        )
        wait_for(ear, SourceEnded)
        pipeline.open_source("world:cell?frames=7&width=160&height=120", speed=None)
        wait_for(ear, SourceEnded)
        pipeline.stop_recording()
        wait_for(ear, RecordingStopped, seconds=60)

    sizes = []
    for part in sorted((tmp_path / "out").glob("*.h5")):
        with h5py.File(part) as file:
            sizes.append(file["/streams/camera/capture_index"].shape[0])
    assert sizes == [12, 7]
    assert ear.all(Faulted) == []
