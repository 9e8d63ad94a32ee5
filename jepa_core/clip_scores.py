"""Scores of many clips at once: prediction error per token, beside what copying the last latent would have cost.

For evaluation and training curves, where thousands of clips are looked at; the engine looks at one clip at a time and
gives the same errors. Lives where torch is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from jepa_core.families.base import JepaModel
from jepa_core.masks import make_masks
from jepa_core.metrics import token_error
from jepa_core.preprocess import normalise_tensor
from jepa_core.types import MaskRule, TokenLayout


@dataclass(frozen=True, slots=True)
class ClipScores:
    """Of B clips, the predicted steps only; steps and places in the order of a clip's tokens."""

    error: NDArray[np.float32]  # (B, steps, rows, columns) L1 between predicted and actual latent
    copied: NDArray[np.float32]  # the same of a predictor that repeats the last latent it saw


def score_clips(
    model: JepaModel, crops: NDArray[np.uint8], *, predict_steps: int = 2, batch: int = 16
) -> ClipScores:
    """Predict the newest `predict_steps` time steps of each clip.

    crops  (B, T, S, S, 3) uint8, preprocessed as the engine does it, oldest frame first
    Raises NotAble where the checkpoint predicts nothing or has no patch grid.
    """
    spec = model.info.input
    grid = model.grid(crops.shape[1])
    layout = TokenLayout(
        model.info.layout, grid, spec.tubelet, (0.0, 0.0, float(spec.size), float(spec.size))
    )
    masks = make_masks(MaskRule("future", predict_steps=predict_steps), layout, 0)
    asked = grid[0] - len(masks.context) // (grid[1] * grid[2])
    device, dtype = torch.device(model.info.device), getattr(torch, model.info.dtype)
    errors, copies = [], []
    with torch.inference_mode():
        for at in range(0, len(crops), batch):
            pixels = torch.from_numpy(crops[at : at + batch]).to(device).permute(0, 4, 1, 2, 3)
            clip = normalise_tensor(pixels, spec.mean, spec.std, axis=1).to(dtype)
            prediction = model.predict(clip, masks)
            latents = model.encode(clip) if prediction.latents is None else prediction.latents
            by_step = latents.float().unflatten(1, (grid[0], -1))  # (b, T', H'W', D)
            last = by_step[:, -asked - 1 : -asked].expand(-1, asked, -1, -1).flatten(1, 2)
            errors.append(token_error(prediction.predicted.float(), prediction.target.float(), "l1"))
            copies.append(token_error(last, prediction.target.float(), "l1"))
    error, copied = (
        torch.cat(parts).float().cpu().numpy().reshape(len(crops), asked, *grid[1:])
        for parts in (errors, copies)
    )
    return ClipScores(error, copied)
