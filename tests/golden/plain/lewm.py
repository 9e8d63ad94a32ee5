"""LeWorldModel, plainly (lewm-cjepa.md, section 1)."""

from __future__ import annotations

import json
import math
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
    vit: int = 36
    layers: int = 2
    vit_heads: int = 3
    vit_hidden: int = 72
    side: int = 42
    patch: int = 14
    D: int = 32
    Dh: int = 32
    out: int = 32
    h: int = 3
    depth: int = 2
    heads: int = 2
    head_dim: int = 12
    hidden: int = 48
    action: int = 10
    smoothed: int = 10
    projector: int = 40
    pred_proj: int = 44
    context: int = 1  # H
    steps: int = 5  # T
    batch: int = 1
    candidates: int = 4
    shown: tuple[int, int] = (0, 0)  # another picture size than the table's
    new_names: bool = False
    newer: bool = False  # the rule of the later main branch: executed blocks apart
    wrapper: str = ""  # before every name
    spread: float = 1.0
    temperature: float = 0.5
    elites: int = 4
    seed: int = 0


def write(folder: Path, size: Size, *, name: str = "weights.pt", with_config: bool = True) -> Path:
    folder.mkdir(parents=True)
    w = _draw(size)
    saved = {size.wrapper + _spelt(name, size): tensor for name, tensor in w.items()}
    torch.save(saved, folder / name)
    (folder / ("config.json" if with_config else "structure.json")).write_text(json.dumps(_config(size)))
    (folder / "README.md").write_text(
        f"{size.elites} elites, start spread {size.spread:g}, CPU generator seeded 7; MPPI temperature {size.temperature:g}\n"
    )
    arrays, plan = _arrays(size, {k: v.double() if v.is_floating_point() else v for k, v in w.items()})
    b.save_arrays(folder, arrays)
    if plan:
        np.savez(folder / "plan.npz", **{k: v.numpy().astype(np.float32) for k, v in plan.items()})
    return folder


