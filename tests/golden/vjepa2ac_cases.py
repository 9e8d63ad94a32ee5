"""V-JEPA 2-AC against the official code: encoder, predictor, training losses, rollouts, poses, energies, planner."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from torch import Tensor

from jepa_core import cem, checkpoint, landscape, poses, preprocess
from jepa_core.families.vjepa2_ac import VJepa2Ac
from jepa_core.metrics import energy, token_error
from jepa_core.nn.ac_predictor import causal_mask
from tests.golden.files import torch_files

Arrays = Mapping[str, np.ndarray]

_INPUTS = re.compile(r"frames_u8|clips|states|extrinsics|pose_in|pose_action|cem_\w+_noise")
EXACT = re.compile(r"\w*(_seqlen|_topk_idx|_attn_mask)|enc_input_dup")
SCALARS = re.compile(r"energy_rep\d+|energy_rep\d+_heatmap_\w+|cem_\w+_energies|train_[js]loss\w*")
TOKENS, SCALAR, NONE = 5e-5, 1e-5, 0.0  # stated in every case's README


def inputs_among(arrays: Arrays) -> frozenset[str]:
    """The arrays of a case that are given, not computed."""
    return frozenset(name for name in arrays if _INPUTS.fullmatch(name))


def tolerance_of(array: str) -> float:
    if EXACT.fullmatch(array):
        return NONE
    return SCALAR if SCALARS.fullmatch(array) else TOKENS


def official(folder: Path, arrays: Arrays) -> dict[str, np.ndarray]:
    """Everything a case has a reference for, through the ordinary loader."""
    (path,) = torch_files(folder)
    model = checkpoint.load(path, device="cpu", dtype="float32")
    assert isinstance(model, VJepa2Ac)
    _lift_limits(model)
    given = {name: torch.from_numpy(arrays[name]) for name in inputs_among(arrays)}
    with torch.inference_mode():
        out = _frames(model, given)
        if "wm_encode_frame0" in arrays:  # the published planner's own way from a camera frame
            size = _params(folder)["data"]["crop_size"]
            frame = preprocess.centre_square_stretch(arrays["frames_u8"][:1], size)  # (3, 1, S, S)
            out["wm_encode_frame0"] = model.encode(frame[None])
        out |= _poses(given)
        actions = out["actions"]
        out |= _predictions(model, given, out["h"], actions, _params(folder))
        out |= _rollouts(model, given, actions, arrays)
        out |= _energies(model, given, out["h"], arrays)
        out |= _plans(model, given, out["h"], arrays, (folder / "README.md").read_text(encoding="utf-8"))
    return {name: value.detach().numpy() for name, value in out.items() if name in arrays}


def _lift_limits(model: VJepa2Ac) -> None:
    """A case may move its arm further than any arm: how far is checked elsewhere, here the numbers are."""
    spec = model.info.action
    assert spec is not None
    free = replace(spec, low=(-math.inf,) * len(spec.low), high=(math.inf,) * len(spec.high))
    model.info = replace(model.info, action=free)


def _frames(model: VJepa2Ac, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    clip = given["clips"]
    T = clip.shape[2]
    return {
        "enc_input_dup": clip[:, :, :1].repeat(1, 1, 2, 1, 1),
        "enc_raw": model.features(clip).unflatten(1, (T, -1))[0],
        "enc_video4": model.encoder(clip[:, :, :4]),
        "h": model.encode(clip),
    }


def _poses(given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    states = given["states"]
    between = poses.actions_between(states)
    out = {
        "actions_droid_f64": between,
        "actions_mpc_f64": torch.stack(
            [poses.difference(states[:, t], states[:, t + 1]) for t in range(states.shape[1] - 1)], dim=1
        ),
        "actions": between.float(),
        "states_camera_frame_f64": poses.in_camera_frame(states, given["extrinsics"]),
    }
    if "pose_in" in given:
        out["pose_out"] = poses.integrate(given["pose_in"], given["pose_action"])
        out["pose_diff_f64"] = poses.difference(given["pose_in"], out["pose_out"])
    return out


def _predictions(
    model: VJepa2Ac,
    given: Mapping[str, Tensor],
    h: Tensor,
    actions: Tensor,
    params: Mapping[str, Mapping[str, float]],
) -> dict[str, Tensor]:
    states = given["states"]
    camera = given["extrinsics"] if model.reading.uses_camera else None
    T, n = states.shape[1], model.reading.rows * model.reading.columns
    per_frame = model.predictor.conditions + n
    out: dict[str, Tensor] = {"predictor_attn_mask": causal_mask(model.reading.limit, per_frame)}

    def predict(latents: Tensor) -> Tensor:
        k = latents.shape[1] // n
        seen = None if camera is None else camera[:, :k]
        return model.predict_frames(latents, actions[:, :k], states[:, :k], seen)

    for k in range(1, T):
        out[f"pred_ctx{k}"] = predict(h[:, : k * n])
        out[f"pred_ctx{k}_seqlen"] = torch.tensor(k * per_frame)
    forced, wanted = model.normed(predict(h[:, :-n])), h[:, n:]
    power = params.get("loss", {}).get("loss_exp", 1.0)
    out["train_z_tf"], out["train_jloss"] = forced, _loss(forced, wanted, power)
    out["tok_l1"] = token_error(forced, wanted, "l1")
    out["tok_cos"] = F.cosine_similarity(forced, wanted, dim=-1)
    out["tok_l2"] = (forced - wanted).norm(dim=-1)

    def unrolled(steps: int) -> Tensor:
        """The training rollout: real frame 0 and what was predicted so far, with the recorded states."""
        pieces = [forced[:, :n]]
        while len(pieces) < steps:
            pieces.append(model.normed(predict(torch.cat((h[:, :n], *pieces), dim=1))[:, -n:]))
        return torch.cat(pieces, dim=1)

    for tag, steps in (("", int(params.get("loss", {}).get("auto_steps", 2))), ("_auto2", 2)):
        out[f"train_z_ar{tag}"] = rolled = unrolled(steps)
        out[f"train_sloss{tag}"] = _loss(rolled, h[:, n : (steps + 1) * n], power)
    return out


def _loss(predicted: Tensor, wanted: Tensor, power: float) -> Tensor:
    return ((predicted - wanted).abs() ** power).mean(dtype=torch.float64) / power


def _rollouts(
    model: VJepa2Ac, given: Mapping[str, Tensor], actions: Tensor, arrays: Arrays
) -> dict[str, Tensor]:
    """rollout_z from one real frame, rollout2_z from two, …, as far as each was recorded."""
    out = {}
    for name in arrays:
        if match := re.fullmatch(r"(rollout(\d*))_z", name):
            tag, real = match[1], int(match[2] or 1)
            memory = model.begin(given["clips"][:, :, :real], _state(model, given, real), 1)
            for t in range(real - 1, arrays[name].shape[1] - 1):
                memory = model.step(memory, actions[:, t])
            out[f"{tag}_z"], out[f"{tag}_poses"] = memory.frames, memory.poses
    return out


def _state(model: VJepa2Ac, given: Mapping[str, Tensor], frames: int) -> Tensor:
    """What a rollout begins from: the poses, and the camera's where the model was trained with it."""
    parts = [given["states"], given["extrinsics"]] if model.reading.uses_camera else [given["states"]]
    return torch.cat(parts, dim=-1)[:, :frames]


