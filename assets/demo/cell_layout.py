"""The cell checkpoint's shape and files: what the demo model is, and how it is written in V-JEPA 2's official layout.

Shared by the untrained and the trained checkpoint, so that both pass the ordinary loader. Writes; never reads.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from jepa_core.nn.attention import Mlp
from jepa_core.nn.predictor import Predictor, PredictorSpec
from jepa_core.nn.vit import VisionTransformer, VitSpec

ENCODER = VitSpec(width=96, depth=4, heads=3, hidden=384, patch=8, tubelet=2)
PREDICTOR = PredictorSpec(encoder_width=96, width=64, depth=3, heads=2, hidden=256, mask_tokens=1)
PREFIX = "module.backbone."  # of the official training loop: data-parallel wrapper, multi-sequence wrapper

GENERATOR = {
    "aspect_ratio": [0.75, 1.5],
    "temporal_scale": [1.0, 1.0],
    "max_temporal_keep": 1.0,
    "max_keep": None,
}
PARAMS = {
    "app": "vjepa",
    "architecture": {
        "embed_dim": ENCODER.width,
        "depth": ENCODER.depth,
        "num_heads": ENCODER.heads,
        "mlp_ratio": 4.0,
    },
    "data": {"crop_size": 64, "dataset_fpcs": [12], "fps": 15, "patch_size": 8, "tubelet_size": 2},
    "loss": {"loss_exp": 1.0},
    "mask": [{**GENERATOR, "num_blocks": 8, "spatial_scale": [0.15, 0.15]}],
    "model": {
        "model_name": "vit_custom",
        "pred_depth": PREDICTOR.depth,
        "pred_embed_dim": PREDICTOR.width,
        "pred_num_heads": PREDICTOR.heads,
        "uniform_power": False,
        "use_mask_tokens": True,
        "use_rope": True,
    },
}


def fresh_modules(seed: int) -> tuple[VisionTransformer, Predictor]:
    """Encoder and predictor with freshly drawn weights, as the official code initialises them."""
    encoder, predictor = VisionTransformer(ENCODER), Predictor(PREDICTOR)
    draw_weights(encoder, encoder.blocks, seed)
    draw_weights(predictor, predictor.predictor_blocks, seed + 1)
    return encoder, predictor


def draw_weights(module: nn.Module, blocks: nn.ModuleList, seed: int) -> None:
    """Normal of deviation 0.02 cut at two, biases 0, norms 1; the last layer of each block made smaller with its depth."""
    generator = torch.Generator().manual_seed(seed)
    for child in module.modules():
        if isinstance(child, nn.Linear | nn.Conv2d | nn.Conv3d):
            nn.init.trunc_normal_(child.weight, std=0.02, generator=generator)
            if child.bias is not None:
                nn.init.zeros_(child.bias)
    for name, parameter in module.named_parameters():
        if name.startswith("mask_tokens"):
            nn.init.trunc_normal_(parameter, std=0.02, generator=generator)
    for layer, block in enumerate(blocks, start=1):
        last = block.mlp.fc2 if isinstance(block.mlp, Mlp) else block.mlp.fc3
        for linear in (block.attn.proj, last):
            linear.weight.data.div_(math.sqrt(2.0 * layer))


def checkpoint_of(
    encoder: nn.Module, target: nn.Module, predictor: nn.Module, **facts: Any
) -> dict[str, Any]:
    """What `torch.save` writes: the official top-level keys, no optimizer. `facts` replace epoch, loss, …"""
    return {
        "encoder": _named(encoder),
        "predictor": _named(predictor),
        "target_encoder": _named(target),
        "opt": None,
        "scaler": None,
        "epoch": 0,
        "loss": 0.0,
        "batch_size": 0,
        "world_size": 1,
        "lr": 0.0,
        **facts,
    }


def write(folder: Path, stem: str, checkpoint: dict[str, Any], card: dict[str, Any]) -> Path:
    """Write checkpoint, parameters and card side by side; returns the checkpoint's path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}.pt"
    torch.save(checkpoint, path)
    (folder / f"{stem}.params.yaml").write_text(yaml.safe_dump(PARAMS, sort_keys=True), encoding="utf-8")
    (folder / f"{stem}.card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return path


def write_trained(
    folder: Path, encoder: nn.Module, target: nn.Module, predictor: nn.Module, *, seed: int, recipe: dict[str, Any],
    recipe_hash: str, clips: int, seconds: float, device: str, curve: list[tuple[int, float, float]],
) -> Path:  # fmt: skip
    """The trained checkpoint with the card that says how it was made. What it measures is added by the evaluation."""
    card: dict[str, Any] = {
        "title": "Cell",
        "trained": True,
        "notes": ["trained on the embedded world only; knows nothing of real video"],
        "layout": "V-JEPA 2, official checkpoint layout",
        "deviations": [
            "the teacher is frozen after the first two stages instead of averaged to the end",
            "loss weighted on tokens that a moving piece touches",
            "a weak variance and covariance term in the second stage",
            "Muon on the block matrices in the last stage",
        ],
        "data": "seeded nominal scenes of world:cell, painted at training time; nothing impossible in them",
        "seed": seed,
        "recipe": recipe,
        "recipe_sha256": recipe_hash,
        "clips": clips,
        "compute": {"seconds": round(seconds), "device": device, "torch": torch.__version__},
        "curve": {"columns": ["clips", "loss", "error on moving tokens"], "rows": [[c, round(a, 4), round(b, 4)] for c, a, b in curve]},
        "made_by": "assets/demo/train_cell.py",
    }  # fmt: skip
    return write(folder, "cell", checkpoint_of(encoder, target, predictor), card)


def _named(module: nn.Module) -> dict[str, torch.Tensor]:
    return {PREFIX + name: tensor.detach().cpu().clone() for name, tensor in module.state_dict().items()}
