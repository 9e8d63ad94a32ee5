"""Hugging Face's V-JEPA 2 and I-JEPA, plainly (ijepa-vjepa-vjepa2.md, section 9): folders as they are saved, and outputs."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.golden.plain import blocks as b
from tests.golden.plain import masked, tables


@dataclass(frozen=True)
class Layout:
    """How the folder is saved."""

    kind: str = "safetensors"  # | "bin" | "shards" | "bin-shards"
    wrapped: bool = False  # inside a classifier
    new_names: bool = False  # I-JEPA: transformers 5
    eps: float = 1e-6


# --- V-JEPA 2 --------------------------------------------------------------------------------------------------------


def write_vjepa2(
    folder: Path, size: masked.Size, layout: Layout, *, clips: tuple[tuple[str, tuple[int, ...]], ...] = ()
) -> Path:
    """clips: further inputs, suffix and (T, H, W)"""
    folder.mkdir(parents=True)
    drawn = masked.weights(size)
    named: b.Weights = {}
    for name, tensor in drawn["encoder"].items():
        named |= _vjepa2_names("encoder", name, tensor)
    for name, tensor in drawn["predictor"].items():
        if not name.startswith("mask_tokens."):
            named |= _vjepa2_names("predictor", name, tensor)
    named["predictor.embeddings.mask_tokens"] = torch.stack(
        [drawn["predictor"][f"mask_tokens.{j}"] for j in range(size.mask_tokens)]
    )
    if layout.wrapped:
        named = {f"vjepa2.{name}": tensor for name, tensor in named.items()}
        named["classifier.weight"] = torch.zeros(3, size.width)
        named["pooler.query_tokens"] = torch.zeros(1, 1, size.width)
    _save(folder, named, layout)
    config = {
        "model_type": "vjepa2",
        "crop_size": size.side,
        "frames_per_clip": size.frames,
        "hidden_size": size.width,
        "num_attention_heads": size.heads,
        "num_hidden_layers": size.depth,
        "patch_size": size.patch,
        "tubelet_size": size.tubelet,
        "in_chans": 3,
        "mlp_ratio": size.ratio,
        "layer_norm_eps": layout.eps,
        "qkv_bias": True,
        "hidden_act": "gelu",
        "pred_hidden_size": size.p_width,
        "pred_num_attention_heads": size.p_heads,
        "pred_num_hidden_layers": size.p_depth,
        "pred_num_mask_tokens": size.mask_tokens,
        "pred_mlp_ratio": 4.0,
        "image_size": 224,  # of older files, unused
        "use_sdpa": True,
    }
    (folder / "config.json").write_text(json.dumps(config))
    w = {part: b.wide(tensors) for part, tensors in drawn.items()}
    g = torch.Generator().manual_seed(size.seed + 9)
    clip = b.clip_of(g, size.batch, size.frames, 3, size.side, size.side)
    full = encode(size, w["encoder"], clip, layout.eps)
    n = full.shape[1]
    keep, ask = masked._masks(g, size.batch, n, n // 3, n - n // 3)
    out: dict[str, Tensor] = {"pixel_values_videos": clip, "context_mask": keep, "target_mask": ask}
    every = torch.arange(n).expand(size.batch, -1)
    for call, (seen, asked) in {"full": (every, every), "masked": (keep, ask)}.items():
        context = b.gather(full, seen)
        out |= {
            f"{call}_last_hidden_state": full,
            f"{call}_masked_hidden_state": context,
            f"{call}_predictor_last_hidden_state": predict(
                size, w["predictor"], context, seen, asked, layout.eps
            ),
            f"{call}_predictor_target_hidden_state": b.gather(full, asked),
        }
    for suffix, (frames, height, width) in clips:
        other = b.clip_of(g, 1, frames, 3, height, width)
        out |= {
            f"pixel_values_videos_{suffix}": other,
            f"last_hidden_state_{suffix}": encode(size, w["encoder"], other, layout.eps),
        }
    b.save_arrays(folder, out)
    return folder


def encode(size: masked.Size, w: b.Weights, videos: Tensor, eps: float) -> Tensor:
    """videos (B, T, C, H, W). Never masked; places by the configured square, whatever the clip's own shape."""
    clip = videos.transpose(1, 2)
    if clip.shape[2] < size.tubelet:
        clip = clip.repeat(1, 1, size.tubelet, 1, 1)
    x, _ = b.cut(clip.double(), w["patch_embed.proj.weight"], w["patch_embed.proj.bias"])
    side = size.side // size.patch
    turn = b.rotary(
        b.split(torch.arange(x.shape[1])[None], side, side), size.width // size.heads, paired=False
    )
    for i in range(size.depth):
        x = _block(w, f"blocks.{i}", x, size.heads, turn, eps)
    return b.norm(w, "norm", x, eps)


