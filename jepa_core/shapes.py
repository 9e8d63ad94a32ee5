"""What the shapes of a transformer's tensors say: width, depth, patch, activation, positions.

Every number is put to the vote of all tensors that carry it, so that one missing or reshaped tensor is later named as
such instead of bending the whole reading. Knows no family; reads no weight.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from jepa_core.design import Stored
from jepa_core.votes import count_blocks

Tensors = Mapping[str, Stored]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EncoderShapes:
    width: int
    depth: int
    hidden: int
    patch: int
    tubelet: int  # 0 = a picture model
    is_gated: bool
    table_tokens: int  # rows of a stored position table, 0 = none


@dataclass(frozen=True, slots=True)
class PredictorShapes:
    width: int
    depth: int
    hidden: int
    is_gated: bool
    mask_tokens: int
    table_tokens: int


def read_encoder(parts: Iterable[Tensors]) -> EncoderShapes | None:
    """The encoder that all given parts (encoder and target encoder) agree on best; None where too little is there."""
    width: Counter[int] = Counter()
    hidden: Counter[int] = Counter()
    kernel: Counter[tuple[int, int]] = Counter()
    gated: Counter[bool] = Counter()
    table: Counter[int] = Counter()
    depth = 0
    for tensors in parts:
        depth = max(depth, _read_blocks(tensors, "blocks", width, hidden, gated))
        _vote_vectors(tensors, ("norm.weight", "norm.bias", "patch_embed.proj.bias"), width)
        table.update(t.shape[1] for n, t in tensors.items() if n == "pos_embed" and len(t.shape) == 3)
        shape = tensors["patch_embed.proj.weight"].shape if "patch_embed.proj.weight" in tensors else ()
        if len(shape) in (4, 5) and shape[-1] == shape[-2] and shape[1] == 3:
            kernel[(shape[-1], shape[2] if len(shape) == 5 else 0)] += 1
    if not (width and hidden and kernel and depth):
        return None
    patch, tubelet = _winner(kernel)
    return EncoderShapes(
        width=_winner(width),
        depth=depth,
        hidden=_winner(hidden),
        patch=patch,
        tubelet=tubelet,
        is_gated=_winner(gated),
        table_tokens=_winner(table) if table else 0,
    )


def read_predictor(tensors: Tensors) -> PredictorShapes | None:
    """The predictor's sizes; None where too little is there."""
    width: Counter[int] = Counter()
    hidden: Counter[int] = Counter()
    gated: Counter[bool] = Counter()
    depth = _read_blocks(tensors, "predictor_blocks", width, hidden, gated)
    _vote_vectors(tensors, ("predictor_norm.weight", "predictor_norm.bias", "predictor_embed.bias"), width)
    if not (width and hidden and depth):
        return None
    table = tensors.get("predictor_pos_embed")
    return PredictorShapes(
        width=_winner(width),
        depth=depth,
        hidden=_winner(hidden),
        is_gated=_winner(gated),
        mask_tokens=max(count_blocks(tensors, "mask_tokens"), int("mask_token" in tensors)),
        table_tokens=table.shape[1] if table is not None and len(table.shape) == 3 else 0,
    )


def depth_of(tensors: Tensors, blocks: str = "blocks") -> int:
    """Number of blocks named in a part."""
    return count_blocks(tensors, blocks)


def _read_blocks(
    tensors: Tensors, blocks: str, width: Counter[int], hidden: Counter[int], gated: Counter[bool]
) -> int:
    depth = depth_of(tensors, blocks)
    for i in range(depth):
        block = f"{blocks}.{i}."
        is_gated = any(f"{block}mlp.fc3.{kind}" in tensors for kind in ("weight", "bias"))
        gated[is_gated] += 1
        _vote_vectors(
            tensors, [f"{block}{n}.{kind}" for n in ("norm1", "norm2") for kind in ("weight", "bias")], width
        )
        _vote_vectors(tensors, [f"{block}attn.proj.bias"], width)
        _vote_vectors(tensors, [f"{block}mlp.fc1.bias"], hidden)
        for name, axis in ((f"{block}mlp.fc1.weight", 0), (f"{block}mlp.fc{3 if is_gated else 2}.weight", 1)):
            if name in tensors and len(tensors[name].shape) == 2:
                hidden[tensors[name].shape[axis]] += 1
    return depth


def _vote_vectors(tensors: Tensors, names: Iterable[str], votes: Counter[int]) -> None:
    votes.update(
        tensors[name].shape[0] for name in names if name in tensors and len(tensors[name].shape) == 1
    )


def _winner(votes: Counter[T]) -> T:
    return votes.most_common(1)[0][0]
