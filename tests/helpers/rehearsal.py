"""A look made on tensors without memory: the engine's own code, every allocation counted, nothing computed.

On torch's meta device a tensor has a shape and no numbers. Each storage a look makes is counted from its birth to its
end, in blocks of 512 bytes as the CUDA allocator hands them out; the largest sum is what the look needs. Attention
(which would fall back to the plain one and its N x N scores) is replaced by what the fused kernel allocates; results
that go to the host become zeros; and an operation on tensors of two devices, which CUDA refuses, is refused here too.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from jepa_core import registry
from jepa_core.clip import ClipMotion
from jepa_core.clock import FakeClock
from jepa_core.design import Design
from jepa_core.engine import NO_MOTION, Engine
from jepa_core.families.base import JepaModel
from jepa_core.footing import modules_of
from jepa_core.masks import make_masks, rule_for
from jepa_core.messages import EngineOptions
from jepa_core.nn.positions import full_rotary_table
from jepa_core.types import CheckpointInfo, LoadReport, MaskRule, TokenLayout

BLOCK = 512  # bytes the CUDA allocator rounds up to


class Ledger(TorchDispatchMode):
    """Counts the storages of one device kind that are alive while it is entered."""

    def __init__(self, device: str = "meta") -> None:
        super().__init__()
        self.live = self.peak = 0
        self._device = device
        self._known: dict[int, weakref.ref[torch.UntypedStorage]] = {}
        self._old: list[torch.UntypedStorage] = []

    def overlook(self, model: object) -> None:
        """The weights of a model were there before; a view of one is no allocation."""
        for module in modules_of(model):
            for tensor in (*module.parameters(), *module.buffers()):
                self._old.append(tensor.untyped_storage())
        self._known.update((storage._cdata, weakref.ref(storage)) for storage in self._old)

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        _check_devices(func, args, kwargs)
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor) and leaf.device.type == self._device:
                self._book(leaf.untyped_storage())
        return out

    def _book(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, -(-storage.nbytes() // BLOCK) * BLOCK
        if key in self._known:
            return

        def gone(_: object) -> None:
            self.live -= size
            self._known.pop(key, None)

        self._known[key] = weakref.ref(storage, gone)
        self.live += size
        self.peak = max(self.peak, self.live)


_CROSSING = {torch.ops.aten._to_copy, torch.ops.aten.copy_, torch.ops.aten.index, torch.ops.aten.to}


def _check_devices(func: Callable[..., Any], args: Any, kwargs: Any) -> None:
    """What CUDA insists on and the meta device does not: the tensors of one operation lie on one device.

    Single numbers may lie anywhere, indices may lie on the host, and copying is how a tensor changes sides.
    """
    if func.overloadpacket in _CROSSING:  # type: ignore[attr-defined]
        return
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor) and leaf.ndim]
    if len({tensor.device for tensor in tensors}) > 1:
        raise RuntimeError(
            f"{func} was given tensors of {[(t.device.type, tuple(t.shape)) for t in tensors]}"
        )


class _Stand(TorchFunctionMode):
    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            q, v = args[0], args[2]
            B, heads, N, _ = q.shape
            statistics = q.new_empty(B, heads, N, dtype=torch.float32)
            mask = kwargs.get("attn_mask")
            as_scores = (
                None if mask is None else q.new_empty(mask.shape)
            )  # a mask of booleans becomes numbers
            mixed = q.new_empty(B, N, heads, v.shape[-1]).transpose(1, 2)
            del statistics, as_scores
            return mixed
        if func in (Tensor.all, Tensor.any):  # what is asked of values: every one is as it should be
            return torch.tensor(func is Tensor.all)
        if func is Tensor.cpu:
            return torch.zeros(args[0].shape, dtype=args[0].dtype)
        return func(*args, **kwargs)


def on_meta(design: Design, dtype: str) -> JepaModel:
    """The model of a design whose weights take no memory, in a precision."""
    family = next(
        family
        for family in map(registry.family, registry.FAMILIES)
        if getattr(sys.modules[family.__module__], "NAME", "") == design.family
    )
    modules = {
        part: module.to(getattr(torch, dtype)).requires_grad_(False).eval()
        for part, module in design.modules.items()
    }
    info = CheckpointInfo(
        id="rehearsal", family=design.family, variant=design.variant, path="", sha256="", input=design.input,
        action=design.action, abilities=design.abilities, device="meta", dtype=dtype,
        embed_dim=design.embed_dim, multiblock=design.multiblock, layout=design.layout, sizes=design.sizes,
    )  # fmt: skip
    report = LoadReport(path="", family=design.family, variant=design.variant, matched=0)
    return family.assemble(design, modules, info, report)


def look_bytes(
    model: JepaModel, frames: int, *, rule: MaskRule | None = None, size: int = 0, moves: bool = False
) -> int:
    """The most that stands in memory at one moment of a look, weights apart.

    moves   the source tells what was done between the frames: of families that predict from actions
    """
    if size:
        model.info = replace(model.info, input=replace(model.info.input, size=size))
    full_rotary_table.cache_clear()  # a look that finds its table made does not make it
    engine = Engine(model, EngineOptions(clip_frames=frames), FakeClock())
    motion = _motion(model.info, frames) if moves else NO_MOTION
    side = model.info.input.size
    layout = TokenLayout(
        model.info.layout, model.grid(frames), model.info.input.tubelet, (0.0, 0.0, float(side), float(side))
    )
    masks = make_masks(rule_for(rule or MaskRule(), model.info), layout, 0)
    ledger = Ledger()
    ledger.overlook(model)
    with _Stand(), ledger:
        look = engine.look(
            np.zeros((frames, side, side, 3), np.uint8),
            masks,
            frames=tuple(range(frames)),
            seq=frames - 1,
            t_ns=0,
            box=layout.crop,
            motion=motion,
        )
    full_rotary_table.cache_clear()
    if moves and look.note:
        raise RuntimeError(f"nothing was predicted: {look.note}")
    return ledger.peak


def _motion(info: CheckpointInfo, frames: int) -> ClipMotion:
    """Nothing moved: zeros, as many as the family wants."""
    action = info.action
    if action is None:
        return NO_MOTION
    actions = None if action.is_from_state else np.zeros((frames - 1, len(action.names)), np.float32)
    states = np.zeros((frames, len(action.state)), np.float32) if action.state else None
    return ClipMotion(actions, states)


def weights_bytes(design: Design, dtype: str) -> int:
    """Of every parameter of a design, in a precision."""
    item = getattr(torch, dtype).itemsize
    return item * sum(p.numel() for module in design.modules.values() for p in module.parameters())