def predict(
    size: masked.Size, w: b.Weights, context: Tensor, keep: Tensor, ask: Tensor, eps: float
) -> Tensor:
    """Mask token 1, modulo their count."""
    asked = w[f"mask_tokens.{1 % size.mask_tokens}"].expand(len(context), ask.shape[1], -1)
    x = torch.cat((b.linear(w, "predictor_embed", context), asked), dim=1)
    side = size.side // size.patch
    turn = b.rotary(
        b.split(torch.cat((keep, ask), dim=1), side, side), size.p_width // size.p_heads, paired=False
    )
    for i in range(size.p_depth):
        x = _block(w, f"predictor_blocks.{i}", x, size.p_heads, turn, eps)
    return b.linear(w, "predictor_proj", b.norm(w, "predictor_norm", x[:, -ask.shape[1] :], eps))


def _block(w: b.Weights, name: str, x: Tensor, heads: int, turn: b.Turn | None, eps: float) -> Tensor:
    q, k, v = (
        b.heads_of(t, heads)
        for t in b.linear(w, f"{name}.attn.qkv", b.norm(w, f"{name}.norm1", x, eps)).chunk(3, -1)
    )
    if turn is not None:
        q, k = turn(q), turn(k)
    x = x + b.linear(w, f"{name}.attn.proj", b.attend(q, k, v))
    return x + b.mlp(w, f"{name}.mlp", b.norm(w, f"{name}.norm2", x, eps))


def _vjepa2_names(part: str, name: str, tensor: Tensor) -> b.Weights:
    kind = name.rpartition(".")[2]
    if match := re.match(r"(?:predictor_)?blocks\.(\d+)\.(.+)\.(?:weight|bias)$", name):
        stem = f"{part}.layer.{match[1]}"
        if match[2] == "attn.qkv":
            thirds = zip(("query", "key", "value"), tensor.chunk(3), strict=True)
            return {f"{stem}.attention.{third}.{kind}": piece.clone() for third, piece in thirds}
        return {f"{stem}.{match[2].replace('attn.', 'attention.')}.{kind}": tensor}
    fixed = {
        "patch_embed.proj": "encoder.embeddings.patch_embeddings.proj",
        "norm": "encoder.layernorm",
        "predictor_embed": "predictor.embeddings.predictor_embeddings",
        "predictor_norm": "predictor.layernorm",
        "predictor_proj": "predictor.proj",
    }
    return {f"{fixed[name.rpartition('.')[0]]}.{kind}": tensor}


# --- I-JEPA ----------------------------------------------------------------------------------------------------------


