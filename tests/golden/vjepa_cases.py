"""V-JEPA against the official code and the published surprise procedure, through the ordinary loader."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import yaml
from torch import Tensor

from jepa_core import checkpoint, surprise
from jepa_core.families.vjepa import VJepa
from jepa_core.latents import normalise_target
from jepa_core.metrics import token_error
from jepa_core.nn.attention import gather_tokens
from tests.golden.files import torch_files
from tests.golden.ijepa_cases import masks

Arrays = Mapping[str, np.ndarray]

_INPUT_NAMES = re.compile(
    r"clips\w*|images\w*|mask_enc_\d+|mask_pred_\d+|video|context_lengths|windows_start"
)


def inputs_among(arrays: Arrays) -> frozenset[str]:
    """The arrays of a case that are given, not computed."""
    return frozenset(name for name in arrays if _INPUT_NAMES.fullmatch(name))


def official(folder: Path, arrays: Arrays) -> dict[str, np.ndarray]:
    """Whatever the case holds: a training step, the encoder at other sizes, the surprise of a video."""
    model = load(folder)
    out: dict[str, Tensor] = {"pos_embed": model.context_encoder.pos_embed}
    if model.predictor is not None:
        out["predictor_pos_embed"] = model.predictor.predictor_pos_embed
    for name in arrays:
        if match := re.fullmatch(r"(?:clips|images)(_\w+)?", name):
            clip, suffix = torch.from_numpy(arrays[name]), match[1] or ""
            raw = model.features(clip, encoder="target")
            out[f"enc_full{suffix}"] = model.features(clip)
            out[f"tgt_full_raw{suffix}"], out[f"tgt_full{suffix}"] = raw, normalise_target(raw)
            if not suffix:
                out |= _training_step(model, folder, arrays, clip)
    found = {name: value.detach().numpy() for name, value in out.items() if name in arrays}
    return found | (_sweep(model, arrays) if "video" in arrays else {})


def _training_step(model: VJepa, folder: Path, arrays: Arrays, clip: Tensor) -> dict[str, Tensor]:
    """One pair of masks per generator, predicted with the generator's own mask token."""
    out: dict[str, Tensor] = {}
    loss_exp = yaml.safe_load((folder / "params.yaml").read_text()).get("loss", {}).get("loss_exp", 1.0)
    target, losses = model.encode(clip), []
    pairs = zip(masks(arrays, "mask_enc_"), masks(arrays, "mask_pred_"), strict=True)
    for number, (keep, ask) in enumerate(pairs):
        context = model.features(clip, keep)
        predicted = model.predict_tokens(context, keep, ask, mask_token=number)
        wanted = gather_tokens(target, ask)
        out[f"enc_ctx_{number}"], out[f"pred_{number}"], out[f"tgt_{number}"] = context, predicted, wanted
        out[f"l1_token_{number}"] = token_error(predicted, wanted, "l1")
        losses.append(((predicted - wanted).abs() ** loss_exp).mean() / loss_exp)
    if losses:
        out["loss"] = torch.stack(losses).mean()
    return out


def _sweep(model: VJepa, arrays: Arrays) -> dict[str, np.ndarray]:
    contexts, starts = arrays["context_lengths"].tolist(), arrays["windows_start"].tolist()
    stride = starts[1] - starts[0] if len(starts) > 1 else surprise.STRIDE
    found = surprise.sweep(model, torch.from_numpy(arrays["video"]), contexts, stride=stride)
    assert list(found.starts) == starts
    tokens = {f"surprise_token_ctx{n}": errors for n, errors in zip(contexts, found.tokens, strict=True)}
    return {name: value for name, value in {**tokens, "surprise": found.surprise}.items() if name in arrays}


def load(folder: Path) -> VJepa:
    """The one torch file of a case."""
    (path,) = torch_files(folder)
    model = checkpoint.load(path, device="cpu", dtype="float32")
    assert isinstance(model, VJepa)
    return model
