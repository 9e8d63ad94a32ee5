"""A picture transformer with a CLS token and a learned position table: the ViT of LeWorldModel, the DINOv2 of C-JEPA.

Pre-norm blocks, separate query, key and value layers, exact GELU, a last norm. Other sizes than the table's get it
resized as both originals do: bicubic, corners not aligned, no antialias, the CLS position kept
(specs/lewm-cjepa.md, sections 1.2 and 2.3). Knows no family.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jepa_core.nn.attention import Mlp


@dataclass(frozen=True, slots=True)
class ClsVitSpec:
    """All that shapes and settings say of one such encoder."""

    width: int
    depth: int
    heads: int
    hidden: int  # MLP width
    patch: int
    table_rows: int  # CLS and the patches of the built size
    eps: float  # of every layer norm: 1e-12 in ViT, 1e-6 in DINOv2
    has_layer_scale: bool = False  # DINOv2: each residual branch times a learned vector


class ClsVit(nn.Module):
    """(B, 3, H, W) normalised → (B, 1 + N, D), CLS first, after the last norm."""

    def __init__(self, spec: ClsVitSpec) -> None:
        super().__init__()
        self.spec = spec
        self.cls_token = nn.Parameter(torch.zeros(1, 1, spec.width))
        self.position_embeddings = nn.Parameter(torch.zeros(1, spec.table_rows, spec.width))
        self.patches = nn.Conv2d(3, spec.width, spec.patch, spec.patch)
        self.blocks = nn.ModuleList(ClsBlock(spec) for _ in range(spec.depth))
        self.norm = nn.LayerNorm(spec.width, eps=spec.eps)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.with_keys(pictures)[0]

    def with_keys(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens, and the keys of the last block's attention, (B, 1 + N, D) each, CLS first."""
        x = self._embedded(pictures)
        for block in self.blocks[:-1]:
            x = block(x)
        last = self._last
        return self.norm(last(x)), last.attn.key(last.norm1(x))

    def attention_of_cls(self, pictures: Tensor) -> Tensor:
        """How the CLS token of the last block weighs the patches, mean over heads: (B, N). A diagnostic only.

        Computed explicitly, because the fused kernel returns no weights.
        """
        x = self._embedded(pictures)
        for block in self.blocks[:-1]:
            x = block(x)
        last = self._last
        query, key, _ = last.attn.split(last.norm1(x))
        weights = (query[:, :, :1] @ key.transpose(-1, -2) * last.attn.head_dim**-0.5).softmax(-1)
        return weights[:, :, 0, 1:].mean(1)

    @property
    def _last(self) -> ClsBlock:
        block = self.blocks[-1]
        assert isinstance(block, ClsBlock)
        return block

    def _embedded(self, pictures: Tensor) -> Tensor:
        """Patches with CLS in front, at their places: (B, 1 + N, D). Nothing is masked, so the picture goes in whole."""
        rows, columns = (side // self.spec.patch for side in pictures.shape[-2:])
        tokens = self._projected(pictures.to(self.cls_token.dtype))  # (B, N, D)
        x = torch.cat((self.cls_token.expand(len(tokens), -1, -1), tokens), dim=1)
        return x + self.table(rows, columns)

    def _projected(self, pictures: Tensor) -> Tensor:
        """On CUDA convolutions round to TF32 by default; products do not. On the CPU the convolution is the reference."""
        if pictures.device.type == "cpu":
            return self.patches(pictures).flatten(2).transpose(1, 2)
        cut = F.unfold(pictures, self.spec.patch, stride=self.spec.patch).transpose(1, 2)  # (B, N, 3·p·p)
        return F.linear(cut, self.patches.weight.flatten(1), self.patches.bias)

    def table(self, rows: int, columns: int) -> Tensor:
        """(1, 1 + rows·columns, D)"""
        table = self.position_embeddings
        side = round((self.spec.table_rows - 1) ** 0.5)
        if (rows, columns) == (side, side):
            return table
        grid = table[:, 1:].unflatten(1, (side, side)).permute(0, 3, 1, 2)  # (1, D, side, side)
        fitted = F.interpolate(grid.float(), size=(rows, columns), mode="bicubic", align_corners=False)
        patches = fitted.to(table.dtype).flatten(2).transpose(1, 2)  # (1, rows·columns, D)
        return torch.cat((table[:, :1], patches), dim=1)


class SplitAttention(nn.Module):
    """Full softmax attention with a layer each for queries, keys, values and the output."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} does not divide into {heads} heads")
        self.heads = heads
        self.head_dim = width // heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, N, D) → queries, keys, values, (B, heads, N, head_dim) each"""
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, self.head_dim)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        return q, k, v

    def forward(self, x: Tensor) -> Tensor:
        mixed = F.scaled_dot_product_attention(*self.split(x))
        return self.out(mixed.transpose(1, 2).flatten(2))


class LayerScale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.lambda1 = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.lambda1


class ClsBlock(nn.Module):
    """x + scale1(attention(norm1 x)), then x + scale2(mlp(norm2 x))."""

    def __init__(self, spec: ClsVitSpec) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(spec.width, eps=spec.eps)
        self.attn = SplitAttention(spec.width, spec.heads)
        self.norm2 = nn.LayerNorm(spec.width, eps=spec.eps)
        self.mlp = Mlp(spec.width, spec.hidden)
        self.scale1 = LayerScale(spec.width) if spec.has_layer_scale else nn.Identity()
        self.scale2 = LayerScale(spec.width) if spec.has_layer_scale else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.scale1(self.attn(self.norm1(x)))
        return x + self.scale2(self.mlp(self.norm2(x)))
