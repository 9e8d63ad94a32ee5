"""Encoder and predictor with four levels: what V-JEPA 2.1 changed in the shared transformer.

The encoder's features are taken after four of its blocks, each through a norm of its own (there is no last norm); clips
and pictures have a tokenizer and a learned mark each; rotary positions are true rotations and scaled to one reference
grid. The predictor guesses all levels at once. Section numbers mean `specs/vjepa2-ac-vjepa2.1.md`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from jepa_core.nn.attention import NORM_EPS, Block, gather_tokens
from jepa_core.nn.positions import Grid, RotaryTable, rotary_from_positions, split_indices
from jepa_core.nn.vit import PatchEmbed

LEVELS = {  # depth → blocks, counted from 0, after which a level is taken (B2); no other depth can be built
    12: (2, 5, 8, 11),
    24: (5, 11, 17, 23),
    40: (9, 19, 29, 39),
    48: (11, 23, 37, 47),
}
N_LEVELS = 4
REFERENCE_SPAN = 15.0  # 256 px / 16 - 1: the last row and the last column stand here at every resolution (B2)


@dataclass(frozen=True, slots=True)
class LeveledVitSpec:
    """All that shapes and settings say of one encoder."""

    width: int
    depth: int
    heads: int
    hidden: int
    patch: int
    tubelet: int = 2
    is_gated: bool = False
    has_modality: bool = True  # learned marks of clips and of pictures
    has_pictures: bool = True  # a tokenizer of its own for single frames
    scales_positions: bool = True


@dataclass(frozen=True, slots=True)
class LeveledPredictorSpec:
    """All that shapes and settings say of one predictor."""

    encoder_width: int
    width: int
    depth: int
    heads: int
    hidden: int
    mask_tokens: int
    levels: int = N_LEVELS  # of its input and output: 4, or 1 for a model distilled from another
    output_width: int = 0  # of one level; 0 = the encoder's own
    is_gated: bool = False
    has_modality: bool = True
    has_context_head: bool = True
    scales_positions: bool = True


class LeveledTransformer(nn.Module):
    """Clip or picture → four levels of latents."""

    def __init__(self, spec: LeveledVitSpec) -> None:
        super().__init__()
        self.spec = spec
        self.patch_embed = PatchEmbed(spec.width, spec.patch, spec.tubelet)
        if spec.has_pictures:
            self.patch_embed_img = PatchEmbed(spec.width, spec.patch, 1)
        if spec.has_modality:
            self.img_mod_embed = nn.Parameter(torch.zeros(1, 1, spec.width))
            self.video_mod_embed = nn.Parameter(torch.zeros(1, 1, spec.width))
        self.blocks = nn.ModuleList(
            Block(spec.width, spec.heads, spec.hidden, gated=spec.is_gated) for _ in range(spec.depth)
        )
        self.norms_block = nn.ModuleList(nn.LayerNorm(spec.width, eps=NORM_EPS) for _ in range(N_LEVELS))
        self.taken = LEVELS[spec.depth]

    def forward(self, clip: Tensor, keep: Tensor | None = None) -> Tensor:
        """All four levels, low first, each through its own norm.

        clip     (B, 3, T, H, W) normalised; T = 1 is a picture where there is a tokenizer for them
        keep     (K,) or (B, K): only these tokens enter the first block; the output has their order
        returns  (4, B, N or K, D); the last level is the normal output
        """
        is_picture = clip.shape[2] == 1 and self.spec.has_pictures
        embed = self.patch_embed_img if is_picture else self.patch_embed
        patches, grid = embed.patches(clip)
        if keep is not None:
            patches = gather_tokens(patches, keep)
        x = embed.project(patches)
        if self.spec.has_modality:
            x = x + (self.img_mod_embed if is_picture else self.video_mod_embed)
        numbers = torch.arange(grid[0] * grid[1] * grid[2], device=x.device) if keep is None else keep
        head_dim = self.spec.width // self.spec.heads
        rotary = leveled_rotary(numbers, grid, head_dim, x.dtype, scaled=self.spec.scales_positions)
        levels: list[Tensor] = []
        for number, block in enumerate(self.blocks):
            x = block(x, rotary)
            if number in self.taken:
                levels.append(self.norms_block[len(levels)](x))
        return torch.stack(levels)  # (4, B, N, D)


class LeveledPredictor(nn.Module):
    """Context latents and places → predicted latents of the target places, and of the context places again."""

    def __init__(self, spec: LeveledPredictorSpec) -> None:
        super().__init__()
        self.spec = spec
        D, P = spec.encoder_width, spec.width
        if spec.levels == 1:
            self.predictor_embed: nn.Module = nn.Linear(D, P)
        else:  # the activation between is the blocks' own (B1)
            activation = nn.SiLU() if spec.is_gated else nn.GELU()
            self.predictor_embed = nn.Sequential(nn.Linear(spec.levels * D, D), activation, nn.Linear(D, P))
        if spec.has_modality:
            self.video_mod_embed = nn.Parameter(torch.zeros(1, 1, P))
            self.img_mod_embed = nn.Parameter(torch.zeros(1, 1, P))
        self.mask_tokens = nn.ParameterList(
            nn.Parameter(torch.zeros(1, 1, P)) for _ in range(spec.mask_tokens)
        )
        self.predictor_blocks = nn.ModuleList(
            Block(P, spec.heads, spec.hidden, gated=spec.is_gated) for _ in range(spec.depth)
        )
        self.predictor_norm = nn.LayerNorm(P, eps=NORM_EPS)
        out = spec.levels * (spec.output_width or D)
        self.predictor_proj = nn.Linear(P, out)
        if spec.has_context_head:
            self.predictor_proj_context = nn.Linear(P, out)

    def forward(
        self,
        context: Tensor,
        context_indices: Tensor,
        target_indices: Tensor,
        *,
        grid: Grid,
        mask_token: int = 0,
        is_picture: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Predict the latents at `target_indices`, and what the context head says of the context.

        context      (B, Kc, levels·D) encoder output of the context tokens only, levels concatenated, low first
        *_indices    (K,) shared by the batch or (B, K); disjoint
        grid         (T', H', W') by which numbers become positions; the official code takes its configured square
        mask_token   which placeholder; wraps round
        returns      (B, Kt, levels·out) in the order of `target_indices`, and (B, Kc, levels·out) or None without that
                     head; not normed

        The official code sorts the tokens by place first and unsorts them last; without attention masks that changes
        nothing but rounding, so it is left out.
        """
        B, n_context, _ = context.shape
        placeholder = self.mask_tokens[mask_token % len(self.mask_tokens)]
        asked = placeholder.expand(B, target_indices.shape[-1], -1)
        x = torch.cat((self.predictor_embed(context), asked), dim=1)  # (B, Kc + Kt, P)
        if self.spec.has_modality:
            x = x + (self.img_mod_embed if is_picture else self.video_mod_embed)
        numbers = torch.cat(
            [i if i.ndim == 2 else i[None].expand(B, -1) for i in (context_indices, target_indices)], dim=1
        )
        head_dim = self.spec.width // self.spec.heads
        rotary = leveled_rotary(numbers, grid, head_dim, x.dtype, scaled=self.spec.scales_positions)
        for block in self.predictor_blocks:
            x = block(x, rotary)
        x = self.predictor_norm(x)
        seen = self.predictor_proj_context(x[:, :n_context]) if self.spec.has_context_head else None
        return self.predictor_proj(x[:, n_context:]), seen


def leveled_rotary(
    numbers: Tensor, grid: Grid, head_dim: int, dtype: torch.dtype, *, scaled: bool
) -> RotaryTable:
    """The paired rotary table of token numbers (N,) or (B, N) on a grid.

    scaled   rows and columns span 0..15 whatever their count; time is never scaled. Raises ValueError for a grid of one
             row or column, which has no span: the official code divides by zero there.
    """
    _, rows, columns = grid
    batch = numbers if numbers.ndim == 2 else numbers[None]
    time, row, column = split_indices(batch, rows, columns)
    if scaled:
        if rows < 2 or columns < 2:
            raise ValueError(f"positions of {rows} x {columns} tokens cannot be scaled")
        row = row.double() * (REFERENCE_SPAN / (rows - 1))
        column = column.double() * (REFERENCE_SPAN / (columns - 1))
    return rotary_from_positions((time, row, column), head_dim, dtype, paired=True)
