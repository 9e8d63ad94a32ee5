"""One number vector becomes one token: C-JEPA's nodes for what was done and what was felt (specs/lewm-cjepa.md, 2.4)."""

from __future__ import annotations

from torch import Tensor, nn


class PointwiseEncoder(nn.Module):
    """Conv1d with kernel 1: one number vector → one token."""

    def __init__(self, given: int, width: int) -> None:
        super().__init__()
        self.patch_embed = nn.Conv1d(given, width, kernel_size=1)

    def forward(self, values: Tensor) -> Tensor:
        """(B, T, n) → (B, T, D)"""
        weight = self.patch_embed.weight
        return self.patch_embed(values.to(weight).transpose(1, 2)).transpose(1, 2)
