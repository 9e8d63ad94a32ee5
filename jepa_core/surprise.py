"""The published surprise procedure: sliding windows over a clip, swept over context lengths (spec section 8.5).

For each window and each context length, the first frames are the context and every later token must be predicted;
surprise is the mean L1 distance to the layer-normed targets. Works with any masked model of clips; owns no device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from jepa_core.errors import NotAble
from jepa_core.families.base import JepaModel
from jepa_core.metrics import token_error
from jepa_core.types import MaskSet, frozen

STRIDE = 2  # frames between the starts of two windows


@dataclass(frozen=True, slots=True)
class SurpriseSweep:
    """What a sweep found; V videos, C context lengths, W windows."""

    starts: tuple[int, ...]  # (W,) first frame of each window
    context_lengths: tuple[int, ...]  # (C,) frames
    window_frames: int
    tokens: tuple[NDArray[np.float32], ...]  # per context length (V, W, Nt): error of each token
    surprise: NDArray[np.float32]  # (V, C, W) mean over tokens and features

    def least(self) -> NDArray[np.float32]:
        """The "filtered" variant: of every window the least surprise over the context lengths. (V, W)"""
        return self.surprise.min(axis=1)

    def average(self, *, filtered: bool = False) -> NDArray[np.float32]:
        """Mean over windows, for comparing a possible video with an impossible one. (V, C), filtered (V,)"""
        return (self.least() if filtered else self.surprise).mean(axis=-1)

    def maximum(self, *, filtered: bool = False) -> NDArray[np.float32]:
        """Largest of all windows, for judging a single video. (V, C), filtered (V,)"""
        return (self.least() if filtered else self.surprise).max(axis=-1)

    def first_predicted(self, context: int) -> tuple[int, ...]:
        """The frame at which each window's score of a context length is drawn, so that a spike lies at its event."""
        return tuple(start + context for start in self.starts)


def sweep(
    model: JepaModel,
    video: Tensor,
    context_lengths: Sequence[int],
    *,
    window_frames: int | None = None,
    stride: int = STRIDE,
) -> SurpriseSweep:
    """Slide a window over a video, one window at a time, and predict its end from every context length.

    video            (V, 3, T, S, S) normalised, at the model's input size
    context_lengths  frames; whole tubelets, shorter than the window
    window_frames    None = the clip length the checkpoint was built for
    Raises NotAble for a length that leaves no context or nothing to predict, for a video shorter than one window, and
    for a model without time or predictor.
    """
    spec = model.info.input
    frames = window_frames or spec.frames
    starts = tuple(range(0, video.shape[2] - frames + 1, stride))
    if "temporal" not in model.info.abilities:
        raise NotAble("Surprise after a context needs a model of clips.", "This one sees single pictures.")
    if not starts:
        raise NotAble(
            f"The video has {video.shape[2]} frames, a window takes {frames}.", "Choose a longer video."
        )
    masks = [_first_frames(model, context, frames) for context in context_lengths]
    found: list[list[Tensor]] = [[] for _ in masks]
    for start in starts:
        window = video[:, :, start : start + frames]
        for errors, mask in zip(found, masks, strict=True):
            prediction = model.predict(window, mask)
            errors.append(token_error(prediction.predicted, prediction.target, "l1"))  # (V, Nt)
    tokens = [torch.stack(errors, dim=1) for errors in found]  # each (V, W, Nt)
    surprise = torch.stack([errors.mean(-1) for errors in tokens], dim=1)  # (V, C, W)
    return SurpriseSweep(
        starts=starts,
        context_lengths=tuple(int(context) for context in context_lengths),
        window_frames=frames,
        tokens=tuple(_host(errors) for errors in tokens),
        surprise=_host(surprise),
    )


def _first_frames(model: JepaModel, context: int, frames: int) -> MaskSet:
    """Context = the first `context` frames, one target = all later tokens. No generator: mask token 0 where it matters."""
    tubelet = model.info.input.tubelet
    if context % tubelet or not 0 < context < frames:
        raise NotAble(
            f"A context of {context} frames does not fit a window of {frames}.",
            f"Use multiples of {tubelet} between {tubelet} and {frames - tubelet}.",
        )
    steps, rows, columns = model.grid(frames)
    split = context // tubelet * rows * columns
    whole = np.arange(steps * rows * columns, dtype=np.int32)
    return MaskSet(frozen(whole[:split].copy()), (frozen(whole[split:].copy()),), 0)


def _host(values: Tensor) -> NDArray[np.float32]:
    return frozen(values.float().cpu().numpy())
