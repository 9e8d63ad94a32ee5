"""The cross-entropy planner exactly as published with V-JEPA 2-AC (spec section A7): the reference others are held to.

Samples actions of (dx, dy, dz, gripper) from a normal distribution per horizon step, rolls every sample out, keeps
those nearest to the goal, refits. Rotation is always 0. A generator: one iteration per yield, each a point where a
caller may stop. Random draws come from a seeded generator or are given, so a recorded run can be run again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from jepa_core.at_once import AtOnce, parts
from jepa_core.families.base import JepaModel, Memory
from jepa_core.families.vjepa2_ac import AcMemory
from jepa_core.metrics import energy

COLUMNS = 4  # dx, dy, dz, gripper
GRIPPER = 3
GRIPPER_LIMIT = 0.75  # of a sampled gripper action
GRIPPER_DEADBAND = 0.25  # of the returned plan: below it the gripper is left alone
CLOSE = 1.0  # gripper action once `close_gripper` is reached


@dataclass(frozen=True, slots=True)
class CemSettings:
    """Defaults are those of the official world-model wrapper."""

    samples: int = 400
    elites: int = 10
    iterations: int = 10
    horizon: int = 2
    limit_m: float = 0.05  # box of each of dx, dy, dz, and their first spread (the paper writes an L1 ball)
    momentum_mean: float = 0.15
    momentum_std: float = 0.15
    gripper_momentum_mean: float = 0.15
    gripper_momentum_std: float = 0.15
    fixed: Mapping[int, float] = field(default_factory=dict)  # column → value that every sample has
    close_gripper: int | None = None  # horizon step from which the gripper closes

    def __post_init__(self) -> None:
        if not 2 <= self.elites <= self.samples:
            raise ValueError(f"{self.elites} elites of {self.samples} samples: a spread needs at least two")
        if self.horizon < 1 or self.iterations < 1:
            raise ValueError("a plan needs at least one step and one iteration")


PUBLISHED = {  # section A7's table; the function's own defaults differ from its wrapper's
    "wrapper": CemSettings(),
    "function": CemSettings(samples=100, iterations=100, horizon=1, momentum_mean=0.25, momentum_std=0.95),
    "notebook": CemSettings(samples=25, iterations=2, limit_m=0.075, momentum_std=0.75),
    "paper": CemSettings(samples=800, horizon=1, limit_m=0.075),
}


@dataclass(frozen=True, slots=True)
class CemIteration:
    """What one iteration tried and what it learnt from it."""

    actions: Tensor  # (K, horizon, 7) as applied
    energies: Tensor  # (K,) lower is better
    last_pose: Tensor  # (K, 7) where each sample would end
    elites: Tensor  # (elites,) numbers of the kept samples, best first
    mean: Tensor  # (horizon, 4) of the next iteration's distribution
    std: Tensor  # (horizon, 4)


def first_distribution(settings: CemSettings) -> tuple[Tensor, Tensor]:
    """Mean and deviation (horizon, 4) before the first iteration: 0 and the box, 1 for the gripper."""
    mean = torch.zeros(settings.horizon, COLUMNS)
    for column, value in settings.fixed.items():
        mean[:, column] = value
    std = torch.full((settings.horizon, COLUMNS), settings.limit_m)
    std[:, GRIPPER] = 1.0
    return mean, std


def draw_noise(settings: CemSettings, seed: int) -> Iterator[Tensor]:
    """Standard normal draws (horizon, K, 4), one per iteration, in the published order: steps, then samples."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield torch.stack(
            [torch.randn(settings.samples, COLUMNS, generator=generator) for _ in range(settings.horizon)]
        )


def plan(
    model: JepaModel,
    start: Memory,
    goal: Tensor,
    settings: CemSettings,
    noise: Iterator[Tensor],
    at_once: AtOnce | None = None,
) -> Iterator[CemIteration]:
    """Plan from `start` (of `settings.samples` candidates) towards `goal` (n, D) normed latents.

    noise   one (horizon, K, 4) of standard normal draws per iteration: `draw_noise`, or a recorded run's own
    at_once how many samples are rolled out together; None = all, and fewer where there is no room
    yields  every iteration; the plan is `plan_of` the last one's mean
    """
    device, at_once = start.latent.device, at_once or AtOnce(settings.samples)
    mean, std = (part.to(device) for part in first_distribution(settings))
    for _ in range(settings.iterations):
        drawn = next(noise).to(device)
        applied = [_action(drawn[h] * std[h] + mean[h], h, settings) for h in range(settings.horizon)]
        actions = torch.stack(applied, dim=1)  # (K, horizon, 7)
        energies, last_pose = at_once.fit(partial(_roll_out, model, start, goal, actions))
        elites = energies.topk(settings.elites, largest=False).indices
        mean, std = _refit(actions[elites], mean, std, settings)
        yield CemIteration(actions, energies, last_pose, elites, mean, std)


def plan_of(mean: Tensor) -> Tensor:
    """The published plan: the final mean, not the best sample. (horizon, 4) → (horizon, 7); only its first is executed."""
    gripper = mean[:, GRIPPER:]
    gripper = torch.where(gripper.abs() < GRIPPER_DEADBAND, torch.zeros_like(gripper), gripper)
    return torch.cat((mean[:, :GRIPPER], torch.zeros_like(mean[:, :3]), gripper), dim=1)


def _roll_out(
    model: JepaModel, start: Memory, goal: Tensor, actions: Tensor, at_once: int
) -> tuple[Tensor, Tensor]:
    """Energy (K,) and pose (K, 7) at the end of every sample's actions (K, horizon, 7)."""
    energies, last_poses = [], []
    for span, memory in parts(start, at_once):
        for h in range(actions.shape[1]):
            memory = model.step(memory, actions[span, h])
        assert isinstance(memory, AcMemory)
        energies.append(energy(memory.latent, goal))
        last_poses.append(memory.poses[:, -1])
    return torch.cat(energies), torch.cat(last_poses)


def _action(sampled: Tensor, h: int, settings: CemSettings) -> Tensor:
    """Clip to the limits, then the fixed columns, then the closing gripper. (K, 4) → (K, 7)"""
    position = sampled[:, :GRIPPER].clamp(-settings.limit_m, settings.limit_m)
    gripper = sampled[:, GRIPPER:].clamp(-GRIPPER_LIMIT, GRIPPER_LIMIT)
    clipped = torch.cat((position, gripper), dim=1)
    for column, value in settings.fixed.items():
        clipped[:, column] = value
    if settings.close_gripper is not None and h >= settings.close_gripper:
        clipped[:, GRIPPER] = CLOSE
    return torch.cat((clipped[:, :3], torch.zeros_like(position), clipped[:, GRIPPER:]), dim=1)


def _refit(kept: Tensor, mean: Tensor, std: Tensor, settings: CemSettings) -> tuple[Tensor, Tensor]:
    """Mean and unbiased deviation of the elites as applied, each drawn back to the old one by its momentum."""
    columns = torch.cat((kept[..., :GRIPPER], kept[..., -1:]), dim=-1)  # (elites, horizon, 4)
    keep_mean = torch.full((COLUMNS,), settings.momentum_mean, device=kept.device)
    keep_std = torch.full((COLUMNS,), settings.momentum_std, device=kept.device)
    keep_mean[GRIPPER] = settings.gripper_momentum_mean
    keep_std[GRIPPER] = settings.gripper_momentum_std
    new_mean = columns.mean(0) * (1 - keep_mean) + mean * keep_mean
    new_std = columns.std(0) * (1 - keep_std) + std * keep_std
    return new_mean, new_std
