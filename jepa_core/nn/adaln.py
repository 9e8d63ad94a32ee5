"""LeWorldModel's predictor: a causal transformer over frames whose norms are shifted, scaled and gated by actions.

Follows specs/lewm-cjepa.md, section 1.2. Module names are the file's parameter names, so a checkpoint fits without
translation. Knows no family.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

OUTER_EPS = 1e-6  # of the norms without weights that the actions modulate
INNER_EPS = 1e-5  # of the affine norms that attention and MLP begin with on top of that, and of the last one


@dataclass(frozen=True, slots=True)
class AdaLnSpec:
    """All that shapes and settings say of one such predictor."""

    width: int  # of the latents given and of the action embeddings
    inner: int  # of the transformer
    out: int  # of the latents predicted
    history: int  # frames in the position table: the longest window
    depth: int
    heads: int
    head_dim: int  # heads x head_dim need not be the width
    hidden: int  # MLP width


class AdaLnPredictor(nn.Module):
    """Latents and action embeddings of T frames → the latent that follows each, before its projector."""

    def __init__(self, spec: AdaLnSpec) -> None:
        super().__init__()
        self.spec = spec
        self.pos_embedding = nn.Parameter(torch.zeros(1, spec.history, spec.width))
        self.transformer = AdaLnTransformer(spec)

    def forward(self, latents: Tensor, actions: Tensor) -> Tensor:
        """latents, actions (B, T, D), T ≤ history; positions count from the window's start → (B, T, out)"""
        T = latents.shape[1]
        if self.spec.history < T:
            raise ValueError(f"{T} frames, but the position table has {self.spec.history} rows")
        return self.transformer(latents + self.pos_embedding[:, :T], actions)


class AdaLnTransformer(nn.Module):
    def __init__(self, spec: AdaLnSpec) -> None:
        super().__init__()
        has_inputs = spec.width != spec.inner
        self.input_proj = nn.Linear(spec.width, spec.inner) if has_inputs else nn.Identity()
        self.cond_proj = nn.Linear(spec.width, spec.inner) if has_inputs else nn.Identity()
        self.layers = nn.ModuleList(AdaLnBlock(spec) for _ in range(spec.depth))
        self.norm = nn.LayerNorm(spec.inner, eps=INNER_EPS)
        self.output_proj = nn.Linear(spec.inner, spec.out) if spec.inner != spec.out else nn.Identity()

    def forward(self, x: Tensor, actions: Tensor) -> Tensor:
        x, condition = self.input_proj(x), self.cond_proj(actions)
        for layer in self.layers:
            x = layer(x, condition)
        return self.output_proj(self.norm(x))


class AdaLnBlock(nn.Module):
    """Each half: plain norm, scaled and shifted by the action of the same step, its own affine norm, gate, add."""

    def __init__(self, spec: AdaLnSpec) -> None:
        super().__init__()
        self.attn = NormedAttention(spec.inner, spec.heads, spec.head_dim)
        self.mlp = FeedForward(spec.inner, spec.hidden)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(spec.inner, 6 * spec.inner))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.adaLN_modulation(condition).chunk(6, dim=-1)
        x = x + gate_a * self.attn(_plain_norm(x) * (1 + scale_a) + shift_a)
        return x + gate_m * self.mlp(_plain_norm(x) * (1 + scale_m) + shift_m)


class NormedAttention(nn.Module):
    """Attention that begins with its own norm. One bias-free q, k, v matrix; heads one after another in each third.

    Without a mask it is causal token by token: a token sees itself and what came before.
    """

    def __init__(self, width: int, heads: int, head_dim: int) -> None:
        super().__init__()
        inside = heads * head_dim
        self.heads, self.head_dim = heads, head_dim
        self.norm = nn.LayerNorm(width, eps=INNER_EPS)
        self.to_qkv = nn.Linear(width, 3 * inside, bias=False)
        has_output = not (heads == 1 and head_dim == width)
        self.to_out = nn.Sequential(nn.Linear(inside, width)) if has_output else nn.Identity()

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """x (B, N, D) → (B, N, D); mask (N, N), True = may attend"""
        qkv = self.to_qkv(self.norm(x)).unflatten(-1, (3, self.heads, self.head_dim))
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each (B, heads, N, head_dim)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        return self.to_out(mixed.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """Its own norm, then two layers around an exact GELU; places 3 and 5 are dropout, which only training has."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.LayerNorm(width, eps=INNER_EPS),
            nn.Linear(width, hidden),
            nn.GELU(),
            nn.Identity(),
            nn.Linear(hidden, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


def _plain_norm(x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], eps=OUTER_EPS)