def write_ijepa(
    folder: Path, size: masked.Size, layout: Layout, *, pictures: tuple[tuple[str, tuple[int, int]], ...] = ()
) -> Path:
    folder.mkdir(parents=True)
    drawn = masked.weights(size)["encoder"]
    named: b.Weights = {}
    for name, tensor in drawn.items():
        named |= _ijepa_names(name, tensor, is_new=layout.new_names)
    if layout.wrapped:
        named = {f"ijepa.{name}": tensor for name, tensor in named.items()}
        named["classifier.weight"] = torch.zeros(3, size.width)
    _save(folder, named, layout)
    config = {
        "model_type": "ijepa",
        "hidden_size": size.width,
        "num_hidden_layers": size.depth,
        "num_attention_heads": size.heads,
        "intermediate_size": size.hidden,
        "hidden_act": "gelu",
        "layer_norm_eps": layout.eps,
        "image_size": size.side,
        "patch_size": size.patch,
        "num_channels": 3,
        "qkv_bias": True,
    }
    (folder / "config.json").write_text(json.dumps(config))
    w = b.wide(drawn)
    g = torch.Generator().manual_seed(size.seed + 9)
    out: dict[str, Tensor] = {}
    for suffix, shape in (("", (size.side, size.side)), *((f"_{name}", shape) for name, shape in pictures)):
        picture = b.clip_of(g, size.batch, 3, *shape)
        x, grid = b.cut(picture.double(), w["patch_embed.proj.weight"], w["patch_embed.proj.bias"])
        side = size.side // size.patch
        x = x + (
            w["pos_embed"] if grid[1:] == (side, side) else tables.bicubic(w["pos_embed"], side, grid[1:])
        )
        for i in range(size.depth):
            x = _block(w, f"blocks.{i}", x, size.heads, None, layout.eps)
        out |= {
            f"pixel_values{suffix}": picture,
            f"last_hidden_state{suffix}": b.norm(w, "norm", x, layout.eps),
        }
    b.save_arrays(folder, out)
    return folder


def _ijepa_names(name: str, tensor: Tensor, *, is_new: bool) -> b.Weights:
    if name == "pos_embed":
        return {"embeddings.position_embeddings": tensor}
    stem, _, kind = name.rpartition(".")
    match = re.match(r"blocks\.(\d+)\.(.+)$", stem)
    if match is None:
        return {
            f"{ {'patch_embed.proj': 'embeddings.patch_embeddings.projection', 'norm': 'layernorm'}[stem] }.{kind}": tensor
        }
    layer = f"{'layers' if is_new else 'encoder.layer'}.{match[1]}"
    if match[2] == "attn.qkv":
        old = [f"attention.attention.{third}" for third in ("query", "key", "value")]
        new = [f"attention.{third}_proj" for third in "qkv"]
        return {
            f"{layer}.{n}.{kind}": t.clone()
            for n, t in zip(new if is_new else old, tensor.chunk(3), strict=True)
        }
    old_names = {
        "attn.proj": "attention.output.dense",
        "norm1": "layernorm_before",
        "norm2": "layernorm_after",
        "mlp.fc1": "intermediate.dense",
        "mlp.fc2": "output.dense",
    }
    new_names = old_names | {"attn.proj": "attention.o_proj", "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2"}
    return {f"{layer}.{(new_names if is_new else old_names)[match[2]]}.{kind}": tensor}


# --- saving ----------------------------------------------------------------------------------------------------------


def _save(folder: Path, named: b.Weights, layout: Layout) -> None:
    named = {name: tensor.contiguous() for name, tensor in named.items()}
    ending = "bin" if layout.kind.startswith("bin") else "safetensors"
    stem = "pytorch_model" if ending == "bin" else "model"

    def put(tensors: dict[str, Any], name: str) -> None:
        if ending == "bin":
            torch.save(tensors, folder / name)
        else:
            save_file(tensors, folder / name, metadata={"format": "pt"})

    if not layout.kind.endswith("shards"):
        put(named, f"{stem}.{ending}")
        return
    names, count = sorted(named), 3
    where = {}
    for i in range(count):
        file = f"{stem}-{i + 1:05}-of-{count:05}.{ending}"
        mine = names[i::count]
        put({name: named[name] for name in mine}, file)
        where |= dict.fromkeys(mine, file)
    index = {"metadata": {"total_size": 1}, "weight_map": where}
    (folder / f"{stem}.{ending}.index.json").write_text(json.dumps(index))
