"""Builds tiny EB-JEPA training checkpoints in the official layout, whole or damaged in one stated way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import yaml

from jepa_core.ebjepa_facts import Reading
from jepa_core.families.ebjepa import empty_modules
from jepa_core.nn.impala import ImpalaSpec

WHOLE = Reading(
    encoder=ImpalaSpec(channels=2, stacks=(3, 5, 4), blocks=2, side=33, width=12),
    action=2,
    fps=5.0,
    assumed={},
)

Content = dict[str, Any]


def model(reading: Reading = WHOLE, seed: int = 0) -> Content:
    """The model's state dict, every tensor random, norms around 1; the last layer norm in both parts, as trained."""
    generator = torch.Generator().manual_seed(seed)
    out: Content = {}
    for part, module in empty_modules(reading).items():
        for name, tensor in module.state_dict().items():
            value = torch.randn(tensor.shape, generator=generator) * (0.2 if tensor.ndim > 1 else 0.1)
            out[f"{part}.{name}"] = value + 1.0 if name == "final_ln.weight" else value
    for kind in ("weight", "bias"):
        out[f"predictor.final_ln.{kind}"] = out[f"encoder.final_ln.{kind}"].clone()
    D = reading.encoder.width
    for layer, (given, wanted) in {0: (2 * D, 6), 2: (6, 6), 4: (6, reading.action)}.items():
        stem = f"regularizer.idm_loss_fn.idm.model.{layer}"
        out[f"{stem}.weight"] = torch.randn(wanted, given, generator=generator)
        out[f"{stem}.bias"] = torch.randn(wanted, generator=generator)
    return out


def content(reading: Reading = WHOLE) -> Content:
    """The whole training checkpoint: model, optimiser, a probe trained beside it."""
    return {
        "epoch": 3,
        "step": 40,
        "model_state_dict": model(reading),
        "optimizer_state_dict": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.001}]},
        "scheduler_state_dict": {"last_epoch": 3},
        "xy_head_state_dict": {"0.weight": torch.zeros(2, 12)},
    }


def config(reading: Reading = WHOLE) -> dict[str, Any]:
    spec = reading.encoder
    return {
        "data": {"env_name": "two_rooms", "img_size": spec.side},
        "model": {
            "dobs": spec.channels,
            "encoder_architecture": "impala",
            "mlp_output_dim": spec.width,
        },
    }


def write(
    folder: Path,
    saved: Content | None = None,
    settings: dict[str, Any] | None = None,
    *,
    change: Callable[[Content], None] | None = None,
) -> Path:
    """Write latest.pth.tar and config.yaml; `change` may damage the model's state dict first."""
    saved = content() if saved is None else saved
    if change is not None:
        change(saved["model_state_dict"])
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(saved, folder / "latest.pth.tar")
    (folder / "config.yaml").write_text(yaml.safe_dump(config() if settings is None else settings))
    return folder / "latest.pth.tar"
