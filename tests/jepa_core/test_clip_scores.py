"""Scores of many clips at once are the engine's, and the copying baseline is what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assets.demo import make_untrained_checkpoint
from jepa_core import checkpoint
from jepa_core.clip_scores import score_clips
from jepa_core.clock import FakeClock
from jepa_core.engine import Engine
from jepa_core.families.toy import ToyModel
from jepa_core.masks import make_masks
from jepa_core.messages import EngineOptions
from jepa_core.types import MaskRule, TokenLayout


def make_clips(count: int, frames: int, size: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, frames, size, size, 3), dtype=np.uint8)


def test_errors_are_those_of_the_engine(tmp_path: Path):
    model = checkpoint.load(make_untrained_checkpoint.write(tmp_path))
    clips = make_clips(3, 12, 64)
    box = (0.0, 0.0, 64.0, 64.0)
    masks = make_masks(MaskRule(), TokenLayout("grid", (6, 8, 8), 2, box), 0)

    scores = score_clips(model, clips, batch=2)

    engine = Engine(model, EngineOptions(), FakeClock())
    for clip, ours in zip(clips, scores.error, strict=True):
        look = engine.look(clip, masks, frames=tuple(range(12)), seq=11, t_ns=0, box=box)
        np.testing.assert_allclose(ours, look.error.reshape(6, 8, 8)[4:], atol=2e-6)


def test_copying_is_exact_for_a_model_that_predicts_that_nothing_changes():
    scores = score_clips(ToyModel(), make_clips(4, 8, 32), predict_steps=1)
    np.testing.assert_allclose(scores.copied, scores.error, atol=1e-6)


@pytest.mark.parametrize("predict_steps", [1, 2, 3])
def test_only_the_predicted_steps_are_scored(predict_steps: int):
    scores = score_clips(ToyModel(), make_clips(2, 8, 32), predict_steps=predict_steps)
    assert scores.error.shape == scores.copied.shape == (2, predict_steps, 4, 4)
