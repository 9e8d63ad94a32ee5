"""Write `cell.pt`: an untrained V-JEPA 2 checkpoint of demo size, in the official file layout.

Seeded random weights, drawn as the official code initialises them. It shows the whole path (load, look, record,
replay) on a fresh machine without a download; it has learnt nothing, and its card says so. Run from the repository's
root: `python -m assets.demo.make_untrained_checkpoint`.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import torch
import yaml
from torch import nn

from jepa_core.nn.attention import Mlp
from jepa_core.nn.predictor import Predictor, PredictorSpec
from jepa_core.nn.vit import VisionTransformer, VitSpec

SEED = 2026
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
CARD = {
    "title": "Cell, untrained",
    "trained": False,
    "notes": ["untrained: seeded random weights, it has learnt nothing"],
    "layout": "V-JEPA 2, official checkpoint layout",
    "seed": SEED,
    "made_by": "assets/demo/make_untrained_checkpoint.py",
}


def draw_weights(module: nn.Module, blocks: nn.ModuleList, seed: int) -> dict[str, torch.Tensor]:
    """The module's state dict with freshly drawn weights: normal of deviation 0.02 cut at two, biases 0, norms 1."""
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
    return {PREFIX + name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def build(seed: int = SEED) -> dict[str, object]:
    """What `torch.save` writes: the official top-level keys, the target encoder equal to the encoder, no optimizer."""
    encoder = VisionTransformer(ENCODER)
    predictor = Predictor(PREDICTOR)
    weights = draw_weights(encoder, encoder.blocks, seed)
    return {
        "encoder": weights,
        "predictor": draw_weights(predictor, predictor.predictor_blocks, seed + 1),
        "target_encoder": {name: tensor.clone() for name, tensor in weights.items()},
        "opt": None,
        "scaler": None,
        "epoch": 0,
        "loss": 0.0,
        "batch_size": 0,
        "world_size": 1,
        "lr": 0.0,
    }


def write(folder: Path, stem: str = "cell") -> Path:
    """Write checkpoint, parameters and card side by side; returns the checkpoint's path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}.pt"
    torch.save(build(), path)
    (folder / f"{stem}.params.yaml").write_text(yaml.safe_dump(PARAMS, sort_keys=True), encoding="utf-8")
    (folder / f"{stem}.card.json").write_text(json.dumps(CARD, indent=2) + "\n", encoding="utf-8")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description="write the untrained demo checkpoint")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write into")
    write(parser.parse_args().out)


if __name__ == "__main__":
    main()