def _energies(model: VJepa2Ac, given: Mapping[str, Tensor], h: Tensor, arrays: Arrays) -> dict[str, Tensor]:
    out = {}
    n = model.reading.rows * model.reading.columns
    for tag in (name for name in arrays if re.fullmatch(r"energy_rep\d+", name)):
        repeats = int(tag.removeprefix("energy_rep"))
        extent = float(arrays[f"{tag}_actions"][..., :3].max())
        samples = round(len(arrays[tag]) ** (1 / 3))
        actions = landscape.grid_actions(samples, extent)
        start = model.begin(given["clips"][:, :, :1], _state(model, given, 1), len(actions))
        end = landscape.roll_out(model, start, actions, repeats)
        out[tag] = energies = energy(end.latent, h[0, -n:])
        out[f"{tag}_actions"] = actions[:, None].repeat(1, repeats + 1, 1)  # one more than was applied
        out[f"{tag}_poses"] = end.poses
        heat, x_edges, z_edges = landscape.histogram(actions, energies, samples, repeats=repeats)
        out[f"{tag}_heatmap_xz"] = torch.from_numpy(heat)
        out[f"{tag}_xedges"], out[f"{tag}_zedges"] = torch.from_numpy(x_edges), torch.from_numpy(z_edges)
    return out


