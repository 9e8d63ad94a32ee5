"""C-JEPA, plainly (lewm-cjepa.md, section 2): slots of a video, the predictor's two modes, roll-outs, costs."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.golden.plain import blocks as b
from tests.golden.plain import tables


@dataclass(frozen=True)
class Size:
    D: int = 32  # slot width
    S: int = 4  # slots
    h: int = 3
    p: int = 1
    masked: int = 1
    seed_mask: int = 42
    depth: int = 2
    heads: int = 4
    hidden: int = 48
    frameskip: int = 2
    observed: int = 20
    wanted: int = 9
    F: int = 24  # DINOv2 width
    vit_heads: int = 2
    vit_layers: int = 12
    vit_ratio: int = 2
    side: int = 56
    table_side: int = 70
    patch: int = 14
    feature_hidden: int = 40
    slot_blocks: int = 1
    slot_heads: int = 4
    iterations: tuple[int, int] = (3, 2)  # on the first frame of a call, on later ones
    decoder_blocks: int = 2
    rendered: tuple[int, ...] = (48, 40, 36)
    frames: int = 3
    act: int = 10
    prop: int = 4
    candidates: int = 3
    steps: int = 5
    nobs: int = 1
    batch: int = 2
    new_names: bool = False
    seed: int = 0


# --- weights ---------------------------------------------------------------------------------------------------------


def _predictor_shapes(size: Size) -> dict[str, tuple[int, ...]]:
    D = size.D
    shapes = {"mask_token": (1, 1, D), "time_pos_embed": (1, size.h + size.p, 1, D)}
    shapes |= b.layer_shapes("id_projector", D, D) | b.layer_shapes("to_out", D, D)
    for i in range(size.depth):
        stem = f"transformer.layers.{i}"
        shapes |= {f"{stem}.0.in_proj_weight": (3 * D, D), f"{stem}.0.in_proj_bias": (3 * D,)}
        shapes |= b.layer_shapes(f"{stem}.0.out_proj", D, D) | b.norm_shapes(f"{stem}.1.0", D)
        shapes |= b.layer_shapes(f"{stem}.1.1", D, size.hidden) | b.layer_shapes(
            f"{stem}.1.4", size.hidden, D
        )
    return shapes | b.norm_shapes("transformer.norm", D)


def _vit_shapes(size: Size) -> dict[str, tuple[int, ...]]:
    F = size.F
    rows = 1 + (size.table_side // size.patch) ** 2
    shapes = {
        "embeddings.cls_token": (1, 1, F),
        "embeddings.mask_token": (1, F),
        "embeddings.position_embeddings": (1, rows, F),
        "embeddings.patch_embeddings.projection.weight": (F, 3, size.patch, size.patch),
        "embeddings.patch_embeddings.projection.bias": (F,),
    }
    for i in range(size.vit_layers):
        stem = f"{'layers' if size.new_names else 'encoder.layer'}.{i}"
        shapes |= b.norm_shapes(f"{stem}.norm1", F) | b.norm_shapes(f"{stem}.norm2", F)
        for name in _attention(size):
            shapes |= b.layer_shapes(f"{stem}.{name}", F, F)
        shapes |= {f"{stem}.layer_scale1.lambda1": (F,), f"{stem}.layer_scale2.lambda1": (F,)}
        shapes |= b.layer_shapes(f"{stem}.mlp.fc1", F, size.vit_ratio * F)
        shapes |= b.layer_shapes(f"{stem}.mlp.fc2", size.vit_ratio * F, F)
    return shapes | b.norm_shapes("layernorm", F)


def _attention(size: Size) -> tuple[str, str, str, str]:
    if size.new_names:
        return "attention.q_proj", "attention.k_proj", "attention.v_proj", "attention.o_proj"
    inner = "attention.attention"
    return f"{inner}.query", f"{inner}.key", f"{inner}.value", "attention.output.dense"


def _steep_shapes(name: str, D: int) -> dict[str, tuple[int, ...]]:
    shapes = b.layer_shapes(f"{name}.self_attn.qkv", D, 3 * D) | b.layer_shapes(
        f"{name}.self_attn.out_proj", D, D
    )
    shapes |= b.layer_shapes(f"{name}.linear1", D, 4 * D) | b.layer_shapes(f"{name}.linear2", 4 * D, D)
    return shapes | b.norm_shapes(f"{name}.norm1", D) | b.norm_shapes(f"{name}.norm2", D)


def _slot_shapes(size: Size, corrector: str) -> dict[str, tuple[int, ...]]:
    D, F = size.D, size.F
    out = "encoder.module.output_transform.layers"
    shapes = {f"encoder.module.backbone.{name}": shape for name, shape in _vit_shapes(size).items()}
    shapes |= {f"{out}.0.weight": (F,), f"{out}.0.bias": (F,)}
    shapes |= b.layer_shapes(f"{out}.1", F, size.feature_hidden) | b.layer_shapes(
        f"{out}.3", size.feature_hidden, D
    )
    shapes |= {"initializer.mean": (1, 1, D), "initializer.log_std": (1, 1, D)}
    stem = f"{corrector}.module"
    for which in "kvq":
        shapes |= {f"{stem}.corrector.to_{which}.weight": (D, D)}
    shapes |= {f"{stem}.corrector.gru.weight_{side}": (3 * D, D) for side in ("ih", "hh")}
    shapes |= {f"{stem}.corrector.gru.bias_{side}": (3 * D,) for side in ("ih", "hh")}
    shapes |= b.norm_shapes(f"{stem}.corrector.norm_features", D) | b.norm_shapes(
        f"{stem}.corrector.norm_slots", D
    )
    for i in range(size.slot_blocks):
        shapes |= _steep_shapes(f"{stem}.predictor.blocks.{i}", D)
    return shapes


def _decoder_shapes(size: Size) -> dict[str, tuple[int, ...]]:
    D, n = size.D, (size.side // size.patch) ** 2
    stem = "decoder.module"
    shapes: dict[str, tuple[int, ...]] = {f"{stem}.pos_emb": (1, n, D)}
    for i in range(size.decoder_blocks):
        shapes |= _steep_shapes(f"{stem}.allocator.blocks.{i}", D)
    given = D
    for i, wanted in enumerate(size.rendered):
        shapes |= b.layer_shapes(f"{stem}.renderer.layers.{2 * i}", given, wanted)
        given = wanted
    shapes |= {f"{stem}.to_q.weight": (D, D), f"{stem}.to_k.weight": (D, D)}
    for name in ("norm_k", "norm_q", "norm_memory"):
        shapes |= b.norm_shapes(f"{stem}.{name}", D)
    return shapes | b.layer_shapes(f"{stem}.output_transform", given, size.F + n)


def _draw(shapes: dict[str, tuple[int, ...]], seed: int) -> b.Weights:
    w = b.draw(shapes, seed)
    generator = torch.Generator().manual_seed(seed + 77)
    for name, tensor in w.items():
        is_scale = name.endswith((".lambda1", "layers.0.weight", ".1.0.weight")) and tensor.ndim == 1
        if is_scale:
            w[name] = 1 + 0.2 * torch.randn(tensor.shape, generator=generator)
    return w


# --- the slot encoder ------------------------------------------------------------------------------------------------


def backbone(size: Size, w: b.Weights, video: Tensor) -> tuple[Tensor, Tensor]:
    """(B, T, 3, H, W) → patch tokens, keys of the last block, (B, T, P, F) each"""
    e = "encoder.module.backbone.embeddings"
    stem = f"{e}.patch_embeddings.projection"
    x, grid = b.cut(video.flatten(0, 1).double(), w[f"{stem}.weight"], w[f"{stem}.bias"])
    side, table = size.table_side // size.patch, w[f"{e}.position_embeddings"]
    places = table[:, 1:] if grid[1:] == (side, side) else tables.bicubic(table[:, 1:], side, grid[1:])
    x = torch.cat(((w[f"{e}.cls_token"] + table[:, :1]).expand(len(x), -1, -1), x + places), dim=1)
    keys = x
    query, key, value, output = _attention(size)
    for i in range(size.vit_layers):
        stem = f"encoder.module.backbone.{'layers' if size.new_names else 'encoder.layer'}.{i}"
        y = b.norm(w, f"{stem}.norm1", x, 1e-6)
        keys = b.linear(w, f"{stem}.{key}", y)
        q, v = b.linear(w, f"{stem}.{query}", y), b.linear(w, f"{stem}.{value}", y)
        y = b.attend(*(b.heads_of(t, size.vit_heads) for t in (q, keys, v)))
        x = x + w[f"{stem}.layer_scale1.lambda1"] * b.linear(w, f"{stem}.{output}", y)
        y = b.mlp(w, f"{stem}.mlp", b.norm(w, f"{stem}.norm2", x, 1e-6))
        x = x + w[f"{stem}.layer_scale2.lambda1"] * y
    x = b.norm(w, "encoder.module.backbone.layernorm", x, 1e-6)
    shape = video.shape[:2]
    return x[:, 1:].unflatten(0, shape), keys[:, 1:].unflatten(0, shape)


def features(w: b.Weights, tokens: Tensor) -> Tensor:
    stem = "encoder.module.output_transform.layers"
    x = b.norm(w, f"{stem}.0", tokens, 1e-5)
    return b.linear(w, f"{stem}.3", b.linear(w, f"{stem}.1", x).clamp(min=0))


def correct(w: b.Weights, stem: str, slots: Tensor, seen: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    c = f"{stem}.module.corrector"
    seen = b.norm(w, f"{c}.norm_features", seen, 1e-5)
    k, v = b.linear(w, f"{c}.to_k", seen), b.linear(w, f"{c}.to_v", seen)
    masks = slots
    for _ in range(iterations):
        slots = b.norm(w, f"{c}.norm_slots", slots, 1e-5)
        scores = b.linear(w, f"{c}.to_q", slots) @ k.transpose(1, 2) / slots.shape[-1] ** 0.5
        masks = b.soft(scores.transpose(1, 2)).transpose(1, 2)  # over slots
        share = masks + 1e-8
        update = (share / share.sum(-1, keepdim=True)) @ v
        slots = _gru(w, f"{c}.gru", update, slots)
    return slots, masks


def _gru(w: b.Weights, name: str, given: Tensor, hidden: Tensor) -> Tensor:
    i = (given @ w[f"{name}.weight_ih"].T + w[f"{name}.bias_ih"]).chunk(3, -1)
    k = (hidden @ w[f"{name}.weight_hh"].T + w[f"{name}.bias_hh"]).chunk(3, -1)
    reset, update = torch.sigmoid(i[0] + k[0]), torch.sigmoid(i[1] + k[1])
    return (1 - update) * torch.tanh(i[2] + reset * k[2]) + update * hidden


def steep(w: b.Weights, name: str, x: Tensor, heads: int, memory: Tensor | None = None) -> Tensor:
    D = x.shape[-1]
    y = b.norm(w, f"{name}.norm1", x, 1e-5)
    weight, bias = w[f"{name}.self_attn.qkv.weight"], w[f"{name}.self_attn.qkv.bias"]
    source = y if memory is None else memory
    q = y @ weight[:D].T + bias[:D]
    k, v = (source @ weight[s].T + bias[s] for s in (slice(D, 2 * D), slice(2 * D, 3 * D)))
    q, k, v = (b.heads_of(t, heads) for t in (q, k, v))
    x = x + b.linear(w, f"{name}.self_attn.out_proj", b.attend(q, k, v, scale=q.shape[-1] ** 0.5))
    y = b.linear(w, f"{name}.linear1", b.norm(w, f"{name}.norm2", x, 1e-5)).clamp(min=0)
    return x + b.linear(w, f"{name}.linear2", y)


def slots_of(
    size: Size, w: b.Weights, stem: str, seen: Tensor, start: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """seen (B, T, P, D) → corrected slots, masks, where the next frame's begin"""
    slots, found, masks, following = start, [], [], []
    for t in range(seen.shape[1]):
        now, mask = correct(w, stem, slots, seen[:, t], size.iterations[t > 0])
        slots = now
        for i in range(size.slot_blocks):
            slots = steep(w, f"{stem}.module.predictor.blocks.{i}", slots, size.slot_heads)
        found.append(now)
        masks.append(mask)
        following.append(slots)
    return torch.stack(found, 1), torch.stack(masks, 1), torch.stack(following, 1)


