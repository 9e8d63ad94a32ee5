"""The vision transformer that every JEPA encoder is: patches of pictures or tubelets of clips, blocks, a last norm.

A masked token is not computed: the kept patches are gathered before the projection, so nothing of a hidden place
enters the network and nothing is spent on it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jepa_core.nn.attention import NORM_EPS, Block, gather_tokens
from jepa_core.nn.positions import Grid, RotaryTable, full_rotary_table, rotary_table, select_rotary


@dataclass(frozen=True, slots=True)
class VitSpec:
    """All that shapes and settings say of one encoder."""

    width: int
    depth: int
    heads: int
    hidden: int  # MLP width
    patch: int
    tubelet: int  # 0 = a picture model with a 2-D patch embedding
    is_gated: bool = False  # SwiGLU
    has_rope: bool = True
    table_tokens: int = 0  # rows of the stored position table, 0 = none
    eps: float = NORM_EPS  # of every layer norm; a Hugging Face config may state another


class PatchEmbed(nn.Module):
    """The official convolution, kernel equal to stride, applied to gathered patches only.

    Remainder pixels and frames are dropped, as the convolution over the whole clip would drop them.
    """

    def __init__(self, width: int, patch: int, tubelet: int) -> None:
        super().__init__()
        self.patch = patch
        self.tubelet = tubelet
        if tubelet:
            self.proj: nn.Conv3d | nn.Conv2d = nn.Conv3d(
                3, width, (tubelet, patch, patch), (tubelet, patch, patch)
            )
        else:
            self.proj = nn.Conv2d(3, width, patch, patch)

    def patches(self, clip: Tensor) -> tuple[Tensor, Grid]:
        """(B, 3, T, H, W) or, for a picture model, (B, 3, H, W) → (B, N, 3·u·p·p) and the grid."""
        p, u = self.patch, self.tubelet or 1
        if clip.ndim == 4:
            clip = clip[:, :, None]
        B, C, T, H, W = clip.shape
        t, h, w = T // u, H // p, W // p
        clip = clip[:, :, : t * u, : h * p, : w * p].reshape(B, C, t, u, h, p, w, p)
        flat = clip.permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(B, t * h * w, C * u * p * p)
        return flat, (t, h, w)

    def project(self, patches: Tensor) -> Tensor:
        """(B, N, 3·u·p·p) → (B, N, D)"""
        return self._as_convolution(patches) if patches.device.type == "cpu" else self._as_product(patches)

    def _as_convolution(self, patches: Tensor) -> Tensor:
        """One patch each: adds in the order the official code adds.

        As a matrix product on the CPU the float32 rounding alone would cost most of the parity tolerance.
        """
        B, N, _ = patches.shape
        weight = self.proj.weight
        convolve = F.conv3d if weight.ndim == 5 else F.conv2d
        return convolve(patches.reshape(B * N, *weight.shape[1:]), weight, self.proj.bias).view(B, N, -1)

    def _as_product(self, patches: Tensor) -> Tensor:
        """The same sum. On CUDA convolutions round to TF32 by default (torch.backends.cudnn); products do not."""
        return F.linear(patches, self.proj.weight.flatten(1), self.proj.bias)


TableRule = Callable[[Tensor, Grid], Tensor]
"""(stored table (1, N, D), wanted grid) → table (1, N', D): each family's way with other input sizes."""


class VisionTransformer(nn.Module):
    """Encoder of all families. `fit_table` is the family's rule for tables; RoPE models never call it."""

    def __init__(self, spec: VitSpec, fit_table: TableRule | None = None) -> None:
        super().__init__()
        self.spec = spec
        self.fit_table = fit_table
        self.patch_embed = PatchEmbed(spec.width, spec.patch, spec.tubelet)
        self.blocks = nn.ModuleList(
            Block(spec.width, spec.heads, spec.hidden, gated=spec.is_gated, eps=spec.eps)
            for _ in range(spec.depth)
        )
        self.norm = nn.LayerNorm(spec.width, eps=spec.eps)
        if spec.table_tokens:
            table = torch.zeros(1, spec.table_tokens, spec.width)
            self.pos_embed = nn.Parameter(table, requires_grad=False)

    def forward(
        self, clip: Tensor, keep: Tensor | None = None, *, split: tuple[int, int] | None = None
    ) -> Tensor:
        """Latents of all tokens, or of the tokens `keep` (K,) or (B, K) only, in that order.

        clip    (B, 3, T, H, W) normalised, or (B, 3, H, W) for a picture model
        split   rows, columns by which token numbers become positions; None = the clip's own (only Hugging Face
                insists on the configured square)
        returns (B, N or K, D)
        """
        patches, grid = self.patch_embed.patches(clip)
        return self.encode_patches(patches, grid, keep, split=split)

    def encode_patches(
        self,
        patches: Tensor,
        grid: Grid,
        keep: Tensor | None = None,
        *,
        split: tuple[int, int] | None = None,
        tables: TableRule | None = None,
    ) -> Tensor:
        """As forward, from patches already cut: context and target encoder share one cutting.

        tables  another rule for the position table than the encoder's own
        """
        if keep is not None:
            patches = gather_tokens(patches, keep)
        x = self.patch_embed.project(patches)
        fit_table = tables or self.fit_table
        if self.spec.table_tokens and fit_table is not None:
            table = fit_table(self.pos_embed, grid).to(x.dtype)
            x = x + (table if keep is None else gather_tokens(table.expand(len(x), -1, -1), keep))
        rotary = self._rotary(grid, keep, x, split) if self.spec.has_rope else None
        for block in self.blocks:
            x = block(x, rotary)
        return self.norm(x)

    def _rotary(
        self, grid: Grid, keep: Tensor | None, x: Tensor, split: tuple[int, int] | None
    ) -> RotaryTable:
        steps, rows, columns = grid
        head_dim = self.spec.width // self.spec.heads
        if split is not None and split != (rows, columns):
            every = torch.arange(steps * rows * columns, device=x.device)
            return rotary_table(every if keep is None else keep, *split, head_dim, x.dtype)
        table = full_rotary_table(steps, rows, columns, head_dim, x.dtype, str(x.device))
        return table if keep is None else select_rotary(table, keep)