def _draw(size: Size) -> b.Weights:
    V, D, Dh, p = size.vit, size.D, size.Dh, size.patch
    shapes: dict[str, tuple[int, ...]] = {
        "encoder.embeddings.cls_token": (1, 1, V),
        "encoder.embeddings.position_embeddings": (1, 1 + (size.side // p) ** 2, V),
        "encoder.embeddings.patch_embeddings.projection.weight": (V, 3, p, p),
        "encoder.embeddings.patch_embeddings.projection.bias": (V,),
    }
    for i in range(size.layers):
        stem = f"encoder.layers.{i}"
        shapes |= b.norm_shapes(f"{stem}.layernorm_before", V) | b.norm_shapes(f"{stem}.layernorm_after", V)
        for which in "qkvo":
            shapes |= b.layer_shapes(f"{stem}.attention.{which}_proj", V, V)
        shapes |= b.layer_shapes(f"{stem}.mlp.fc1", V, size.vit_hidden)
        shapes |= b.layer_shapes(f"{stem}.mlp.fc2", size.vit_hidden, V)
    shapes |= b.norm_shapes("encoder.layernorm", V)
    shapes["predictor.pos_embedding"] = (1, size.h, D)
    t = "predictor.transformer"
    if Dh != D:
        shapes |= b.layer_shapes(f"{t}.input_proj", D, Dh) | b.layer_shapes(f"{t}.cond_proj", D, Dh)
    if Dh != size.out:
        shapes |= b.layer_shapes(f"{t}.output_proj", Dh, size.out)
    inside = size.heads * size.head_dim
    for i in range(size.depth):
        stem = f"{t}.layers.{i}"
        shapes |= b.norm_shapes(f"{stem}.attn.norm", Dh) | {f"{stem}.attn.to_qkv.weight": (3 * inside, Dh)}
        if not (size.heads == 1 and size.head_dim == Dh):
            shapes |= b.layer_shapes(f"{stem}.attn.to_out.0", inside, Dh)
        shapes |= b.norm_shapes(f"{stem}.mlp.net.0", Dh) | b.layer_shapes(
            f"{stem}.mlp.net.1", Dh, size.hidden
        )
        shapes |= b.layer_shapes(f"{stem}.mlp.net.4", size.hidden, Dh)
        shapes |= b.layer_shapes(f"{stem}.adaLN_modulation.1", Dh, 6 * Dh)
    shapes |= b.norm_shapes(f"{t}.norm", Dh)
    shapes |= {"action_encoder.patch_embed.weight": (size.smoothed, size.action, 1)}
    shapes |= {"action_encoder.patch_embed.bias": (size.smoothed,)}
    shapes |= b.layer_shapes("action_encoder.embed.0", size.smoothed, 4 * D)
    shapes |= b.layer_shapes("action_encoder.embed.2", 4 * D, D)
    for part, given, hidden in (("projector", V, size.projector), ("pred_proj", size.out, size.pred_proj)):
        shapes |= b.layer_shapes(f"{part}.net.0", given, hidden) | b.norm_shapes(f"{part}.net.1", hidden)
        shapes |= {f"{part}.net.1.running_mean": (hidden,), f"{part}.net.1.running_var": (hidden,)}
        shapes |= b.layer_shapes(f"{part}.net.3", hidden, D)
    w = b.draw(shapes, size.seed)
    for name in w:
        if name.endswith("running_var"):
            w[name] = w[name].abs() + 0.5
    for part in ("projector", "pred_proj"):
        w[f"{part}.net.1.num_batches_tracked"] = torch.tensor(99)
    return w


def _spelt(name: str, size: Size) -> str:
    if size.new_names or not name.startswith("encoder.layers."):
        return name
    for new, old in (
        ("encoder.layers.", "encoder.encoder.layer."),
        ("attention.q_proj", "attention.attention.query"),
        ("attention.k_proj", "attention.attention.key"),
        ("attention.v_proj", "attention.attention.value"),
        ("attention.o_proj", "attention.output.dense"),
        ("mlp.fc1", "intermediate.dense"),
        ("mlp.fc2", "output.dense"),
    ):
        name = name.replace(new, old)
    return name


def _config(size: Size) -> dict[str, Any]:
    return {
        "_target_": "jepa.JEPA",
        "encoder": {
            "size": "tiny",
            "patch_size": size.patch,
            "image_size": size.side,
            "hidden_size": size.vit,
            "num_hidden_layers": size.layers,
            "num_attention_heads": size.vit_heads,
            "intermediate_size": size.vit_hidden,
        },
        "predictor": {
            "_target_": "module.ARPredictor",
            "num_frames": size.h,
            "input_dim": size.D,
            "hidden_dim": size.Dh,
            "output_dim": size.out,
            "depth": size.depth,
            "heads": size.heads,
            "mlp_dim": size.hidden,
            "dim_head": size.head_dim,
        },
        "action_encoder": {"input_dim": size.action, "emb_dim": size.D},
        "projector": {"input_dim": size.vit, "output_dim": size.D, "hidden_dim": size.projector},
        "pred_proj": {"input_dim": size.out, "output_dim": size.D, "hidden_dim": size.pred_proj},
        "history_size": size.h,
    }


# --- the networks ----------------------------------------------------------------------------------------------------


def vit(size: Size, w: b.Weights, pictures: Tensor) -> Tensor:
    """(N, 3, H, W) → (N, 1 + patches, V)"""
    p = "encoder.embeddings"
    stem = f"{p}.patch_embeddings.projection"
    x, grid = b.cut(pictures.double(), w[f"{stem}.weight"], w[f"{stem}.bias"])
    side, table = size.side // size.patch, w[f"{p}.position_embeddings"]
    places = table[:, 1:] if grid[1:] == (side, side) else tables.bicubic(table[:, 1:], side, grid[1:])
    x = torch.cat(((w[f"{p}.cls_token"] + table[:, :1]).expand(len(x), -1, -1), x + places), dim=1)
    for i in range(size.layers):
        stem = f"encoder.layers.{i}"
        y = b.norm(w, f"{stem}.layernorm_before", x, 1e-12)
        q, k, v = (
            b.heads_of(b.linear(w, f"{stem}.attention.{which}_proj", y), size.vit_heads) for which in "qkv"
        )
        x = x + b.linear(w, f"{stem}.attention.o_proj", b.attend(q, k, v))
        x = x + b.mlp(w, f"{stem}.mlp", b.norm(w, f"{stem}.layernorm_after", x, 1e-12))
    return b.norm(w, "encoder.layernorm", x, 1e-12)


def projected(w: b.Weights, part: str, x: Tensor) -> Tensor:
    y = b.linear(w, f"{part}.net.0", x)
    stem = f"{part}.net.1"
    y = (y - w[f"{stem}.running_mean"]) / (w[f"{stem}.running_var"] + 1e-5).sqrt() * w[f"{stem}.weight"]
    return b.linear(w, f"{part}.net.3", b.gelu(y + w[f"{stem}.bias"]))


def encode(size: Size, w: b.Weights, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """(B, T, 3, H, W) → latents (B, T, D), tokens"""
    tokens = vit(size, w, pixels.flatten(0, 1)).unflatten(0, pixels.shape[:2])
    return projected(w, "projector", tokens[:, :, 0]), tokens


def acted(w: b.Weights, actions: Tensor) -> Tensor:
    x = b.linear(w, "action_encoder.patch_embed", actions.double())
    return b.linear(w, "action_encoder.embed.2", b.silu(b.linear(w, "action_encoder.embed.0", x)))


def predict(size: Size, w: b.Weights, z: Tensor, a: Tensor) -> Tensor:
    T, t = z.shape[1], "predictor.transformer"
    x, c = z + w["predictor.pos_embedding"][:, :T], a
    if size.Dh != size.D:
        x, c = b.linear(w, f"{t}.input_proj", x), b.linear(w, f"{t}.cond_proj", c)
    causal = torch.ones(T, T).tril().bool()
    for i in range(size.depth):
        stem = f"{t}.layers.{i}"
        s1, k1, g1, s2, k2, g2 = b.linear(w, f"{stem}.adaLN_modulation.1", b.silu(c)).chunk(6, -1)
        y = b.norm(w, f"{stem}.attn.norm", b.plain_norm(x, 1e-6) * (1 + k1) + s1, 1e-5)
        q, k, v = (
            b.heads_of(part, size.heads) for part in b.linear(w, f"{stem}.attn.to_qkv", y).chunk(3, -1)
        )
        y = b.attend(q, k, v, causal)
        x = x + g1 * (b.linear(w, f"{stem}.attn.to_out.0", y) if f"{stem}.attn.to_out.0.weight" in w else y)
        y = b.norm(w, f"{stem}.mlp.net.0", b.plain_norm(x, 1e-6) * (1 + k2) + s2, 1e-5)
        x = x + g2 * b.linear(w, f"{stem}.mlp.net.4", b.gelu(b.linear(w, f"{stem}.mlp.net.1", y)))
    x = b.norm(w, f"{t}.norm", x, 1e-5)
    if size.Dh != size.out:
        x = b.linear(w, f"{t}.output_proj", x)
    return projected(w, "pred_proj", x)


def unroll(size: Size, w: b.Weights, z: Tensor, blocks: Tensor) -> Tensor:
    """z (K, H, D) encoded, blocks (K, T, A) of which the first H - 1 were executed → (K, T + 1, D)"""
    a = acted(w, blocks)
    for t in range(z.shape[1] - 1, blocks.shape[1]):
        first = max(0, t + 1 - size.h)
        z = torch.cat((z, predict(size, w, z[:, first : t + 1], a[:, first : t + 1])[:, -1:]), dim=1)
    return z


# --- arrays ----------------------------------------------------------------------------------------------------------


def _arrays(size: Size, w: b.Weights) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    g = torch.Generator().manual_seed(size.seed + 3)
    H, T, h = size.context, size.steps, size.h
    shape = (3, *(size.shown if size.shown[0] else (size.side, size.side)))
    pixels, acts = b.clip_of(g, 1, h + 1, *shape), b.clip_of(g, 1, h + 1, size.action)
    z, tokens = encode(size, w, pixels)
    a = acted(w, acts)
    pred = predict(size, w, z[:, :h], a[:, :h])
    context, goal = b.clip_of(g, size.batch, H, *shape), b.clip_of(g, size.batch, 1, *shape)
    blocks = b.clip_of(g, size.batch, size.candidates, T, size.action)
    seen, wanted = encode(size, w, context)[0], encode(size, w, goal)[0]
    out = {
        "enc_pixels": pixels,
        "enc_action": acts,
        "enc_emb": z,
        "enc_act_emb": a,
        "enc_vit_tokens": tokens,
        "pred_out": pred,
        "pred_len1": predict(size, w, z[:, :1], a[:, :1]),
        "pred_target": z[:, 1 : 1 + h],
        "pred_sqerr_mean": (pred - z[:, 1 : 1 + h]).square().mean(-1),
        "roll_pixels": context,
        "roll_goal": goal,
        "roll_actions": blocks,
        "roll_goal_emb": wanted,
    }
    whole = blocks
    if size.newer:
        done = b.clip_of(g, size.batch, H - 1, size.action)
        out["roll_action_history"] = done
        whole = torch.cat((done[:, None].expand(-1, size.candidates, -1, -1), blocks), dim=2)
    rolled = torch.stack(
        [
            unroll(size, w, seen[i : i + 1].expand(size.candidates, -1, -1), whole[i])
            for i in range(size.batch)
        ]
    )
    out["roll_predicted_emb"] = rolled
    out["roll_cost"] = (rolled[:, :, -1] - wanted).square().sum(-1)
    zs, directions = b.clip_of(g, 3, 12, size.D), b.clip_of(g, size.D, 20)
    directions = directions / directions.norm(dim=0)
    out |= {
        "sigreg_z": zs,
        "sigreg_proj": directions,
        "sigreg_value": _sigreg(zs.double(), directions.double())[None],
    }
    return out, (_plans(size, w, seen[:1], wanted[0]) if H == 1 else {})


def _sigreg(z: Tensor, directions: Tensor) -> Tensor:
    total = []
    for step in z:
        for u in directions.T:
            x, value = step @ u, 0.0
            for k in range(17):
                t, weight = 3 * k / 16, (3 / 16) * (1 if k in (0, 16) else 2)
                bell = math.exp(-t * t / 2)
                error = ((x * t).cos().mean() - bell) ** 2 + (x * t).sin().mean() ** 2
                value = value + weight * bell * error
            total.append(value * len(step))
    return torch.stack(total).mean()


def _plans(size: Size, w: b.Weights, z: Tensor, goal: Tensor) -> dict[str, Tensor]:
    out: dict[str, Tensor] = {}
    N, T, iterations = 12, size.steps, 3
    for name in ("cem", "mppi"):
        g = torch.Generator().manual_seed(7)
        mean, std = torch.zeros(T, size.action).double(), torch.full((T, size.action), size.spread).double()
        tried, costs = [], []
        for _ in range(iterations):
            actions = mean + std * torch.randn(1, N, T, size.action, generator=g)[0].double()
            actions[0] = mean
            actions = actions.float().double()
            cost = (unroll(size, w, z.expand(N, -1, -1), actions)[:, -1] - goal).square().sum(-1)
            best = cost.argsort()[: size.elites]
            if name == "cem":
                mean, std = actions[best].mean(0), actions[best].std(0)
            else:
                weight = torch.exp(-(cost[best] - cost.min()) / size.temperature)
                mean = (weight[:, None, None] * actions[best]).sum(0) / weight.sum()
            tried.append(actions)
            costs.append(cost)
        out |= {
            f"{name}_candidates": torch.stack(tried),
            f"{name}_costs": torch.stack(costs),
            f"{name}_plan": mean,
        }
        if name == "cem":
            out["cem_std"] = std
    return out
