"""The block every family shares: attention with one fused projection, GELU or gated MLP, pre-norm residuals.

Module names are the official parameter names, so a checkpoint fits without translation. Nothing here knows a family.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jepa_core.nn.positions import RotaryTable

NORM_EPS = 1e-6  # inside encoder and predictor; the targets' own layer norm uses another (spec section 1)


class Attention(nn.Module):
    """Full softmax attention. Rows of `qkv` are ordered q, k, v; inside each third the heads lie one after another."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} does not divide into {heads} heads")
        self.heads = heads
        self.head_dim = width // heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, rotary: RotaryTable | None, mask: Tensor | None = None) -> Tensor:
        """x (B, N, D) → (B, N, D); `rotary` turns queries and keys, never values; mask (N, N), True = may attend."""
        B, N, D = x.shape
        qkv = self.qkv(x).view(B, N, 3, self.heads, self.head_dim)
        if rotary is not None:
            rotary.apply_(qkv[:, :, :2])
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each (B, heads, N, head_dim), a view
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.proj(mixed.transpose(1, 2).reshape(B, N, D))


class Mlp(nn.Module):
    """fc1 → exact GELU → fc2."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class SwiGlu(nn.Module):
    """fc3(silu(fc1 x) · fc2 x). Here `fc2` is the gate's partner, not the output layer."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(width, hidden)
        self.fc3 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc3(F.silu(self.fc1(x)).mul_(self.fc2(x)))


class Block(nn.Module):
    """x + attention(norm1 x), then x + mlp(norm2 x)."""

    def __init__(
        self, width: int, heads: int, hidden: int, *, gated: bool = False, eps: float = NORM_EPS
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=eps)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=eps)
        self.mlp: Mlp | SwiGlu = SwiGlu(width, hidden) if gated else Mlp(width, hidden)

    def forward(self, x: Tensor, rotary: RotaryTable | None = None, mask: Tensor | None = None) -> Tensor:
        x = x + self.attn(self.norm1(x), rotary, mask)
        return x + self.mlp(self.norm2(x))


def gather_tokens(x: Tensor, indices: Tensor) -> Tensor:
    """Keep the tokens a mask names. x (B, N, D); indices (K,) shared by the batch or (B, K) → (B, K, D)"""
    if indices.ndim == 1:
        return x.index_select(1, indices)
    return torch.gather(x, 1, indices[..., None].expand(-1, -1, x.shape[-1]))
