"""Builds tiny V-JEPA 2.1 checkpoint files in the official layout: self-trained, distilled, damaged in one stated way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from jepa_core.nn.leveled import LeveledPredictor, LeveledPredictorSpec, LeveledTransformer, LeveledVitSpec
from tests.helpers import checkpoints
from tests.helpers.checkpoints import Content, draw

ENCODER = LeveledVitSpec(width=12, depth=12, heads=1, hidden=24, patch=8)
PREDICTOR = LeveledPredictorSpec(encoder_width=12, width=16, depth=2, heads=1, hidden=64, mask_tokens=3)
DISTILLED = replace(PREDICTOR, levels=1, output_width=20)
SIZE, FRAMES = 32, 8


def content(
    encoder: LeveledVitSpec = ENCODER, predictor: LeveledPredictorSpec = PREDICTOR, seed: int = 0
) -> Content:
    """What the official training loop saves."""
    return {
        "encoder": draw(LeveledTransformer(encoder), seed),
        "predictor": draw(LeveledPredictor(predictor), seed + 1),
        "opt": {"state": {}, "param_groups": []},
        "scaler": None,
        "target_encoder": draw(LeveledTransformer(encoder), seed + 2),
        "epoch": 3,
        "lr": 1e-4,
    }


def distilled(
    encoder: LeveledVitSpec = ENCODER, predictor: LeveledPredictorSpec = DISTILLED, seed: int = 0
) -> Content:
    """The layout of the released ViT-B and ViT-L: one encoder and a predictor of a teacher's latents."""
    return {
        "ema_encoder": draw(LeveledTransformer(encoder), seed),
        "predictor": draw(LeveledPredictor(predictor), seed + 1),
    }


def params(encoder: LeveledVitSpec = ENCODER, predictor: LeveledPredictorSpec = PREDICTOR) -> dict[str, Any]:
    """The params.yaml of such a run."""
    return {
        "app": "vjepa_2_1",
        "architecture": {
            "img_size": SIZE,
            "num_frames": FRAMES,
            "encoder": {"embed_dim": encoder.width, "depth": encoder.depth, "num_heads": encoder.heads},
            "predictor": {
                "num_mask_tokens": predictor.mask_tokens,
                "teacher_embed_dim": predictor.output_width or None,
                "interpolate_rope": predictor.scales_positions,
            },
        },
        "data": {"crop_size": 256, "dataset_fpcs": [FRAMES], "fps": 4, "patch_size": 8, "tubelet_size": 2},
        "loss": {"predict_all": predictor.has_context_head},
        "model": {
            "model_name": "tiny",
            "img_temporal_dim_size": 1 if encoder.has_pictures else None,
            "interpolate_rope": encoder.scales_positions,
            "modality_embedding": encoder.has_modality,
            "pred_depth": predictor.depth,
            "pred_embed_dim": predictor.width,
            "pred_num_heads": predictor.heads,
            "use_pred_silu": predictor.is_gated,
            "use_rope": True,
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
    settings = params() if settings is None else settings
    return checkpoints.write(folder, saved, settings, change=change, name=name)
