"""LeWorldModel against the project's own code: latents, predictions, roll-outs, costs, SIGReg, planning runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from jepa_core import checkpoint, solvers
from jepa_core.families.base import Memory
from jepa_core.families.lewm import LeWorldModel
from jepa_core.metrics import token_error
from jepa_core.sigreg import sigreg
from tests.golden.files import torch_files, worst_of

Arrays = Mapping[str, np.ndarray]

INPUTS = frozenset(
    {
        "enc_pixels",
        "enc_action",
        "roll_pixels",
        "roll_goal",
        "roll_actions",
        "roll_action_history",
        "sigreg_z",
        "sigreg_proj",
    }
)
COSTS = re.compile(r"roll_cost|\w+_costs")
TOLERANCE, COST, RELATIVE_COST = 1e-4, 1e-3, 1e-5  # stated in every case's README


def inputs_among(arrays: Arrays) -> frozenset[str]:
    """The arrays of a case that are given, not computed."""
    return INPUTS & set(arrays)


def tolerance_of(array: str) -> float:
    return COST if COSTS.fullmatch(array) else TOLERANCE


def relative_of(array: str) -> float:
    return RELATIVE_COST if COSTS.fullmatch(array) else 0.0


def official(folder: Path, arrays: Arrays) -> dict[str, np.ndarray]:
    """Everything a case has a reference for, from every weight file in it, through the ordinary loader."""
    return worst_of(torch_files(folder), lambda path: _from(folder, path, arrays), arrays)


def _from(folder: Path, path: Path, arrays: Arrays) -> dict[str, np.ndarray]:
    model = load(folder, path)
    with torch.inference_mode():
        computed = _all(model, {name: torch.from_numpy(array) for name, array in arrays.items()}, folder)
    return {name: value.detach().numpy() for name, value in computed.items() if name in arrays}


def load(folder: Path, path: Path) -> LeWorldModel:
    """A case of the Drive layout keeps the architecture beside it, for the tests only."""
    structure = folder / "structure.json"
    model = checkpoint.load(
        path, config=structure if structure.is_file() else None, device="cpu", dtype="float32"
    )
    assert isinstance(model, LeWorldModel)
    return model


def _all(model: LeWorldModel, arrays: Mapping[str, Tensor], folder: Path) -> dict[str, Tensor]:
    h = model.predictor.spec.history
    clip = _clip(arrays["enc_pixels"])
    latents, actions = model.encode(clip), model.embed_actions(arrays["enc_action"])
    predicted, wanted = model.predict_next(latents[:, :h], actions[:, :h]), latents[:, 1 : 1 + h]
    out = {
        "enc_vit_tokens": model.tokens(clip),
        "enc_emb": latents,
        "enc_act_emb": actions,
        "pred_out": predicted,
        "pred_len1": model.predict_next(latents[:, :1], actions[:, :1]),
        "pred_target": wanted,
        "pred_sqerr_mean": token_error(predicted[:, : wanted.shape[1]], wanted, "l2"),
    }
    if "roll_actions" in arrays:
        out |= _rollouts(model, arrays)
    if "sigreg_z" in arrays:
        out["sigreg_value"] = sigreg(arrays["sigreg_z"], arrays["sigreg_proj"])[None]
    for name, refit in (("cem", solvers.cem), ("mppi", solvers.mppi)):
        if f"{name}_candidates" in arrays:
            readme = (folder / "README.md").read_text(encoding="utf-8")
            out |= _plan(name, refit, model, arrays, readme)
    return out


def _rollouts(model: LeWorldModel, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The original rule: of the T blocks the first H belong to the H context frames, the last of them leaves the newest.

    The newer one keeps the H - 1 executed blocks apart; in front of the candidates they are the same.
    """
    pixels, actions = arrays["roll_pixels"], arrays["roll_actions"]
    if "roll_action_history" in arrays:
        done = arrays["roll_action_history"]
        done = done if done.ndim == 4 else done[:, None].expand(-1, actions.shape[1], -1, -1)
        actions = torch.cat((done, actions), dim=2)
    H, T = pixels.shape[1], actions.shape[2]
    goals = model.encode(_clip(arrays["roll_goal"]))
    rolled, costs = [], []
    for b in range(len(pixels)):
        memory: Memory = model.begin(
            _clip(pixels[b : b + 1]), None, actions.shape[1], history=actions[b, :, : H - 1]
        )
        for t in range(H - 1, T):
            memory = model.step(memory, actions[b, :, t])
        rolled.append(memory.latents)
        costs.append(model.energy(memory, goals[b]))
    return {
        "roll_goal_emb": goals,
        "roll_predicted_emb": torch.stack(rolled),
        "roll_cost": torch.stack(costs),
    }


def _plan(
    name: str, refit: solvers.Refit, model: LeWorldModel, arrays: Mapping[str, Tensor], readme: str
) -> dict[str, Tensor]:
    """A recorded planning run again, with its own seed, each iteration from what was recorded of the one before.

    MPPI's weights amplify the rounding of a cost of 45 to 7e-4 in the plan after three iterations; so each iteration
    is held against its own reference. tests/jepa_core/test_lewm.py runs the whole of it freely.
    """
    settings, seed = settings_of(name, arrays, readme)
    tried, costs = arrays[f"{name}_candidates"], arrays[f"{name}_costs"]
    start = model.begin(
        _clip(arrays["roll_pixels"][:1]), None, settings.samples
    )  # one environment is planned
    goal = model.encode(_clip(arrays["roll_goal"][:1]))[0]
    noise = solvers.draw_noise(settings, tried.shape[-1], seed)
    mean = torch.zeros(tried.shape[-2:])
    std = torch.full_like(mean, settings.spread)
    ours, energies = [], []
    for actions, recorded in zip(tried, costs, strict=True):
        ours.append(solvers.candidates(mean, std, next(noise)))
        energies.append(solvers.roll_out(model, start, goal, actions))
        mean, std = refit(actions, recorded, std, settings)
    return {
        f"{name}_candidates": torch.stack(ours),
        f"{name}_costs": torch.stack(energies),
        f"{name}_plan": mean,
        f"{name}_std": std,
    }


def settings_of(name: str, arrays: Mapping[str, Tensor], readme: str) -> tuple[solvers.SolverSettings, int]:
    """Sizes from the run's arrays, the rest and the seed in the words of its README."""
    iterations, samples, horizon, _ = arrays[f"{name}_candidates"].shape
    settings = solvers.SolverSettings(
        samples=samples,
        elites=int(_said(readme, r"(\d+) elites", "4")),
        iterations=iterations,
        horizon=horizon,
        spread=float(_said(readme, r"start spread ([\d.]*\d)", "1")),
        temperature=float(_said(readme, r"temperature ([\d.]*\d)", "0.5")),
    )
    return settings, int(_said(readme, r"generator seeded (\d+)", "42"))


def _said(text: str, pattern: str, default: str) -> str:
    match = re.search(pattern, text)
    return match[1] if match else default


def _clip(pixels: Tensor) -> Tensor:
    """(B, T, C, H, W) as the cases keep it → (B, C, T, H, W)"""
    return pixels.transpose(1, 2)
