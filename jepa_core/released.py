"""Every configuration the authors released, buildable by name without a byte of weights.

A name stands for the tensors of a file (`released_tensors`) and the config beside it. They go through the same
sorting, recognition, design and comparison as a file a person opens; the modules come out on the meta device. Used by
forecasts, tests and scripts that write files of full size. Never a second way to describe a model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from jepa_core.design import Choices, Config, Design, Stored
from jepa_core.matching import design_of
from jepa_core.released_table import TABLE, Released
from jepa_core.released_tensors import Shapes
from jepa_core.types import LoadReport
from jepa_core.weight_files import sort_content

# What training saves beside the parts; none of it is used.
TRAINING = ("opt", "scaler", "epoch", "loss", "batch_size", "world_size", "lr")


def names() -> tuple[str, ...]:
    """Every name that `build` knows, in the order of systems."""
    return tuple(TABLE)


def find(name: str) -> Released:
    """Raises KeyError for a name that is none."""
    return TABLE[name]


def shapes(name: str) -> dict[str, Shapes]:
    """part → full tensor name → shape, exactly as the file spells them; the part "" is a flat file."""
    found = TABLE[name]
    return {part: {found.prefix + n: s for n, s in own.items()} for part, own in found.parts().items()}


def content(name: str) -> dict[str, Any]:
    """What reading such a file gives: real tensors of the right shape that take no memory (one zero, repeated).

    The first mask token is not zero, as after training.
    """
    found = TABLE[name]
    parts = {part: {n: _tensor(n, s) for n, s in own.items()} for part, own in shapes(name).items()}
    if "" in parts:
        return {found.wrapper: parts[""]} if found.wrapper else dict(parts[""])
    return {**parts, **({key: None for key in TRAINING} if "encoder" in parts else {})}


def build(name: str, choices: Choices | None = None) -> Design:
    """The empty modules of a released configuration on the meta device, with all that is known of it."""
    return examined(name, choices)[0]


def examined(name: str, choices: Choices | None = None) -> tuple[Design, LoadReport]:
    """Design and load report, as `checkpoint.examine` would make them of the file. Raises what it raises."""
    found = TABLE[name]
    config = Config(found.config, found.beside) if found.config else Config()
    file = sort_content(found.file, _stored(content(name)), config)
    _, design, report = design_of(file, choices or Choices())
    return design, report


def _stored(content: Mapping[str, Any]) -> dict[str, Any]:
    """As a reader gives it: every tensor by its shape, read when asked for."""
    out: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, Tensor):
            out[name] = Stored(tuple(value.shape), value.dtype, value.clone)
        else:
            out[name] = _stored(value) if isinstance(value, Mapping) else value
    return out


def _tensor(name: str, shape: tuple[int, ...]) -> Tensor:
    if name.endswith("num_batches_tracked"):
        return torch.zeros((), dtype=torch.int64)
    value = 1.0 if name.endswith("mask_tokens.0") else 0.0
    return torch.full((1,), value).expand(shape) if shape else torch.tensor(value)
