"""How far a prediction was from what happened, per token and as one number. Pure functions; own nothing."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

METRICS = ("l1", "l2", "smooth_l1", "cosine")
TOP_SHARE = 0.05  # of the predicted tokens, for the surprise of small things


def token_error(predicted: Tensor, target: Tensor, metric: str = "l1") -> Tensor:
    """Distance of each predicted latent from its target latent.

    predicted, target   (B, N, D), target already layer-normed as the family prescribes
    metric              "l1" mean |d| (the training loss of V-JEPA and V-JEPA 2), "l2" mean d², "smooth_l1" with beta 1
                        (I-JEPA's loss), "cosine" 1 − cosine similarity
    returns             (B, N) float32, >= 0 up to rounding, same order as the mask indices
    """
    predicted, target = predicted.float(), target.float()
    if metric == "l1":
        return (predicted - target).abs().mean(-1)  # (B, N)
    if metric == "l2":
        return (predicted - target).square().mean(-1)  # (B, N)
    if metric == "smooth_l1":
        return F.smooth_l1_loss(predicted, target, reduction="none").mean(-1)  # (B, N)
    if metric == "cosine":
        return 1 - F.cosine_similarity(predicted, target, dim=-1)  # (B, N)
    raise ValueError(f"{metric!r} is not one of {', '.join(METRICS)}")


def surprise(error: Tensor) -> Tensor:
    """Mean error over the predicted tokens. error (B, N) → (B,); NaN where nothing was predicted."""
    return error.mean(-1)


def surprise_top(error: Tensor, share: float = TOP_SHARE) -> Tensor:
    """Mean of the largest errors, at least one token: a small thing gone wrong is not averaged away.

    error (B, N) → (B,); NaN where nothing was predicted.
    """
    if not error.shape[-1]:
        return error.mean(-1)
    count = max(1, round(share * error.shape[-1]))
    return error.topk(count, dim=-1).values.mean(-1)


def energy(latents: Tensor, goal: Tensor) -> Tensor:
    """How far each candidate's last frame is from the goal: mean absolute difference over tokens and channels.

    latents (K, N, D), goal (N, D), both normed as the family prescribes → (K,) float32; lower is better. The goal is
    shared by all candidates, never repeated. V-JEPA 2-AC's planner and energy landscape use this.
    """
    return (latents.float() - goal.float()).abs().mean(dim=(-2, -1))
