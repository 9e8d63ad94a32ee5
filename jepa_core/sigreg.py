"""SIGReg, LeWorldModel's training statistic, as a gauge of how Gaussian a batch of latents is (specs/lewm-cjepa.md, 1.6).

0 for an isotropic unit Gaussian; grows with the size of the batch. Plain torch functions; owns nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor

KNOTS, LAST_KNOT = 17, 3.0
DIRECTIONS = 1024


def draw_directions(width: int, seed: int, count: int = DIRECTIONS) -> Tensor:
    """(D, P) unit columns; the official code draws new ones at every call."""
    drawn = torch.randn(width, count, generator=torch.Generator().manual_seed(seed))
    return drawn / drawn.norm(dim=0)


def sigreg(latents: Tensor, directions: Tensor) -> Tensor:
    """How far the projections' characteristic functions are from a Gaussian's.

    latents (T, B, D): B samples at each of T steps; directions (D, P) unit columns → scalar
    """
    knots = torch.linspace(0, LAST_KNOT, KNOTS, device=latents.device)
    gap = LAST_KNOT / (KNOTS - 1)
    weights = torch.full_like(knots, 2 * gap)
    weights[0] = weights[-1] = gap
    window = torch.exp(-knots.square() / 2)
    x = (latents.float() @ directions.to(latents.device).float())[..., None] * knots  # (T, B, P, knots)
    error = (x.cos().mean(1) - window).square() + x.sin().mean(1).square()  # (T, P, knots)
    return ((error @ (weights * window)) * latents.shape[1]).mean()