def decode(size: Size, w: b.Weights, slots: Tensor) -> tuple[Tensor, Tensor]:
    """(N, S, D) → reconstruction (N, P, ·), masks (N, S, P)"""
    stem = "decoder.module"
    places = w[f"{stem}.pos_emb"].expand(len(slots), -1, -1)
    memory, x = b.norm(w, f"{stem}.norm_memory", slots, 1e-5), places
    for i in range(size.decoder_blocks):
        x = steep(w, f"{stem}.allocator.blocks.{i}", x, size.slot_heads, memory)
    q = b.linear(w, f"{stem}.to_q", b.norm(w, f"{stem}.norm_q", x, 1e-5))
    k = b.linear(w, f"{stem}.to_k", b.norm(w, f"{stem}.norm_k", slots, 1e-5))
    masks = b.soft(q @ k.transpose(1, 2) / slots.shape[-1] ** 0.5)
    x = masks @ slots + places
    for i in range(len(size.rendered)):
        x = b.linear(w, f"{stem}.renderer.layers.{2 * i}", x).clamp(min=0)
    return b.linear(w, f"{stem}.output_transform", x), masks.transpose(1, 2)


# --- the predictor ---------------------------------------------------------------------------------------------------


def fill(size: Size, w: b.Weights, tokens: Tensor, prefix: str = "") -> tuple[Tensor, Tensor]:
    """(B, T, S, D) → all tokens predicted, and the last layer's attention"""
    x = tokens.flatten(1, 2)
    weights = x
    for i in range(size.depth):
        stem = f"{prefix}transformer.layers.{i}"
        fused = x @ w[f"{stem}.0.in_proj_weight"].T + w[f"{stem}.0.in_proj_bias"]
        q, k, v = (b.heads_of(t, size.heads) for t in fused.chunk(3, -1))
        weights = b.soft(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5)
        x = x + b.linear(w, f"{stem}.0.out_proj", (weights @ v).transpose(1, 2).flatten(2))
        y = b.linear(w, f"{stem}.1.1", b.norm(w, f"{stem}.1.0", x, 1e-5))
        x = x + b.linear(w, f"{stem}.1.4", b.gelu(y))
    x = b.linear(w, f"{prefix}to_out", b.norm(w, f"{prefix}transformer.norm", x, 1e-5))
    return x.view_as(tokens), weights.mean(1)


