"""Models of released size with random weights, made on the device itself, and small ones for a run without a GPU."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from jepa_core import checkpoint, device, footing, registry, released
from jepa_core.clock import SystemClock
from jepa_core.design import Design
from jepa_core.engine import Engine
from jepa_core.families.base import JepaModel
from jepa_core.masks import make_masks, rule_for
from jepa_core.messages import EngineOptions
from jepa_core.types import CheckpointInfo, Inspection, LoadReport, MaskRule, MaskSet, TokenLayout
from tests.helpers import checkpoints as made

SPREAD = 0.02  # of weights, as the official initialisation


@dataclass(frozen=True)
class Config:
    """One model at one size of look."""

    name: str  # of a released configuration, or "tiny"
    size: int
    frames: int
    dtype: str

    def __str__(self) -> str:
        return f"{self.name}, {self.size} px, {self.frames} frames, {self.dtype}"


def build(config: Config, where: str) -> JepaModel:
    """The model there, its report as the loader writes it."""
    if config.name == "tiny":
        return _tiny(config, where)
    design = released.build(config.name)
    parameters = sum(p.numel() for module in design.modules.values() for p in module.parameters())
    info = CheckpointInfo(
        id=f"random:{config.dtype}", family=design.family, variant=design.variant, path=config.name, sha256="",
        input=design.input, action=design.action, abilities=design.abilities, device=where, dtype=config.dtype,
        parameters=parameters, embed_dim=design.embed_dim, multiblock=design.multiblock, layout=design.layout,
        levels=design.levels, sizes=design.sizes,
    )  # fmt: skip
    report = LoadReport(path=config.name, family=design.family, variant=design.variant, matched=0)
    wanted = replace(info, input=replace(info.input, size=config.size))
    report = device.with_forecast(report, design, wanted, config.frames)
    model = _family(design).assemble(design, _filled(design, where, config.dtype), info, report)
    footing.resized(model, config.size)
    return model


def shown(
    model: JepaModel, frames: int, rule: MaskRule | None = None
) -> tuple[np.ndarray, MaskSet, TokenLayout]:
    """A seeded clip at the model's present size, and what of it is hidden: as set by default, the newest two steps."""
    spec = model.info.input
    layout = TokenLayout(model.info.layout, model.grid(frames), spec.tubelet, (0.0, 0.0, 1.0, 1.0))
    crops = np.random.default_rng(0).integers(0, 256, (frames, spec.size, spec.size, 3), dtype=np.uint8)
    return crops, make_masks(rule_for(rule or MaskRule(), model.info), layout, 0), layout


class Looker:
    """Looks at one clip again and again, through the engine."""

    def __init__(self, model: JepaModel, frames: int) -> None:
        self._engine = Engine(model, EngineOptions(clip_frames=frames), SystemClock())
        self._crops, self._masks, self._layout = shown(model, frames)
        self._frames = tuple(range(frames))

    def look(self) -> Inspection:
        return self._engine.look(
            self._crops, self._masks, frames=self._frames, seq=self._frames[-1], t_ns=0, box=self._layout.crop
        )


def _family(design: Design) -> type:
    families = (registry.family(name) for name in registry.FAMILIES)
    return next(one for one in families if getattr(sys.modules[one.__module__], "NAME", "") == design.family)


def _filled(design: Design, where: str, dtype: str) -> dict[str, torch.nn.Module]:
    generator = torch.Generator(where).manual_seed(0)
    modules = {}
    for part, module in design.modules.items():
        module = module.to(getattr(torch, dtype)).to_empty(device=where).requires_grad_(False).eval()
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point():
                tensor.normal_(0.0, SPREAD, generator=generator)
                if "norm" in name and name.endswith("weight"):
                    tensor.add_(1.0)
            else:
                tensor.zero_()
        modules[part] = module
    return modules


def _tiny(config: Config, where: str) -> JepaModel:
    encoder = made.VitSpec(96, 2, 3, 384, patch=16, tubelet=2)
    predictor = made.PredictorSpec(96, 48, 2, 3, 192, mask_tokens=2)
    settings = made.params(encoder, predictor, size=config.size, frames=config.frames)
    settings["data"]["patch_size"] = 16
    with tempfile.TemporaryDirectory() as folder:
        path = made.write(Path(folder), made.content(encoder, predictor), settings)
        return checkpoint.load(path, device=where, dtype=config.dtype, clip_frames=config.frames)
