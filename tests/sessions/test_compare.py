"""Recomputing: what was recorded comes out again, and what does not is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from jepa_core.clock import FakeClock
from jepa_core.engine import Engine
from jepa_core.messages import EngineOptions
from jepa_core.types import Frame
from sessions import codec, compare
from sessions.header import ModelStream
from sessions.reader import open_session
from tests.helpers.models import ScriptedModel
from tests.helpers.recordings import FRAME_NS, SMALL, make_header, make_recorder, make_row


def live_run(directory, model, *, n_frames=40, spoil=None, skip=(), drop_pixels=()):
    """Record what the engine really gives for these frames: the live path without the window."""
    clock = FakeClock()
    options = EngineOptions(clip_frames=8)
    stream = ModelStream.of(model.info, options)
    header = replace(make_header(clock), model=stream)
    recorder = make_recorder(directory, clock, header=header, settings=SMALL)
    recorder.start()
    engine = Engine(model, options, clock)
    for number in range(n_frames):
        clock.advance(FRAME_NS)
        row = make_row(number, clock)
        frame = Frame(
            row.seq,
            number,
            row.t_ns,
            row.received_ns,
            -1,
            row.pts_ns,
            codec.decode(row.encoded),
            "world:cell",
        )
        if number not in skip:
            recorder.frame(replace(row, encoded=b"") if number in drop_pixels else row)
        look = engine.offer(frame)
        if look is not None:
            recorder.step(spoil(look) if spoil else look)
    return recorder.stop()


def test_a_recording_is_reproduced_to_the_last_bit(tmp_path):
    journal = live_run(tmp_path, ScriptedModel())
    heard = []
    with open_session(journal) as session:
        report = compare.recompute(
            session, ScriptedModel(), progress=lambda fraction, text: heard.append(fraction)
        )
        assert report.steps_compared == session.n_steps > 3
    assert (report.verdict, report.max_difference, report.first_differing_seq) == ("reproduced", 0.0, None)
    assert report.skipped == {}
    assert report.is_same_checkpoint
    assert heard[-1] == 1.0
    assert set(report.signals) >= {"surprise", "surprise_top"}
    assert max(report.signals.values()) == 0.0


def test_a_drifted_look_is_named_by_its_frame(tmp_path):
    seen = []

    def spoil(look):
        seen.append(look.seq)
        return replace(look, error=look.error + np.float32(0.25)) if len(seen) == 3 else look

    journal = live_run(tmp_path, ScriptedModel(), spoil=spoil)
    with open_session(journal) as session:
        report = compare.recompute(session, ScriptedModel())
    assert (report.verdict, report.first_differing_seq, report.steps_differing) == ("differs", seen[2], 1)
    assert report.max_difference == pytest.approx(0.25, abs=1e-6)
    assert report.to_json()["table"][0]["max_difference"] == report.max_difference


def test_looks_whose_frames_are_not_all_there_are_skipped_with_the_reason(tmp_path):
    journal = live_run(tmp_path, ScriptedModel(), skip={0}, drop_pixels={39})
    with open_session(journal) as session:
        report = compare.recompute(session, ScriptedModel())
        assert report.steps_compared + sum(report.skipped.values()) == session.n_steps
    assert report.verdict == "reproduced"
    assert set(report.skipped) == {"a frame was not recorded", "a frame was recorded without pixels"}


def test_a_session_of_which_nothing_can_be_recomputed_says_so(tmp_path):
    journal = live_run(tmp_path, ScriptedModel(), drop_pixels=set(range(40)))
    with open_session(journal) as session, pytest.raises(compare.NothingToRecompute, match="without pixels"):
        compare.recompute(session, ScriptedModel())


def test_another_checkpoint_is_said_to_be_another(tmp_path):
    journal = live_run(tmp_path, ScriptedModel())
    other = ScriptedModel()
    other.info = replace(other.info, sha256="ff" * 32)
    with open_session(journal) as session:
        report = compare.recompute(session, other)
    assert not report.is_same_checkpoint
    assert "another checkpoint" in report.to_json()["note"]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([1.0, 2.0], [1.0, 2.5], 0.5),
        ([np.nan, 1.0], [np.nan, 1.0], 0.0),
        ([np.nan], [1.0], np.inf),
        ([1.0], [1.0, 2.0], np.inf),
    ],
)
def test_the_largest_difference_counts_what_is_missing_on_one_side_as_infinite(a, b, expected):
    assert compare.largest_difference(np.array(a), np.array(b)) == expected
