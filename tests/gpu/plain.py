"""The published V-JEPA 2 look, written plainly: what the engine's own is measured against. Not used by the program.

As the papers and the common model code have it: every patch of the clip is embedded and encoded, the context is
gathered from that; queries, keys and values apart; positions worked out anew in every block; attention as softmax of a
whole matrix of scores; the predictor's tokens sorted by place and unsorted again. On ready-loaded weights of a model of
ours, so that only the algorithm differs. With `skips_hidden` the context is encoded from its own tokens, as in training;
then its numbers are those of our look, which a test holds it to.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jepa_core.families.vjepa2 import VJepa2
from jepa_core.types import MaskSet

BASE = 10000.0
TARGET_EPS = 1e-5


class PlainLook:
    """One model's weights, looked with plainly."""

    def __init__(self, model: VJepa2, *, skips_hidden: bool = False) -> None:
        assert model.predictor is not None
        self._context = model.context_encoder
        self._target = model.target_encoder
        self._predictor = model.predictor
        self._mask_token = model.settings.mask_token
        self._skips_hidden = skips_hidden

    def error(self, clip: Tensor, masks: MaskSet) -> Tensor:
        """(B, 3, T, S, S) normalised → (Nt,) float32 error of the first target mask's tokens."""
        keep, ask = (
            torch.from_numpy(mask.astype("int64")).to(clip.device)
            for mask in (masks.context, masks.targets[0])
        )
        rows, columns = clip.shape[3] // self._context.spec.patch, clip.shape[4] // self._context.spec.patch
        if self._skips_hidden:
            context = self._encode(self._context, clip, rows, columns, keep)
        else:
            context = self._encode(self._context, clip, rows, columns)[:, keep]
        target = self._encode(self._target, clip, rows, columns).float()
        target = F.layer_norm(target, target.shape[-1:], eps=TARGET_EPS)[:, ask]
        predicted = self._predict(context, keep, ask, rows, columns)
        return (predicted.float() - target).abs().mean(-1)[0]

    def _encode(
        self, encoder: nn.Module, clip: Tensor, rows: int, columns: int, keep: Tensor | None = None
    ) -> Tensor:
        spec = encoder.spec
        x = encoder.patch_embed.proj(clip).flatten(2).transpose(1, 2)  # (B, N, D)
        places = torch.arange(x.shape[1], device=x.device)
        if keep is not None:
            x, places = x[:, keep], keep
        for block in encoder.blocks:
            x = _block(block, x, places, spec.heads, rows, columns)
        return encoder.norm(x)

    def _predict(self, context: Tensor, keep: Tensor, ask: Tensor, rows: int, columns: int) -> Tensor:
        p = self._predictor
        x = p.predictor_embed(context)
        asked = p.mask_tokens[self._mask_token].expand(len(x), len(ask), -1)
        places = torch.cat((keep, ask))
        order = torch.argsort(places)
        x = torch.cat((x, asked), dim=1)[:, order]
        for block in p.predictor_blocks:
            x = _block(block, x, places[order], p.spec.heads, rows, columns)
        x = p.predictor_norm(x)[:, torch.argsort(order)]
        return p.predictor_proj(x[:, len(keep) :])


def _block(block: nn.Module, x: Tensor, places: Tensor, heads: int, rows: int, columns: int) -> Tensor:
    x = x + _attention(block.attn, block.norm1(x), places, heads, rows, columns)
    hidden = F.gelu(block.mlp.fc1(block.norm2(x)))
    return x + block.mlp.fc2(hidden)


def _attention(
    attention: nn.Module, x: Tensor, places: Tensor, heads: int, rows: int, columns: int
) -> Tensor:
    B, N, D = x.shape
    q, k, v = attention.qkv(x).reshape(B, N, 3, heads, D // heads).permute(2, 0, 3, 1, 4)
    q, k = (_turned(part, places, rows, columns) for part in (q, k))
    scores = (q @ k.transpose(-2, -1)) * (D // heads) ** -0.5  # (B, heads, N, N)
    mixed = scores.softmax(dim=-1) @ v
    return attention.proj(mixed.transpose(1, 2).reshape(B, N, D))


def _turned(x: Tensor, places: Tensor, rows: int, columns: int) -> Tensor:
    """Three axes of a head's channels, each turned by its own position; what is left over stays."""
    axis = 2 * ((x.shape[-1] // 3) // 2)
    in_step = places % (rows * columns)
    parts = [
        _turned_axis(x[..., n * axis : (n + 1) * axis], position)
        for n, position in enumerate((places // (rows * columns), in_step // columns, in_step % columns))
    ]
    return torch.cat((*parts, x[..., 3 * axis :]), dim=-1)


def _turned_axis(x: Tensor, position: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    frequency = 1.0 / BASE ** (torch.arange(half, device=x.device, dtype=torch.float32) / half)
    angle = position.float()[:, None] * frequency  # (N, half)
    cos, sin = (f(angle).repeat(1, 2).to(x.dtype) for f in (torch.cos, torch.sin))  # tiled, as published
    first, second = x.unflatten(-1, (-1, 2)).unbind(-1)
    partner = torch.stack((-second, first), dim=-1).flatten(-2)
    return x * cos + partner * sin
