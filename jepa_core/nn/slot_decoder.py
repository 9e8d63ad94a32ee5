"""VideoSAUR's decoder: which slot explains which patch, and what it would look like. Only for pictures of slots.

Follows specs/lewm-cjepa.md, section 2.3; module names are the file's parameter names. Knows no family.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from jepa_core.nn.slots import SteepBlock


@dataclass(frozen=True, slots=True)
class DecoderSpec:
    """All that shapes and settings say of one decoder."""

    width: int
    patches: int
    blocks: int
    heads: int
    hidden: int  # of the blocks' MLP
    rendered: tuple[int, ...]  # widths of the renderer's layers
    out: int  # feature channels, then one similarity per patch


class Allocator(nn.Module):
    def __init__(self, spec: DecoderSpec) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            SteepBlock(spec.width, spec.heads, spec.hidden) for _ in range(spec.blocks)
        )


class Renderer(nn.Module):
    """A ReLU after every layer, the last one too."""

    def __init__(self, spec: DecoderSpec) -> None:
        super().__init__()
        widths = (spec.width, *spec.rendered)
        layers: list[nn.Module] = []
        for given, wanted in itertools.pairwise(widths):
            layers += [nn.Linear(given, wanted), nn.ReLU()]
        self.layers = nn.Sequential(*layers)


class SlotMixer(nn.Module):
    """Slots (B, S, D) → reconstruction (B, P, out) and masks (B, S, P) that sum to 1 over the slots."""

    def __init__(self, spec: DecoderSpec) -> None:
        super().__init__()
        self.pos_emb = nn.Parameter(torch.zeros(1, spec.patches, spec.width))
        self.allocator = Allocator(spec)
        self.renderer = Renderer(spec)
        self.to_q = nn.Linear(spec.width, spec.width, bias=False)
        self.to_k = nn.Linear(spec.width, spec.width, bias=False)
        self.norm_k = nn.LayerNorm(spec.width)
        self.norm_q = nn.LayerNorm(spec.width)
        self.norm_memory = nn.LayerNorm(spec.width)
        self.output_transform = nn.Linear(spec.rendered[-1], spec.out)

    def forward(self, slots: Tensor) -> tuple[Tensor, Tensor]:
        places = self.pos_emb.expand(len(slots), -1, -1)  # (B, P, D)
        memory, x = self.norm_memory(slots), places
        for block in self.allocator.blocks:
            x = block(x, memory)
        logits = self.to_q(self.norm_q(x)) @ self.to_k(self.norm_k(slots)).transpose(1, 2)
        masks = (logits * slots.shape[-1] ** -0.5).softmax(-1)  # (B, P, S)
        mixed = masks @ slots + places
        return self.output_transform(self.renderer.layers(mixed)), masks.transpose(1, 2)
