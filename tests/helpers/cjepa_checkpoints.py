"""Builds tiny C-JEPA checkpoints in the three released layouts, whole or damaged in one stated way."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from jepa_core import hugging_face_vit
from jepa_core.cjepa_design import empty_modules
from jepa_core.cjepa_facts import DINO_EPS, Reading
from jepa_core.nn.cls_vit import ClsVitSpec
from jepa_core.nn.slot_decoder import DecoderSpec
from jepa_core.nn.slot_predictor import SlotPredictorSpec
from jepa_core.nn.slots import SlotSpec

D, SLOTS, SIZE = 16, 4, 32
WHOLE = Reading(
    width=D,
    n_slots=SLOTS,
    predictor=SlotPredictorSpec(D, history=3, future=1, depth=2, heads=4, hidden=24),
    vit=ClsVitSpec(24, 2, 2, 48, patch=8, table_rows=26, eps=DINO_EPS, has_layer_scale=True),
    slots=SlotSpec(24, 40, D, blocks=1, heads=4, hidden=64),
    decoder=None,
    action=10,
    proprio=4,
    size=SIZE,
    masked=1,
    mask_seed=42,
    frameskip=5,
    first_iterations=3,
    later_iterations=2,
    assumed={},
)
PREDICTOR = replace(WHOLE, vit=None, slots=None, action=0, proprio=0)
VIDEOSAUR = replace(
    WHOLE,
    predictor=None,
    action=0,
    proprio=0,
    decoder=DecoderSpec(D, patches=16, blocks=2, heads=4, hidden=64, rendered=(20, 28, 36), out=40),
)
_PREFIX = {
    "backbone": "encoder.module.backbone.",
    "features": "encoder.module.output_transform.",
    "start": "initializer.",
    "decoder": "decoder.module.",
}

Content = dict[str, Any]


def content(reading: Reading = WHOLE, seed: int = 0) -> Content:
    """The state dict of such a model under the released names, every tensor random, norms around 1."""
    generator = torch.Generator().manual_seed(seed)
    slots = "slot_attention.module." if reading.predictor else "processor.module."
    is_bare = reading.vit is None
    wrapper = "model." if reading.action else ""
    out: Content = {}
    for part, module in empty_modules(reading).items():
        prefix = slots if part == "slots" else _PREFIX.get(part, "" if is_bare else f"{part}.")
        for name, tensor in module.state_dict().items():
            own = (
                hugging_face_vit.spelling(name, is_new=False, is_dinov2=True) if part == "backbone" else name
            )
            value = torch.randn(tensor.shape, generator=generator) * (0.2 if tensor.ndim > 1 else 0.1)
            is_scale = tensor.ndim == 1 and ("norm" in name or "scale" in name) and not name.endswith("bias")
            out[f"{wrapper}{prefix}{own}"] = value + 1.0 if is_scale else value
    return out


def config(reading: Reading = WHOLE) -> dict[str, Any]:
    """What a person would state beside such a file."""
    values: dict[str, Any] = {
        "num_slots": reading.n_slots,
        "image_size": reading.size,
        "frameskip": reading.frameskip,
    }
    if reading.predictor:
        values |= {
            "history_frames": reading.predictor.history,
            "pred_frames": reading.predictor.future,
            "heads": reading.predictor.heads,
            "num_masked_slots": reading.masked,
        }
    if reading.vit:
        values["num_attention_heads"] = reading.vit.heads
    return values


def write(
    folder: Path,
    saved: Content | None = None,
    settings: dict[str, Any] | None = None,
    *,
    change: Callable[[Content], None] | None = None,
    name: str = "state_dict.pt",
) -> Path:
    """Write a file and its config.json; `change` may damage the content first."""
    saved = content() if saved is None else saved
    if change is not None:
        change(saved)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(saved, folder / name)
    (folder / "config.json").write_text(json.dumps(config() if settings is None else settings))
    return folder / name


def write_predictor(folder: Path) -> Path:
    """As the CLEVRER training saves it: the predictor's state dict, bare."""
    return write(folder, content(PREDICTOR), config(PREDICTOR), name="predictor.ckpt")


def write_videosaur(folder: Path) -> Path:
    """A Lightning checkpoint of the slot encoder with its decoder."""
    saved = {"epoch": 0, "global_step": 100, "state_dict": content(VIDEOSAUR), "hyper_parameters": {}}
    return write(folder, saved, config(VIDEOSAUR), name="videosaur.ckpt")
