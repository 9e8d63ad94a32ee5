"""JEPA-WM and DINO-WM, plainly (lewm-cjepa.md, section 3)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tests.golden.plain import blocks as b


@dataclass(frozen=True)
class Size:
    kind: str = "AdaLN"  # | "dino_wm"
    E: int = 24
    embed: int = 24
    P: int = 6  # proprio channels, 0 = off
    heads: int = 2
    head_dim: int = 8  # DINO-WM
    depth: int = 2
    hidden: int = 40
    side: int = 4
    frames: int = 4
    act: int = 10
    appended: int = 5  # DINO-WM: action channels
    prop: int = 4
    window: int = 2
    steps: int = 5
    candidates: int = 3
    alpha: float = 0.1
    seed: int = 0

    @property
    def width(self) -> int:
        return self.embed + self.P if self.kind == "AdaLN" else self.E + self.P + self.appended


def write(folder: Path, size: Size) -> Path:
    """A case folder: checkpoint, config, io.npz."""
    folder.mkdir(parents=True)
    predictor = b.draw(_shapes(size), size.seed)
    saved: dict[str, object] = {
        "predictor": {f"module.{name}": tensor for name, tensor in predictor.items()},
        "opt": None,
        "scaler": None,
        "epoch": 50,
    }
    encoders = {}
    if size.P:
        encoders["proprio_encoder"] = b.draw(_pointwise(size.prop, size.P), size.seed + 1)
    if size.kind != "AdaLN":
        encoders["action_encoder"] = b.draw(_pointwise(size.act, size.appended), size.seed + 2)
        rows = size.frames * size.side**2
        saved["predictor"] |= {  # type: ignore[operator]
            f"module.transformer.layers.{i}.0.bias": torch.ones(1, 1, rows, rows) for i in range(size.depth)
        }
    saved |= encoders
    torch.save(saved, folder / "model.pth.tar")
    config = {
        "kind": size.kind,
        "E": size.E,
        "P": size.P,
        "heads": size.heads,
        "depth": size.depth,
        "g": size.side,
        "nf": size.frames,
        "act": size.act,
        "prop": size.prop,
        "ctxt": size.window,
    }
    if size.alpha != 0.1:
        config["alpha"] = size.alpha
    (folder / "config.json").write_text(json.dumps(config))
    weights = b.wide(predictor)
    for part, tensors in encoders.items():
        weights |= {f"{part}.{name}": tensor for name, tensor in b.wide(tensors).items()}
    b.save_arrays(folder, _arrays(size, weights))
    return folder


def _pointwise(given: int, wanted: int) -> dict[str, tuple[int, ...]]:
    return {"patch_embed.weight": (wanted, given, 1), "patch_embed.bias": (wanted,)}


def _shapes(size: Size) -> dict[str, tuple[int, ...]]:
    d = size.width
    if size.kind == "AdaLN":
        shapes = b.layer_shapes("predictor_embed", size.E, size.embed) | b.layer_shapes(
            "action_encoder", size.act, d
        )
        for i in range(size.depth):
            name = f"predictor_blocks.{i}"
            shapes |= b.block_shapes(name, d, size.hidden) | b.layer_shapes(
                f"{name}.adaLN_modulation.1", d, 6 * d
            )
        return (
            shapes | b.norm_shapes("predictor_norm", d) | b.layer_shapes("predictor_proj", size.embed, size.E)
        )
    inside = size.heads * size.head_dim
    shapes = {"pos_embedding": (1, size.frames * size.side**2, d)}
    for i in range(size.depth):
        name = f"transformer.layers.{i}"
        shapes |= b.norm_shapes(f"{name}.0.norm", d) | {f"{name}.0.to_qkv.weight": (3 * inside, d)}
        shapes |= b.layer_shapes(f"{name}.0.to_out.0", inside, d) | b.norm_shapes(f"{name}.1.net.0", d)
        shapes |= b.layer_shapes(f"{name}.1.net.1", d, size.hidden) | b.layer_shapes(
            f"{name}.1.net.4", size.hidden, d
        )
    return shapes | b.norm_shapes("transformer.norm", d)


def _arrays(size: Size, w: b.Weights) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(size.seed + 9)
    n, side, E = size.side**2, size.side, size.E
    visual = b.clip_of(g, 1, 1, 1, side, side, E)
    body = b.clip_of(g, 1, 1, size.prop)
    actions = b.clip_of(g, size.steps, size.candidates, size.act)
    goal, goal_body = b.clip_of(g, 1, 1, side, side, E), b.clip_of(g, 1, n, size.P or 1)
    given, raw = b.clip_of(g, 2, size.frames, 1, side, side, E), b.clip_of(g, 2, size.frames, size.prop)
    acts = b.clip_of(g, 2, size.frames, size.act)
    out, out_body = predict(size, w, given.double().flatten(2, 4), _body(size, w, raw), acts.double())
    frames = visual.double().reshape(1, 1, n, E).expand(size.candidates, -1, -1, -1)
    bodies = _body(size, w, body)
    bodies = None if bodies is None else bodies.expand(size.candidates, -1, -1, -1)
    for t in range(size.steps):
        done = actions[: t + 1].transpose(0, 1).double()[:, -size.window :]
        seen = None if bodies is None else bodies[:, -size.window :]
        next_visual, next_body = predict(size, w, frames[:, -size.window :], seen, done)
        frames = torch.cat((frames, next_visual[:, -1:]), dim=1)
        bodies = (
            None if bodies is None or next_body is None else torch.cat((bodies, next_body[:, -1:]), dim=1)
        )
    cost = (frames[:, -1] - goal.double().reshape(n, E)).square().mean((1, 2))
    arrays = {
        "visual": visual,
        "actions": actions,
        "unroll1_visual": frames.transpose(0, 1).unflatten(2, (1, side, side)),
        "target_visual": goal,
        "fp_visual": given,
        "fp_actions": acts,
        "fp_out_visual": out.view(given.shape),
    }
    if bodies is not None and out_body is not None:
        cost = cost + size.alpha * (bodies[:, -1] - goal_body.double()[0]).square().mean((1, 2))
        arrays |= {
            "proprio": body,
            "proprio_features": bodies[:1, :1],
            "unroll1_proprio": bodies.transpose(0, 1),
            "target_proprio": goal_body,
            "fp_proprio_raw": raw,
            "fp_out_proprio": out_body,
        }
    return arrays | {"cost": cost}


def _body(size: Size, w: b.Weights, raw: Tensor) -> Tensor | None:
    if not size.P:
        return None
    features = b.linear(w, "proprio_encoder.patch_embed", raw.double())
    return features[:, :, None].expand(-1, -1, size.side**2, -1)


def predict(
    size: Size, w: b.Weights, visual: Tensor, body: Tensor | None, actions: Tensor
) -> tuple[Tensor, Tensor | None]:
    T, n = visual.shape[1:3]
    numbers = torch.arange(T * n)
    frame = numbers // n
    allowed = frame[:, None] >= frame
    if size.kind == "AdaLN":
        x = b.linear(w, "predictor_embed", visual)
        x = (x if body is None else torch.cat((x, body), -1)).flatten(1, 2)
        condition = b.linear(w, "action_encoder", actions)[:, frame]
        turn = b.rotary(
            [t[None] for t in b.split(numbers, size.side, size.side)], size.width // size.heads, paired=False
        )
        for i in range(size.depth):
            name = f"predictor_blocks.{i}"
            s1, k1, g1, s2, k2, g2 = b.linear(w, f"{name}.adaLN_modulation.1", b.silu(condition)).chunk(6, -1)
            y = b.norm(w, f"{name}.norm1", x, 1e-6) * (1 + k1) + s1
            q, k, v = (b.heads_of(t, size.heads) for t in b.linear(w, f"{name}.attn.qkv", y).chunk(3, -1))
            x = x + g1 * b.linear(w, f"{name}.attn.proj", b.attend(turn(q), turn(k), v, allowed))
            x = x + g2 * b.mlp(w, f"{name}.mlp", b.norm(w, f"{name}.norm2", x, 1e-6) * (1 + k2) + s2)
        x = b.norm(w, "predictor_norm", x, 1e-6).unflatten(1, (T, n))
        return b.linear(w, "predictor_proj", x[..., : size.embed]), None if body is None else x[
            ..., size.embed :
        ]
    act = b.linear(w, "action_encoder.patch_embed", actions)[:, :, None].expand(-1, -1, n, -1)
    x = torch.cat([part for part in (visual, body, act) if part is not None], -1).flatten(1, 2)
    x = x + w["pos_embedding"][:, : T * n]
    for i in range(size.depth):
        name = f"transformer.layers.{i}"
        qkv = b.linear(w, f"{name}.0.to_qkv", b.norm(w, f"{name}.0.norm", x, 1e-5))
        q, k, v = (b.heads_of(t, size.heads) for t in qkv.chunk(3, -1))
        x = x + b.linear(w, f"{name}.0.to_out.0", b.attend(q, k, v, allowed))
        y = b.linear(w, f"{name}.1.net.1", b.norm(w, f"{name}.1.net.0", x, 1e-5))
        x = x + b.linear(w, f"{name}.1.net.4", b.gelu(y))
    x = b.norm(w, "transformer.norm", x, 1e-5).unflatten(1, (T, n))
    return x[..., : size.E], None if body is None else x[..., size.E : size.E + size.P]