def masked_tokens(size: Size, w: b.Weights, x: Tensor, hidden: list[int], prefix: str = "") -> Tensor:
    B, _, S, D = x.shape
    time = w[f"{prefix}time_pos_embed"][0, :, 0]
    anchor = b.linear(w, f"{prefix}id_projector", x[:, 0])
    tokens = torch.empty(B, size.h + size.p, S, D, dtype=x.dtype)
    for t in range(size.h + size.p):
        for s in range(S):
            is_given = t == 0 or (t < size.h and s not in hidden)
            query = w[f"{prefix}mask_token"][0, 0] + anchor[:, s]
            tokens[:, t, s] = (x[:, t, s] if is_given else query) + time[t]
    return tokens


def infer(size: Size, w: b.Weights, x: Tensor, prefix: str = "") -> Tensor:
    T = x.shape[1]
    time = w[f"{prefix}time_pos_embed"][:, size.h + size.p - (T + size.p) :]
    anchor = b.linear(w, f"{prefix}id_projector", x[:, 0])[:, None] + w[f"{prefix}mask_token"][:, None]
    tokens = torch.cat((x + time[:, :T], anchor + time[:, T:]), dim=1)
    return fill(size, w, tokens, prefix)[0][:, T:]


def hidden_slots(size: Size) -> list[int]:
    return np.random.RandomState(size.seed_mask).choice(size.S, size.masked, replace=False).tolist()