def _plans(
    model: VJepa2Ac, given: Mapping[str, Tensor], h: Tensor, arrays: Arrays, readme: str
) -> dict[str, Tensor]:
    """Every recorded planner run again, with its own noise."""
    out = {}
    n = model.reading.rows * model.reading.columns
    for noise_name in (name for name in given if name.startswith("cem_")):
        tag, noise = noise_name.removesuffix("_noise"), given[noise_name]
        settings = _settings(tag, noise, arrays, readme)
        start = model.begin(given["clips"][:, :, :1], _state(model, given, 1), settings.samples)
        runs = list(cem.plan(model, start, h[0, -n:], settings, iter(noise)))
        first_mean, first_std = cem.first_distribution(settings)
        out[f"{tag}_actions"] = torch.stack([run.actions for run in runs])
        out[f"{tag}_energies"] = torch.stack([run.energies for run in runs])
        out[f"{tag}_last_pose"] = torch.stack([run.last_pose for run in runs])[:, :, None]
        out[f"{tag}_topk_idx"] = torch.stack([run.elites for run in runs])
        out[f"{tag}_mean"] = torch.stack([first_mean, *(run.mean for run in runs)])
        out[f"{tag}_std"] = torch.stack([first_std, *(run.std for run in runs)])
        out[f"{tag}_final_action"] = cem.plan_of(runs[-1].mean)[None]
    return out


def _settings(tag: str, noise: Tensor, arrays: Arrays, readme: str) -> cem.CemSettings:
    """Sizes from the arrays, the rest from the run's own words in the README."""
    words = next(part for part in _runs(readme) if part.startswith(f"`{tag}*`"))
    numbers = re.search(r"momentum mean (\S+) std (\S+?)[ ,]", words)
    gripper = re.search(r"gripper (\S+?)/([\d.]+)", words)
    defaults = re.search(r"default momenta \(([\d.]+)/([\d.]+)/([\d.]+)/([\d.]+)\)", words)
    axis = re.search(r"axis \{([^}]*)\}", words)
    close = re.search(r"close_gripper (\d+)", words)
    if defaults:
        momenta = [float(value) for value in defaults.groups()]
    else:
        momenta = [
            float(value) for value in (*numbers.groups(), *(gripper.groups() if gripper else (0.15, 0.15)))
        ]
    iterations, horizon, samples, _ = noise.shape
    return cem.CemSettings(
        samples=samples,
        elites=arrays[f"{tag}_topk_idx"].shape[1],
        iterations=iterations,
        horizon=horizon,
        limit_m=float(re.search(r"maxnorm ([\d.]*\d)", words)[1]),
        momentum_mean=momenta[0],
        momentum_std=momenta[1],
        gripper_momentum_mean=momenta[2],
        gripper_momentum_std=momenta[3],
        fixed=dict(_pair(pair) for pair in axis[1].split(",")) if axis else {},
        close_gripper=int(close[1]) if close else None,
    )


def _runs(readme: str) -> Iterator[str]:
    line = next(line for line in readme.splitlines() if line.startswith("CEM runs:"))
    return (part.strip() for part in line.removeprefix("CEM runs:").split(";"))


def _pair(text: str) -> tuple[int, float]:
    column, _, value = text.partition(":")
    return int(column), float(value)


def _params(folder: Path) -> Mapping[str, Mapping[str, float]]:
    return yaml.safe_load((folder / "params.yaml").read_text())
