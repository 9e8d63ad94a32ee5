"""V-JEPA 2-AC, plainly (vjepa2-ac-vjepa2.1.md, part A): encoder frame by frame, predictor, poses, roll-outs, planner."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

from tests.golden.plain import blocks as b

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Run:
    """One planner run, and how its README tells it."""

    tag: str
    horizon: int = 1
    samples: int = 10
    elites: int = 3
    iterations: int = 2
    limit: float = 0.05
    momenta: tuple[float, float, float, float] = (0.15, 0.15, 0.15, 0.15)
    fixed: Mapping[int, float] = field(default_factory=dict)
    close: int | None = None
    words: str = ""


@dataclass(frozen=True)
class Size:
    width: int = 32
    depth: int = 2
    heads: int = 2
    hidden: int = 128
    rows: int = 4
    columns: int = 4
    limit: int = 8  # frames of its predictor
    p_width: int = 48
    p_depth: int = 2
    p_heads: int = 2
    p_hidden: int = 0
    p_gated: bool = False
    rope: bool = True
    p_rope: bool = True
    camera: bool = False
    normalises: bool = True
    frames: int = 5
    loss_exp: float = 1.0
    auto_steps: int = 3
    parts: tuple[str, ...] = ("encoder", "target_encoder")
    prefix: str = "module."
    stray: bool = False
    runs: tuple[Run, ...] = ()
    repeats: tuple[int, ...] = (1, 2)
    seed: int = 0

    @property
    def n(self) -> int:
        return self.rows * self.columns

    @property
    def conditions(self) -> int:
        return 3 if self.camera else 2


def write(folder: Path, size: Size) -> Path:
    folder.mkdir(parents=True)
    encoder, predictor = (
        b.draw(_encoder_shapes(size), size.seed),
        b.draw(_predictor_shapes(size), size.seed + 1),
    )
    saved: dict[str, Any] = {part: {size.prefix + n: t for n, t in encoder.items()} for part in size.parts}
    saved["predictor"] = {f"module.{name}": tensor for name, tensor in predictor.items()}
    saved |= {
        "opt": {"state": {}},
        "scaler": None,
        "epoch": 1,
        "loss": 0.1,
        "batch_size": 1,
        "world_size": 1,
        "lr": 0.1,
    }
    torch.save(saved, folder / "vjepa2-ac-tiny.pt")
    (folder / "params.yaml").write_text(yaml.safe_dump(_params(size)))
    (folder / "README.md").write_text(_readme(size))
    b.save_arrays(folder, _arrays(size, b.wide(encoder), b.wide(predictor)))
    return folder


def _readme(size: Size) -> str:
    told = []
    for run in size.runs:
        m = [f"{value:g}".removeprefix("0") for value in run.momenta]
        momenta = run.words or f"momentum mean {m[0]} std {m[1]} (gripper {m[2]}/{m[3]})"
        extra = f", axis {{{', '.join(f'{k}: {v}' for k, v in run.fixed.items())}}}" if run.fixed else ""
        extra += f", close_gripper {run.close}" if run.close is not None else ""
        limit = f"{run.limit:g}".removeprefix("0")
        told.append(
            f"`{run.tag}*`: horizon {run.horizon}, {run.samples} samples, topk {run.elites}, {run.iterations} iterations,"
            f" {momenta}, maxnorm {limit}{extra}"
        )
    return "# made here\n\n" + (
        f"CEM runs: {'; '.join(told)}. Start: h frame 0 and state 0.\n" if told else ""
    )


def _encoder_shapes(size: Size) -> dict[str, tuple[int, ...]]:
    D = size.width
    shapes = {"patch_embed.proj.weight": (D, 3, 2, 16, 16), "patch_embed.proj.bias": (D,)}
    if not size.rope or size.stray:
        shapes["pos_embed"] = (1, size.limit * size.n, D)
    for i in range(size.depth):
        shapes |= b.block_shapes(f"blocks.{i}", D, size.hidden)
    return shapes | b.norm_shapes("norm", D)


def _predictor_shapes(size: Size) -> dict[str, tuple[int, ...]]:
    P = size.p_width
    shapes = b.layer_shapes("predictor_embed", size.width, P) | b.layer_shapes("action_encoder", 7, P)
    shapes |= b.layer_shapes("state_encoder", 7, P) | b.layer_shapes("extrinsics_encoder", 6, P)
    for i in range(size.p_depth):
        shapes |= b.block_shapes(f"predictor_blocks.{i}", P, size.p_hidden or 4 * P, gated=size.p_gated)
    return shapes | b.norm_shapes("predictor_norm", P) | b.layer_shapes("predictor_proj", P, size.width)


def _params(size: Size) -> dict[str, Any]:
    return {
        "app": "vjepa_droid",
        "data": {
            "crop_size": 16 * size.rows,
            "dataset_fpcs": [size.frames],
            "fps": 4,
            "patch_size": 16,
            "tubelet_size": 2,
        },
        "loss": {"auto_steps": size.auto_steps, "loss_exp": size.loss_exp, "normalize_reps": size.normalises},
        "model": {
            "model_name": "tiny",
            "pred_depth": size.p_depth,
            "pred_embed_dim": size.p_width,
            "pred_is_frame_causal": True,
            "pred_num_heads": size.p_heads,
            "use_extrinsics": size.camera,
            "use_rope": size.p_rope,
            "use_pred_silu": size.p_gated,
        },
        "tiny_arch": {
            "img_size": [16 * size.rows, 16 * size.columns],
            "max_num_frames": 2 * size.limit,
            "encoder": {
                "embed_dim": size.width,
                "depth": size.depth,
                "num_heads": size.heads,
                "mlp_ratio": size.hidden / size.width,
                "use_rope": size.rope,
            },
            "predictor_mlp_ratio": 4.0,
        },
    }


# --- the networks ----------------------------------------------------------------------------------------------------


def encode(size: Size, w: b.Weights, clip: Tensor) -> Tensor:
    """A real clip (B, 3, T, H, W), T ≥ 2 → (B, N, D)"""
    x, grid = b.cut(clip.double(), w["patch_embed.proj.weight"], w["patch_embed.proj.bias"])
    if not size.rope:
        x = x + w["pos_embed"][:, : x.shape[1]]
    turn = None
    if size.rope:
        numbers = torch.arange(x.shape[1])[None]
        turn = b.rotary(b.split(numbers, grid[1], grid[2]), size.width // size.heads, paired=False)
    for i in range(size.depth):
        x = b.block(w, f"blocks.{i}", x, size.heads, turn)
    return b.norm(w, "norm", x, 1e-6)


def alone(size: Size, w: b.Weights, clip: Tensor) -> Tensor:
    """Each frame twice, by itself: (B, 3, T, H, W) → (B, T, n, D)"""
    frames = [encode(size, w, clip[:, :, t : t + 1].repeat(1, 1, 2, 1, 1)) for t in range(clip.shape[2])]
    return torch.stack(frames, dim=1)


def normed(size: Size, x: Tensor) -> Tensor:
    return b.plain_norm(x) if size.normalises else x


def predict(
    size: Size, w: b.Weights, z: Tensor, actions: Tensor, states: Tensor, camera: Tensor | None
) -> Tensor:
    """z (B, T, n, D), the others (B, T, ·) → (B, T, n, D)"""
    T = z.shape[1]
    x, times, rows, columns = [], [], [], []
    patches = b.linear(w, "predictor_embed", z)
    for t in range(T):
        x += [
            b.linear(w, "action_encoder", actions[:, t : t + 1]),
            b.linear(w, "state_encoder", states[:, t : t + 1]),
        ]
        if camera is not None:
            x.append(b.linear(w, "extrinsics_encoder", camera[:, t : t + 1]))
        x.append(patches[:, t])
        k = size.conditions
        times += [t] * (k + size.n)
        rows += [0.0] * k + [float(i // size.columns) for i in range(size.n)]
        columns += [0.0] * k + [(i % size.columns) * size.rows / size.columns for i in range(size.n)]
    x = torch.cat(x, dim=1)
    turn = None
    if size.p_rope:
        places = tuple(torch.tensor(axis, dtype=torch.float64)[None] for axis in (times, rows, columns))
        turn = b.rotary(places, size.p_width // size.p_heads, paired=False)
    frame = torch.tensor(times)
    for i in range(size.p_depth):
        x = b.block(w, f"predictor_blocks.{i}", x, size.p_heads, turn, frame[:, None] >= frame)
    x = x.unflatten(1, (T, -1))[:, :, size.conditions :]
    return b.linear(w, "predictor_proj", b.norm(w, "predictor_norm", x, 1e-6))


# --- poses, one at a time --------------------------------------------------------------------------------------------


def matrix(angles: Sequence[float]) -> np.ndarray:
    a, p, c = angles
    x = np.array([[1, 0, 0], [0, math.cos(a), -math.sin(a)], [0, math.sin(a), math.cos(a)]])
    y = np.array([[math.cos(p), 0, math.sin(p)], [0, 1, 0], [-math.sin(p), 0, math.cos(p)]])
    z = np.array([[math.cos(c), -math.sin(c), 0], [math.sin(c), math.cos(c), 0], [0, 0, 1]])
    return z @ y @ x


def angles(m: np.ndarray) -> list[float]:
    return [
        math.atan2(m[2, 1], m[2, 2]),
        math.atan2(-m[2, 0], math.sqrt(m[2, 1] ** 2 + m[2, 2] ** 2)),
        math.atan2(m[1, 0], m[0, 0]),
    ]


def difference(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    turned = angles(matrix(end[3:6].astype(float)) @ matrix(start[3:6].astype(float)).T)
    return np.array([*(end[:3] - start[:3]).astype(float), *turned, float(end[6] - start[6])])


def moved(pose: np.ndarray, action: np.ndarray) -> np.ndarray:
    action = action.astype(np.float32)
    turned = angles(matrix(action[3:6].astype(float)) @ matrix(pose[3:6].astype(float)))
    out = np.array([*(pose[:3] + action[:3]), *turned, pose[6] + action[6]], dtype=np.float32)
    out[6] = min(max(out[6], 0.0), 1.0)
    return out


def seen_by(camera: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """inverse(camera) · pose, as 4 x 4"""
    both = []
    for p in (camera, pose):
        m = np.eye(4)
        m[:3, :3], m[:3, 3] = matrix(p[3:6].astype(float)), p[:3]
        both.append(m)
    m = np.linalg.inv(both[0]) @ both[1]
    return np.array([*m[:3, 3], *angles(m[:3, :3]), pose[6]])


# --- arrays ----------------------------------------------------------------------------------------------------------


def _arrays(size: Size, enc: b.Weights, pred: b.Weights) -> dict[str, Any]:
    rng = np.random.default_rng(size.seed + 3)
    g = torch.Generator().manual_seed(size.seed + 3)
    T, n = size.frames, size.n
    is_square = size.rows == size.columns
    side = 16 * size.rows
    frames = rng.integers(0, 256, (T, 70, 100, 3), dtype=np.uint8)
    clip = shown(frames, side) if is_square else b.clip_of(g, 1, 3, T, side, 16 * size.columns)
    states = np.concatenate(
        [rng.normal(0, 0.3, (T, 3)), rng.uniform(-1.2, 1.2, (T, 3)), rng.uniform(0, 1, (T, 1))], 1
    )
    states = states.astype(np.float32)
    cameras = rng.normal(0, 0.6, (T, 6)).astype(np.float32)
    wide = np.stack([difference(states[t], states[t + 1]) for t in range(T - 1)])[None]
    actions = torch.from_numpy(wide.astype(np.float32)).double()
    stood = torch.from_numpy(states)[None].double()
    looked = torch.from_numpy(cameras)[None].double() if size.camera else None
    raw = alone(size, enc, clip)
    h = normed(size, raw)

    def step(z: Tensor, k: int) -> Tensor:
        return predict(size, pred, z, actions[:, :k], stood[:, :k], None if looked is None else looked[:, :k])

    out: dict[str, Any] = {
        "frames_u8": frames,
        "clips": clip,
        "states": states[None],
        "extrinsics": cameras[None],
        "actions_droid_f64": wide,
        "actions_mpc_f64": wide,
        "actions": wide.astype(np.float32),
        "states_camera_frame_f64": np.stack([seen_by(c, s) for c, s in zip(cameras, states, strict=True)])[
            None
        ],
        "enc_input_dup": clip[:, :, :1].repeat(1, 1, 2, 1, 1),
        "enc_raw": raw[0],
        "enc_video4": encode(size, enc, clip[:, :, :4]),
        "h": h.flatten(1, 2),
    }
    if is_square:
        out["wm_encode_frame0"] = normed(size, alone(size, enc, shown(frames[:1], side)))[:, 0]
    for k in range(1, T):
        out[f"pred_ctx{k}"] = step(h[:, :k], k).flatten(1, 2)
    out["pred_ctx1_seqlen"] = np.int64(size.conditions + n)
    forced = normed(size, step(h[:, :-1], T - 1))
    out["train_z_tf"] = forced.flatten(1, 2)
    out["train_jloss"] = ((forced - h[:, 1:]).abs() ** size.loss_exp).mean().numpy() / size.loss_exp
    for tag, steps in (("", size.auto_steps), ("_auto2", 2)):
        rolled = [h[:, :1], forced[:, :1]]
        while len(rolled) <= steps:
            z = torch.cat(rolled, dim=1)
            rolled.append(normed(size, step(z, z.shape[1]))[:, -1:])
        got = torch.cat(rolled[1:], dim=1)
        out[f"train_z_ar{tag}"] = got.flatten(1, 2)
        apart = (got - h[:, 1 : steps + 1]).abs()
        out[f"train_sloss{tag}"] = (apart**size.loss_exp).mean().numpy() / size.loss_exp
    apart = forced - h[:, 1:]
    out["tok_l1"], out["tok_l2"] = apart.abs().mean(-1).flatten(1), apart.norm(dim=-1).flatten(1)
    out["tok_cos"] = ((forced * h[:, 1:]).sum(-1) / (forced.norm(dim=-1) * h[:, 1:].norm(dim=-1))).flatten(1)
    frame = np.repeat(np.arange(size.limit), size.conditions + n)
    out["predictor_attn_mask"] = frame[:, None] >= frame[None]
    out |= _posed(rng)
    if not size.camera:
        out |= _rolled(size, pred, h, states, wide.astype(np.float32)[0])
        out |= _energies(size, pred, h, states)
        for run in size.runs:
            out |= _planned(size, pred, h, states, run, rng)
    return out


def shown(frames: np.ndarray, side: int) -> Tensor:
    """Centre square, float bilinear to `side`, normalised: (1, 3, T, side, side)"""
    H, W = frames.shape[1:3]
    s = min(H, W)
    top, left = (H - s) // 2, (W - s) // 2
    square = frames[:, top : top + s, left : left + s].astype(float)
    places = np.clip((np.arange(side) + 0.5) * s / side - 0.5, 0, None)
    low = np.minimum(places.astype(int), s - 1)
    high, share = np.minimum(low + 1, s - 1), places - low
    rows = square[:, low] * (1 - share)[None, :, None, None] + square[:, high] * share[None, :, None, None]
    out = rows[:, :, low] * (1 - share)[None, None, :, None] + rows[:, :, high] * share[None, None, :, None]
    out = (out - 255 * np.array(MEAN)) / (255 * np.array(STD))
    return torch.from_numpy(out.transpose(3, 0, 1, 2)[None].astype(np.float32))


def _posed(rng: np.random.Generator) -> dict[str, np.ndarray]:
    pose = np.concatenate(
        [rng.normal(0, 1, (24, 3)), rng.uniform(-3, 3, (24, 3)), rng.uniform(0, 1, (24, 1))], 1
    )
    pose[:, 4] = np.clip(pose[:, 4], -1.5, 1.5)
    action = np.concatenate(
        [rng.normal(0, 0.1, (24, 3)), rng.normal(0, 0.3, (24, 3)), rng.normal(0, 0.5, (24, 1))], 1
    )
    pose[20, 3:6], action[20, 3:6] = (0.3, math.pi / 2 - 1e-3, -0.4), 0
    pose[19, 3:6], action[19, 3:6] = (-0.7, -math.pi / 2 + 2e-3, 0.9), 0
    pose[21, 3:6], action[21, 3:6] = (3.0, 0.2, -3.0), (0.5, 0.0, 0.5)
    action[22] = 0
    pose[23, 6], action[23, 6] = 0.9, 0.75
    pose, action = pose.astype(np.float32), action.astype(np.float32)
    after = np.stack([moved(p, a) for p, a in zip(pose, action, strict=True)])
    back = np.stack([difference(p, a) for p, a in zip(pose, after, strict=True)])
    return {"pose_in": pose, "pose_action": action, "pose_out": after, "pose_diff_f64": back}


def _unroll(
    size: Size, pred: b.Weights, z: Tensor, poses: np.ndarray, done: np.ndarray, actions: np.ndarray
) -> tuple[Tensor, np.ndarray]:
    """z (K, T, n, D), poses (K, T, 7), done (K, T - 1, 7), actions (K, H, 7) → all frames, all poses"""
    for h in range(actions.shape[1]):
        done = np.concatenate([done, actions[:, h : h + 1]], axis=1)
        got = predict(size, pred, z, torch.from_numpy(done).double(), torch.from_numpy(poses).double(), None)
        z = torch.cat((z, normed(size, got[:, -1:])), dim=1)
        after = np.stack([moved(p, a) for p, a in zip(poses[:, -1], actions[:, h], strict=True)])
        poses = np.concatenate([poses, after[:, None]], axis=1)
    return z, poses


def _rolled(
    size: Size, pred: b.Weights, h: Tensor, states: np.ndarray, actions: np.ndarray
) -> dict[str, Any]:
    out = {}
    for tag, real in (("rollout", 1), ("rollout2", 2)):
        last = min(real + 2, size.frames - 1)
        z, poses = _unroll(
            size,
            pred,
            h[:, :real],
            states[None, :real],
            actions[None, : real - 1],
            actions[None, real - 1 : last],
        )
        out |= {f"{tag}_z": z, f"{tag}_poses": poses}
    return out


def _energies(size: Size, pred: b.Weights, h: Tensor, states: np.ndarray) -> dict[str, Any]:
    out: dict[str, Any] = {}
    axis = np.linspace(-0.075, 0.075, 3).astype(np.float32)
    grid = np.array([[x, y, z, 0, 0, 0, 0] for x in axis for y in axis for z in axis], dtype=np.float32)
    K = len(grid)
    for r in size.repeats:
        z, poses = _unroll(
            size, pred, h[:, :1].expand(K, -1, -1, -1), np.repeat(states[None, :1], K, 0), grid[:, :0].reshape(K, 0, 7),
            np.repeat(grid[:, None], r, 1),
        )  # fmt: skip
        energy = (z[:, -1] - h[0, -1]).abs().mean((1, 2)).numpy()
        tag = f"energy_rep{r}"
        dx, dz = grid[:, 0].astype(float) * r, grid[:, 2].astype(float) * r
        heat, x_edges, z_edges = np.histogram2d(dx, dz, bins=3, weights=energy)
        out |= {
            tag: energy.astype(np.float32),
            f"{tag}_actions": np.repeat(grid[:, None], r + 1, 1),
            f"{tag}_poses": poses,
            f"{tag}_heatmap_xz": heat,
            f"{tag}_xedges": x_edges.astype(np.float32),
            f"{tag}_zedges": z_edges.astype(np.float32),
        }
    return out


def _planned(
    size: Size, pred: b.Weights, h: Tensor, states: np.ndarray, run: Run, rng: np.random.Generator
) -> dict[str, Any]:
    H, K = run.horizon, run.samples
    noise = rng.normal(size=(run.iterations, H, K, 4)).astype(np.float32)
    mean, std = np.zeros((H, 4), np.float32), np.full((H, 4), run.limit, np.float32)
    std[:, 3] = 1
    for column, value in run.fixed.items():
        mean[:, column] = value
    keep: dict[str, list[Any]] = {name: [] for name in ("actions", "energies", "last_pose", "topk_idx")}
    means, stds = [mean], [std]
    for i in range(run.iterations):
        applied = np.zeros((K, H, 7), np.float32)
        for step in range(H):
            drawn = noise[i, step] * std[step] + mean[step]
            drawn[:, :3] = np.clip(drawn[:, :3], -run.limit, run.limit)
            drawn[:, 3] = np.clip(drawn[:, 3], -0.75, 0.75)
            for column, value in run.fixed.items():
                drawn[:, column] = value
            if run.close is not None and step >= run.close:
                drawn[:, 3] = 1.0
            applied[:, step, :3], applied[:, step, 6] = drawn[:, :3], drawn[:, 3]
        z, poses = _unroll(
            size,
            pred,
            h[:, :1].expand(K, -1, -1, -1),
            np.repeat(states[None, :1], K, 0),
            applied[:, :0],
            applied,
        )
        energy = (z[:, -1] - h[0, -1]).abs().mean((1, 2)).numpy()
        best = np.argsort(energy, kind="stable")[: run.elites]
        chosen = applied[best][:, :, [0, 1, 2, 6]].astype(float)
        m, s = chosen.mean(0), chosen.std(0, ddof=1)
        share_m = np.array([run.momenta[0]] * 3 + [run.momenta[2]])
        share_s = np.array([run.momenta[1]] * 3 + [run.momenta[3]])
        mean = (m * (1 - share_m) + mean * share_m).astype(np.float32)
        std = (s * (1 - share_s) + std * share_s).astype(np.float32)
        means.append(mean)
        stds.append(std)
        for name, value in zip(keep, (applied, energy.astype(np.float32), poses[:, -1:], best), strict=True):
            keep[name].append(value)
    final = np.zeros((1, H, 7), np.float32)
    final[0, :, :3] = mean[:, :3]
    final[0, :, 6] = np.where(np.abs(mean[:, 3]) < 0.25, 0, mean[:, 3])
    out: dict[str, Any] = {f"{run.tag}_{name}": np.stack(values) for name, values in keep.items()}
    out |= {f"{run.tag}_noise": noise, f"{run.tag}_final_action": final}
    return out | {f"{run.tag}_mean": np.stack(means), f"{run.tag}_std": np.stack(stds)}
