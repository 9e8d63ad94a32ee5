"""Builds tiny V-JEPA 2-AC checkpoint files in the official layout, whole or damaged in one stated way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from jepa_core.nn.ac_predictor import AcPredictor, AcPredictorSpec
from jepa_core.nn.vit import VisionTransformer, VitSpec
from tests.helpers import checkpoints
from tests.helpers.checkpoints import Content, draw

ENCODER = VitSpec(width=24, depth=2, heads=2, hidden=96, patch=8, tubelet=2)
PREDICTOR = AcPredictorSpec(encoder_width=24, width=16, depth=2, heads=2, hidden=64)
SIZE, FRAMES, LIMIT = 32, 4, 6


def content(encoder: VitSpec = ENCODER, predictor: AcPredictorSpec = PREDICTOR, seed: int = 0) -> Content:
    """What the official training loop saves: the frozen encoder twice."""
    state = draw(VisionTransformer(encoder), seed)
    return {
        "encoder": state,
        "predictor": draw(AcPredictor(predictor), seed + 1),
        "opt": {"state": {}, "param_groups": []},
        "scaler": None,
        "target_encoder": {name: tensor.clone() for name, tensor in state.items()},
        "epoch": 3,
        "loss": 0.5,
        "batch_size": 2,
        "world_size": 1,
        "lr": 1e-4,
    }


def params(encoder: VitSpec = ENCODER, predictor: AcPredictorSpec = PREDICTOR) -> dict[str, Any]:
    """The params.yaml of such a run."""
    return {
        "app": "vjepa_droid",
        "architecture": {
            "img_size": [SIZE, SIZE],
            "max_num_frames": LIMIT * 2,
            "encoder": {
                "embed_dim": encoder.width,
                "depth": encoder.depth,
                "num_heads": encoder.heads,
                "use_rope": encoder.has_rope,
            },
        },
        "data": {"crop_size": 256, "dataset_fpcs": [FRAMES], "fps": 4, "patch_size": 8, "tubelet_size": 2},
        "loss": {"normalize_reps": True, "auto_steps": 2},
        "model": {
            "model_name": "tiny",
            "pred_depth": predictor.depth,
            "pred_embed_dim": predictor.width,
            "pred_num_heads": predictor.heads,
            "pred_is_frame_causal": True,
            "use_extrinsics": predictor.uses_camera,
            "use_rope": predictor.has_rope,
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
