"""From the tensors of one look to the numbers of its Inspection: errors on the host, laid out over the tokens, checked.

Pure functions, called by the Engine on its look thread. What leaves here is numpy.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from jepa_core.errors import NotFinite
from jepa_core.families.base import Prediction
from jepa_core.metrics import token_error
from jepa_core.types import MaskSet, frozen


def spread(values: NDArray[np.float32], masks: MaskSet, n_tokens: int) -> NDArray[np.float32]:
    """Errors of the target tokens, in the order of the targets, laid out over all tokens.

    values (sum of Nt,) float32 → (N,) float32. A token in several targets is averaged, one in none is NaN.
    """
    error = np.full(n_tokens, np.nan, np.float32)
    if not masks.targets:
        return error
    indices = np.concatenate([np.asarray(target, np.int64) for target in masks.targets])
    counts = np.bincount(indices, minlength=n_tokens)
    sums = np.bincount(indices, weights=values.astype(np.float64), minlength=n_tokens)
    np.divide(sums, counts, out=sums, where=counts > 0)
    error[counts > 0] = sums[counts > 0]
    return error


def host_error(prediction: Prediction, metric: str) -> NDArray[np.float32]:
    """(sum of Nt,) float32."""
    error = token_error(prediction.predicted.float(), prediction.target.float(), metric)  # (1, Nt)
    return error[0].float().cpu().numpy()


def on_host(values: Tensor | None) -> NDArray[np.float32] | None:
    """The first of a batch, float32."""
    return None if values is None else frozen(values[0].float().cpu().numpy())


def slot_order(prediction: Prediction) -> tuple[int, ...]:
    """Of the newest predicted frame."""
    if prediction.assignment is None:
        return ()
    return tuple(int(slot) for slot in prediction.assignment[0, -1].tolist())


def pooled_means(prediction: Prediction) -> NDArray[np.float32]:
    """(3, D) float32: mean over tokens of predicted, target and context latents; NaN where there are no tokens."""
    parts = (prediction.predicted, prediction.target, prediction.context)
    return (
        torch.stack([part[0].float().mean(0) for part in parts]).cpu().numpy()
    )  # the mean of nothing is NaN


def check_finite(
    error: NDArray[np.float32], l1: NDArray[np.float32], pooled: NDArray[np.float32], seq: int
) -> None:
    """A NaN or an infinity anywhere in a latent reaches one of these; where nothing was predicted, the context's."""
    there = pooled if len(error) else pooled[2:]
    if not (np.isfinite(error).all() and np.isfinite(l1).all() and np.isfinite(there).all()):
        raise NotFinite(
            f"The prediction for frame {seq} holds values that are not numbers.",
            "Try --dtype float32; if it stays, the checkpoint is damaged.",
        )
