"""The few operations that all plain readings are made of: weights by name, norms, attention, rotary, tables. float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

Weights = dict[str, Tensor]


def draw(shapes: Mapping[str, tuple[int, ...]], seed: int, *, spread: float = 0.15) -> Weights:
    """Random float32 tensors: norms around 1, everything else around 0, biases too."""
    generator = torch.Generator().manual_seed(seed)
    out: Weights = {}
    for name, shape in shapes.items():
        value = torch.randn(shape, generator=generator, dtype=torch.float64)
        if is_scale(name, shape):
            value = 1 + 0.2 * value
        elif len(shape) > 1:
            value = value * (
                spread if "pos_" in name or "token" in name else 1.2 / math.sqrt(math.prod(shape[1:]))
            )
        else:
            value = 0.2 * value
        out[name] = value.float()
    return out


def is_scale(name: str, shape: tuple[int, ...]) -> bool:
    return len(shape) == 1 and name.endswith("weight") and "norm" in name.replace("_ln.", "_norm.")


def wide(weights: Mapping[str, Tensor]) -> Weights:
    return {name: tensor.double() for name, tensor in weights.items()}


def linear(w: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    out = x @ w[f"{name}.weight"].reshape(w[f"{name}.weight"].shape[0], -1).T
    return out + w[f"{name}.bias"] if f"{name}.bias" in w else out


def norm(w: Mapping[str, Tensor], name: str, x: Tensor, eps: float) -> Tensor:
    return plain_norm(x, eps) * w[f"{name}.weight"] + w[f"{name}.bias"]


def plain_norm(x: Tensor, eps: float = 1e-5) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt()


def gelu(x: Tensor) -> Tensor:
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def silu(x: Tensor) -> Tensor:
    return x / (1 + torch.exp(-x))


def soft(scores: Tensor) -> Tensor:
    powers = torch.exp(scores - scores.amax(-1, keepdim=True))
    return powers / powers.sum(-1, keepdim=True)


def heads_of(x: Tensor, heads: int) -> Tensor:
    """(B, N, D) → (B, heads, N, D / heads)"""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def attend(
    q: Tensor, k: Tensor, v: Tensor, allowed: Tensor | None = None, scale: float | None = None
) -> Tensor:
    """q, k, v (B, heads, N, d) → (B, N, heads·d)"""
    scores = q @ k.transpose(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if allowed is not None:
        scores = scores.masked_fill(~allowed, -math.inf)
    return (soft(scores) @ v).transpose(1, 2).flatten(2)


Turn = Callable[[Tensor], Tensor]


def rotary(positions: Sequence[Tensor], head_dim: int, *, paired: bool) -> Turn:
    """positions: time, row, column, each (B or 1, N). Channel by channel, as the specs write it."""
    axis = 2 * ((head_dim // 3) // 2)
    half = axis // 2
    batch, count = positions[0].shape
    cos, sin = torch.ones(batch, count, head_dim).double(), torch.zeros(batch, count, head_dim).double()
    for number, position in enumerate(positions):
        for k in range(axis):
            which = k // 2 if paired else k % half
            angle = position.double() * 10000.0 ** (-which / half)
            cos[:, :, number * axis + k], sin[:, :, number * axis + k] = angle.cos(), angle.sin()

    def turn(x: Tensor) -> Tensor:
        """(B, heads, N, d)"""
        partner = torch.zeros_like(x)
        for i in range(0, 3 * axis, 2):
            partner[..., i], partner[..., i + 1] = -x[..., i + 1], x[..., i]
        return x * cos[:, None] + partner * sin[:, None]

    return turn


def block(
    w: Mapping[str, Tensor],
    name: str,
    x: Tensor,
    heads: int,
    turn: Turn | None = None,
    allowed: Tensor | None = None,
) -> Tensor:
    """The common block (ijepa-vjepa-vjepa2.md, section 1), fused qkv, SwiGLU where there is a third layer."""
    q, k, v = linear(w, f"{name}.attn.qkv", norm(w, f"{name}.norm1", x, 1e-6)).chunk(3, -1)
    q, k, v = (heads_of(t, heads) for t in (q, k, v))
    if turn is not None:
        q, k = turn(q), turn(k)
    x = x + linear(w, f"{name}.attn.proj", attend(q, k, v, allowed))
    return x + mlp(w, f"{name}.mlp", norm(w, f"{name}.norm2", x, 1e-6))


def mlp(w: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    if f"{name}.fc3.weight" in w:
        return linear(w, f"{name}.fc3", silu(linear(w, f"{name}.fc1", x)) * linear(w, f"{name}.fc2", x))
    return linear(w, f"{name}.fc2", gelu(linear(w, f"{name}.fc1", x)))


def block_shapes(name: str, width: int, hidden: int, *, gated: bool = False) -> dict[str, tuple[int, ...]]:
    layers = {
        "attn.qkv": (3 * width, width),
        "attn.proj": (width, width),
        "mlp.fc1": (hidden, width),
        "mlp.fc2": (hidden, width) if gated else (width, hidden),
    }
    if gated:
        layers["mlp.fc3"] = (width, hidden)
    shapes: dict[str, tuple[int, ...]] = {}
    for part in ("norm1", "norm2"):
        shapes |= {f"{name}.{part}.weight": (width,), f"{name}.{part}.bias": (width,)}
    for part, shape in layers.items():
        shapes |= {f"{name}.{part}.weight": shape, f"{name}.{part}.bias": shape[:1]}
    return shapes


def layer_shapes(name: str, given: int, wanted: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (wanted, given), f"{name}.bias": (wanted,)}


def norm_shapes(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def cut(frames: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, tuple[int, int, int]]:
    """Kernel = stride, remainders dropped. frames (B, 3, T, H, W) or (B, 3, H, W) → (B, N, D) and the grid."""
    if frames.ndim == 4:
        frames = frames[:, :, None]
    kernel = weight if weight.ndim == 5 else weight[:, :, None]
    _, _, u, p, q = kernel.shape
    grid = frames.shape[2] // u, frames.shape[3] // p, frames.shape[4] // q
    tokens = [
        torch.einsum(
            "bcuij,dcuij->bd", frames[:, :, t * u : t * u + u, r * p : r * p + p, c * q : c * q + q], kernel
        )
        for t in range(grid[0])
        for r in range(grid[1])
        for c in range(grid[2])
    ]
    return torch.stack(tokens, dim=1) + bias, grid


def split(numbers: Tensor, rows: int, columns: int) -> tuple[Tensor, Tensor, Tensor]:
    rest = numbers % (rows * columns)
    return numbers // (rows * columns), rest // columns, rest % columns


def gather(x: Tensor, numbers: Tensor) -> Tensor:
    """x (B, N, D), numbers (B, K)"""
    return torch.stack([row[index] for row, index in zip(x, numbers, strict=True)])


def clip_of(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator)


def save_arrays(folder: Any, arrays: Mapping[str, Any]) -> None:
    """io.npz: floats as float32 unless they come as numpy, masks as int64."""
    out = {}
    for name, value in arrays.items():
        if isinstance(value, Tensor):
            out[name] = value.numpy().astype(np.float32) if value.is_floating_point() else value.numpy()
        else:
            out[name] = np.asarray(value)
    np.savez(folder / "io.npz", **out)
