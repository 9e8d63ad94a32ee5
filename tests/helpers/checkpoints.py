"""Builds tiny checkpoint files in the official V-JEPA 2 layout, whole or damaged in one stated way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from jepa_core.nn.positions import sincos_2d, sincos_3d
from jepa_core.nn.predictor import Predictor, PredictorSpec
from jepa_core.nn.vit import VisionTransformer, VitSpec

PREFIX = "module.backbone."
ENCODER = VitSpec(width=24, depth=2, heads=2, hidden=96, patch=8, tubelet=2)
PREDICTOR = PredictorSpec(encoder_width=24, width=16, depth=2, heads=2, hidden=64, mask_tokens=2)
SIZE, FRAMES = 32, 8

Content = dict[str, Any]


def draw(module: nn.Module, seed: int) -> dict[str, torch.Tensor]:
    """Every tensor random and away from 0 and 1, under official names with the training loop's prefix."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, tensor in module.state_dict().items():
        spread = 0.2 if tensor.ndim > 1 else 0.1
        value = torch.randn(tensor.shape, generator=generator) * spread
        state[PREFIX + name] = value + 1.0 if "norm" in name and name.endswith("weight") else value
    return state


def content(encoder: VitSpec = ENCODER, predictor: PredictorSpec = PREDICTOR, seed: int = 0) -> Content:
    """What the official training loop saves."""
    return {
        "encoder": draw(VisionTransformer(encoder), seed),
        "predictor": draw(Predictor(predictor), seed + 1),
        "opt": {"state": {0: {"exp_avg": torch.zeros(4)}}, "param_groups": []},
        "scaler": None,
        "target_encoder": draw(VisionTransformer(encoder), seed + 2),
        "epoch": 3,
        "loss": 0.5,
        "batch_size": 2,
        "world_size": 1,
        "lr": 1e-4,
    }


def params(
    encoder: VitSpec = ENCODER, predictor: PredictorSpec = PREDICTOR, size: int = SIZE, frames: int = FRAMES
) -> dict[str, Any]:
    """The params.yaml of such a run."""
    return {
        "app": "vjepa",
        "architecture": {"embed_dim": encoder.width, "depth": encoder.depth, "num_heads": encoder.heads},
        "data": {"crop_size": size, "dataset_fpcs": [frames], "fps": 4, "patch_size": 8, "tubelet_size": 2},
        "loss": {"loss_exp": 1.0},
        "mask": [{"num_blocks": 8}] * predictor.mask_tokens,
        "model": {
            "model_name": "vit_custom",
            "pred_depth": predictor.depth,
            "pred_embed_dim": predictor.width,
            "pred_num_heads": predictor.heads,
            "uniform_power": False,
            "use_rope": encoder.has_rope,
        },
    }


def write(
    folder: Path,
    saved: Content | None = None,
    settings: dict[str, Any] | None = None,
    *,
    change: Callable[[Content], None] | None = None,
    name: str = "latest.pt",
) -> Path:
    """Write a checkpoint and its params.yaml; `change` may damage the content first."""
    saved = content() if saved is None else saved
    if change is not None:
        change(saved)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(saved, folder / name)
    (folder / "params.yaml").write_text(yaml.safe_dump(params() if settings is None else settings))
    return folder / name


def write_with_tables(folder: Path, *, tubelet: int = 2, uniform_power: bool = True, seed: int = 0) -> Path:
    """A checkpoint with sin-cos tables instead of rotary positions, filled as the official code fills them."""
    grid = (FRAMES // 2, SIZE // 8, SIZE // 8) if tubelet else (1, SIZE // 8, SIZE // 8)
    n = grid[0] * grid[1] * grid[2]
    encoder = replace(ENCODER, tubelet=tubelet, has_rope=False, table_tokens=n)
    predictor = replace(PREDICTOR, has_rope=False, table_tokens=n)
    saved = content(encoder, predictor, seed)

    def table(width: int) -> torch.Tensor:
        if not tubelet:
            return sincos_2d(grid[1], grid[2], width)
        return sincos_3d(grid, width, uniform_power=uniform_power)

    for part in ("encoder", "target_encoder"):
        saved[part][PREFIX + "pos_embed"] = table(encoder.width)
    saved["predictor"][PREFIX + "predictor_pos_embed"] = table(predictor.width)
    settings = params(encoder, predictor, frames=FRAMES if tubelet else 1)
    settings["model"]["uniform_power"] = uniform_power
    return write(folder, saved, settings)
