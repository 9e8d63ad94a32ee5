"""Slot attention: patches of a frame compete to be explained by a few object vectors, frame after frame.

Corrector, temporal predictor and start of VideoSAUR, whose slots C-JEPA predicts. Follows specs/lewm-cjepa.md, section
2.3; module names are the file's parameter names. Knows no family.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WEIGHT_EPS = (
    1e-8  # added to the attention before it is normalised over patches; the masks shown are without it
)


@dataclass(frozen=True, slots=True)
class SlotSpec:
    """All that shapes and settings say of one slot encoder behind its backbone."""

    features: int  # width of the backbone
    feature_hidden: int
    width: int
    blocks: int  # of the temporal predictor
    heads: int
    hidden: int  # of its MLP


class FeatureMlp(nn.Module):
    """Backbone tokens → features in slot width: norm, Linear, ReLU, Linear."""

    def __init__(self, spec: SlotSpec) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(spec.features),
            nn.Linear(spec.features, spec.feature_hidden),
            nn.ReLU(),
            nn.Linear(spec.feature_hidden, spec.width),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        return self.layers(tokens)


class SlotStart(nn.Module):
    """Where slots begin: a learned mean and spread, and noise that decides which slot becomes which object."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(1, 1, width))
        self.log_std = nn.Parameter(torch.zeros(1, 1, width))

    def forward(self, noise: Tensor) -> Tensor:
        """Standard normal noise (B, S, D) → slots (B, S, D)"""
        return self.mean + noise.to(self.mean) * self.log_std.exp()


class SlotProcessor(nn.Module):
    """Corrects the slots on each frame and predicts where the next frame's begin."""

    def __init__(self, spec: SlotSpec) -> None:
        super().__init__()
        self.corrector = SlotCorrector(spec.width)
        self.predictor = SlotDynamics(spec)


class SlotCorrector(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.to_k = nn.Linear(width, width, bias=False)
        self.to_v = nn.Linear(width, width, bias=False)
        self.to_q = nn.Linear(width, width, bias=False)
        self.gru = nn.GRUCell(width, width)
        self.norm_features = nn.LayerNorm(width)
        self.norm_slots = nn.LayerNorm(width)

    def forward(self, slots: Tensor, features: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
        """slots (B, S, D), features (B, P, D) → corrected slots and the last iteration's attention (B, S, P).

        The attention sums to 1 over the slots at every patch. The cell's hidden state is the normed slots.
        """
        features = self.norm_features(features)
        keys, values = self.to_k(features), self.to_v(features)
        attention = features.new_zeros(*slots.shape[:2], features.shape[1])
        for _ in range(iterations):
            slots = self.norm_slots(slots)
            queries = self.to_q(slots)
            logits = queries @ keys.transpose(1, 2) * slots.shape[-1] ** -0.5  # (B, S, P)
            attention = logits.softmax(dim=1)
            weights = attention + WEIGHT_EPS
            update = (weights / weights.sum(-1, keepdim=True)) @ values  # (B, S, D)
            slots = self.gru(update.flatten(0, 1), slots.flatten(0, 1)).view_as(slots)
        return slots, attention


class SlotDynamics(nn.Module):
    def __init__(self, spec: SlotSpec) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            SteepBlock(spec.width, spec.heads, spec.hidden) for _ in range(spec.blocks)
        )

    def forward(self, slots: Tensor) -> Tensor:
        for block in self.blocks:
            slots = block(slots)
        return slots


class SteepAttention(nn.Module):
    """Attention that multiplies its queries by the root of the head width where others divide.

    The published code does so; its logits are head-width times larger than usual, and weights were trained with it.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.head_dim = width // heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        """x (B, N, D) sees itself, or `memory` (B, M, D), through the same fused matrix → (B, N, D)"""
        width = x.shape[-1]
        if memory is None:
            q, k, v = self.qkv(x).chunk(3, dim=-1)
        else:
            weight, bias = self.qkv.weight, self.qkv.bias
            q = F.linear(x, weight[:width], bias[:width])
            k, v = F.linear(memory, weight[width:], bias[width:]).chunk(2, dim=-1)
        q, k, v = (t.unflatten(-1, (self.heads, self.head_dim)).transpose(1, 2) for t in (q, k, v))
        weights = (q * self.head_dim**0.5 @ k.transpose(-1, -2)).softmax(-1)  # (B, heads, N, M)
        return self.out_proj((weights @ v).transpose(1, 2).flatten(2))


class SteepBlock(nn.Module):
    """x + attention(norm1 x), then x + linear2(relu(linear1(norm2 x)))."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.self_attn = SteepAttention(width, heads)
        self.linear1 = nn.Linear(width, hidden)
        self.linear2 = nn.Linear(hidden, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        """`memory` is normed by whoever gives it; this block's norm touches only x."""
        x = x + self.self_attn(self.norm1(x), memory)
        return x + self.linear2(F.relu(self.linear1(self.norm2(x))))