# --- folders ---------------------------------------------------------------------------------------------------------


def write_predictor(folder: Path, size: Size) -> Path:
    folder.mkdir(parents=True)
    drawn = _draw(_predictor_shapes(size), size.seed)
    torch.save(drawn, folder / "predictor.ckpt")
    config = {
        "kind": "cjepa-predictor",
        "num_slots": size.S,
        "slot_dim": size.D,
        "history_frames": size.h,
        "pred_frames": size.p,
        "num_masked_slots": size.masked,
        "seed": size.seed_mask,
        "depth": size.depth,
        "heads": size.heads,
        "dim_head": 64,
        "mlp_dim": size.hidden,
        "frameskip": size.frameskip,
    }
    (folder / "config.json").write_text(json.dumps(config))
    w, g = b.wide(drawn), torch.Generator().manual_seed(size.seed + 5)
    x = b.clip_of(g, size.batch, size.h, size.S, size.D)
    seen = b.clip_of(g, size.observed, size.S, size.D)
    hidden = hidden_slots(size)
    tokens = masked_tokens(size, w, x.double(), hidden)
    filled, attention = fill(size, w, tokens)
    out: dict[str, Any] = {
        "slots_hist": x,
        "masked_slot_indices": torch.tensor(hidden, dtype=torch.int64),
        "masked_input_tokens": tokens,
        "masked_forward": filled,
        "masked_hist_sqerr": (filled[:, : size.h] - x).square().mean(-1),
        "inference_full": infer(size, w, x.double()),
        "attention_last": attention,
        "rollout_obs_slots": seen,
        "rollout_pred_slots": _interleaved(size, w, seen.double()),
    }
    for n in range(1, size.h):
        out[f"inference_short{n}"] = infer(size, w, x[:, -n:].double())
    b.save_arrays(folder, out)
    return folder


