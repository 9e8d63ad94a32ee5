"""What a loaded model takes on right now, and how it takes on less: another picture size, a coarser precision.

Used by the engine when the device has no room, and where a person asked for a size. Changes the model in place; its
`info` always says what it is now. Weights made coarser here are those that loading in that precision gives.
"""

from __future__ import annotations

import gc
from dataclasses import replace

import torch
from torch import nn

from jepa_core.errors import NotAble
from jepa_core.families.base import JepaModel
from jepa_core.ladder import Limits, limits_of
from jepa_core.nn.positions import full_rotary_table
from jepa_core.types import CheckpointInfo


def limits(info: CheckpointInfo) -> Limits:
    """What this checkpoint can change."""
    return limits_of(info.sizes, info.input.frames, info.input.tubelet)


def resized(model: JepaModel, size: int) -> CheckpointInfo:
    """The model looks at pictures of `size` pixels from now on. Raises NotAble where its positions are tied to a size."""
    info = model.info
    if size == info.input.size:
        return info
    if not info.sizes or size % info.input.patch or size < 2 * info.input.patch:
        possible = f"whole patches of {info.input.patch} px" if info.sizes else f"{info.input.size} px only"
        raise NotAble(
            f"{info.family} {info.variant} cannot be shown {size} px: it takes {possible}.",
            "Leave the size to the checkpoint.",
        )
    model.info = replace(info, input=replace(info.input, size=size))
    return model.info


def made_coarser(model: JepaModel, dtype: str) -> CheckpointInfo:
    """The model's weights in another precision, one after another, so that no second copy ever stands in memory."""
    for module in modules_of(model):
        module.to(getattr(torch, dtype))
    name = model.info.id.partition(":")[0]
    model.info = replace(model.info, dtype=dtype, id=f"{name}:{dtype}")
    return model.info


def modules_of(model: object) -> list[nn.Module]:
    """Every network that a model holds, alone or by name."""
    held = [
        value
        for attribute in vars(model).values()
        for value in (attribute.values() if isinstance(attribute, dict) else [attribute])
    ]
    return [value for value in held if isinstance(value, nn.Module)]


def free_memory() -> None:
    """Give back what nobody holds any more: tables made for another size, and the allocator's reserve."""
    full_rotary_table.cache_clear()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
