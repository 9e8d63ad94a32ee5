"""Sin-cos position tables and their ways with other sizes, element by element (ijepa-vjepa-vjepa2.md, section 4)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

Grid = tuple[int, int, int]


def one(position: float, width: int) -> list[float]:
    """All sines first."""
    half = width // 2
    angles = [position * 10000.0 ** (-j / half) for j in range(half)]
    return [math.sin(a) for a in angles] + [math.cos(a) for a in angles]


def picture(side: int, width: int, *, column_first: bool) -> Tensor:
    rows = []
    for r in range(side):
        for c in range(side):
            first, second = (c, r) if column_first else (r, c)
            rows.append(one(first, width // 2) + one(second, width // 2))
    return torch.tensor(rows, dtype=torch.float64)[None]


def clip(grid: Grid, width: int, *, uniform: bool) -> Tensor:
    share = 2 * math.ceil(width / 6)
    shares = (share, share, share) if uniform else (width // 2, width // 4, width // 4)
    rows = [
        (one(t, shares[0]) + one(r, shares[1]) + one(c, shares[2]))[:width]
        for t in range(grid[0])
        for r in range(grid[1])
        for c in range(grid[2])
    ]
    return torch.tensor(rows, dtype=torch.float64)[None]


def stretched(table: Tensor, native: Grid, wanted: Grid) -> Tensor:
    """Trilinear, corners not aligned, axis by axis. table (1, N, D)"""
    x = table.reshape(*native, -1)
    for axis, (old, new) in enumerate(zip(native, wanted, strict=True)):
        if old == new:
            continue
        pieces = []
        for i in range(new):
            place = max((i + 0.5) * old / new - 0.5, 0.0)
            low = min(int(place), old - 1)
            high, share = min(low + 1, old - 1), place - low
            pieces.append(x.select(axis, low) * (1 - share) + x.select(axis, high) * share)
        x = torch.stack(pieces, dim=axis)
    return x.reshape(1, -1, table.shape[-1])


def bicubic(table: Tensor, side: int, wanted: tuple[int, int]) -> Tensor:
    plane = table.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    plane = F.interpolate(plane, size=wanted, mode="bicubic", align_corners=False)
    return plane.flatten(2).transpose(1, 2)
