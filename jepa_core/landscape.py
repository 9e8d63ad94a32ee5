"""The energy over a grid of actions, as the published V-JEPA 2-AC notebook draws it (spec section A8).

Says how the model values actions around the current frame for a goal; the minimum need not lie at the true action, and
whoever draws it must show both. Plain torch and numpy functions; owns nothing.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from jepa_core import poses
from jepa_core.families.base import JepaModel, Memory

NOTEBOOK_SAMPLES, NOTEBOOK_EXTENT_M = 5, 0.075


def grid_actions(samples: int = NOTEBOOK_SAMPLES, extent_m: float = NOTEBOOK_EXTENT_M) -> Tensor:
    """(samples³, 7): dx, dy, dz each over linspace(-extent, extent), x slowest and z fastest; the rest 0."""
    axis = torch.linspace(-extent_m, extent_m, samples)
    position = torch.cartesian_prod(axis, axis, axis)  # (samples³, 3)
    return torch.cat((position, torch.zeros(len(position), poses.SIZE - 3)), dim=1)


def roll_out(model: JepaModel, start: Memory, actions: Tensor, repeats: int = 1) -> Memory:
    """Apply every candidate's action `repeats` times. start: memory of len(actions) candidates; actions (K, 7)"""
    memory = start
    for _ in range(repeats):
        memory = model.step(memory, actions)
    return memory


def histogram(
    actions: Tensor, energies: Tensor, bins: int, axes: tuple[int, int] = (0, 2), repeats: int = 1
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Energies summed into bins of the total displacement along two axes, as published: it sums over the third.

    actions (K, 7), energies (K,); bins per axis between the least and greatest displacement
    returns (bins, bins) indexed [first axis, second axis] and the edges of each, (bins + 1,)
    """
    first, second = ((actions[:, axis].double() * repeats).cpu().numpy() for axis in axes)
    return np.histogram2d(first, second, bins=bins, weights=energies.double().cpu().numpy())
