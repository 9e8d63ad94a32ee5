"""Candidates a few at a time: the same energies, fewer at once where there is no room, each step told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from jepa_core import cem, checkpoint, solvers
from jepa_core.at_once import AtOnce, parts
from jepa_core.errors import OutOfMemory
from jepa_core.families.base import Memory
from jepa_core.families.lewm import LeWorldModel

CASES = Path(__file__).parents[1] / "golden/cases"


@dataclass(frozen=True, slots=True)
class Known(Memory):
    shared: Tensor
    count: int


class Crowded:
    """A world with room for a few candidates at once; its energy is the distance walked from the goal."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.asked: list[int] = []

    def step(self, memory: Memory, action: Tensor) -> Memory:
        self.asked.append(len(action))
        if len(action) > self.room:
            raise torch.OutOfMemoryError(f"{len(action)} candidates")
        return Memory(memory.latent + action[:, None])

    def energy(self, memory: Memory, goal: Tensor) -> Tensor:
        return (memory.latent[:, -1] - goal).square().sum(-1)


def search(world: Crowded, samples: int, at_once: AtOnce | None = None) -> list[solvers.SolverIteration]:
    settings = solvers.SolverSettings(samples=samples, elites=4, iterations=3, horizon=2)
    start, goal = Memory(torch.zeros(samples, 1, 3)), torch.ones(3)
    noise = solvers.draw_noise(settings, 3, seed=0)
    return list(solvers.plan(world, start, goal, settings, solvers.cem, noise, torch.zeros(2, 3), at_once))


def test_no_room_for_all_gives_the_same_plan_in_parts_and_tells_each_step():
    told = []

    free = search(Crowded(64), 64)
    crowded = Crowded(20)
    plan = search(crowded, 64, AtOnce(64, lambda step: told.append(step.text)))

    assert told == ["candidates: 64 at once → 32 at once", "candidates: 32 at once → 16 at once"]
    assert crowded.asked[-8:] == [16] * 8  # it stays down
    for ours, theirs in zip(plan, free, strict=True):
        assert torch.equal(ours.energies, theirs.energies)
        assert torch.equal(ours.mean, theirs.mean)


def test_no_room_even_for_the_fewest_is_out_of_memory_with_what_to_do():
    with pytest.raises(OutOfMemory, match="fewer candidates") as refused:
        search(Crowded(4), 64)
    assert refused.value.__cause__ is None


def test_other_failures_of_a_plan_pass_unchanged():
    def broken(at_once: int) -> None:
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape"):
        AtOnce(64).fit(broken)


def test_parts_share_what_all_candidates_share():
    memory = Known(latent=torch.arange(5.0)[:, None, None], shared=torch.ones(2, 3), count=7)

    made = list(parts(memory, 2))

    assert [(span.start, span.stop) for span, _ in made] == [(0, 2), (2, 4), (4, 5)]
    assert torch.equal(torch.cat([part.latent for _, part in made]), memory.latent)
    assert all(part.shared is memory.shared and part.count == 7 for _, part in made)


def test_released_layouts_plan_the_same_in_parts():
    world = checkpoint.load(CASES / "lewm-hub" / "weights.pt", device="cpu", dtype="float32")
    assert isinstance(world, LeWorldModel)
    generator = torch.Generator().manual_seed(0)
    size = world.info.input.size
    clip = torch.randn(1, 3, 1, size, size, generator=generator)
    actions = torch.randn(12, 3, len(world.info.action.names), generator=generator)

    with torch.inference_mode():
        start, goal = world.begin(clip, None, 12), world.encode(clip)[0]
        whole = solvers.roll_out(world, start, goal, actions)
        parted = solvers.roll_out(world, start, goal, actions, 5)

    torch.testing.assert_close(parted, whole, rtol=1e-5, atol=1e-5)


def test_robot_arm_plans_the_same_in_parts():
    arm = checkpoint.load(CASES / "vjepa2ac-rope-base" / "vjepa2-ac-tiny.pt", device="cpu", dtype="float32")
    settings = cem.CemSettings(samples=12, elites=3, iterations=2, horizon=2)
    size = arm.info.input.size
    clip = torch.randn(1, 3, 1, size, size, generator=torch.Generator().manual_seed(0))

    with torch.inference_mode():
        start, goal = arm.begin(clip, torch.zeros(1, 7), 12), arm.encode(clip)[0]
        whole = list(cem.plan(arm, start, goal, settings, cem.draw_noise(settings, 0)))
        parted = list(cem.plan(arm, start, goal, settings, cem.draw_noise(settings, 0), AtOnce(5)))

    for ours, theirs in zip(parted, whole, strict=True):
        torch.testing.assert_close(ours.energies, theirs.energies, rtol=1e-5, atol=1e-5)
        assert torch.equal(ours.elites, theirs.elites)
        torch.testing.assert_close(ours.last_pose, theirs.last_pose)
