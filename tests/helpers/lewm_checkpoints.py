"""Builds tiny LeWorldModel checkpoints in the hub's layout, in both spellings of the ViT, whole or damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from jepa_core import hugging_face_vit
from jepa_core.families.lewm import empty_modules
from jepa_core.lewm_facts import VIT_EPS, Reading
from jepa_core.nn.adaln import AdaLnSpec
from jepa_core.nn.cls_vit import ClsVitSpec

VIT = ClsVitSpec(width=24, depth=2, heads=2, hidden=48, patch=8, table_rows=17, eps=VIT_EPS)
PREDICTOR = AdaLnSpec(width=16, inner=16, out=16, history=3, depth=2, heads=2, head_dim=12, hidden=32)
ACTION = 10

Content = dict[str, Any]


def reading(vit: ClsVitSpec = VIT, predictor: AdaLnSpec = PREDICTOR, action: int = ACTION) -> Reading:
    side = round((vit.table_rows - 1) ** 0.5)
    return Reading(
        statistics=None,
        vit=vit,
        predictor=predictor,
        action=action,
        smoothed=10,
        action_hidden=4 * predictor.width,
        projector_hidden=20,
        pred_hidden=28,
        size=side * vit.patch,
        fps=2.0,
        assumed={},
    )


def content(
    vit: ClsVitSpec = VIT, predictor: AdaLnSpec = PREDICTOR, *, is_new: bool = False, seed: int = 0
) -> Content:
    """The state dict of such a model, every tensor random, variances positive, norms around 1."""
    generator = torch.Generator().manual_seed(seed)
    out: Content = {}
    for part, module in empty_modules(reading(vit, predictor)).items():
        for name, tensor in module.state_dict().items():
            theirs = hugging_face_vit.spelling(name, is_new=is_new) if part == "encoder" else name
            out[f"{part}.{theirs}"] = _drawn(name, tensor, generator)
    return out


def _drawn(name: str, tensor: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    if name.endswith("num_batches_tracked"):
        return torch.tensor(1234)
    value = torch.randn(tensor.shape, generator=generator) * (0.2 if tensor.ndim > 1 else 0.1)
    is_scale = name.endswith("running_var") or (tensor.ndim == 1 and name.endswith("weight"))
    return value.abs() + 0.5 if is_scale else value


def config(vit: ClsVitSpec = VIT, predictor: AdaLnSpec = PREDICTOR, action: int = ACTION) -> dict[str, Any]:
    """The config.json of such a model."""
    made = reading(vit, predictor, action)
    return {
        "_target_": "stable_worldmodel.wm.lewm.LeWM",
        "encoder": {
            "_target_": "stable_pretraining.backbone.utils.vit_hf",
            "size": "tiny",
            "patch_size": vit.patch,
            "image_size": made.size,
            "hidden_size": vit.width,
            "num_hidden_layers": vit.depth,
            "num_attention_heads": vit.heads,
            "pretrained": False,
            "use_mask_token": False,
        },
        "predictor": {
            "_target_": "stable_worldmodel.wm.lewm.module.Predictor",
            "num_frames": predictor.history,
            "input_dim": predictor.width,
            "hidden_dim": predictor.inner,
            "output_dim": predictor.out,
            "depth": predictor.depth,
            "heads": predictor.heads,
            "mlp_dim": predictor.hidden,
            "dim_head": predictor.head_dim,
        },
        "action_encoder": {"input_dim": action, "emb_dim": predictor.width},
        "projector": {"hidden_dim": made.projector_hidden, "norm_fn": {"_target_": "torch.nn.BatchNorm1d"}},
        "pred_proj": {"hidden_dim": made.pred_hidden},
    }


def write(
    folder: Path,
    saved: Content | None = None,
    settings: dict[str, Any] | None = None,
    *,
    change: Callable[[Content], None] | None = None,
    name: str = "weights.pt",
) -> Path:
    """Write weights.pt and config.json; `change` may damage the content first."""
    saved = content() if saved is None else saved
    if change is not None:
        change(saved)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(saved, folder / name)
    (folder / "config.json").write_text(json.dumps(config() if settings is None else settings))
    return folder / name
