"""The embedded world's table: intervals as published, the same numbers for the same seed, baselines beside them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from assets.demo import make_untrained_checkpoint
from console.world_table import Share, evaluate_cell
from jepa_core import checkpoint
from jepa_core.clock import CancelToken
from jepa_core.errors import Cancelled, RequestError
from jepa_core.families.toy import ToyModel
from sessions.sources.parts.event_pairs import KINDS


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)],
)  # Wilson 1927; the last row: Newcombe 1998, table I
def test_interval_is_wilsons(hits: int, of: int, low: float, high: float):
    assert Share(hits, of).interval == pytest.approx((low, high), abs=5e-4)


def test_of_nothing_there_is_no_share():
    assert math.isnan(Share(0, 0).value)


def test_a_model_that_predicts_that_nothing_changes_is_its_own_copying_baseline():
    toy = ToyModel(size=64, patch=8, frames=12, tubelet=2, fps=15.0)

    table = evaluate_cell(toy, scenes=2)

    assert [event.kind for event in table.events] == list(KINDS)
    for event in table.events:
        assert event.copied == event.pairwise
        assert event.pairwise.of == event.alarms.of == 4
        assert 0.0 < event.chance < 0.6
    assert {event.kind: event.difference.value for event in table.events}[
        "color"
    ] == 1.0  # pixels see a new colour


def test_the_same_seed_measures_the_same(tmp_path: Path):
    model = checkpoint.load(make_untrained_checkpoint.write(tmp_path))
    assert evaluate_cell(model, scenes=1).to_json() == evaluate_cell(model, scenes=1).to_json()


def test_measuring_can_be_called_off():
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        evaluate_cell(ToyModel(size=64, frames=12, fps=15.0), scenes=1, cancel=cancel)


def test_a_checkpoint_of_short_clips_cannot_be_measured():
    with pytest.raises(RequestError):
        evaluate_cell(ToyModel(size=64, frames=8), scenes=1)
