"""Builds tiny checkpoints of JEPA-WMs, of both predictors, in the published layout, whole or damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from jepa_core.families.jepawm import empty_modules
from jepa_core.jepawm_facts import APPENDING, MODULATED, Reading
from jepa_core.nn.patch_predictor import PatchPredictorSpec

WHOLE = Reading(
    kind=MODULATED,
    predictor=PatchPredictorSpec(
        visual=12, proprio=4, action=6, side=3, depth=2, heads=2, hidden=20, embed=14
    ),
    action=6,
    body=5,
    window=2,
    alpha=0.1,
    normalises=False,
    fps=4.0,
    assumed={},
)
BARE = replace(WHOLE, predictor=replace(WHOLE.predictor, proprio=0, visual=10), body=0, alpha=0.0)
DINO = replace(
    WHOLE,
    kind=APPENDING,
    predictor=PatchPredictorSpec(
        visual=12, proprio=4, action=3, side=3, depth=2, heads=2, hidden=20, head_dim=5, frames=3
    ),
)

Content = dict[str, Any]


def content(reading: Reading = WHOLE, seed: int = 0) -> Content:
    """The dictionary of state dicts, every tensor random, norms around 1."""
    generator = torch.Generator().manual_seed(seed)
    saved: Content = {"opt": {"state": {}, "param_groups": []}, "scaler": None, "epoch": 50}
    for part, module in empty_modules(reading).items():
        saved[part] = {}
        for name, tensor in module.state_dict().items():
            value = torch.randn(tensor.shape, generator=generator) * (0.2 if tensor.ndim > 1 else 0.1)
            is_norm = "norm" in name or ".net.0." in name
            saved[part][f"module.{name}"] = value + 1.0 if is_norm and name.endswith("weight") else value
    if reading.kind == APPENDING:
        rows = reading.predictor.frames * reading.predictor.side**2
        for i in range(reading.predictor.depth):
            saved["predictor"][f"module.transformer.layers.{i}.0.bias"] = torch.ones(1, 1, rows, rows)
    return saved


def config(reading: Reading = WHOLE) -> dict[str, Any]:
    """What a run's own YAML says, in its layout."""
    spec = reading.predictor
    model: dict[str, Any] = {
        "grid_size": spec.side,
        "predictor": {"pred_num_heads": spec.heads, "pred_depth": spec.depth},
        "visual_encoder": {"embed_dim": spec.visual},
        "proprio_encoder": {"proprio_emb_dim": spec.proprio},
        "action_encoder": {"action_emb_dim": spec.action if reading.kind == APPENDING else 0},
    }
    return {"model": model, "ctxt": reading.window, "act": reading.action, "prop": reading.body}


def write(
    folder: Path,
    saved: Content | None = None,
    settings: dict[str, Any] | None = None,
    *,
    change: Callable[[Content], None] | None = None,
) -> Path:
    """Write jepa_wm.pth.tar and config.json; `change` may damage the content first."""
    saved = content() if saved is None else saved
    if change is not None:
        change(saved)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(saved, folder / "jepa_wm.pth.tar")
    (folder / "config.json").write_text(json.dumps(config() if settings is None else settings))
    return folder / "jepa_wm.pth.tar"
