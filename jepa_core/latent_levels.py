"""From the tensors of one look to the latents that are looked at: which level of features, copied to the host.

Families differ in what they hand over: most have one level of features, V-JEPA 2.1 has four in a row, and some of its
predictors speak of the last alone. Pure functions, called by the Engine on its look thread while a view is on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from jepa_core.families.base import JepaModel, LeveledModel, Prediction
from jepa_core.latent_views import Latents
from jepa_core.types import MaskSet, TokenLayout


def level_there(level: int, levels: int) -> int:
    """The level that is shown of a checkpoint with so many: one it does not have is its last, which is always -1."""
    return level if 0 <= level < levels - 1 else -1


def latents_of(model: JepaModel, clip: Tensor) -> Tensor:
    """(1, C, T, H, W) normalised → (1, N, levels·D) target latents of every token."""
    return model.every_level(clip) if isinstance(model, LeveledModel) else model.encode(clip)


def seen_latents(
    prediction: Prediction, level: int, levels: int, masks: MaskSet, layout: TokenLayout, seq: int
) -> Latents:
    """What a view is made of. `prediction.latents` is (1, N, levels·D); what was predicted may be its last level only."""
    assert prediction.latents is not None
    width = prediction.latents.shape[-1] // levels
    predicted_levels = prediction.predicted.shape[-1] // width
    has_level = predicted_levels == levels or level == -1
    return Latents(
        target=_level_of(prediction.latents, level, levels),
        predicted=_level_of(prediction.predicted, level, predicted_levels) if has_level else None,
        layout=layout,
        masks=masks,
        regions=None if prediction.regions is None else prediction.regions[0].float().cpu().numpy(),
        seq=seq,
    )


def _level_of(latents: Tensor, level: int, levels: int) -> NDArray[np.float32]:
    """(1, N, levels·D) → (N, D) float32 of one level, -1 = the last."""
    width = latents.shape[-1] // levels
    first = (level % levels) * width
    values: NDArray[np.float32] = latents[0, :, first : first + width].float().cpu().numpy()
    return values
