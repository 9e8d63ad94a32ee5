"""I-JEPA, V-JEPA and V-JEPA 2, plainly (ijepa-vjepa-vjepa2.md): weights, folders in the official layout, arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from tests.golden.plain import blocks as b
from tests.golden.plain import tables


@dataclass(frozen=True)
class Size:
    system: str = "vjepa2"  # | "ijepa" | "vjepa"
    width: int = 48
    depth: int = 2
    heads: int = 3
    hidden: int = 192
    ratio: float = 4.0
    patch: int = 8
    tubelet: int = 2  # 0 = pictures
    side: int = 32  # pixels
    frames: int = 8  # of the predictor's clip
    encoder_frames: int = 0  # 0 = the same
    p_width: int = 36
    p_depth: int = 2
    p_heads: int = 3
    p_hidden: int = 0  # 0 = 4 x
    mask_tokens: int = 2
    masks: int = 2
    groups: tuple[int, ...] = ()  # V-JEPA 2: frames per clip of each group; empty = one group of `frames`
    contexts: int = 1  # I-JEPA
    rope: bool = True
    uniform: bool = True
    gated: bool = False
    p_gated: bool = False
    wide: bool = False  # wide_silu
    stray: bool = False  # tables beside rotary positions
    noise: float = 0.0  # on stored tables
    loss_exp: float = 1.0
    batch: int = 2
    others: tuple[tuple[str, tuple[int, ...]], ...] = ()  # further clips: name, (T, H, W) or (H, W)
    parts: tuple[str, ...] = ("encoder", "predictor", "target_encoder")
    no_config_heads: bool = False  # no pred_num_heads: as the encoder
    seed: int = 0
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def native(self) -> tables.Grid:
        return self.grid(self.encoder_frames or self.frames)

    @property
    def p_native(self) -> tables.Grid:
        return self.grid(self.frames)

    def grid(self, frames: int) -> tables.Grid:
        g = self.side // self.patch
        return (max(frames // self.tubelet, 1) if self.tubelet else 1), g, g

    @property
    def has_table(self) -> bool:
        return self.system != "vjepa2" or not self.rope


# --- weights ---------------------------------------------------------------------------------------------------------


def weights(size: Size) -> dict[str, b.Weights]:
    encoder, predictor = _encoder_shapes(size), _predictor_shapes(size)
    out = {"encoder": b.draw(encoder, size.seed), "target_encoder": b.draw(encoder, size.seed + 1)}
    out["predictor"] = b.draw(predictor, size.seed + 2)
    for part, name, grid, width in (
        ("encoder", "pos_embed", size.native, size.width),
        ("target_encoder", "pos_embed", size.native, size.width),
        ("predictor", "predictor_pos_embed", size.p_native, size.p_width),
    ):
        if size.has_table or size.stray:
            table = _table(size, grid, width)
            generator = torch.Generator().manual_seed(size.seed + 5)
            table = table + size.noise * torch.randn(table.shape, generator=generator, dtype=torch.float64)
            out[part][name] = table.float()
    return out


def _table(size: Size, grid: tables.Grid, width: int) -> Tensor:
    if not size.tubelet:
        return tables.picture(grid[1], width, column_first=size.system == "ijepa")
    return tables.clip(grid, width, uniform=size.uniform)


def _encoder_shapes(size: Size) -> dict[str, tuple[int, ...]]:
    kernel = (size.width, 3, *((size.tubelet,) if size.tubelet else ()), size.patch, size.patch)
    shapes = {"patch_embed.proj.weight": kernel, "patch_embed.proj.bias": (size.width,)}
    for i in range(size.depth):
        shapes |= b.block_shapes(f"blocks.{i}", size.width, size.hidden, gated=size.gated)
    return shapes | b.norm_shapes("norm", size.width)


def _predictor_shapes(size: Size) -> dict[str, tuple[int, ...]]:
    P = size.p_width
    shapes = b.layer_shapes("predictor_embed", size.width, P)
    if size.system == "ijepa":
        shapes["mask_token"] = (1, 1, P)
    else:
        shapes |= {f"mask_tokens.{j}": (1, 1, P) for j in range(size.mask_tokens)}
    for i in range(size.p_depth):
        shapes |= b.block_shapes(f"predictor_blocks.{i}", P, size.p_hidden or 4 * P, gated=size.p_gated)
    return shapes | b.norm_shapes("predictor_norm", P) | b.layer_shapes("predictor_proj", P, size.width)


# --- forward ---------------------------------------------------------------------------------------------------------


def encode(size: Size, w: b.Weights, frames: Tensor, keep: Tensor | None = None) -> Tensor:
    """keep (B, K): the tokens that enter the first block"""
    x, grid = b.cut(frames.double(), w["patch_embed.proj.weight"], w["patch_embed.proj.bias"])
    if size.has_table:
        x = x + _fitted(size, w["pos_embed"], frames, grid)
    numbers = torch.arange(x.shape[1]).expand(len(x), -1) if keep is None else keep
    x = b.gather(x, numbers)
    turn = None
    if size.system == "vjepa2" and size.rope:
        turn = b.rotary(b.split(numbers, grid[1], grid[2]), size.width // size.heads, paired=False)
    for i in range(size.depth):
        x = b.block(w, f"blocks.{i}", x, size.heads, turn)
    return b.norm(w, "norm", x, 1e-6)


def _fitted(size: Size, table: Tensor, frames: Tensor, grid: tables.Grid) -> Tensor:
    native = size.native
    if grid == native:
        return table
    if not size.tubelet:
        return tables.bicubic(table, native[1], grid[1:])
    if size.system == "vjepa2" and grid[1:] == native[1:] and grid[0] < native[0]:
        return table[:, : grid[0] * grid[1] * grid[2]]
    return tables.stretched(table, native, grid)


def predict(size: Size, w: b.Weights, context: Tensor, keep: Tensor, ask: Tensor, token: int) -> Tensor:
    x = b.linear(w, "predictor_embed", context)
    placeholder = w["mask_token"] if size.system == "ijepa" else w[f"mask_tokens.{token % size.mask_tokens}"]
    asked = placeholder.expand(len(x), ask.shape[1], -1)
    if size.has_table:
        table = w["predictor_pos_embed"].expand(len(x), -1, -1)
        x, asked = x + b.gather(table, keep), asked + b.gather(table, ask)
    x, numbers = torch.cat((x, asked), dim=1), torch.cat((keep, ask), dim=1)
    turn = None
    if size.system == "vjepa2":
        order = numbers.argsort(dim=1, stable=True)  # sorted by place, as the official code does
        x, numbers = b.gather(x, order), b.gather(numbers[..., None], order)[..., 0]
        if size.rope:
            _, rows, columns = size.p_native  # the configured square, always
            turn = b.rotary(b.split(numbers, rows, columns), size.p_width // size.p_heads, paired=False)
    for i in range(size.p_depth):
        x = b.block(w, f"predictor_blocks.{i}", x, size.p_heads, turn)
    if size.system == "vjepa2":
        x = b.gather(x, order.argsort(dim=1))
    x = b.norm(w, "predictor_norm", x[:, -ask.shape[1] :], 1e-6)
    return b.linear(w, "predictor_proj", x)


# --- folders ---------------------------------------------------------------------------------------------------------


def write(folder: Path, size: Size, *, readme: str = "") -> Path:
    folder.mkdir(parents=True)
    drawn = weights(size)
    prefix = "module." if size.system == "ijepa" else "module.backbone."
    saved: dict[str, Any] = {
        part: {prefix + name: tensor for name, tensor in drawn[part].items()} for part in size.parts
    }
    saved |= {"opt": {"state": {}, "param_groups": []}, "scaler": None, "epoch": 7, "loss": 0.5}
    saved |= {"batch_size": 2, "world_size": 1, "lr": 0.001}
    name = {"ijepa": "jepa-ep7.pth.tar", "vjepa": "jepa-latest.pth.tar", "vjepa2": "latest.pt"}[size.system]
    torch.save(saved, folder / name)
    (folder / "params.yaml").write_text(yaml.safe_dump(params(size)))
    (folder / "README.md").write_text(readme)
    w = {part: b.wide(tensors) for part, tensors in drawn.items()}
    if "encoder" not in size.parts:
        w["encoder"] = w["target_encoder"]
    if "target_encoder" not in size.parts:
        w["target_encoder"] = w["encoder"]
    arrays = {"ijepa": ijepa_arrays, "vjepa": vjepa_arrays, "vjepa2": vjepa2_arrays}[size.system](size, w)
    b.save_arrays(folder, arrays)
    return folder


def params(size: Size) -> dict[str, Any]:
    arch: dict[str, Any] = {
        "embed_dim": size.width,
        "depth": size.depth,
        "num_heads": size.heads,
        "mlp_ratio": size.ratio,
    }
    if size.encoder_frames:
        arch["encoder_num_frames"] = size.encoder_frames
    mask = {"aspect_ratio": [0.75, 1.5], "spatial_scale": [0.15, 0.15], "temporal_scale": [1.0, 1.0]}
    if size.system == "ijepa":
        return {
            "data": {"crop_size": size.side},
            "mask": {"patch_size": size.patch, "num_enc_masks": size.contexts, "num_pred_masks": size.masks},
            "meta": {"model_name": "vit_custom", "pred_depth": size.p_depth, "pred_emb_dim": size.p_width},
            "golden_arch": arch,
        }
    data: dict[str, Any] = {
        "crop_size": size.side,
        "patch_size": size.patch,
        "tubelet_size": size.tubelet or 2,
    }
    model: dict[str, Any] = {
        "model_name": "vit_custom",
        "pred_depth": size.p_depth,
        "pred_embed_dim": size.p_width,
        "uniform_power": size.uniform,
        "use_mask_tokens": True,
    }
    if size.system == "vjepa":
        data |= {"num_frames": size.frames, "sampling_rate": 4}
    else:
        groups = list(size.groups or (size.frames,))
        data |= {"dataset_fpcs": groups, "fps": 4}
        model |= {"use_rope": size.rope, "use_silu": size.gated, "use_pred_silu": size.p_gated}
        model["wide_silu"] = size.wide
        if not size.no_config_heads:
            model["pred_num_heads"] = size.p_heads
        if size.mask_tokens != size.masks * len(groups):
            arch["num_mask_tokens"] = size.mask_tokens
    values = {
        "app": "vjepa",
        "data": data,
        "loss": {"loss_exp": size.loss_exp},
        "mask": [mask | {"num_blocks": 8 if i == 0 else 2} for i in range(size.masks)],
        "model": model,
        "golden_arch": arch,
    }
    for section, more in size.extra.items():
        values[section] = {**values.get(section, {}), **more}
    return values


def _masks(generator: torch.Generator, batch: int, n: int, context: int, asked: int) -> tuple[Tensor, Tensor]:
    """Disjoint, unsorted."""
    orders = [torch.randperm(n, generator=generator) for _ in range(batch)]
    return torch.stack([o[:context] for o in orders]), torch.stack(
        [o[context : context + asked] for o in orders]
    )


def _draw_clip(size: Size, g: torch.Generator, frames: int, batch: int = 0) -> Tensor:
    shape = (frames,) if size.tubelet else ()
    return b.clip_of(g, batch or size.batch, 3, *shape, size.side, size.side)


def ijepa_arrays(size: Size, w: dict[str, b.Weights]) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(size.seed + 9)
    images, n = _draw_clip(size, g, 1), size.native[1] ** 2
    contexts = [
        torch.stack([torch.randperm(n, generator=g)[: n // 3] for _ in images]) for _ in range(size.contexts)
    ]
    asked = [
        torch.stack([torch.randperm(n, generator=g)[: n // 5] for _ in images]) for _ in range(size.masks)
    ]
    out: dict[str, Tensor] = {"images": images}
    out |= {f"mask_enc_{i}": m for i, m in enumerate(contexts)} | {
        f"mask_pred_{i}": m for i, m in enumerate(asked)
    }
    out["enc_full"] = encode(size, w["encoder"], images)
    raw = encode(size, w["target_encoder"], images)
    target = b.plain_norm(raw)
    encoded = [encode(size, w["encoder"], images, keep) for keep in contexts]
    predicted, wanted = [], []
    for ask in asked:
        for keep, context in zip(contexts, encoded, strict=True):
            predicted.append(predict(size, w["predictor"], context, keep, ask, 0))
            wanted.append(b.gather(target, ask))
    pred, tgt = torch.cat(predicted), torch.cat(wanted)
    apart = (pred - tgt).abs()
    smooth = torch.where(apart < 1, apart.square() / 2, apart - 0.5)
    out |= {"enc_ctx": torch.cat(encoded), "tgt_full_raw": raw, "tgt_full": target, "tgt": tgt, "pred": pred}
    out |= {"l1_token": apart.mean(-1), "smoothl1_token": smooth.mean(-1), "loss": smooth.mean()}
    return out | {
        "pos_embed": w["encoder"]["pos_embed"],
        "predictor_pos_embed": w["predictor"]["predictor_pos_embed"],
    }


def _others(size: Size, w: dict[str, b.Weights], g: torch.Generator) -> dict[str, Tensor]:
    out: dict[str, Tensor] = {}
    for name, shape in size.others:
        clip = b.clip_of(g, 1, 3, *shape)
        raw = encode(size, w["target_encoder"], clip)
        out |= {f"clips_{name}": clip, f"enc_full_{name}": encode(size, w["encoder"], clip)}
        out |= {f"tgt_full_{name}": b.plain_norm(raw)}
    return out


def vjepa_arrays(size: Size, w: dict[str, b.Weights]) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(size.seed + 9)
    clip = _draw_clip(size, g, size.frames)
    n = size.native[0] * size.native[1] ** 2
    raw = encode(size, w["target_encoder"], clip)
    target, losses = b.plain_norm(raw), []
    out: dict[str, Tensor] = {"clips": clip, "enc_full": encode(size, w["encoder"], clip)}
    out |= {"tgt_full_raw": raw, "tgt_full": target}
    for i in range(size.masks):
        keep, ask = _masks(g, size.batch, n, n // 3, n // 4)
        context = encode(size, w["encoder"], clip, keep)
        pred, wanted = predict(size, w["predictor"], context, keep, ask, i), b.gather(target, ask)
        losses.append((pred - wanted).abs().pow(size.loss_exp).mean() / size.loss_exp)
        out |= {f"mask_enc_{i}": keep, f"mask_pred_{i}": ask, f"enc_ctx_{i}": context, f"pred_{i}": pred}
        out |= {f"tgt_{i}": wanted, f"l1_token_{i}": (pred - wanted).abs().mean(-1)}
    out["loss"] = torch.stack(losses).mean()
    out |= {
        "pos_embed": w["encoder"]["pos_embed"],
        "predictor_pos_embed": w["predictor"]["predictor_pos_embed"],
    }
    return out | _others(size, w, g)


def vjepa2_arrays(size: Size, w: dict[str, b.Weights]) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(size.seed + 9)
    out: dict[str, Tensor] = {}
    losses = []
    for s, frames in enumerate(size.groups or (size.frames,)):
        clip = _draw_clip(size, g, frames)
        n = size.grid(frames)[0] * size.native[1] ** 2
        raw = encode(size, w["target_encoder"], clip)
        target = b.plain_norm(raw)
        out |= {f"clips_s{s}": clip, f"enc_full_s{s}": encode(size, w["encoder"], clip)}
        out |= {f"tgt_full_raw_s{s}": raw, f"tgt_full_s{s}": target}
        for i in range(size.masks):
            keep, ask = _masks(g, size.batch, n, n // 3, n // 4)
            context = encode(size, w["encoder"], clip, keep)
            pred, wanted = predict(size, w["predictor"], context, keep, ask, s), b.gather(target, ask)
            losses.append((pred - wanted).abs().pow(size.loss_exp).mean() / size.loss_exp)
            tag = f"s{s}_{i}"
            out |= {
                f"mask_enc_{tag}": keep,
                f"mask_pred_{tag}": ask,
                f"enc_ctx_{tag}": context,
                f"pred_{tag}": pred,
            }
            out |= {f"tgt_{tag}": wanted, f"l1_token_{tag}": (pred - wanted).abs().mean(-1)}
            out[f"pred_maskindex1_{tag}"] = predict(size, w["predictor"], context, keep, ask, 1)
    out["loss"] = torch.stack(losses).mean()
    return out | _others(size, w, g)


def write_anticipation(
    folder: Path, size: Size, *, fps: float, times: tuple[float, ...], steps: tuple[int, ...]
) -> Path:
    """The EK100 recipe (section 5): context the whole clip, targets beyond it, the oldest tokens let go of."""
    write(
        folder,
        size,
        readme=f"seconds ahead for each sample; frames per second {fps:g}, so 1 s = a token step\n",
    )
    w = {part: b.wide(tensors) for part, tensors in weights(size).items()}
    g = torch.Generator().manual_seed(size.seed + 19)
    clip = _draw_clip(size, g, size.encoder_frames or size.frames, len(times))
    n, per_step = size.native[0] * size.native[1] ** 2, size.native[1] ** 2
    tokens = encode(size, w["encoder"], clip)
    skip = torch.tensor([int(time * fps / size.tubelet) for time in times])
    ask = torch.arange(per_step)[None] + n + per_step * skip[:, None]
    here = torch.arange(n).expand(len(times), -1)
    arrays: dict[str, Tensor] = {"clips": clip, "anticipation_times": torch.tensor(times)}
    for count in steps:
        context, pieces = tokens, [tokens]
        for _ in range(count):
            found = predict(size, w["predictor"], context, here, ask, 1)
            context = torch.cat((context[:, per_step:], found), dim=1)
            pieces.append(found)
        arrays[f"out_steps{count}"] = torch.cat(pieces, dim=1)
    b.save_arrays(folder, arrays)
    return folder


def write_surprise(
    folder: Path, size: Size, *, length: int, contexts: tuple[int, ...], stride: int = 2, videos: int = 2
) -> Path:
    """Sliding windows and context lengths (section 8.5), mask token 0."""
    write(folder, size)
    w = {part: b.wide(tensors) for part, tensors in weights(size).items()}
    g = torch.Generator().manual_seed(size.seed + 19)
    video = _draw_clip(size, g, length, videos)
    starts = list(range(0, length - size.frames + 1, stride))
    per_step, n = size.native[1] ** 2, size.native[0] * size.native[1] ** 2
    arrays: dict[str, Tensor] = {
        "video": video,
        "context_lengths": torch.tensor(contexts),
        "windows_start": torch.tensor(starts),
    }
    means = []
    for c in contexts:
        seen = c // size.tubelet * per_step
        keep, ask = (torch.arange(a, e).expand(videos, -1) for a, e in ((0, seen), (seen, n)))
        found = []
        for start in starts:
            window = video[:, :, start : start + size.frames]
            wanted = b.gather(b.plain_norm(encode(size, w["target_encoder"], window)), ask)
            pred = predict(size, w["predictor"], encode(size, w["encoder"], window, keep), keep, ask, 0)
            found.append((pred - wanted).abs().mean(-1))
        arrays[f"surprise_token_ctx{c}"] = torch.stack(found, dim=1)
        means.append(arrays[f"surprise_token_ctx{c}"].mean(-1))
    arrays["surprise"] = torch.stack(means, dim=1)
    b.save_arrays(folder, arrays)
    return folder
