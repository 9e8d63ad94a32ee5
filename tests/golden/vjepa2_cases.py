"""V-JEPA 2 against the official code and against Hugging Face, through the ordinary loader."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import yaml
from torch import Tensor

from jepa_core import checkpoint
from jepa_core.design import Choices
from jepa_core.families.vjepa2 import VJepa2
from jepa_core.metrics import token_error
from jepa_core.nn.attention import gather_tokens
from tests.golden.files import hugging_face_files, torch_files, worst_of

Arrays = Mapping[str, np.ndarray]

_INPUT_NAMES = re.compile(
    r"clips\w*|mask_enc_\w+|mask_pred_\w+|anticipation_times|pixel_values_videos\w*|context_mask|target_mask"
)


def inputs_among(arrays: Arrays) -> frozenset[str]:
    """The arrays of a case that are given, not computed."""
    return frozenset(name for name in arrays if _INPUT_NAMES.fullmatch(name))


def official(folder: Path, arrays: Arrays) -> dict[str, np.ndarray]:
    """A case made with the official code: the anticipation recipe where it gives times, else a training step."""
    return (_anticipation if "anticipation_times" in arrays else _training_step)(folder, arrays)


def _training_step(folder: Path, arrays: Arrays) -> dict[str, np.ndarray]:
    """One training step of every clip group and mask generator, then the encoder at the other sizes."""
    model, out = _load(_checkpoint(folder)), {}
    loss_exp = _params(folder).get("loss", {}).get("loss_exp", 1.0)
    losses: list[Tensor] = []
    for group in sorted({int(m[1]) for name in arrays if (m := re.fullmatch(r"clips_s(\d+)", name))}):
        clip = _tensor(arrays, f"clips_s{group}")
        grid = model.context_encoder.patch_embed.patches(clip)[1]
        target = model.encode(clip)
        out[f"enc_full_s{group}"] = model.features(clip)
        out[f"tgt_full_raw_s{group}"] = model.features(clip, encoder="target")
        out[f"tgt_full_s{group}"] = target
        for pair in sorted(
            {int(m[1]) for n in arrays if (m := re.fullmatch(rf"mask_enc_s{group}_(\d+)", n))}
        ):
            tag = f"s{group}_{pair}"
            keep, ask = _tensor(arrays, f"mask_enc_{tag}"), _tensor(arrays, f"mask_pred_{tag}")
            context = model.features(clip, keep)
            predicted = model.predict_tokens(context, keep, ask, grid, mask_token=group)
            wanted = gather_tokens(target, ask)
            out[f"enc_ctx_{tag}"], out[f"pred_{tag}"], out[f"tgt_{tag}"] = context, predicted, wanted
            out[f"l1_token_{tag}"] = token_error(predicted, wanted, "l1")
            out[f"pred_maskindex1_{tag}"] = model.predict_tokens(context, keep, ask, grid, mask_token=1)
            losses.append(((predicted - wanted).abs() ** loss_exp).mean() / loss_exp)
    if losses:
        out["loss"] = torch.stack(losses).mean()
    for name in arrays:
        if (match := re.fullmatch(r"clips_(?!s\d+$)(\w+)", name)) is not None:
            clip = _tensor(arrays, name)
            out[f"enc_full_{match[1]}"] = model.features(clip)
            out[f"tgt_full_raw_{match[1]}"] = model.features(clip, encoder="target")
            out[f"tgt_full_{match[1]}"] = model.encode(clip)
    tables = {"pos_embed": model.context_encoder, "predictor_pos_embed": model.predictor}
    for name, module in tables.items():
        if hasattr(module, name):
            out[name] = getattr(module, name)
    return _asked(out, arrays)


def _anticipation(folder: Path, arrays: Arrays) -> dict[str, np.ndarray]:
    """Future prediction as in the EK100 code (section 5): context = the whole clip, targets beyond it, mask token 1."""
    model = _load(_checkpoint(folder))
    spec = model.info.input
    clip = _tensor(arrays, "clips")
    grid = model.context_encoder.patch_embed.patches(clip)[1]
    per_step = grid[1] * grid[2]
    n = grid[0] * per_step
    fps = _stated_fps(folder)
    skip = (
        torch.as_tensor(arrays["anticipation_times"]) * fps / spec.tubelet
    ).int()  # (B,) token steps ahead
    output = {}
    for name in (name for name in arrays if name.startswith("out_steps")):
        repeats = int(name.removeprefix("out_steps"))
        n_asked = (arrays[name].shape[1] - n) // repeats
        tokens = model.features(clip)
        context, pieces = tokens, [tokens]
        here = torch.arange(n).expand(len(clip), -1)
        ask = torch.arange(n_asked)[None] + n + per_step * skip[:, None]
        for _ in range(repeats):
            predicted = model.predict_tokens(context, here, ask.long(), grid, mask_token=1)
            context = torch.cat((context[:, n_asked:], predicted), dim=1)
            pieces.append(predicted)
        output[name] = torch.cat(pieces, dim=1)
    return _asked(output, arrays)


def hugging_face(folder: Path, arrays: Arrays) -> dict[str, np.ndarray]:
    """VJEPA2Model's outputs, from each file of weights in the folder."""
    return worst_of(hugging_face_files(folder), lambda path: _hugging_face(_load(path), arrays), arrays)


