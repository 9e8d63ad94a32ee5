"""V-JEPA 2.1 against the official code: levels, pictures, masked prediction, losses, other sizes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_core import checkpoint
from jepa_core.design import Choices
from jepa_core.families.vjepa21 import VJepa21, concatenated, context_weights
from jepa_core.latents import normalise_target
from jepa_core.nn.attention import gather_tokens
from jepa_core.projection import fit_basis
from tests.golden.files import torch_files

Arrays = Mapping[str, np.ndarray]

_INPUTS = re.compile(r"\w+_x|\w+_mask_(ctx|tgt)|\w+_multi_ctx")
TOKENS, SCALAR = 5e-5, 1e-5  # stated in every case's README


def inputs_among(arrays: Arrays) -> frozenset[str]:
    """The arrays of a case that are given, not computed."""
    return frozenset(name for name in arrays if _INPUTS.fullmatch(name))


def tolerance_of(array: str) -> float:
    return SCALAR if "_loss_" in array else TOKENS


def official(folder: Path, arrays: Arrays) -> dict[str, np.ndarray]:
    """Everything a case has a reference for, through the ordinary loader."""
    (path,) = torch_files(folder)
    model = checkpoint.load(path, device="cpu", dtype="float32", choices=Choices(square_split=True))
    assert isinstance(model, VJepa21)
    given = {name: torch.from_numpy(arrays[name]) for name in inputs_among(arrays)}
    out: dict[str, Tensor] = {}
    with torch.inference_mode():
        for mode in (name.removesuffix("_x") for name in given if name.endswith("_x")):
            out |= _encoded(model, mode, given)
            if f"{mode}_mask_ctx" in given:
                out |= _predicted(model, mode, given, arrays)
        if "vid_enc" in out:
            out |= _colours(out["vid_enc"][0])
    return {name: value.detach().numpy() for name, value in out.items() if name in arrays}


def _encoded(model: VJepa21, mode: str, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    clip = given[f"{mode}_x"]
    levels = model.levels(clip)
    out = {
        f"{mode}_enc": levels[-1],
        f"{mode}_enc_student": model.levels(clip, encoder="context")[-1],
        f"{mode}_enc_levels": levels,
    }
    if f"{mode}_multi_ctx" in given:
        masks = given[f"{mode}_multi_ctx"]
        out[f"{mode}_multi_tokens"] = torch.cat([model.context(clip, keep) for keep in masks])
    return out


def _predicted(model: VJepa21, mode: str, given: Mapping[str, Tensor], arrays: Arrays) -> dict[str, Tensor]:
    clip, keep, ask = (given[f"{mode}_{name}"] for name in ("x", "mask_ctx", "mask_tgt"))
    grid = model.grid_of(clip)
    context = model.context(clip, keep)
    out = {f"{mode}_ctx_tokens": context}
    for token in (1, 0):  # the losses below are those of token 0
        predicted, seen = model.predict_tokens(
            context, keep, ask, grid, mask_token=token, is_picture=clip.shape[2] == 1
        )
        out[f"{mode}_pred_mask{token}"] = predicted
        if seen is not None:
            out[f"{mode}_predctx_mask{token}"] = seen
    n_levels = model.settings.levels
    normed = normalise_target(model.levels(clip))
    wants_all = len(arrays.get(f"{mode}_targets", np.empty(0)).T) == len(normed) * normed.shape[-1]
    targets = concatenated(normed) if n_levels > 1 or wants_all else normed[-1]
    out[f"{mode}_targets"] = targets
    weights = context_weights(keep, ask, grid)
    out[f"{mode}_ctx_dist"] = weights
    if predicted.shape[-1] != targets.shape[-1]:
        return out  # distilled: the targets are its teacher's
    wanted = gather_tokens(targets, ask)
    out[f"{mode}_loss_pred"] = (predicted - wanted).abs().mean(dtype=torch.float64)
    if seen is not None:
        apart = (seen - gather_tokens(targets, keep)).abs()
        out[f"{mode}_loss_ctx_plain"] = apart.mean(dtype=torch.float64)
        out[f"{mode}_loss_ctx_weighted"] = (apart / weights[..., None]).mean(dtype=torch.float64)
    by_level = [part.unflatten(-1, (n_levels, -1)) for part in (predicted, wanted)]
    out[f"{mode}_tok_l1_levels"] = (by_level[0] - by_level[1]).abs().mean(-1)
    out[f"{mode}_tok_l1"] = out[f"{mode}_tok_l1_levels"].mean(-1)
    out[f"{mode}_tok_cos_levels"] = F.cosine_similarity(*by_level, dim=-1)
    return out


def _colours(tokens: Tensor) -> dict[str, Tensor]:
    """The three main components of one clip's final tokens as the console colours them, signs left out."""
    latents = tokens.numpy()
    basis = fit_basis(latents)
    variance = np.square(latents - latents.mean(0, dtype=np.float64)).sum()
    return {
        "pca_singular": torch.tensor([np.sqrt(share * variance) for share in basis.facts.explained]),
        "pca_absproj": torch.from_numpy(np.abs((latents - basis.mean) @ basis.axes)),
    }
