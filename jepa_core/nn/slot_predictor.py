"""C-JEPA's predictor: fills in hidden slots of the past and all slots of the future, every token seeing every other.

A hidden slot is told when it is asked for and which object it is: the slot of the first frame given is its anchor.
Follows specs/lewm-cjepa.md, section 2.2; module names are the file's parameter names. Knows no family.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class SlotPredictorSpec:
    """All that shapes and settings say of one such predictor."""

    width: int
    history: int  # frames given
    future: int  # frames predicted per call
    depth: int
    heads: int  # head width is width / heads, whatever a config calls dim_head
    hidden: int  # MLP width


class SlotPredictor(nn.Module):
    def __init__(self, spec: SlotPredictorSpec) -> None:
        super().__init__()
        self.spec = spec
        self.mask_token = nn.Parameter(torch.zeros(1, 1, spec.width))
        self.time_pos_embed = nn.Parameter(torch.zeros(1, spec.history + spec.future, 1, spec.width))
        self.id_projector = nn.Linear(spec.width, spec.width)
        self.transformer = FullTransformer(spec)
        self.to_out = nn.Linear(spec.width, spec.width)

    def queries(self, anchor: Tensor, table: Tensor) -> Tensor:
        """Hidden tokens of every time step of `table` (1, T, 1, D): anchor (B, S, D) → (B, T, S, D)"""
        return self.mask_token[:, None] + table + self.id_projector(anchor)[:, None]

    def masked_tokens(self, slots: Tensor, masked: Tensor) -> Tensor:
        """Tokens of the training mode: history (B, h, S, D), hidden slots (m,) → (B, h + p, S, D).

        The first frame is given for all slots, for it is the anchor; later ones only for slots that are not hidden.
        """
        if slots.shape[1] != self.spec.history:
            raise ValueError(f"the masked mode takes {self.spec.history} frames, not {slots.shape[1]}")
        tokens = self.queries(slots[:, 0], self.time_pos_embed).clone()
        given = slots + self.time_pos_embed[:, : self.spec.history]  # (B, h, S, D)
        is_seen = torch.ones(slots.shape[2], dtype=torch.bool, device=slots.device)
        is_seen[masked] = False
        tokens[:, 0] = given[:, 0]
        tokens[:, 1 : self.spec.history, is_seen] = given[:, 1:, is_seen]
        return tokens

    def fill(self, tokens: Tensor) -> Tensor:
        """Tokens (B, T, S, D) → predictions at every place (B, T, S, D)"""
        return self.to_out(self.transformer(tokens.flatten(1, 2))).view_as(tokens)

    def forward(self, slots: Tensor) -> Tensor:
        """Inference: history (B, Th, S, D), 1 ≤ Th ≤ h → the p future frames (B, p, S, D).

        A short history takes the last Th + p rows of the time table. The anchor is the first frame given.
        """
        return self.fill(self.inference_tokens(slots))[:, slots.shape[1] :]

    def inference_tokens(self, slots: Tensor) -> Tensor:
        """What the transformer is given in that mode: (B, Th + p, S, D)."""
        given, future = slots.shape[1], self.spec.future
        if not 1 <= given <= self.spec.history:
            raise ValueError(f"{given} frames given; the time table has room for 1 to {self.spec.history}")
        table = self.time_pos_embed[:, -(given + future) :]
        asked = self.queries(slots[:, 0], table[:, given:])
        return torch.cat((slots + table[:, :given], asked), dim=1)

    def last_attention(self, tokens: Tensor) -> Tensor:
        """Which tokens each token looks at in the last layer, mean over heads: (B, T·S, T·S), rows sum to 1."""
        x = tokens.flatten(1, 2)
        *first, last = self.transformer.layers
        for layer in first:
            x = layer(x)
        assert isinstance(last, FullLayer)
        return last.attention.weights(x)


class FullTransformer(nn.Module):
    def __init__(self, spec: SlotPredictorSpec) -> None:
        super().__init__()
        self.layers = nn.ModuleList(FullLayer(spec) for _ in range(spec.depth))
        self.norm = nn.LayerNorm(spec.width)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)


class FullLayer(nn.ModuleList):
    """x + attention(x), without a norm before it; then x + mlp(norm x). Two unnamed halves, as the file has them."""

    def __init__(self, spec: SlotPredictorSpec) -> None:
        feed = nn.Sequential(
            nn.LayerNorm(spec.width),
            nn.Linear(spec.width, spec.hidden),
            nn.GELU(),
            nn.Identity(),  # dropout, which only training has
            nn.Linear(spec.hidden, spec.width),
        )
        super().__init__([FusedAttention(spec.width, spec.heads), feed])

    @property
    def attention(self) -> FusedAttention:
        half = self[0]
        assert isinstance(half, FusedAttention)
        return half

    def forward(self, x: Tensor) -> Tensor:
        x = x + self[0](x)
        return x + self[1](x)


class FusedAttention(nn.Module):
    """torch's MultiheadAttention by its parameter names, without its other ways."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.head_dim = heads, width // heads
        self.in_proj_weight = nn.Parameter(torch.zeros(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        mixed = F.scaled_dot_product_attention(*self._split(x))
        return self.out_proj(mixed.transpose(1, 2).flatten(2))

    def weights(self, x: Tensor) -> Tensor:
        """(B, N, D) → (B, N, N), mean over heads"""
        q, k, _ = self._split(x)
        return (q @ k.transpose(-1, -2) * self.head_dim**-0.5).softmax(-1).mean(1)

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        fused = F.linear(x, self.in_proj_weight, self.in_proj_bias)
        q, k, v = (
            third.unflatten(-1, (self.heads, self.head_dim)).transpose(1, 2) for third in fused.chunk(3, -1)
        )
        return q, k, v  # each (B, heads, N, head_dim)
