"""The two sampling planners that LeWorldModel and C-JEPA were published with: CEM and MPPI (specs/lewm-cjepa.md, 1.8).

They search in the model's own, normalised action space, unclamped, and roll every candidate out. A generator: one
iteration per yield, each a point where a caller may stop. The noise is given or drawn from a seed, so a recorded run
can be run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from jepa_core.at_once import AtOnce, parts
from jepa_core.families.base import Memory


class Plannable(Protocol):
    """A model whose rollouts end at a distance from a goal."""

    def step(self, memory: Memory, action: Tensor) -> Memory: ...

    def energy(self, memory: Memory, goal: Tensor) -> Tensor: ...


@dataclass(frozen=True, slots=True)
class SolverSettings:
    """Defaults are those of the published evaluations."""

    samples: int = 300
    elites: int = 30
    iterations: int = 30
    horizon: int = 5  # action blocks
    spread: float = 1.0  # first standard deviation, in those of the actions
    temperature: float = 0.5  # MPPI only

    def __post_init__(self) -> None:
        if not 2 <= self.elites <= self.samples:
            raise ValueError(f"{self.elites} elites of {self.samples} samples: a spread needs at least two")
        if self.horizon < 1 or self.iterations < 1:
            raise ValueError("a plan needs at least one step and one iteration")


ON_CPU = SolverSettings(
    samples=64, elites=10, iterations=10
)  # about 2 s for a released LeWorldModel on one core


@dataclass(frozen=True, slots=True)
class SolverIteration:
    """What one iteration tried and what it learnt from it."""

    actions: Tensor  # (K, horizon, A); row 0 is the mean it began with
    energies: Tensor  # (K,) lower is better
    mean: Tensor  # (horizon, A) after it: of the last iteration, the plan
    std: Tensor  # (horizon, A)


def draw_noise(settings: SolverSettings, action_size: int, seed: int) -> Iterator[Tensor]:
    """Standard normal draws (K, horizon, A), one per iteration, from one generator, in the published order."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield torch.randn(1, settings.samples, settings.horizon, action_size, generator=generator)[0]


Refit = Callable[[Tensor, Tensor, Tensor, SolverSettings], tuple[Tensor, Tensor]]
"""(actions (K, horizon, A), energies (K,), std so far, settings) → mean and std (horizon, A) of the next iteration"""


def cem(actions: Tensor, energies: Tensor, std: Tensor, settings: SolverSettings) -> tuple[Tensor, Tensor]:
    """Cross-entropy method: mean and unbiased deviation of the elites."""
    elites = actions[energies.topk(settings.elites, largest=False).indices]  # (elites, horizon, A)
    return elites.mean(0), elites.std(0)


def mppi(actions: Tensor, energies: Tensor, std: Tensor, settings: SolverSettings) -> tuple[Tensor, Tensor]:
    """Model predictive path integral: the elites weighed by their energies move the mean; the spread stays."""
    best, places = energies.topk(settings.elites, largest=False)
    weights = torch.softmax(-(best - best.min()) / settings.temperature, dim=0)
    return (weights[:, None, None] * actions[places]).sum(0), std


def plan(
    model: Plannable,
    start: Memory,
    goal: Tensor,
    settings: SolverSettings,
    refit: Refit,
    noise: Iterator[Tensor],
    first: Tensor,
    at_once: AtOnce | None = None,
) -> Iterator[SolverIteration]:
    """Search from `start` towards `goal`; the mean of the last iteration is the plan, and all of it is executed.

    start   memory of `settings.samples` candidates; goal as model.energy takes it
    refit   `cem` or `mppi`
    noise   one (K, horizon, A) of standard normal draws per iteration: `draw_noise`, or a recorded run's own
    first   (horizon, A) mean to begin with: zeros, or what an earlier plan left unexecuted
    at_once how many candidates are rolled out together; None = all, and fewer where there is no room
    """
    mean, std = first, torch.full_like(first, settings.spread)
    at_once = at_once or AtOnce(settings.samples)
    for _ in range(settings.iterations):
        actions = candidates(mean, std, next(noise))
        energies = at_once.fit(partial(roll_out, model, start, goal, actions))
        mean, std = refit(actions, energies, std, settings)
        yield SolverIteration(actions, energies, mean, std)


def candidates(mean: Tensor, std: Tensor, noise: Tensor) -> Tensor:
    """(horizon, A) twice and (K, horizon, A) → (K, horizon, A); candidate 0 is the mean itself."""
    actions = mean + std * noise.to(mean.device)
    actions[0] = mean
    return actions


def roll_out(model: Plannable, start: Memory, goal: Tensor, actions: Tensor, at_once: int = 0) -> Tensor:
    """Energy of every candidate at the end of its actions (K, horizon, A) → (K,); `at_once` together, 0 = all."""
    energies = []
    for span, memory in parts(start, at_once or len(actions)):
        for h in range(actions.shape[1]):
            memory = model.step(memory, actions[span, h])
        energies.append(model.energy(memory, goal))
    return torch.cat(energies)
