"""Two predictors of patch latents under actions: JEPA-WM's, modulated by actions, and DINO-WM's, with actions appended.

Both see a few frames of patches, each frame whole and those before it, and say the frame that follows each. Follow
specs/lewm-cjepa.md, section 3. Module names are the files' parameter names. Know no family.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from jepa_core.nn.ac_predictor import causal_mask
from jepa_core.nn.adaln import FeedForward, NormedAttention
from jepa_core.nn.attention import NORM_EPS, Block
from jepa_core.nn.positions import RotaryTable, rotary_table


@dataclass(frozen=True, slots=True)
class PatchPredictorSpec:
    """All that shapes and settings say of one such predictor."""

    visual: int  # width of a patch latent
    proprio: int  # channels appended to every patch, 0 = none
    action: int  # numbers given; of an appending predictor, channels appended
    side: int  # patches of a frame, each way
    depth: int
    heads: int
    hidden: int  # MLP width
    embed: int = 0  # width the patch latents are projected to first, of a modulated predictor
    head_dim: int = 0  # of an appending predictor, whose heads x head_dim need not be its width
    frames: int = 0  # of the position table of an appending predictor


class ModulatedPredictor(nn.Module):
    """JEPA-WM: proprio channels beside the projected patches; an action shifts, scales and gates its frame's blocks."""

    def __init__(self, spec: PatchPredictorSpec) -> None:
        super().__init__()
        self.spec = spec
        width = spec.embed + spec.proprio
        self.predictor_embed = nn.Linear(spec.visual, spec.embed)
        self.action_encoder = nn.Linear(spec.action, width)
        self.predictor_blocks = nn.ModuleList(
            ModulatedBlock(width, spec.heads, spec.hidden) for _ in range(spec.depth)
        )
        self.predictor_norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.predictor_proj = nn.Linear(spec.embed, spec.visual)

    def forward(
        self, visual: Tensor, proprio: Tensor | None, actions: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """visual (B, T, n, E), proprio (B, T, n, P), actions (B, T, A) → what follows each frame, the same two shapes.

        Only the visual channels pass the last projection; proprio is returned as the blocks leave it.
        """
        T, n = visual.shape[1:3]
        x = self.predictor_embed(visual)
        if proprio is not None:
            x = torch.cat((x, proprio), dim=-1)
        x = x.flatten(1, 2)  # (B, T·n, d)
        condition = self.action_encoder(actions).repeat_interleave(n, dim=1)  # (B, T·n, d)
        head_dim = x.shape[-1] // self.spec.heads
        places = torch.arange(T * n, device=x.device)
        rotary = rotary_table(places, self.spec.side, n // self.spec.side, head_dim, x.dtype)
        mask = causal_mask(T, n, x.device)
        for block in self.predictor_blocks:
            x = block(x, condition, rotary, mask)
        x = self.predictor_norm(x).unflatten(1, (T, n))
        following = self.predictor_proj(x[..., : self.spec.embed])
        return following, (x[..., self.spec.embed :] if proprio is not None else None)


class ModulatedBlock(nn.Module):
    """The shared block, each half shifted and scaled after its norm and gated before it is added."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        plain = Block(width, heads, hidden)
        self.norm1, self.attn, self.norm2, self.mlp = plain.norm1, plain.attn, plain.norm2, plain.mlp
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, x: Tensor, condition: Tensor, rotary: RotaryTable, mask: Tensor) -> Tensor:
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.adaLN_modulation(condition).chunk(6, dim=-1)
        x = x + gate_a * self.attn(self.norm1(x) * (1 + scale_a) + shift_a, rotary, mask)
        return x + gate_m * self.mlp(self.norm2(x) * (1 + scale_m) + shift_m)


class AppendingPredictor(nn.Module):
    """DINO-WM: proprio and action channels appended to every patch of their frame, a learned place for every token."""

    def __init__(self, spec: PatchPredictorSpec) -> None:
        super().__init__()
        self.spec = spec
        width = spec.visual + spec.proprio + spec.action
        self.pos_embedding = nn.Parameter(torch.zeros(1, spec.frames * spec.side**2, width))
        self.transformer = AppendingTransformer(width, spec)

    def forward(
        self, visual: Tensor, proprio: Tensor | None, actions: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """visual (B, T, n, E), proprio (B, T, n, P), actions (B, T, n, a) → what follows each frame: visual, proprio.

        Channels are visual, proprio, action, in this order; the action's are dropped again. Places count from the
        start of the window.
        """
        T, n = visual.shape[1:3]
        parts = [visual, *([proprio] if proprio is not None else []), actions]
        x = torch.cat(parts, dim=-1).flatten(1, 2)  # (B, T·n, d)
        x = self.transformer(x + self.pos_embedding[:, : T * n], causal_mask(T, n, x.device))
        x = x.unflatten(1, (T, n))
        first, second = self.spec.visual, self.spec.visual + self.spec.proprio
        return x[..., :first], (x[..., first:second] if proprio is not None else None)


class AppendingTransformer(nn.Module):
    def __init__(self, width: int, spec: PatchPredictorSpec) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList(AppendingLayer(width, spec) for _ in range(spec.depth))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, mask)
        return self.norm(x)


class AppendingLayer(nn.ModuleList):
    """x + attention(x), then x + mlp(x), each with its own norm inside. Two unnamed halves, as the file has them."""

    def __init__(self, width: int, spec: PatchPredictorSpec) -> None:
        super().__init__([NormedAttention(width, spec.heads, spec.head_dim), FeedForward(width, spec.hidden)])

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = x + self[0](x, mask)
        return x + self[1](x)
