"""V-JEPA 2.1, plainly (vjepa2-ac-vjepa2.1.md, part B)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from tests.golden.plain import blocks as b

TAKEN = {12: (2, 5, 8, 11), 24: (5, 11, 17, 23), 40: (9, 19, 29, 39), 48: (11, 23, 37, 47)}


@dataclass(frozen=True)
class Size:
    width: int = 24
    depth: int = 12
    heads: int = 2
    hidden: int = 96
    ratio: float = 4.0
    side: int = 64
    frames: int = 8
    p_width: int = 24
    p_depth: int = 3
    p_heads: int = 2
    p_hidden: int = 0
    mask_tokens: int = 8
    levels: int = 4
    teacher: int = 0  # width of a level it predicts, 0 = its own
    p_gated: bool = False
    modality: bool = True
    pictures: bool = True
    context_head: bool = True
    scaled: bool = True
    p_scaled: bool = True
    parts: tuple[str, ...] = ("encoder", "target_encoder")
    prefix: str = "module.backbone."
    batch: int = 2
    seed: int = 0


def write(folder: Path, size: Size) -> Path:
    folder.mkdir(parents=True)
    drawn = {part: b.draw(_encoder_shapes(size), size.seed + i) for i, part in enumerate(size.parts)}
    drawn["predictor"] = b.draw(_predictor_shapes(size), size.seed + 5)
    saved: dict[str, Any] = {
        part: {size.prefix + name: tensor for name, tensor in tensors.items()}
        for part, tensors in drawn.items()
    }
    saved |= {
        "opt": {"state": {}},
        "scaler": None,
        "epoch": 1,
        "loss": 0.1,
        "batch_size": 2,
        "world_size": 1,
        "lr": 0.1,
    }
    torch.save(saved, folder / "vjepa2_1_tiny.pt")
    (folder / "params.yaml").write_text(yaml.safe_dump(_params(size)))
    (folder / "README.md").write_text("made here\n")
    w = {part: b.wide(tensors) for part, tensors in drawn.items()}
    b.save_arrays(folder, _arrays(size, w))
    return folder


def _encoder_shapes(size: Size) -> dict[str, tuple[int, ...]]:
    D = size.width
    shapes = {"patch_embed.proj.weight": (D, 3, 2, 16, 16), "patch_embed.proj.bias": (D,)}
    if size.pictures:
        shapes |= {"patch_embed_img.proj.weight": (D, 3, 1, 16, 16), "patch_embed_img.proj.bias": (D,)}
    if size.modality:
        shapes |= {"img_mod_embed": (1, 1, D), "video_mod_embed": (1, 1, D)}
    for i in range(size.depth):
        shapes |= b.block_shapes(f"blocks.{i}", D, size.hidden)
    for i in range(4):
        shapes |= b.norm_shapes(f"norms_block.{i}", D)
    return shapes


def _predictor_shapes(size: Size) -> dict[str, tuple[int, ...]]:
    D, P = size.width, size.p_width
    shapes = {f"mask_tokens.{j}": (1, 1, P) for j in range(size.mask_tokens)}
    if size.modality:
        shapes |= {"img_mod_embed": (1, 1, P), "video_mod_embed": (1, 1, P)}
    if size.levels == 1:
        shapes |= b.layer_shapes("predictor_embed", D, P)
    else:
        shapes |= b.layer_shapes("predictor_embed.0", 4 * D, D) | b.layer_shapes("predictor_embed.2", D, P)
    for i in range(size.p_depth):
        shapes |= b.block_shapes(f"predictor_blocks.{i}", P, size.p_hidden or 4 * P, gated=size.p_gated)
    out = size.levels * (size.teacher or D)
    shapes |= b.norm_shapes("predictor_norm", P) | b.layer_shapes("predictor_proj", P, out)
    return shapes | (b.layer_shapes("predictor_proj_context", P, out) if size.context_head else {})


def _params(size: Size) -> dict[str, Any]:
    return {
        "app": "vjepa_2_1",
        "data": {
            "crop_size": size.side,
            "patch_size": 16,
            "dataset_fpcs": [size.frames],
            "tubelet_size": 2,
            "fps": 4,
        },
        "loss": {"loss_exp": 1.0, "predict_all": size.context_head},
        "model": {
            "img_temporal_dim_size": 1 if size.pictures else None,
            "interpolate_rope": size.scaled,
            "modality_embedding": size.modality,
            "model_name": "tiny",
            "pred_depth": size.p_depth,
            "pred_embed_dim": size.p_width,
            "pred_num_heads": size.p_heads,
            "use_pred_silu": size.p_gated,
            "use_rope": True,
        },
        "tiny_arch": {
            "img_size": size.side,
            "num_frames": size.frames,
            "encoder": {
                "depth": size.depth,
                "embed_dim": size.width,
                "num_heads": size.heads,
                "mlp_ratio": size.ratio,
            },
            "predictor": {
                "mlp_ratio": 4.0,
                "num_mask_tokens": size.mask_tokens,
                "n_output_distillation": size.levels,
                "teacher_embed_dim": size.teacher or None,
                "interpolate_rope": size.p_scaled,
            },
            "checkpoint_key": size.parts[-1],
        },
    }


def encode(size: Size, w: b.Weights, clip: Tensor, keep: Tensor | None = None) -> Tensor:
    """(4, B, N or K, D), each level through its own norm"""
    is_picture = clip.shape[2] == 1
    stem = "patch_embed_img.proj" if is_picture else "patch_embed.proj"
    x, grid = b.cut(clip.double(), w[f"{stem}.weight"], w[f"{stem}.bias"])
    numbers = torch.arange(x.shape[1]).expand(len(x), -1) if keep is None else keep
    x = b.gather(x, numbers)
    if size.modality:
        x = x + w["img_mod_embed" if is_picture else "video_mod_embed"]
    turn = _turn(numbers, grid[1], grid[2], size.width // size.heads, scaled=size.scaled)
    levels = []
    for i in range(size.depth):
        x = b.block(w, f"blocks.{i}", x, size.heads, turn)
        if i in TAKEN[size.depth]:
            levels.append(b.norm(w, f"norms_block.{len(levels)}", x, 1e-6))
    return torch.stack(levels)


def _turn(numbers: Tensor, rows: int, columns: int, head_dim: int, *, scaled: bool) -> b.Turn:
    t, r, c = (axis.double() for axis in b.split(numbers, rows, columns))
    if scaled:
        r, c = r * 15 / (rows - 1), c * 15 / (columns - 1)
    return b.rotary((t, r, c), head_dim, paired=True)


def predict(
    size: Size, w: b.Weights, context: Tensor, keep: Tensor, ask: Tensor, token: int, *, is_picture: bool
) -> tuple[Tensor, Tensor | None]:
    if size.levels == 1:
        x = b.linear(w, "predictor_embed", context)
    else:
        between = b.silu if size.p_gated else b.gelu
        x = b.linear(w, "predictor_embed.2", between(b.linear(w, "predictor_embed.0", context)))
    asked = w[f"mask_tokens.{token % size.mask_tokens}"].expand(len(x), ask.shape[1], -1)
    x, numbers = torch.cat((x, asked), dim=1), torch.cat((keep, ask), dim=1)
    order = numbers.argsort(dim=1)
    x, numbers = b.gather(x, order), b.gather(numbers[..., None], order)[..., 0]
    if size.modality:
        x = x + w["img_mod_embed" if is_picture else "video_mod_embed"]
    side = size.side // 16
    turn = _turn(numbers, side, side, size.p_width // size.p_heads, scaled=size.p_scaled)
    for i in range(size.p_depth):
        x = b.block(w, f"predictor_blocks.{i}", x, size.p_heads, turn)
    x = b.gather(b.norm(w, "predictor_norm", x, 1e-6), order.argsort(dim=1))
    n = keep.shape[1]
    seen = b.linear(w, "predictor_proj_context", x[:, :n]) if size.context_head else None
    return b.linear(w, "predictor_proj", x[:, n:]), seen


def _joined(levels: Tensor) -> Tensor:
    return torch.cat(list(levels), dim=-1)


def _arrays(size: Size, w: dict[str, b.Weights]) -> dict[str, Any]:
    g = torch.Generator().manual_seed(size.seed + 9)
    target = w[next(part for part in ("ema_encoder", "target_encoder", "encoder") if part in w)]
    student = w.get("encoder", target)
    out: dict[str, Any] = {}
    modes = {"vid": size.frames} | ({"img": 1} if size.pictures else {})
    for mode, frames in modes.items():
        clip = b.clip_of(g, size.batch, 3, frames, size.side, size.side)
        levels = encode(size, target, clip)
        n = levels.shape[2]
        orders = torch.stack([torch.randperm(n, generator=g) for _ in range(size.batch)])
        keep, ask = orders[:, : n // 3], orders[:, n // 3 : n // 3 + n // 4]
        multi = torch.stack(
            [orders[:, : n // 4].sort(1).values, orders[:, n // 4 : 2 * (n // 4)].sort(1).values]
        )
        ctx = encode(size, student, clip, keep)
        ctx = _joined(ctx) if size.levels > 1 else ctx[-1]
        out |= {f"{mode}_x": clip, f"{mode}_enc": levels[-1], f"{mode}_enc_levels": levels}
        out |= {f"{mode}_enc_student": encode(size, student, clip)[-1], f"{mode}_ctx_tokens": ctx}
        out |= {f"{mode}_mask_ctx": keep, f"{mode}_mask_tgt": ask, f"{mode}_multi_ctx": multi}
        both = [encode(size, student, clip, mask) for mask in multi]
        out[f"{mode}_multi_tokens"] = torch.cat([_joined(x) if size.levels > 1 else x[-1] for x in both])
        found = {}
        for token in (0, 1):
            found[token] = predict(size, w["predictor"], ctx, keep, ask, token, is_picture=mode == "img")
            out[f"{mode}_pred_mask{token}"] = found[token][0]
            if found[token][1] is not None:
                out[f"{mode}_predctx_mask{token}"] = found[token][1]
        normed = b.plain_norm(levels)
        targets = _joined(normed)
        out[f"{mode}_targets"] = targets
        side = size.side // 16
        apart = [torch.stack(b.split(x, side, side), -1).double() for x in (keep, ask)]
        nearest = (apart[0][:, :, None] - apart[1][:, None]).square().sum(-1).sqrt().amin(-1)
        weight = nearest.sqrt()
        out[f"{mode}_ctx_dist"] = weight
        if size.levels == 1:
            continue
        pred, seen = found[0]
        wanted = b.gather(targets, ask)
        out[f"{mode}_loss_pred"] = (pred - wanted).abs().mean().numpy()
        if seen is not None:
            off = (seen - b.gather(targets, keep)).abs()
            out[f"{mode}_loss_ctx_plain"] = off.mean().numpy()
            out[f"{mode}_loss_ctx_weighted"] = (off / weight[..., None]).mean().numpy()
        p, t = pred.unflatten(-1, (4, -1)), wanted.unflatten(-1, (4, -1))
        out[f"{mode}_tok_l1_levels"] = (p - t).abs().mean(-1)
        out[f"{mode}_tok_l1"] = (p - t).abs().mean((-2, -1))
        out[f"{mode}_tok_cos_levels"] = (p * t).sum(-1) / (p.norm(dim=-1) * t.norm(dim=-1))
    more = {"vid_wide": (4, size.side, size.side + 32), "vid_2f": (2, size.side + 32, size.side + 32)}
    more["vid_odd"] = (5, 48, 80)
    if size.pictures:
        more["img_wide"] = (1, 2 * size.side, size.side + 16)
    for name, shape in more.items():
        clip = b.clip_of(g, 1, 3, *shape)
        out |= {f"{name}_x": clip, f"{name}_enc": encode(size, target, clip)[-1]}
    tokens = out["vid_enc"][0]
    _, singular, right = torch.linalg.svd(tokens - tokens.mean(0), full_matrices=False)
    out["pca_singular"] = singular[:3]
    out["pca_absproj"] = ((tokens - tokens.mean(0)) @ right[:3].T).abs()
    return out
