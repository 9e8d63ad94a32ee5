"""The demo's training is reproducible, can be paused, and writes an ordinary checkpoint."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from assets.demo import cell_layout
from assets.demo.cell_data import CLIP_FRAMES, Scenes, make_scenes, moving_patches
from assets.demo.train_cell import RECIPE, Recipe, Stage, Training
from jepa_core import checkpoint
from sessions.sources.parts.scene import Body, SceneState

TINY = Recipe(
    scenes=3,
    stages=(
        Stage(8, 4, 1e-3, 4.0, 0.5, (0.9, 0.99), spread=0.02),
        Stage(8, 4, 1e-3, 4.0, 0.5, None, muon=0.01),
    ),
)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return make_scenes(TINY.scenes, seed=5)


def trained(scenes: Scenes, recipe: Recipe = TINY, steps: int = 100) -> Training:
    training = Training(recipe, CPU)
    while not training.is_done and steps:
        training.train_step(scenes)
        steps -= 1
    return training


def weights(training: Training) -> dict[str, torch.Tensor]:
    modules = (training.encoder, training.teacher, training.predictor)
    return {f"{n}.{k}": v for n, module in enumerate(modules) for k, v in module.state_dict().items()}


def assert_same(ours: Training, theirs: Training) -> None:
    assert all(torch.equal(value, weights(theirs)[name]) for name, value in weights(ours).items())


def test_same_seed_gives_the_same_weights_and_another_seed_others(scenes: Scenes):
    once = trained(scenes)
    assert_same(once, trained(scenes))
    other = weights(trained(scenes, replace(TINY, seed=2)))
    assert not all(torch.equal(value, other[name]) for name, value in weights(once).items())


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_paused_training_goes_on_as_if_it_had_not_been(scenes: Scenes, tmp_path: Path, steps: int):
    torch.save(trained(scenes, steps=steps).state(), tmp_path / "pause.pt")

    resumed = Training(TINY, CPU)
    resumed.resume(torch.load(tmp_path / "pause.pt", weights_only=True))
    while not resumed.is_done:
        resumed.train_step(scenes)

    assert_same(resumed, trained(scenes))


def test_a_pause_of_another_recipe_is_refused(scenes: Scenes):
    with pytest.raises(ValueError, match="recipe"):
        Training(replace(TINY, seed=2), CPU).resume(trained(scenes, steps=1).state())


def test_the_frozen_stage_leaves_the_teacher_alone(scenes: Scenes):
    half = trained(scenes, steps=2)
    before = {name: value.clone() for name, value in half.teacher.state_dict().items()}
    while not half.is_done:
        half.train_step(scenes)
    assert all(torch.equal(value, before[name]) for name, value in half.teacher.state_dict().items())
    assert not torch.equal(half.encoder.norm.weight, half.teacher.norm.weight)


def test_training_lowers_the_loss(scenes: Scenes):
    training = Training(replace(TINY, stages=(Stage(240, 4, 2e-3, 4.0, 1.0, None),)), CPU)
    losses = []
    while not training.is_done:
        losses.append(training.train_step(scenes)[0])
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:10])


def test_what_is_written_is_an_ordinary_checkpoint_with_its_recipe(scenes: Scenes, tmp_path: Path):
    done = trained(scenes)
    path = cell_layout.write_trained(
        tmp_path, done.encoder, done.teacher, done.predictor, seed=1, recipe=asdict(TINY), recipe_hash=TINY.hash,
        clips=done.clips, seconds=1.0, device="cpu", curve=[(16, 0.7, 0.7)],
    )  # fmt: skip

    model = checkpoint.load(path)

    assert model.report.is_exact
    assert model.info.family == "V-JEPA 2"
    clip = torch.zeros(1, 3, 12, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(model.features(clip, encoder="target"), done.teacher(clip))


def test_a_scene_is_the_same_whatever_the_count():
    np.testing.assert_array_equal(make_scenes(1, seed=5).crops[0], make_scenes(2, seed=5).crops[0])


def test_moving_tokens_are_those_a_moving_piece_touches_in_one_of_their_frames():
    resting = Body("disc", 4.0, 0, 40.0, 40.0, 0.0, 0.0, 0.0, 0.0)
    moving = Body("disc", 4.0, 1, 12.0, 12.0, 20.0, 0.0, 0.0, 0.0)
    touched = moving_patches(SceneState(0, (resting, moving), 0, None), (0.0, 0.0, 64.0, 64.0), 1.0)
    rows, columns = np.nonzero(touched)
    assert {(1, 0), (1, 1), (1, 2), (0, 1), (2, 1)} <= set(zip(rows.tolist(), columns.tolist(), strict=True))
    assert rows.max() <= 2  # the piece at rest, lower right, does not count
    frames = np.zeros((1, CLIP_FRAMES, 8, 8), bool)
    frames[0, 3, 2, 5] = True
    tokens = Scenes(np.zeros((1, CLIP_FRAMES, 1, 1, 3), np.uint8), frames).moving_tokens(
        np.array([0]), np.array([0])
    )
    assert np.flatnonzero(tokens[0]).tolist() == [1 * 64 + 2 * 8 + 5]


def test_the_recipe_is_named_by_its_hash():
    assert RECIPE.hash == Recipe().hash != replace(RECIPE, seed=2).hash
