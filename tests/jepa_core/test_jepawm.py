"""JEPA-WM and DINO-WM: every trap their specification lists, and what their files and configs may get wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from jepa_core import checkpoint
from jepa_core.errors import ActionOutOfRange, CheckpointError, ConfigDiffers, KeysDiffer, NotAble
from jepa_core.families.jepawm import JepaWm
from jepa_core.nn.attention import NORM_EPS
from tests.helpers import jepawm_checkpoints as made

KINDS = {"JEPA-WM": made.WHOLE, "JEPA-WM without proprio": made.BARE, "DINO-WM": made.DINO}


def load(folder, reading=made.WHOLE, change=None) -> JepaWm:
    return checkpoint.load(made.write(folder, made.content(reading), made.config(reading), change=change))


@pytest.fixture
def model(tmp_path) -> JepaWm:
    return load(tmp_path)


@pytest.fixture
def dino(tmp_path) -> JepaWm:
    return load(tmp_path, made.DINO)


def visual_of(model: JepaWm, frames: int, seed: int = 0) -> torch.Tensor:
    spec = model.reading.predictor
    return torch.randn(1, frames, spec.side**2, spec.visual, generator=torch.Generator().manual_seed(seed))


def numbers(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def predict(model: JepaWm, visual: torch.Tensor, raw: torch.Tensor, actions: torch.Tensor):
    body = model.embed_proprio(raw) if model.reading.body else None
    return model.predict_next(visual, body, actions)


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
def test_predictor_alone_loads_exactly_and_says_that_its_encoder_is_elsewhere(name, tmp_path):
    reading = KINDS[name]

    model = load(tmp_path, reading)

    assert model.report.is_exact
    assert model.info.family == reading.kind
    assert model.report.absent_parts == ("visual encoder",)
    assert "no visual encoder in this file, by design" in model.info.notes[0]
    assert model.info.abilities == frozenset()
    assert model.reading.predictor == reading.predictor
    assert {"opt", "scaler", "epoch"} <= set(model.report.ignored)


def test_pictures_are_refused_and_no_latents_are_made_up(model):
    clip = torch.zeros(1, 3, 2, 42, 42)

    for ask in (
        lambda: model.encode(clip),
        lambda: model.begin(clip, None, 2),
        lambda: model.predict(clip, None),
    ):
        with pytest.raises(NotAble, match="no visual encoder"):
            ask()


def test_old_name_of_the_proprio_encoder_is_understood(model, tmp_path):
    def change(saved: made.Content) -> None:
        saved["state_encoder"] = saved.pop("proprio_encoder")

    old = load(tmp_path / "old", change=change)

    assert torch.equal(old.embed_proprio(numbers(1, 2, 5)), model.embed_proprio(numbers(1, 2, 5)))


def test_stored_masks_are_never_required_and_listed_as_unused(dino, tmp_path):
    def change(saved: made.Content) -> None:
        for layer in (0, 1):
            del saved["predictor"][f"module.transformer.layers.{layer}.0.bias"]

    without = load(tmp_path / "without", made.DINO, change)

    assert "predictor/transformer.layers.0.0.bias" in dino.report.ignored
    assert dino.report.matched == without.report.matched
    visual, actions = visual_of(dino, 2), numbers(1, 2, 6)
    assert torch.equal(
        predict(dino, visual, numbers(1, 2, 5), actions)[0],
        predict(without, visual, numbers(1, 2, 5), actions)[0],
    )


@pytest.mark.parametrize(
    ("reading", "part"),
    [(made.WHOLE, "proprio_encoder"), (made.DINO, "action_encoder")],
    ids=["proprio encoder", "action encoder"],
)
def test_file_that_lost_an_encoder_of_its_predictor_is_refused(reading, part, tmp_path):
    with pytest.raises(KeysDiffer, match=part.replace("_", " ")):
        load(tmp_path, reading, lambda saved: saved.pop(part))


def test_part_that_belongs_to_no_such_file_is_refused(tmp_path):
    def change(saved: made.Content) -> None:
        saved["action_encoder"] = {"patch_embed.weight": torch.zeros(3, 6, 1)}

    with pytest.raises(KeysDiffer) as refused:
        load(tmp_path, change=change)
    assert refused.value.report.unexpected == ("action_encoder/patch_embed.weight",)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("model", "predictor", "pred_num_heads"), 5),
        (("model", "predictor", "pred_depth"), 3),
        (("model", "visual_encoder", "embed_dim"), 13),
        (("alpha",), -1),
    ],
)
def test_config_of_another_model_is_refused(path, value, tmp_path):
    settings = made.config()
    section = settings
    for key in path[:-1]:
        section = section[key]
    section[path[-1]] = value

    with pytest.raises(ConfigDiffers):
        checkpoint.load(made.write(tmp_path, settings=settings))


def test_heads_are_asked_for_where_nothing_says_them(tmp_path):
    with pytest.raises(ConfigDiffers, match="number of predictor heads"):
        checkpoint.load(made.write(tmp_path, settings={"model": {"grid_size": 3}}))


def test_published_sizes_need_no_config(tmp_path):
    """Width 400 = 384 and 16 proprio channels: 16 heads of 25 on 16 x 16 patches."""
    reading = replace(
        made.WHOLE,
        predictor=replace(
            made.WHOLE.predictor, visual=384, embed=384, proprio=16, side=16, heads=16, hidden=1600, depth=1
        ),
    )
    path = made.write(tmp_path, made.content(reading))
    (tmp_path / "config.json").unlink()

    model = checkpoint.load(path)

    assert model.reading.predictor == reading.predictor
    assert model.reading.window == 2
    assert model.reading.alpha == 0.1
    assert "published" in model.report.assumed["predictor heads"]


# --- numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
def test_a_frame_sees_itself_whole_and_what_came_before(name, tmp_path):
    model = load(tmp_path, KINDS[name])
    visual, raw, actions = visual_of(model, 3), numbers(1, 3, 5), numbers(1, 3, 6)
    whole, _ = predict(model, visual, raw, actions)
    later, last = visual.clone(), visual.clone()
    later[:, 2], last[:, 1, -1] = 0, 0

    assert torch.allclose(predict(model, later, raw, actions)[0][:, :2], whole[:, :2], atol=1e-5)
    changed = predict(model, last, raw, actions)[0]
    assert torch.allclose(changed[:, 0], whole[:, 0], atol=1e-5)
    assert (changed[:, 1, 0] - whole[:, 1, 0]).abs().max() > 1e-4, (
        "the first patch sees the last of its frame"
    )


def test_reach_into_the_past_is_not_cut_at_the_window(model):
    """The configured window only switches the mask on: four frames given, the last sees the first."""
    visual, raw, actions = visual_of(model, 4), numbers(1, 4, 5), numbers(1, 4, 6)
    other = visual.clone()
    other[:, 0] = 0

    apart = predict(model, other, raw, actions)[0] - predict(model, visual, raw, actions)[0]

    assert apart[:, 3].abs().max() > 1e-4


def test_proprio_channels_come_back_as_the_blocks_leave_them(model):
    """Not through the last projection: a change of its bias moves the patches alone."""
    visual, raw, actions = visual_of(model, 2), numbers(1, 2, 5), numbers(1, 2, 6)
    before = predict(model, visual, raw, actions)
    with torch.no_grad():
        model.predictor.predictor_proj.bias += 1

    after = predict(model, visual, raw, actions)

    assert torch.allclose(after[0], before[0] + 1, atol=1e-5)
    assert torch.equal(after[1], before[1])


def test_norms_have_the_eps_of_the_networks(model):
    assert model.predictor.predictor_norm.eps == model.predictor.predictor_blocks[0].norm1.eps == NORM_EPS


def test_every_window_begins_at_place_zero_and_keeps_the_last_position(tmp_path):
    for name, reading in KINDS.items():
        model = load(tmp_path / name, reading)
        body = numbers(5) if reading.body else None
        memory = model.begin_from(visual_of(model, 1)[0, 0], body, 2)
        actions = numbers(3, 2, 6)
        for action in actions:
            memory = model.step(memory, action)

        seen = None if memory.proprio is None else memory.proprio[:, 1:3]
        again, _ = model.predict_next(memory.visual[:, 1:3], seen, actions[1:].transpose(0, 1))

        assert memory.visual.shape[1] == 4
        assert torch.allclose(memory.latent, again[:, -1], atol=1e-5)


def test_energy_is_a_mean_over_patches_and_channels_and_proprio_weighs_alpha(model):
    goal = model.goal(visual_of(model, 1, seed=7)[0, 0], numbers(5, seed=8))
    memory = model.step(model.begin_from(visual_of(model, 1)[0, 0], numbers(5), 2), numbers(2, 6))
    E = model.reading.predictor.visual

    energies = model.energy(memory, goal)

    seen = (memory.latent - goal[:, :E]).square().mean((1, 2))
    felt = (memory.proprio[:, -1] - goal[:, E:]).square().mean((1, 2))
    assert torch.allclose(energies, seen + 0.1 * felt, atol=1e-6)


def test_without_proprio_the_energy_is_the_patches_alone(tmp_path):
    model = load(tmp_path, made.BARE)
    goal = model.goal(visual_of(model, 1, seed=7)[0, 0], None)
    memory = model.begin_from(visual_of(model, 1)[0, 0], None, 1)

    assert torch.allclose(model.energy(memory, goal), (memory.latent - goal).square().mean((1, 2)))


def test_normalised_latents_stay_normalised_where_the_run_says_so(tmp_path):
    settings = made.config()
    settings["model"]["wm_encoding"] = {"normalize_reps": True}
    model = checkpoint.load(made.write(tmp_path, settings=settings))

    visual, _ = predict(model, visual_of(model, 1), numbers(1, 1, 5), numbers(1, 1, 6))

    assert torch.allclose(visual.mean(-1), torch.zeros(1, 1, 9), atol=1e-5)


# --- refusals --------------------------------------------------------------------------------------------------------


def test_more_frames_than_the_table_has_places_are_refused(dino):
    with pytest.raises(NotAble, match="sees 3 frames"):
        predict(dino, visual_of(dino, 4), numbers(1, 4, 5), numbers(1, 4, 6))


def test_window_longer_than_the_table_is_refused(tmp_path):
    settings = made.config(made.DINO) | {"ctxt": 4}

    with pytest.raises(ConfigDiffers, match="window"):
        checkpoint.load(made.write(tmp_path, made.content(made.DINO), settings))


@pytest.mark.parametrize(
    "action", [torch.zeros(2, 5), torch.zeros(1, 6), torch.full((2, 6), 50.0), torch.full((2, 6), torch.nan)]
)
def test_actions_of_another_shape_or_in_other_units_are_refused(action, model):
    with pytest.raises(ActionOutOfRange):
        model.step(model.begin_from(visual_of(model, 1)[0, 0], numbers(5), 2), action)


def test_rollout_needs_the_body_where_the_predictor_was_trained_with_it(model):
    with pytest.raises(NotAble, match="the body"):
        model.begin_from(visual_of(model, 1)[0, 0], None, 2)


def test_rollout_begins_from_one_frame_of_the_right_shape(model):
    with pytest.raises(NotAble, match="patch latents"):
        model.begin_from(visual_of(model, 2)[0].flatten(0, 1), numbers(5), 2)


def test_pickled_code_beside_the_tensors_is_refused(tmp_path):
    with pytest.raises(CheckpointError):
        load(tmp_path, change=lambda saved: saved.update(heads=print))
