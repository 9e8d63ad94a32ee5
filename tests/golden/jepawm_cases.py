"""JEPA-WM and DINO-WM against the project's own code: one forward pass, the unroll, the cost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from jepa_core import checkpoint
from jepa_core.families.jepawm import JepaWm, PatchMemory
from tests.golden.files import torch_files, worst_of

Arrays = Mapping[str, np.ndarray]

INPUTS = frozenset(
    {
        "visual",
        "proprio",
        "actions",
        "target_visual",
        "target_proprio",
        "fp_visual",
        "fp_proprio_raw",
        "fp_actions",
    }
)
TOLERANCE, COST, RELATIVE_COST = 1e-4, 1e-3, 1e-5  # stated in the case's README


def inputs_among(arrays: Arrays) -> frozenset[str]:
    """The arrays of a case that are given, not computed."""
    return INPUTS & set(arrays)


def tolerance_of(array: str) -> float:
    return COST if array == "cost" else TOLERANCE


def relative_of(array: str) -> float:
    return RELATIVE_COST if array == "cost" else 0.0


def official(folder: Path, arrays: Arrays) -> dict[str, np.ndarray]:
    """Everything a case has a reference for, through the ordinary loader."""
    return worst_of(torch_files(folder), lambda path: _from(path, arrays), arrays)


def _from(path: Path, arrays: Arrays) -> dict[str, np.ndarray]:
    model = checkpoint.load(path, device="cpu", dtype="float32")
    assert isinstance(model, JepaWm)
    given = {name: torch.from_numpy(array) for name, array in arrays.items()}
    with torch.inference_mode():
        out: dict[str, Tensor] = {}
        if "fp_visual" in given:
            out |= _forward(model, given)
        if "visual" in given:
            out |= _unrolled(model, given)
    return {name: value.detach().numpy() for name, value in out.items() if name in arrays}


def _forward(model: JepaWm, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Teacher forcing: position t predicts frame t + 1."""
    proprio = model.embed_proprio(given["fp_proprio_raw"]) if model.reading.body else None
    visual, body = model.predict_next(given["fp_visual"].flatten(2, 4), proprio, given["fp_actions"])
    out = {"fp_out_visual": visual.view_as(given["fp_visual"])}
    return out if body is None else out | {"fp_out_proprio": body}


def _unrolled(model: JepaWm, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """From one context frame under every candidate's actions, time first."""
    actions = given["actions"]  # (T, B, A)
    side, E = model.reading.predictor.side, model.reading.predictor.visual
    body = given["proprio"][0, 0] if model.reading.body else None
    memory: PatchMemory = model.begin_from(given["visual"].reshape(-1, E), body, actions.shape[1])
    for action in actions:
        memory = model.step(memory, action)
    frames = memory.visual.transpose(0, 1)  # (T + 1, B, n, E)
    goal = given["target_visual"].reshape(-1, E)
    out = {"unroll1_visual": frames.unflatten(2, (1, side, side))}
    if memory.proprio is not None:
        out["proprio_features"] = model.embed_proprio(given["proprio"])
        out["unroll1_proprio"] = memory.proprio.transpose(0, 1)
        goal = torch.cat((goal, given["target_proprio"].reshape(len(goal), -1)), dim=-1)
    return out | {"cost": model.energy(memory, goal)}