def _hugging_face(model: VJepa2, arrays: Arrays) -> dict[str, np.ndarray]:
    """Encoder never masked, context gathered from it, targets not layer-normed, mask token 1."""
    out: dict[str, Tensor] = {}
    square = model.settings.native[1:]  # Hugging Face splits positions by the configured square, always
    full = {}
    for name in (name for name in arrays if name.startswith("pixel_values_videos")):
        clip = _tensor(arrays, name).transpose(1, 2)  # N T C H W → N C T H W
        suffix = name.removeprefix("pixel_values_videos")
        full[suffix] = model.features(clip, split=square)
        out[f"last_hidden_state{suffix}"] = full[suffix]
    calls = {}
    if "" in full:
        every = torch.arange(full[""].shape[1]).expand(len(full[""]), -1)
        calls["full"] = (every, every)
        if "context_mask" in arrays:
            calls["masked"] = (_tensor(arrays, "context_mask"), _tensor(arrays, "target_mask"))
    for call, (keep, ask) in calls.items():
        context = gather_tokens(full[""], keep)
        out[f"{call}_last_hidden_state"] = full[""]
        out[f"{call}_masked_hidden_state"] = context
        out[f"{call}_predictor_last_hidden_state"] = model.predict_tokens(context, keep, ask, mask_token=1)
        out[f"{call}_predictor_target_hidden_state"] = gather_tokens(full[""], ask)
    return _asked(out, arrays)


def _checkpoint(folder: Path) -> Path:
    """The one torch file of a case."""
    (found,) = torch_files(folder)
    return found


def _stated_fps(folder: Path) -> float:
    """Frames per second of an anticipation case's clips: only its README says."""
    found = re.search(
        r"frames per second (\d+(?:\.\d+)?)", (folder / "README.md").read_text(encoding="utf-8")
    )
    assert found, f"{folder.name}: the README states no frames per second"
    return float(found[1])


def _load(path: Path) -> VJepa2:
    """The ordinary loader, with the official predictor's split of positions by the configured square."""
    model = checkpoint.load(path, device="cpu", dtype="float32", choices=Choices(square_split=True))
    assert isinstance(model, VJepa2)
    return model


def _params(folder: Path) -> Mapping[str, Mapping[str, float]]:
    return yaml.safe_load((folder / "params.yaml").read_text())


def _tensor(arrays: Arrays, name: str) -> Tensor:
    return torch.from_numpy(arrays[name])


def _asked(computed: Mapping[str, Tensor], arrays: Arrays) -> dict[str, np.ndarray]:
    """Only what the case has a reference for."""
    return {name: value.detach().numpy() for name, value in computed.items() if name in arrays}
