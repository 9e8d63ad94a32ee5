"""The published surprise procedure: windows, context lengths, aggregation (spec section 8.5)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from jepa_core import checkpoint
from jepa_core.errors import NotAble
from jepa_core.families.toy import ToyModel
from jepa_core.surprise import sweep
from tests.helpers import table_checkpoints as made


def video(frames: int = 14, batch: int = 1) -> torch.Tensor:
    return torch.randn(batch, 3, frames, 32, 32, generator=torch.Generator().manual_seed(0))


def test_windows_start_every_two_frames_while_they_fit():
    found = sweep(ToyModel(), video(13), [2, 4])

    assert sweep(ToyModel(), video(14), [2]).starts == (0, 2, 4, 6)  # the last one just fits
    assert found.starts == (0, 2, 4)
    assert found.surprise.shape == (1, 2, 3)
    assert [tokens.shape for tokens in found.tokens] == [(1, 3, 48), (1, 3, 32)]


def test_sudden_change_surprises_only_windows_that_must_predict_it():
    """A still scene that changes at frame 8: the toy predicts that nothing changes, so the sums are known."""
    still = torch.zeros(1, 3, 14, 32, 32)
    still[:, :, 8:] = 0.5
    found = sweep(ToyModel(), still, [4])

    predicted = {start: range(start + 4, start + 8) for start in found.starts}
    changed = [
        np.mean([frame >= 8 for frame in frames]) if start + 3 < 8 else 0.0
        for start, frames in predicted.items()
    ]
    np.testing.assert_allclose(found.surprise[0, 0], np.array(changed) * 0.5, atol=1e-6)
    assert found.first_predicted(4) == tuple(start + 4 for start in found.starts)


def test_filtered_scores_take_the_least_context_length_of_each_window():
    found = sweep(ToyModel(), video(batch=2), [2, 4, 6])
    least = found.surprise.min(1)

    np.testing.assert_allclose(found.average(), found.surprise.mean(-1))
    np.testing.assert_allclose(found.maximum(), found.surprise.max(-1))
    np.testing.assert_allclose(found.average(filtered=True), least.mean(-1))
    np.testing.assert_allclose(found.maximum(filtered=True), least.max(-1))


def test_mask_token_0_predicts_whatever_follows_the_context(tmp_path):
    model = checkpoint.load(made.write_vjepa(tmp_path))
    window = video(8)
    with torch.no_grad():
        found = sweep(model, window, [4])
        keep, ask = torch.arange(32), torch.arange(32, 64)
        predicted = model.predict_tokens(model.features(window, keep), keep, ask, mask_token=0)
        wanted = (predicted - model.encode(window)[:, 32:]).abs().mean(-1)

    np.testing.assert_allclose(found.tokens[0][0], wanted.numpy(), atol=1e-6)


@pytest.mark.parametrize("context", [0, 3, 8, 10])
def test_context_that_leaves_nothing_is_refused_in_words(context):
    with pytest.raises(NotAble, match="does not fit"):
        sweep(ToyModel(), video(), [context])


def test_video_shorter_than_a_window_is_refused_in_words():
    with pytest.raises(NotAble, match="6 frames, a window takes 8"):
        sweep(ToyModel(), video(6), [2])


def test_model_of_pictures_is_refused_in_words(tmp_path):
    with pytest.raises(NotAble, match="model of clips"):
        sweep(checkpoint.load(made.write_ijepa(tmp_path)), video(), [2])
