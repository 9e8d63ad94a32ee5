"""Out of memory in a running session: the step is an event, the record goes on in a part that fits, replay agrees."""

from __future__ import annotations

from dataclasses import replace

import pytest

from console.config import Config
from console.headless import HeadlessRequest, run
from console.notices import CheckpointLoaded, RecordingStopped, SourceEnded, SteppedDown
from console.progress import Progress
from jepa_core.clock import CancelToken
from jepa_core.messages import EngineOptions
from jepa_core.types import EventKind, Inspection
from sessions.compare import recompute_file
from sessions.reader import open_session
from tests.helpers.real_pipeline import DEMO_CHECKPOINT, every_look, running_pipeline, wait_for
from tests.helpers.real_pipeline import test_config as settings

CELL = str(DEMO_CHECKPOINT)
FLOAT32 = 4
TOKENS_64, TOKENS_48 = 6 * 64, 6 * 36  # of twelve frames, 8-pixel patches


@pytest.fixture(scope="module")
def stepped(tmp_path_factory: pytest.TempPathFactory):
    """A recording during which the device had no room for full clips at 64 px."""
    folder = tmp_path_factory.mktemp("ladder")
    looks: list[Inspection] = []
    options = EngineOptions(device="cpu", threads=1, room=TOKENS_48 * FLOAT32)
    with running_pipeline(folder, is_engine_local=True, options=options) as (pipeline, ear):
        every_look(pipeline, looks.append)
        pipeline.watch(
            "world:cell?frames=60&width=320&height=240", CELL, every_frame=True, speed=None,
            record_to=str(folder / "out"),
        )  # fmt: skip
        loaded = wait_for(ear, CheckpointLoaded)
        wait_for(ear, SourceEnded, seconds=60)
        steps = ear.all(SteppedDown)
        now = pipeline.checkpoint_info
        pipeline.stop_recording()
        wait_for(ear, RecordingStopped, seconds=60)
    return loaded.info, steps, now, looks, sorted((folder / "out").glob("*.h5"))


def test_the_screen_is_told_what_changed_and_how_to_go_back_up(stepped) -> None:
    before, steps, now, _, _ = stepped

    [step] = steps
    assert "Resolution: 64 px → 48 px." in step.error.what
    assert "Load the checkpoint again" in step.error.hint
    assert step.error.code == "ladder"
    assert before.input.size == 64
    assert now.input.size == 48
    assert now.id == before.id


def test_the_step_is_a_fault_event_of_the_record(stepped) -> None:
    *_, sessions = stepped

    [ladder] = [event for event in open_session(sessions[0]).events() if event.payload["subtype"] == "ladder"]
    assert ladder.kind is EventKind.FAULT
    detail = ladder.payload["detail"]
    assert (detail["step"], detail["before"], detail["after"]) == ("resolution", "64 px", "48 px")


def test_looks_go_on_smaller_and_the_record_holds_them_all(stepped) -> None:
    _, _, _, looks, sessions = stepped

    grids = [look.layout.shape[1:] for look in looks]
    assert set(grids) == {(8, 8), (6, 6)}
    assert grids == sorted(grids, reverse=True)
    assert len(sessions) == 2  # a part for each shape; a reader opens both as one
    assert open_session(sessions[0]).n_steps == len(looks)


def test_recomputation_uses_the_size_each_look_was_made_at(stepped) -> None:
    *_, looks, sessions = stepped

    report = recompute_file(sessions[0], CELL, device="cpu")

    assert report.verdict == "reproduced"
    assert report.max_difference == 0.0
    assert report.steps_compared == len(looks)


def test_run_without_a_window_says_what_was_given_up(tmp_path, monkeypatch) -> None:
    asked = Config.engine_options
    monkeypatch.setattr(
        Config, "engine_options", lambda config: replace(asked(config), room=TOKENS_48 * FLOAT32)
    )
    request = HeadlessRequest("world:cell?frames=40&width=320&height=240", CELL, tmp_path / "out")

    result = run(settings(tmp_path), request, Progress(), CancelToken())

    assert result.error is None
    assert result.summary["given_up"] == [
        "The device had no room for the model, so it takes on less. Resolution: 64 px → 48 px."
    ]
