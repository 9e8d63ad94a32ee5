"""The published planner and energy landscape, step by step against section A7 and A8."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from jepa_core import cem, checkpoint, landscape
from jepa_core.cem import CemSettings
from jepa_core.families.vjepa2_ac import AcMemory, VJepa2Ac
from jepa_core.metrics import energy
from tests.helpers import ac_checkpoints as made

SETTINGS = CemSettings(samples=6, elites=2, iterations=2, horizon=2)


@dataclass
class KnownWorld:
    """A world whose latent is its position, so that the energy is the distance and the best action is known."""

    def step(self, memory: AcMemory, action: torch.Tensor) -> AcMemory:
        pose = memory.poses[:, -1] + action
        latent = pose[:, None, :3]
        return replace(memory, latent=latent, poses=torch.cat((memory.poses, pose[:, None]), dim=1))


def start(candidates: int) -> AcMemory:
    origin = torch.zeros(candidates, 1, 7)
    return AcMemory(origin[..., :3], origin[:, :, None, :3], origin[:, :0], origin)


def run(settings: CemSettings, goal: torch.Tensor, noise=None) -> list[cem.CemIteration]:
    noise = noise or cem.draw_noise(settings, seed=0)
    return list(cem.plan(KnownWorld(), start(settings.samples), goal, settings, noise))


GOAL = torch.tensor([[0.03, -0.02, 0.01]])


def test_plan_goes_to_the_known_optimum():
    settings = CemSettings(samples=200, elites=10, iterations=10, horizon=1)

    plan = cem.plan_of(run(settings, GOAL)[-1].mean)

    assert torch.allclose(plan[0, :3], GOAL[0], atol=2e-3)


def test_samples_are_clipped_to_a_box_and_never_turn():
    settings = replace(SETTINGS, samples=50, limit_m=0.075)
    noise = torch.randn(2, 50, 4, generator=torch.Generator().manual_seed(0)) * 5

    actions = run(replace(settings, iterations=1), GOAL, iter([noise]))[0].actions

    assert actions[..., :3].abs().max() == pytest.approx(0.075)
    assert actions[..., 6].abs().max() == pytest.approx(0.75)
    assert (actions[..., 3:6] == 0).all()
    corner = actions[..., :3].abs().sum(-1).max()
    assert corner > 0.075  # a box; the paper writes a ball


def test_first_spread_is_the_box_for_places_and_one_for_the_gripper():
    mean, std = cem.first_distribution(replace(SETTINGS, fixed={1: 0.02}))

    assert mean[0].tolist() == pytest.approx([0, 0.02, 0, 0])
    assert std[0].tolist() == pytest.approx([0.05, 0.05, 0.05, 1])


def test_fixed_column_is_fixed_in_every_sample_even_outside_the_box():
    actions = run(replace(SETTINGS, fixed={1: 0.2, 3: 0.9}), GOAL)[0].actions

    assert torch.allclose(actions[..., 1], torch.tensor(0.2))
    assert torch.allclose(actions[..., 6], torch.tensor(0.9))


def test_gripper_closes_from_the_stated_step_and_the_refit_learns_it():
    last = run(replace(SETTINGS, close_gripper=1), GOAL)[-1]

    assert (last.actions[:, 0, 6] <= 0.75).all()
    assert (last.actions[:, 1, 6] == 1.0).all()
    assert last.mean[1, 3] > 0.9


def test_refit_is_the_elites_as_applied_with_unbiased_spread_and_momentum():
    settings = replace(
        SETTINGS,
        iterations=1,
        momentum_mean=0.2,
        momentum_std=0.6,
        gripper_momentum_mean=0.3,
        gripper_momentum_std=0.7,
    )
    first = run(settings, GOAL)[0]
    kept = first.actions[first.elites].numpy()[..., [0, 1, 2, 6]]
    mean_0, std_0 = (part.numpy() for part in cem.first_distribution(settings))
    keep_mean, keep_std = np.array([0.2, 0.2, 0.2, 0.3]), np.array([0.6, 0.6, 0.6, 0.7])

    np.testing.assert_allclose(first.mean, kept.mean(0) * (1 - keep_mean) + mean_0 * keep_mean, atol=1e-6)
    np.testing.assert_allclose(first.std, kept.std(0, ddof=1) * (1 - keep_std) + std_0 * keep_std, atol=1e-6)


def test_elites_are_the_nearest_best_first():
    first = run(SETTINGS, GOAL)[0]

    assert first.energies[first.elites].tolist() == sorted(first.energies.tolist())[:2]


def test_plan_is_the_mean_with_a_quiet_gripper_left_alone():
    mean = torch.tensor([[0.01, 0.02, 0.03, 0.24], [0.0, 0.0, 0.0, -0.26]])

    plan = cem.plan_of(mean)

    assert plan[0].tolist() == pytest.approx([0.01, 0.02, 0.03, 0, 0, 0, 0])
    assert plan[1].tolist() == pytest.approx([0, 0, 0, 0, 0, 0, -0.26])


def test_same_seed_same_plan_and_another_seed_another():
    def plan(seed: int) -> torch.Tensor:
        return run(SETTINGS, GOAL, cem.draw_noise(SETTINGS, seed))[-1].mean

    assert torch.equal(plan(1), plan(1))
    assert not torch.equal(plan(1), plan(2))


def test_published_settings_are_the_tables():
    assert (cem.PUBLISHED["paper"].samples, cem.PUBLISHED["paper"].horizon) == (800, 1)
    assert cem.PUBLISHED["notebook"].momentum_std == 0.75
    assert cem.PUBLISHED["function"].momentum_std == 0.95
    assert cem.PUBLISHED["wrapper"] == CemSettings()
    assert CemSettings().momentum_std == 0.15


def test_settings_without_a_spread_are_refused():
    with pytest.raises(ValueError, match="elites"):
        CemSettings(samples=10, elites=1)


def test_planner_runs_on_a_loaded_checkpoint(tmp_path):
    model = checkpoint.load(made.write(tmp_path))
    assert isinstance(model, VJepa2Ac)
    pixels, pose = torch.randn(1, 3, 2, 32, 32), torch.zeros(1, 2, 7)
    with torch.inference_mode():
        goal = model.encode(pixels)[0, -16:]
        begun = model.begin(pixels[:, :, :1], pose[:, :1], SETTINGS.samples)
        runs = list(cem.plan(model, begun, goal, SETTINGS, cem.draw_noise(SETTINGS, 0)))

    assert len(runs) == SETTINGS.iterations
    assert runs[-1].actions.shape == (6, 2, 7)
    assert torch.isfinite(runs[-1].energies).all()


# --- energy and landscape ------------------------------------------------------------------------------------------


def test_energy_is_the_mean_absolute_difference_of_the_last_frame():
    latents, goal = torch.tensor([[[1.0, 2.0]], [[0.0, 0.0]]]), torch.tensor([[0.0, 4.0]])

    assert energy(latents, goal).tolist() == [1.5, 2.0]


def test_grid_has_x_slowest_and_z_fastest():
    actions = landscape.grid_actions(3, 0.1)

    assert actions.shape == (27, 7)
    assert actions[1, :3].tolist() == pytest.approx([-0.1, -0.1, 0.0])
    assert actions[9, :3].tolist() == pytest.approx([0.0, -0.1, -0.1])
    assert (actions[:, 3:] == 0).all()


def test_landscape_sums_over_the_axis_that_is_not_drawn():
    actions = landscape.grid_actions(3, 0.1)
    energies = torch.arange(27, dtype=torch.float32)

    heat, x_edges, _ = landscape.histogram(actions, energies, 3, repeats=2)

    assert heat[0, 1] == 1 + 4 + 7  # dx least, dz middle, all three dy
    assert (x_edges[0], x_edges[-1]) == pytest.approx((-0.2, 0.2))


def test_minimum_of_a_known_world_lies_at_the_true_action():
    actions = landscape.grid_actions(5, 0.05)
    end = landscape.roll_out(KnownWorld(), start(len(actions)), actions, repeats=2)

    energies = energy(end.latent, torch.tensor([[0.05, -0.1, 0.0]]))

    assert actions[energies.argmin(), :3].tolist() == pytest.approx([0.025, -0.05, 0.0])
