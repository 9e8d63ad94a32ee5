"""The predictor: learned placeholders, told only where they are, become guesses of hidden latents.

Shared by the masked families. It never sees the target encoder's output.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from jepa_core.nn.attention import NORM_EPS, Block, gather_tokens
from jepa_core.nn.positions import rotary_table
from jepa_core.nn.vit import TableRule


@dataclass(frozen=True, slots=True)
class PredictorSpec:
    """All that shapes and settings say of one predictor."""

    encoder_width: int
    width: int
    depth: int
    heads: int
    hidden: int
    mask_tokens: int
    is_gated: bool = False
    has_rope: bool = True
    table_tokens: int = 0
    eps: float = NORM_EPS  # of every layer norm
    has_single_mask_token: bool = False  # I-JEPA keeps its one placeholder under a name of its own


class Predictor(nn.Module):
    """Context latents and places → predicted latents of the target places."""

    def __init__(self, spec: PredictorSpec, fit_table: TableRule | None = None) -> None:
        super().__init__()
        self.spec = spec
        self.fit_table = fit_table
        self.predictor_embed = nn.Linear(spec.encoder_width, spec.width)
        if spec.has_single_mask_token:
            self.mask_token = nn.Parameter(torch.zeros(1, 1, spec.width))
        else:
            self.mask_tokens = nn.ParameterList(
                nn.Parameter(torch.zeros(1, 1, spec.width)) for _ in range(spec.mask_tokens)
            )
        self.predictor_blocks = nn.ModuleList(
            Block(spec.width, spec.heads, spec.hidden, gated=spec.is_gated, eps=spec.eps)
            for _ in range(spec.depth)
        )
        self.predictor_norm = nn.LayerNorm(spec.width, eps=spec.eps)
        self.predictor_proj = nn.Linear(spec.width, spec.encoder_width)
        if spec.table_tokens:
            table = torch.zeros(1, spec.table_tokens, spec.width)
            self.predictor_pos_embed = nn.Parameter(table, requires_grad=False)

    def forward(
        self,
        context: Tensor,
        context_indices: Tensor,
        target_indices: Tensor,
        *,
        grid: tuple[int, int, int],
        mask_token: int = 0,
    ) -> Tensor:
        """Predict the latents at `target_indices`.

        context            (B, Kc, D) encoder output of the context tokens only
        *_indices          (K,) shared by the batch or (B, K); they may overlap, and targets may lie beyond the clip
        grid               (T', H', W') by which numbers become positions
        mask_token         which placeholder; wraps round, as the official code does
        returns            (B, Kt, D), order of `target_indices`; no norm after the projection

        The official code sorts the tokens by place before its blocks and unsorts them after. Without attention masks
        that changes nothing but rounding, so it is left out.
        """
        B, n_context, _ = context.shape
        x = self.predictor_embed(context)
        n_targets = target_indices.shape[-1]
        asked = self._placeholder(mask_token).expand(B, n_targets, -1)
        if self.spec.table_tokens and self.fit_table is not None:
            table = self.fit_table(self.predictor_pos_embed, grid).to(x.dtype).expand(B, -1, -1)
            x = x + gather_tokens(table, context_indices)
            asked = asked + gather_tokens(table, target_indices)
        x = torch.cat((x, asked), dim=1)
        rotary = None
        if self.spec.has_rope:
            places = torch.cat(_same_rank(context_indices, target_indices, B), dim=-1)
            head_dim = self.spec.width // self.spec.heads
            rotary = rotary_table(places, grid[1], grid[2], head_dim, x.dtype)
        for block in self.predictor_blocks:
            x = block(x, rotary)
        return self.predictor_proj(self.predictor_norm(x[:, n_context:]))

    def _placeholder(self, number: int) -> Tensor:
        """(1, 1, P)"""
        if self.spec.has_single_mask_token:
            return self.mask_token
        return self.mask_tokens[number % len(self.mask_tokens)]


def _same_rank(first: Tensor, second: Tensor, batch: int) -> tuple[Tensor, Tensor]:
    if first.ndim == second.ndim:
        return first, second
    return tuple(i if i.ndim == 2 else i[None].expand(batch, -1) for i in (first, second))  # type: ignore[return-value]