def _interleaved(size: Size, w: b.Weights, seen: Tensor) -> Tensor:
    """Frame T + i comes from the sequence of frames T + i - skip, T + i - 2 skip, …"""
    known = {t: seen[t] for t in range(len(seen))}
    T = len(seen)
    for offset in range(size.frameskip):
        i = offset
        while i < size.wanted:
            back = [T + i - size.frameskip * k for k in range(size.h, 0, -1)]
            found = infer(size, w, torch.stack([known[t] for t in back if t in known])[None])[0]
            for k in range(size.p):
                known[T + i + size.frameskip * k] = found[k]
            i += size.frameskip * size.p
    return torch.stack([known[T + i] for i in range(size.wanted)])


def write_videosaur(folder: Path, size: Size) -> Path:
    folder.mkdir(parents=True)
    drawn = _draw(_slot_shapes(size, "processor") | _decoder_shapes(size), size.seed)
    torch.save({"state_dict": drawn, "epoch": 3, "global_step": 5, "loops": {}}, folder / "videosaur.ckpt")
    (folder / "config.json").write_text(json.dumps({"kind": "videosaur"} | _short(size)))
    w, g = b.wide(drawn), torch.Generator().manual_seed(size.seed + 5)
    video, noise = (
        b.clip_of(g, size.batch, size.frames, 3, size.side, size.side),
        b.clip_of(g, size.batch, size.S, size.D),
    )
    start = w["initializer.mean"] + noise.double() * w["initializer.log_std"].exp()
    tokens, keys = backbone(size, w, video)
    seen = features(w, tokens)
    slots, masks, following = slots_of(size, w, "processor", seen, start)
    again = slots_of(size, w, "processor", seen[:, :1], slots[:, -1])
    picture, shares = decode(size, w, slots.flatten(0, 1))
    shape = (size.batch, size.frames)
    b.save_arrays(
        folder,
        {
            "video": video,
            "init_noise": noise,
            "init_slots": start,
            "features": seen,
            "backbone_features": tokens,
            "keys12": keys,
            "slots": slots,
            "slots_predicted": following,
            "grouping_masks": masks,
            "decoder_masks": shares.unflatten(0, shape),
            "decoder_reconstruction": picture.unflatten(0, shape),
            "restart_slots": again[0],
            "restart_masks": again[1],
        },
    )
    return folder


