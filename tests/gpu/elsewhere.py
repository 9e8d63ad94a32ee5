"""Runs the reference checks, written for the CPU in float32, on another device and in another precision, unchanged.

A check loads through `checkpoint.load`, makes tensors of its arrays with `torch.from_numpy`, counts with `torch.arange`
and gives arrays back with `.numpy()`. Inside this context each of these happens on the chosen device; everything else
is the program's own. Not for use by the program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from jepa_core import checkpoint
from jepa_core.families.base import JepaModel

_MADE_FROM_NOTHING = {
    torch.arange,
    torch.zeros,
    torch.ones,
    torch.full,
    torch.empty,
    torch.tensor,
    torch.as_tensor,
}


@contextmanager
def elsewhere(device: str, dtype: str, *, casts_inputs: bool = False) -> Iterator[None]:
    """Checks inside run there.

    casts_inputs   arrays of floats become the model's precision at once: for pieces that leave that to their caller
    """
    load, from_numpy, numpy = checkpoint.load, torch.from_numpy, Tensor.numpy
    precision = getattr(torch, dtype)

    def load_there(*args: Any, **kwargs: Any) -> JepaModel:
        return load(*args, **{**kwargs, "device": device, "dtype": dtype})

    def from_numpy_there(array: np.ndarray) -> Tensor:
        tensor = from_numpy(array)
        if casts_inputs and tensor.dtype == torch.float32:
            tensor = tensor.to(precision)
        return tensor.to(device)

    def numpy_here(tensor: Tensor, **kwargs: Any) -> np.ndarray:
        tensor = tensor.detach().cpu()
        return numpy(tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor, **kwargs)

    with (
        mock.patch.object(checkpoint, "load", load_there),
        mock.patch.object(torch, "from_numpy", from_numpy_there),
        mock.patch.object(Tensor, "numpy", numpy_here),
        _There(device),
    ):
        yield


class _There(TorchFunctionMode):
    """Tensors made from nothing lie on the device, unless they say where; those of a generator lie with it."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self._device = device

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _MADE_FROM_NOTHING and kwargs.get("device") is None and "generator" not in kwargs:
            kwargs = {**kwargs, "device": self._device}
        return func(*args, **kwargs)
