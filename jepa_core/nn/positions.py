"""Where a token is, told to the network: sin-cos tables (2-D, 3-D) and the rotary embedding of V-JEPA 2.

Pure functions of integer grid positions; nothing here has weights. Owned by whoever calls; never keeps a tensor on a
device of its own choosing.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

Grid = tuple[int, int, int]
"""Tokens along time, rows and columns."""

BASE = 10000.0  # of every frequency below, spec section 4.1


# --- sin-cos tables ----------------------------------------------------------------------------------------------


def sincos_1d(positions: Tensor, width: int) -> Tensor:
    """Sines first, then cosines, of integer positions.

    positions   (n,) float64
    returns     (n, width) float64; width is even
    """
    half = width // 2
    frequencies = BASE ** (-torch.arange(half, dtype=torch.float64) / half)  # (half,)
    angles = positions[:, None] * frequencies  # (n, half)
    return torch.cat((angles.sin(), angles.cos()), dim=1)


def sincos_2d(rows: int, columns: int, width: int, *, column_first: bool = False) -> Tensor:
    """Table of a picture, raster order: half of the channels tell the row, half the column.

    V-JEPA and V-JEPA 2 put the row first, I-JEPA the column (spec section 4.2).
    returns (1, rows·columns, width) float32
    """
    row = torch.arange(rows, dtype=torch.float64).repeat_interleave(columns)
    column = torch.arange(columns, dtype=torch.float64).repeat(rows)
    first, second = (column, row) if column_first else (row, column)
    table = torch.cat((sincos_1d(first, width // 2), sincos_1d(second, width // 2)), dim=1)
    return table.float()[None]


def sincos_3d(grid: Grid, width: int, *, uniform_power: bool) -> Tensor:
    """Table of a clip, time slowest: channels are [time | row | column].

    uniform_power gives each axis 2·ceil(width / 6) channels and cuts the columns' share to fit; otherwise time gets
    half of the channels, row and column a quarter each.
    returns (1, T'·H'·W', width) float32
    """
    steps, rows, columns = grid
    if uniform_power:
        widths = (2 * math.ceil(width / 6),) * 3
    else:
        widths = (width // 2, width // 4, width // 4)
    t, r, c = split_indices(torch.arange(steps * rows * columns), rows, columns)
    parts = [sincos_1d(axis.double(), share) for axis, share in zip((t, r, c), widths, strict=True)]
    return torch.cat(parts, dim=1)[:, :width].float()[None]


def resample_3d(table: Tensor, stored: Grid, wanted: Grid) -> Tensor:
    """A stored clip table at another length or size, by trilinear interpolation.

    The official code passes scale factors and then fails where floating point makes the result one too short; explicit
    sizes give the same values where both work (spec section 4.3).
    table (1, N, D) → (1, N', D)
    """
    volume = table.reshape(1, *stored, -1).permute(0, 4, 1, 2, 3).float()  # (1, D, T', g, g)
    volume = F.interpolate(volume, size=wanted, mode="trilinear", align_corners=False)
    return volume.flatten(2).transpose(1, 2).to(table.dtype)


def resample_2d(table: Tensor, stored: tuple[int, int], wanted: tuple[int, int]) -> Tensor:
    """A stored picture table at another size, bicubic. table (1, N, D) → (1, N', D)"""
    plane = table.reshape(1, *stored, -1).permute(0, 3, 1, 2).float()  # (1, D, g, g)
    plane = F.interpolate(plane, size=wanted, mode="bicubic", align_corners=False)
    return plane.flatten(2).transpose(1, 2).to(table.dtype)


# --- rotary ------------------------------------------------------------------------------------------------------


def split_indices(indices: Tensor, rows: int, columns: int) -> tuple[Tensor, Tensor, Tensor]:
    """Token numbers → (time, row, column), each of the same shape."""
    in_step = indices % (rows * columns)
    return indices // (rows * columns), in_step // columns, in_step % columns


def rotary_axis_width(head_dim: int) -> int:
    """Channels of one head that each of the three axes gets; what is left over is not rotated."""
    return 2 * ((head_dim // 3) // 2)


class RotaryTable:
    """cos and sin of every token of one call, made once and used by every block.

    The partner of a channel is its neighbour; its sign is folded into `sin`. Two layouts exist and nothing in the
    tensors tells them apart. *Tiled* (V-JEPA 2, V-JEPA 2-AC): channel k of an axis uses φ_(k mod m), so the two members
    of a pair turn by different angles; published so and kept for weight compatibility although its authors call it a
    bug (spec 4.4). *Paired* (V-JEPA 2.1): both members of pair j use φ_j, a true rotation.
    """

    __slots__ = ("cos", "sin")

    def __init__(self, cos: Tensor, sin: Tensor) -> None:
        self.cos = cos  # (1 or B, N, 1, 1, head_dim)
        self.sin = sin

    def apply_(self, qk: Tensor) -> Tensor:
        """Rotate queries and keys in place. qk (B, N, 2, heads, head_dim); returns it."""
        partner = _partner(qk)
        return qk.mul_(self.cos).addcmul_(partner, self.sin)


def _partner(x: Tensor) -> Tensor:
    """Swap the two members of every adjacent pair of channels; an odd last channel stays."""
    head_dim = x.shape[-1]
    if head_dim % 2 == 0:
        return x.unflatten(-1, (head_dim // 2, 2)).flip(-1).flatten(-2)
    pairs = x[..., :-1].unflatten(-1, (head_dim // 2, 2)).flip(-1).flatten(-2)
    return torch.cat((pairs, x[..., -1:]), dim=-1)


def rotary_table(
    indices: Tensor, rows: int, columns: int, head_dim: int, dtype: torch.dtype = torch.float32
) -> RotaryTable:
    """The tiled table of tokens `indices` (N,) or (B, N) on a grid of rows × columns.

    Positions are plain integers and not scaled to any reference grid.
    """
    batch = indices if indices.ndim == 2 else indices[None]  # (1 or B, N)
    return rotary_from_positions(split_indices(batch, rows, columns), head_dim, dtype)


def rotary_from_positions(
    positions: tuple[Tensor, Tensor, Tensor], head_dim: int, dtype: torch.dtype, *, paired: bool = False
) -> RotaryTable:
    """The table of tokens at these places.

    positions   time, row and column, each (1 or B, N), whole or broken numbers
    paired      the layout of V-JEPA 2.1; else the tiled one
    Angles are computed in float32 (float64 for a float64 model) and cast last: in bfloat16 they would be coarse.
    """
    axis = rotary_axis_width(head_dim)
    exact = torch.float64 if dtype == torch.float64 else torch.float32
    shape, device = positions[0].shape, positions[0].device
    cos = torch.ones(*shape, head_dim, dtype=exact, device=device)
    sin = torch.zeros_like(cos)
    if axis:
        half = axis // 2
        exponent = torch.arange(half, dtype=exact, device=device) / half
        frequencies = 1.0 / BASE**exponent  # (half,)
        frequencies = frequencies.repeat_interleave(2) if paired else frequencies.repeat(2)  # (axis,)
        sign = torch.ones(axis, dtype=exact, device=device)
        sign[0::2] = -1.0
        for number, position in enumerate(positions):
            angles = position[..., None].to(exact) * frequencies  # (1 or B, N, axis)
            share = slice(number * axis, (number + 1) * axis)
            cos[..., share] = angles.cos()
            sin[..., share] = angles.sin() * sign
    spread = (*shape, 1, 1, head_dim)
    return RotaryTable(cos.to(dtype).view(spread), sin.to(dtype).view(spread))


@lru_cache(maxsize=16)
def full_rotary_table(
    steps: int, rows: int, columns: int, head_dim: int, dtype: torch.dtype, device: str
) -> RotaryTable:
    """The table of every token of a grid. A look asks for the same ones again and again, so the last few are kept."""
    with torch.inference_mode(False):
        return rotary_table(
            torch.arange(steps * rows * columns, device=device), rows, columns, head_dim, dtype
        )


def select_rotary(table: RotaryTable, indices: Tensor) -> RotaryTable:
    """The rows of a full table that belong to tokens `indices` (N,) or (B, N)."""
    batch = indices if indices.ndim == 2 else indices[None]
    return RotaryTable(table.cos[0][batch], table.sin[0][batch])
