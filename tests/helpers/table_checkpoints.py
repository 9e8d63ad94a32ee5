"""Builds tiny I-JEPA and V-JEPA files in their official layouts, whole or damaged in one stated way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import yaml

from jepa_core.nn.positions import Grid, sincos_2d, sincos_3d
from jepa_core.nn.predictor import Predictor, PredictorSpec
from jepa_core.nn.vit import VisionTransformer, VitSpec
from tests.helpers import checkpoints

Content = dict[str, Any]

PATCH, WIDTH, HEADS, DEPTH, PREDICTOR_WIDTH = 8, 24, 2, 2, 16
PICTURE_SIZE = 48  # 6 x 6 tokens
CLIP_SIZE, CLIP_FRAMES = 32, 8  # 4 x 4 x 4 tokens
PICTURE_GRID: Grid = (1, 6, 6)
CLIP_GRID: Grid = (4, 4, 4)


def ijepa_content(seed: int = 0) -> Content:
    """What I-JEPA's training loop saves: one wrapper, one mask token, column-first tables."""
    spec, predictor = _specs(PICTURE_GRID, tubelet=0, mask_tokens=1)
    saved = _content(spec, predictor, seed, prefix="module.")
    for part in ("encoder", "target_encoder"):
        saved[part]["module.pos_embed"] = sincos_2d(6, 6, WIDTH, column_first=True)
    saved["predictor"]["module.predictor_pos_embed"] = sincos_2d(6, 6, PREDICTOR_WIDTH, column_first=True)
    return saved


def ijepa_params() -> dict[str, Any]:
    return {
        "architecture": {"embed_dim": WIDTH, "depth": DEPTH, "num_heads": HEADS},
        "data": {"crop_size": PICTURE_SIZE},
        "mask": {"patch_size": PATCH, "num_enc_masks": 1, "num_pred_masks": 4, "min_keep": 2},
        "meta": {"model_name": "vit_custom", "pred_depth": DEPTH, "pred_emb_dim": PREDICTOR_WIDTH},
    }


def write_ijepa(
    folder: Path,
    saved: Content | None = None,
    settings: dict[str, Any] | None = None,
    *,
    change: Callable[[Content], object] | None = None,
    name: str = "jepa-latest.pth.tar",
) -> Path:
    """Write a checkpoint and its params-ijepa.yaml; `change` may damage the content first, {} leaves the config out."""
    return _write(folder, saved or ijepa_content(), settings, ijepa_params, "params-ijepa.yaml", change, name)


def vjepa_content(seed: int = 0, *, mask_tokens: int = 2) -> Content:
    """What V-JEPA's training loop saves: two wrappers, a mask token per generator, uniform tables."""
    spec, predictor = _specs(CLIP_GRID, tubelet=2, mask_tokens=mask_tokens)
    saved = _content(spec, predictor, seed, prefix="module.backbone.")
    for part in ("encoder", "target_encoder"):
        saved[part]["module.backbone.pos_embed"] = sincos_3d(CLIP_GRID, WIDTH, uniform_power=True)
    table = sincos_3d(CLIP_GRID, PREDICTOR_WIDTH, uniform_power=True)
    saved["predictor"]["module.backbone.predictor_pos_embed"] = table
    return saved


def vjepa_params() -> dict[str, Any]:
    return {
        "app": "vjepa",
        "architecture": {"embed_dim": WIDTH, "depth": DEPTH, "num_heads": HEADS},
        "data": {
            "crop_size": CLIP_SIZE,
            "num_frames": CLIP_FRAMES,
            "tubelet_size": 2,
            "patch_size": PATCH,
            "sampling_rate": 4,
            "clip_duration": None,
        },
        "loss": {"loss_exp": 1.0},
        "mask": [{"num_blocks": 8}, {"num_blocks": 2}],
        "model": {
            "model_name": "vit_custom",
            "pred_depth": DEPTH,
            "pred_embed_dim": PREDICTOR_WIDTH,
            "uniform_power": True,
            "use_mask_tokens": True,
        },
    }


def write_vjepa(
    folder: Path,
    saved: Content | None = None,
    settings: dict[str, Any] | None = None,
    *,
    change: Callable[[Content], object] | None = None,
    name: str = "jepa-latest.pth.tar",
) -> Path:
    """Write a checkpoint and its params-pretrain.yaml; `change` may damage the content first, {} leaves the config out."""
    return _write(
        folder, saved or vjepa_content(), settings, vjepa_params, "params-pretrain.yaml", change, name
    )


def _specs(grid: Grid, *, tubelet: int, mask_tokens: int) -> tuple[VitSpec, PredictorSpec]:
    rows = grid[0] * grid[1] * grid[2]
    vit = VitSpec(
        WIDTH, DEPTH, HEADS, 4 * WIDTH, patch=PATCH, tubelet=tubelet, has_rope=False, table_tokens=rows
    )
    predictor = PredictorSpec(
        WIDTH,
        PREDICTOR_WIDTH,
        DEPTH,
        HEADS,
        4 * PREDICTOR_WIDTH,
        mask_tokens=mask_tokens,
        has_rope=False,
        table_tokens=rows,
        has_single_mask_token=not tubelet,
    )
    return vit, predictor


def _content(vit: VitSpec, predictor: PredictorSpec, seed: int, prefix: str) -> Content:
    """Random tensors under official names, the optimizer reduced to a stub."""

    def draw(module: torch.nn.Module, number: int) -> dict[str, torch.Tensor]:
        tensors = checkpoints.draw(module, seed + number)
        return {prefix + name.removeprefix(checkpoints.PREFIX): tensor for name, tensor in tensors.items()}

    return {
        "encoder": draw(VisionTransformer(vit), 0),
        "predictor": draw(Predictor(predictor), 1),
        "target_encoder": draw(VisionTransformer(vit), 2),
        "opt": {"state": {}, "param_groups": []},
        "scaler": None,
        "epoch": 3,
        "loss": 0.5,
        "batch_size": 2,
        "world_size": 1,
        "lr": 1e-4,
    }


def _write(
    folder: Path,
    saved: Content,
    settings: dict[str, Any] | None,
    default: Callable[[], dict[str, Any]],
    beside: str,
    change: Callable[[Content], object] | None,
    name: str,
) -> Path:
    if change is not None:
        change(saved)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(saved, folder / name)
    settings = default() if settings is None else settings
    if settings:
        (folder / beside).write_text(yaml.safe_dump(settings))
    return folder / name
