"""EB-JEPA's action-conditioned example, plainly (lewm-cjepa.md, section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from torch import Tensor

from tests.golden.plain import blocks as b


@dataclass(frozen=True)
class Size:
    channels: int = 2
    stacks: tuple[int, ...] = (4, 8, 8)
    blocks: int = 2
    side: int = 65
    width: int = 48
    action: int = 2
    batch: int = 2
    steps: int = 5
    compiled: bool = False
    seed: int = 0


def write(folder: Path, size: Size) -> Path:
    folder.mkdir(parents=True)
    weights = b.draw(_shapes(size), size.seed)
    for kind in ("weight", "bias"):
        weights[f"predictor.final_ln.{kind}"] = weights[f"encoder.final_ln.{kind}"].clone()
    named = {
        name.replace("encoder.", "encoder._orig_mod.", 1) if size.compiled else name: t
        for name, t in weights.items()
    }
    torch.save(
        {
            "epoch": 1,
            "step": 2,
            "model_state_dict": named,
            "optimizer_state_dict": {"state": {}, "param_groups": []},
        },
        folder / "latest.pth.tar",
    )
    config = {
        "data": {"env_name": "two_rooms", "img_size": size.side},
        "model": {"dobs": size.channels, "encoder_architecture": "impala", "mlp_output_dim": size.width},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    b.save_arrays(folder, _arrays(size, b.wide(weights)))
    return folder


def _shapes(size: Size) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    given, side = size.channels, size.side
    for s, wanted in enumerate(size.stacks):
        stem = f"encoder.stack_blocks.{s}"
        names = [
            f"{stem}.initial_conv",
            *(f"{stem}.blocks.{i}.conv{c}" for i in range(size.blocks) for c in (1, 2)),
        ]
        for name in names:
            shapes |= {f"{name}.weight": (wanted, given, 3, 3), f"{name}.bias": (wanted,)}
            given = wanted
        side = -(-side // 2)
    D = size.width
    shapes |= b.layer_shapes("encoder.mlp", given * side**2, D)
    for part in ("encoder", "predictor"):
        shapes |= b.norm_shapes(f"{part}.final_ln", D)
    shapes |= {"predictor.rnn.weight_ih_l0": (3 * D, size.action), "predictor.rnn.weight_hh_l0": (3 * D, D)}
    return shapes | {"predictor.rnn.bias_ih_l0": (3 * D,), "predictor.rnn.bias_hh_l0": (3 * D,)}


def _arrays(size: Size, w: b.Weights) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(size.seed + 1)
    raw = torch.rand(size.batch, size.channels, size.steps + 1, size.side, size.side, generator=g)
    actions = torch.randn(size.batch, size.action, size.steps, generator=g)
    obs = prepared(raw.double()) if size.channels == 2 else raw.double()
    pictures = obs.float().double().transpose(1, 2).flatten(0, 1)
    latents = encode(size, w, pictures).unflatten(0, (size.batch, -1))
    rolled = [latents[:, 0]]
    for t in range(size.steps):
        rolled.append(b.norm(w, "predictor.final_ln", _gru(w, actions[:, :, t].double(), rolled[-1]), 1e-5))
    unroll, goal = torch.stack(rolled, dim=1), latents[:1, -1]
    apart = (unroll - goal[:, None]).square().mean(-1)
    arrays = {
        "obs": obs,
        "actions": actions,
        "enc": latents.transpose(1, 2)[..., None, None],
        "unroll": unroll.transpose(1, 2)[..., None, None],
        "goal_enc": goal[:, :, None, None, None],
        "cost_sum": apart.sum(1),
        "cost_last": apart[:, -1],
        "cost_per_step": apart,
        "pred_sqerr": (unroll - latents).square().mean(-1),
    }
    return arrays | ({"raw_obs": raw} if size.channels == 2 else {})


def prepared(raw: Tensor) -> Tensor:
    out = torch.empty_like(raw)
    for channel, (mean, std) in enumerate(((0.0026, 0.0369), (0.0989, 0.2986))):
        for sample in range(raw.shape[0]):
            for t in range(raw.shape[2]):
                one = raw[sample, channel, t]
                stretched = (one - one.min()) / (one.max() - one.min() + 1e-6)
                out[sample, channel, t] = (stretched - mean) / (std + 1e-6)
    return out


def encode(size: Size, w: b.Weights, x: Tensor) -> Tensor:
    for s in range(len(size.stacks)):
        stem = f"encoder.stack_blocks.{s}"
        x = _pool(_conv(w, f"{stem}.initial_conv", x))
        for i in range(size.blocks):
            y = _conv(w, f"{stem}.blocks.{i}.conv1", x).clamp(min=0)
            x = (x + _conv(w, f"{stem}.blocks.{i}.conv2", y)).clamp(min=0)
    return b.norm(w, "encoder.final_ln", b.linear(w, "encoder.mlp", x.clamp(min=0).flatten(1)), 1e-5)


def _conv(w: b.Weights, name: str, x: Tensor) -> Tensor:
    """3 x 3, one pixel of zeros around: nine shifted sums."""
    H, W = x.shape[-2:]
    padded = torch.zeros(*x.shape[:2], H + 2, W + 2, dtype=x.dtype)
    padded[..., 1:-1, 1:-1] = x
    weight = w[f"{name}.weight"]
    out = w[f"{name}.bias"].view(1, -1, 1, 1)
    for i in range(3):
        for j in range(3):
            out = out + torch.einsum("bchw,dc->bdhw", padded[..., i : i + H, j : j + W], weight[:, :, i, j])
    return out


def _pool(x: Tensor) -> Tensor:
    """Largest of 3 x 3 around every second pixel; outside counts as nothing."""
    H, W = x.shape[-2:]
    padded = torch.full((*x.shape[:2], H + 2, W + 2), -torch.inf, dtype=x.dtype)
    padded[..., 1:-1, 1:-1] = x
    shifted = [padded[..., i : i + H : 2, j : j + W : 2] for i in range(3) for j in range(3)]
    return torch.stack(shifted).amax(0)


def _gru(w: b.Weights, a: Tensor, z: Tensor) -> Tensor:
    given = a @ w["predictor.rnn.weight_ih_l0"].T + w["predictor.rnn.bias_ih_l0"]
    kept = z @ w["predictor.rnn.weight_hh_l0"].T + w["predictor.rnn.bias_hh_l0"]
    (r1, u1, n1), (r2, u2, n2) = given.chunk(3, -1), kept.chunk(3, -1)
    reset, update = torch.sigmoid(r1 + r2), torch.sigmoid(u1 + u2)
    return (1 - update) * torch.tanh(n1 + reset * n2) + update * z
