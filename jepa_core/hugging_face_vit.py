"""Names of a Hugging Face picture transformer (ViT, DINOv2) inside a larger checkpoint, translated to ours.

Two spellings of the same tensors are in the wild, from transformers 4 and 5 (specs/lewm-cjepa.md, sections 1.3 and
2.3). Text only; reads no tensor.
"""

from __future__ import annotations

import re

_FIXED = {  # ours → theirs
    "cls_token": "embeddings.cls_token",
    "position_embeddings": "embeddings.position_embeddings",
    "patches": "embeddings.patch_embeddings.projection",
    "norm": "layernorm",
}
_INNER = {  # ours → (transformers 4, transformers 5); DINOv2 spells some of them as we do
    "attn.query": ("attention.attention.query", "attention.q_proj"),
    "attn.key": ("attention.attention.key", "attention.k_proj"),
    "attn.value": ("attention.attention.value", "attention.v_proj"),
    "attn.out": ("attention.output.dense", "attention.o_proj"),
    "mlp.fc1": ("intermediate.dense", "mlp.fc1"),
    "mlp.fc2": ("output.dense", "mlp.fc2"),
    "norm1": ("layernorm_before", "norm1"),
    "norm2": ("layernorm_after", "norm2"),
    "scale1": ("layer_scale1", "layer_scale1"),
    "scale2": ("layer_scale2", "layer_scale2"),
}
_TO_OURS = {theirs: ours for ours, spellings in _INNER.items() for theirs in spellings}
_FIXED_TO_OURS = {theirs: ours for ours, theirs in _FIXED.items()}
_LAYER = re.compile(r"(?:encoder\.)?layers?\.(\d+)\.(.+)\.(weight|bias|lambda1)")


def to_ours(name: str) -> str | None:
    """ "encoder.layer.3.intermediate.dense.bias" → "blocks.3.mlp.fc1.bias"; None for a name that is no part of it."""
    if name in _FIXED_TO_OURS:
        return _FIXED_TO_OURS[name]
    match = _LAYER.fullmatch(name)
    if match is not None and match[2] in _TO_OURS:
        return f"blocks.{match[1]}.{_TO_OURS[match[2]]}.{match[3]}"
    stem, _, kind = name.rpartition(".")
    return f"{_FIXED_TO_OURS[stem]}.{kind}" if stem in _FIXED_TO_OURS else None


def spelling(ours: str, *, is_new: bool, is_dinov2: bool = False) -> str:
    """How a file of transformers 5 (`is_new`) or 4 spells one of our names; empty for one that is none of them."""
    if ours in _FIXED:
        return _FIXED[ours]
    stem, _, kind = ours.rpartition(".")
    if stem in _FIXED:
        return f"{_FIXED[stem]}.{kind}"
    match = re.fullmatch(r"blocks\.(\d+)\.(.+)", stem)
    if match is None or match[2] not in _INNER:
        return ""
    takes_second = is_new or (is_dinov2 and not match[2].startswith("attn."))
    layer = "layers" if is_new else "encoder.layer"
    return f"{layer}.{match[1]}.{_INNER[match[2]][takes_second]}.{kind}"