def _short(size: Size) -> dict[str, Any]:
    """The letters of the golden configs."""
    values: dict[str, Any] = {"F": size.F, "dh": size.vit_heads, "D": size.D, "N": size.S, "img": size.side}
    values |= {"cfgimg": size.table_side, "patch": size.patch}
    values |= {"first_step_iters": size.iterations[0], "grouper_iters": size.iterations[1]}
    values |= {"temporal_predictor": {"n_blocks": size.slot_blocks, "n_heads": size.slot_heads}}
    return values | {"decoder": {"allocator_blocks": size.decoder_blocks, "allocator_heads": size.slot_heads}}


def write_push_t(folder: Path, size: Size) -> Path:
    folder.mkdir(parents=True)
    shapes = _slot_shapes(size, "slot_attention")
    shapes |= {f"predictor.{name}": shape for name, shape in _predictor_shapes(size).items()}
    for part, given in (("action", size.act), ("proprio", size.prop)):
        stem = f"{part}_encoder.patch_embed"
        shapes |= {f"{stem}.weight": (size.D, given, 1), f"{stem}.bias": (size.D,)}
    drawn = _draw(shapes, size.seed)
    torch.save({f"model.{name}": tensor for name, tensor in drawn.items()}, folder / "state_dict.pt")
    config = {"kind": "cjepa-pusht-AP", "h": size.h, "p": size.p, "m": size.masked, "depth": size.depth}
    config |= {"heads": size.heads, "mlp": size.hidden, "act": size.act, "prop": size.prop, "nobs": size.nobs}
    config |= {"seed": size.seed, "seed_mask": size.seed_mask, "num_slots_total": size.S + 2}
    (folder / "config.json").write_text(json.dumps(config | _short(size)))
    (folder / "README.md").write_text("Suggested tolerance: absolute 5e-4.\n")
    w, g = b.wide(drawn), torch.Generator().manual_seed(size.seed + 5)
    B, n, S, D = size.batch, size.nobs, size.S, size.D
    pixels, goal = b.clip_of(g, B, n, 3, size.side, size.side), b.clip_of(g, B, 1, 3, size.side, size.side)
    body, goal_body = b.clip_of(g, B, n, size.prop), b.clip_of(g, B, 1, size.prop)
    actions, noise = b.clip_of(g, B, size.candidates, size.steps, size.act), b.clip_of(g, B, S, D)
    start = w["initializer.mean"] + noise.double() * w["initializer.log_std"].exp()
    slots = slots_of(size, w, "slot_attention", features(w, backbone(size, w, pixels)[0]), start)[0]
    goal_slots = slots_of(size, w, "slot_attention", features(w, backbone(size, w, goal)[0]), slots[:, -1])[0]
    felt, goal_felt = (
        b.linear(w, "proprio_encoder.patch_embed", x.double())[:, :, None] for x in (body, goal_body)
    )
    done = b.linear(w, "action_encoder.patch_embed", actions.double())  # (B, K, T, D)
    rolled, costs = [], []
    for e in range(B):
        for k in range(size.candidates):
            z = torch.cat((slots[e], felt[e], done[e, k, :n, None]), dim=1)  # (n, S + 2, D)
            z = _unrolled(size, w, z, done[e, k])
            rolled.append(z)
            apart = _matched(z[-1, :S], goal_slots[e, 0])[0] + (z[-1, S] - goal_felt[e, 0, 0]).square().mean()
            costs.append(apart)
    whole = torch.stack(rolled).unflatten(0, (B, size.candidates))
    given = b.clip_of(g, 2, size.h, S + 2, D)
    hidden = hidden_slots(size)
    pairs = b.clip_of(g, 2, 3, S, D), b.clip_of(g, 2, 3, S, D)
    order, reference = b.clip_of(g, 2, 2, S + 2, D), b.clip_of(g, 2, S, D)
    reordered = [_reordered(o.double(), r.double(), S) for o, r in zip(order, reference, strict=True)]
    b.save_arrays(
        folder,
        {
            "pixels": pixels,
            "goal": goal,
            "proprio": body,
            "goal_proprio": goal_body,
            "actions": actions,
            "init_noise": noise,
            "init_slots": start,
            "hist_embed": torch.cat((slots, felt, done[:, 0, :n, None]), dim=2),
            "hist_prev_slot": slots[:, -1],
            "goal_embed": torch.cat((goal_slots, goal_felt), dim=2),
            "predicted_embedding": whole,
            "predicted_pixels_embed": whole[:, :, :, :S],
            "predicted_proprio_embed": whole[:, :, :, S],
            "cost": torch.stack(costs).view(B, -1),
            "masked_in": given,
            "masked_forward": fill(
                size, w, masked_tokens(size, w, given.double(), hidden, "predictor."), "predictor."
            )[0],
            "masked_slot_indices": torch.tensor(hidden, dtype=torch.int64),
            "inference": infer(size, w, given.double(), "predictor."),
            "hung_pred": pairs[0],
            "hung_goal": pairs[1],
            "hung_cost": torch.stack(
                [
                    _matched(x.double(), y.double())[0]
                    for x, y in zip(*(p.flatten(0, 1) for p in pairs), strict=True)
                ]
            ).view(2, 3),
            "reorder_pred": order,
            "reorder_ref": reference,
            "reorder_out": torch.stack(reordered),
        },
    )
    return folder


