"""I-JEPA against the official code and against Hugging Face, through the ordinary loader."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_core import checkpoint
from jepa_core.families.ijepa import IJepa
from jepa_core.latents import normalise_target
from jepa_core.metrics import token_error
from tests.golden.files import hugging_face_files, torch_files, worst_of

Arrays = Mapping[str, np.ndarray]

_INPUT_NAMES = re.compile(r"images\w*|mask_enc_\d+|mask_pred_\d+|pixel_values\w*")


def inputs_among(arrays: Arrays) -> frozenset[str]:
    """The arrays of a case that are given, not computed."""
    return frozenset(name for name in arrays if _INPUT_NAMES.fullmatch(name))


def official(folder: Path, arrays: Arrays) -> dict[str, np.ndarray]:
    """One training step: every target block from every context, rows in the official order."""
    return worst_of(torch_files(folder), lambda path: _official(path, arrays), arrays)


def _official(path: Path, arrays: Arrays) -> dict[str, np.ndarray]:
    model = load(path)
    images = torch.from_numpy(arrays["images"])
    out: dict[str, Tensor] = {
        "enc_full": model.features(images),
        "tgt_full_raw": model.features(images, encoder="target"),
        "tgt_full": model.encode(images),
        "pos_embed": model.context_encoder.pos_embed,
    }
    contexts, blocks = masks(arrays, "mask_enc_"), masks(arrays, "mask_pred_")
    if model.predictor is not None:
        out["predictor_pos_embed"] = model.predictor.predictor_pos_embed
    if contexts and blocks:
        out["enc_ctx"], predicted, wanted = model.predict_blocks(images, contexts, blocks)
        out["pred"], out["tgt"] = predicted, wanted
        out["l1_token"] = token_error(predicted, wanted, "l1")
        out["smoothl1_token"] = token_error(predicted, wanted, "smooth_l1")
        out["loss"] = F.smooth_l1_loss(predicted, wanted)
    for name in arrays:
        if match := re.fullmatch(r"images_(\w+)", name):
            others = torch.from_numpy(arrays[name])
            out[f"enc_full_{match[1]}"] = model.features(others)
            raw = model.features(others, encoder="target")
            out[f"tgt_full_raw_{match[1]}"], out[f"tgt_full_{match[1]}"] = raw, normalise_target(raw)
    return {name: value.detach().numpy() for name, value in out.items() if name in arrays}


def hugging_face(folder: Path, arrays: Arrays) -> dict[str, np.ndarray]:
    """IJepaModel's outputs, from each file of weights in the folder."""
    return worst_of(hugging_face_files(folder), lambda path: _hugging_face(path, arrays), arrays)


def _hugging_face(path: Path, arrays: Arrays) -> dict[str, np.ndarray]:
    model, out = load(path), {}
    for name in (name for name in arrays if name.startswith("pixel_values")):
        found = f"last_hidden_state{name.removeprefix('pixel_values')}"
        if found in arrays:
            out[found] = model.features(torch.from_numpy(arrays[name])).numpy()
    return out


def load(path: Path) -> IJepa:
    model = checkpoint.load(path, device="cpu", dtype="float32")
    assert isinstance(model, IJepa)
    return model


def masks(arrays: Arrays, prefix: str) -> list[Tensor]:
    """Every mask of one role, by its number."""
    found = sorted((int(name.removeprefix(prefix)), name) for name in arrays if name.startswith(prefix))
    return [torch.from_numpy(arrays[name]) for _, name in found]
