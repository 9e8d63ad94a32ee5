"""What was shown of the latents, on the real pipeline: an event that names the axes, and no number that changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from console.notices import CheckpointLoaded, RecordingStopped, SourceEnded, SourceOpened
from jepa_core.projection import LEAST_TOKENS
from jepa_core.types import EventKind, Inspection, LatentView
from sessions.reader import open_session
from tests.helpers.real_pipeline import DEMO_CHECKPOINT, every_look, running_pipeline, wait_for

WORLD = "world:cell?frames=40&width=320&height=240&seed=3"


def record(folder: Path, *views: LatentView) -> tuple[list[Inspection], Path]:
    """Every look at a short world with these views asked for in turn, the first before it begins; and the session."""
    looks: list[Inspection] = []
    with running_pipeline(folder) as (pipeline, ear):
        pipeline.load_checkpoint(str(DEMO_CHECKPOINT))
        wait_for(ear, CheckpointLoaded, seconds=60)
        every_look(pipeline, looks.append)
        pipeline.open_source(WORLD, every_frame=True, record_to=str(folder / "out"))
        wait_for(ear, SourceOpened)
        for view in views:
            pipeline.set_view(view)
        wait_for(ear, SourceEnded, seconds=120)
        pipeline.stop_recording()
        stopped = wait_for(ear, RecordingStopped, seconds=60)
    return looks, stopped.session


def test_a_view_is_recorded_as_an_event_that_names_the_axes_and_changes_no_recorded_number(tmp_path: Path):
    looks, session = record(tmp_path / "seen", LatentView("pca"))
    _, plain = record(tmp_path / "plain")

    bases = {look.basis for look in looks if look.basis is not None}
    assert len(bases) == 1
    [basis] = bases
    assert basis.fitted_on >= LEAST_TOKENS
    recorded, unseen = open_session(session), open_session(plain)
    told = [
        event.payload["detail"]
        for event in recorded.events()
        if event.kind is EventKind.STATUS and event.payload["subtype"] == "view_changed"
    ]
    assert [detail["view"] for detail in told] == ["pca", "pca"]
    assert "basis" not in told[0]
    assert told[1]["basis"]["id"] == basis.id
    assert tuple(told[1]["basis"]["fitted_on_frames"]) == basis.frames
    ours, theirs = (
        [file.inspection(step) for row in range(file.n_frames) for step in file.steps_for_row(row)]
        for file in (recorded, unseen)
    )
    assert len(ours) == len(theirs) > 10
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one.error, other.error)
        np.testing.assert_array_equal(one.pooled, other.pooled)
    recorded.close()
    unseen.close()


def test_the_axes_can_be_made_again_from_the_recorded_frames(tmp_path: Path):
    """The event names the looks they were fitted on, and the file holds the frames of those looks."""
    from jepa_core import checkpoint
    from jepa_core.clock import SystemClock
    from jepa_core.engine import Engine
    from jepa_core.messages import EngineOptions
    from jepa_core.preprocess import fit_frame

    looks, session = record(tmp_path, LatentView("pca"))
    [basis] = {look.basis for look in looks if look.basis is not None}

    model = checkpoint.load(DEMO_CHECKPOINT, device="cpu", dtype="float32")
    engine = Engine(model, EngineOptions(view=LatentView("pca"), threads=1), SystemClock())
    file = open_session(session)
    rows = {int(seq): row for row, seq in enumerate(file.frame_seq)}
    first, last = basis.frames
    spec = model.info.input
    again = None
    for step in (step for row in range(file.n_frames) for step in file.steps_for_row(row)):
        look = file.inspection(step)
        if first <= look.seq <= last:
            pictures = [file.frame_rgb(rows[seq]) for seq in look.clip]
            crops = np.stack([fit_frame(picture, spec.size, spec.fit)[0] for picture in pictures])
            again = engine.look(
                crops, look.masks, frames=look.clip, seq=look.seq, t_ns=look.t_ns, box=look.layout.crop
            )
    file.close()
    assert again is not None
    assert again.basis == basis