def _unrolled(size: Size, w: b.Weights, z: Tensor, done: Tensor) -> Tensor:
    """z (n, S + 2, D), done (T, D): p frames per call, each kept frame with its own action; one frame more at the end."""
    n = t = len(z)
    while t < len(done):
        found = infer(size, w, z[-size.h :][None], "predictor.")[0]
        found = _reordered(found, z[-1, : size.S], size.S)[: len(done) - t]
        for k in range(len(found)):
            found[k, -1] = done[t + k]
        z, t = torch.cat((z, found)), t + len(found)
    last = _reordered(infer(size, w, z[-size.h :][None], "predictor.")[0], z[-1, : size.S], size.S)
    assert len(z) == n + len(done) - n
    return torch.cat((z, last[:1]))


def _matched(pred: Tensor, goal: Tensor) -> tuple[Tensor, list[int]]:
    """The best of all orders: mean squared difference, and which pred slot stands at each place."""
    S = len(pred)
    apart = (pred[:, None] - goal[None]).square().sum(-1)
    best = min(
        itertools.permutations(range(S)), key=lambda order: float(sum(apart[order[j], j] for j in range(S)))
    )
    return (pred[list(best)] - goal).square().mean(), list(best)


def _reordered(tokens: Tensor, reference: Tensor, S: int) -> Tensor:
    """(T, S + 2, D) by the first frame's match to a frame's slots"""
    _, order = _matched(tokens[0, :S], reference)
    return torch.cat((tokens[:, :S][:, order], tokens[:, S:]), dim=1)
