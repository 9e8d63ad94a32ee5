"""EB-JEPA against the project's own code: preparation, latents, unroll, objectives."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from jepa_core import checkpoint
from jepa_core.families.ebjepa import EbJepa, prepared
from tests.golden.files import torch_files, worst_of

Arrays = Mapping[str, np.ndarray]

INPUTS = frozenset({"raw_obs", "actions"})
COSTS = ("cost_sum", "cost_last", "cost_per_step")
TOLERANCE, COST, RELATIVE_COST = 1e-4, 1e-3, 1e-5  # stated in the case's README


def inputs_among(arrays: Arrays) -> frozenset[str]:
    """The arrays of a case that are given, not computed."""
    given = INPUTS | {"goal_enc"} | (frozenset() if "raw_obs" in arrays else {"obs"})
    return frozenset(given & set(arrays))


def tolerance_of(array: str) -> float:
    return COST if array in COSTS else TOLERANCE


def relative_of(array: str) -> float:
    return RELATIVE_COST if array in COSTS else 0.0


def official(folder: Path, arrays: Arrays) -> dict[str, np.ndarray]:
    """Everything a case has a reference for, through the ordinary loader. The goal's latent is given: no frame is."""
    return worst_of(torch_files(folder), lambda path: _from(path, arrays), arrays)


def _from(path: Path, arrays: Arrays) -> dict[str, np.ndarray]:
    model = checkpoint.load(path, device="cpu", dtype="float32")
    assert isinstance(model, EbJepa)
    given = {name: torch.from_numpy(array) for name, array in arrays.items()}
    with torch.inference_mode():
        out = _all(model, given)
    return {name: value.detach().numpy() for name, value in out.items() if name in arrays}


def _all(model: EbJepa, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    frames = prepared(given["raw_obs"]) if "raw_obs" in given else given["obs"]
    actions = given["actions"].transpose(1, 2)  # (B, T, A)
    latents = model.encode(frames)
    rolled = []
    for b, row in enumerate(actions):
        memory = model.begin(frames[b : b + 1, :, :1], None, 1)
        for action in row:
            memory = model.step(memory, action[None])
        rolled.append(memory)
    unrolled = torch.cat([memory.latents for memory in rolled])  # (B, T + 1, D)
    out = {
        "obs": frames,
        "enc": _kept(latents),
        "unroll": _kept(unrolled),
        "pred_sqerr": (unrolled - latents[:, : unrolled.shape[1]]).square().mean(-1),
    }
    if "goal_enc" in given:
        goal = given["goal_enc"][:, :, 0, 0, 0]  # (1, D)
        apart = torch.cat([model.distances(memory, goal) for memory in rolled])
        out["cost_per_step"], out["cost_last"] = apart, apart[:, -1]
        out["cost_sum"] = torch.cat([model.energy(memory, goal) for memory in rolled])
    return out


def _kept(latents: Tensor) -> Tensor:
    """(B, T, D) → (B, D, T, 1, 1) as the cases keep it"""
    return latents.transpose(1, 2)[..., None, None]
