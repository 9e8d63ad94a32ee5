"""Weight files of full published size that hold shapes only: what a family makes of them costs no memory."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from jepa_core.design import Config, Stored, WeightFile


def weight_file(name: str, parts: Mapping[str, nn.Module], config: Mapping | None = None) -> WeightFile:
    """A file as `weight_files` would open it, from modules on the meta device. Every tensor reads as zeros."""
    stored = {
        part: {key: _zeros(tuple(tensor.shape)) for key, tensor in module.state_dict().items()}
        for part, module in parts.items()
    }
    settings = Config(config, "params.yaml") if config else Config()
    return WeightFile(name, "official", stored, ("opt",), (), settings)


def parameters(modules: Mapping[str, nn.Module]) -> dict[str, int]:
    return {part: sum(p.numel() for p in module.parameters()) for part, module in modules.items()}


def _zeros(shape: tuple[int, ...]) -> Stored:
    return Stored(shape, torch.float32, lambda: torch.zeros(shape))
