"""EB-JEPA: every trap its specification lists, and what its files and configs may get wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from jepa_core import checkpoint, registry
from jepa_core.errors import ActionOutOfRange, CheckpointError, ConfigDiffers, KeysDiffer, NotAble
from jepa_core.families.base import Motion
from jepa_core.families.ebjepa import EbJepa, prepared
from jepa_core.masks import make_masks
from jepa_core.nn.impala import halved
from jepa_core.types import MaskRule, MaskSet, TokenLayout
from tests.helpers import ebjepa_checkpoints as made


@pytest.fixture
def model(tmp_path) -> EbJepa:
    return checkpoint.load(made.write(tmp_path))


def clip_of(frames: int, seed: int = 0, channels: int = 2, side: int = 33) -> torch.Tensor:
    return torch.rand(1, channels, frames, side, side, generator=torch.Generator().manual_seed(seed))


def future(frames: int, predict_steps: int) -> MaskSet:
    layout = TokenLayout("global", (frames, 1, 1), 1, (0.0, 0.0, 1.0, 1.0))
    return make_masks(MaskRule("future", predict_steps=predict_steps), layout, 0)


def actions_of(count: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(count, 2, generator=torch.Generator().manual_seed(seed))


# --- files -----------------------------------------------------------------------------------------------------------


def test_only_the_model_of_a_training_checkpoint_is_used(model):
    ignored = " ".join(model.report.ignored)

    assert model.report.is_exact
    for name in ("optimizer_state_dict", "scheduler_state_dict", "xy_head_state_dict", "idm.model.4.bias"):
        assert name in ignored


@pytest.mark.parametrize(
    "rename",
    [
        lambda name: f"_orig_mod.{name}",
        lambda name: name.replace("stack_blocks.0.", "stack_blocks.0._orig_mod."),
        lambda name: f"module.{name}",
    ],
    ids=["compiled", "a compiled part", "wrapped"],
)
def test_wrapped_names_are_the_same_model(rename, model, tmp_path):
    saved = made.content()
    saved["model_state_dict"] = {rename(name): t for name, t in saved["model_state_dict"].items()}

    wrapped = checkpoint.load(made.write(tmp_path / "wrapped", saved))

    assert torch.equal(model.encode(clip_of(2)), wrapped.encode(clip_of(2)))


def test_bare_state_dict_is_the_same_model(model, tmp_path):
    torch.save(made.model(), tmp_path / "bare.pt")

    bare = checkpoint.load(tmp_path / "bare.pt")

    assert torch.equal(model.encode(clip_of(2)), bare.encode(clip_of(2)))


@pytest.mark.parametrize("kind", ["weight", "bias"])
def test_layer_norm_stored_twice_must_be_equal(kind, tmp_path):
    def change(saved: made.Content) -> None:
        saved[f"predictor.final_ln.{kind}"][3] += 1e-3

    with pytest.raises(KeysDiffer, match="share one layer norm") as refused:
        checkpoint.load(made.write(tmp_path, change=change))
    assert f"final_ln.{kind}" in refused.value.report.reshaped[0]


def test_tensor_of_no_part_refuses_the_file(tmp_path):
    with pytest.raises(KeysDiffer) as refused:
        checkpoint.load(
            made.write(tmp_path, change=lambda saved: saved.update({"encoder.extra": torch.zeros(2)}))
        )
    assert refused.value.report.unexpected == ("encoder/extra",)


def test_picture_side_is_not_in_the_tensors_and_a_wrong_one_is_refused(tmp_path):
    assert [halved(side, 3) for side in (65, 72, 73)] == [9, 9, 10]
    settings = made.config()
    settings["data"]["img_size"] = 65

    with pytest.raises(ConfigDiffers, match="places of its last"):
        checkpoint.load(made.write(tmp_path, settings=settings))


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [("model", "encoder_architecture", "resnet"), ("model", "mlp_output_dim", 13), ("model", "dobs", 3)],
)
def test_config_of_another_model_is_refused(section, key, value, tmp_path):
    settings = made.config()
    settings[section][key] = value

    with pytest.raises(ConfigDiffers):
        checkpoint.load(made.write(tmp_path, settings=settings))


def test_published_side_is_taken_where_no_config_says(tmp_path):
    reading = replace(made.WHOLE, encoder=replace(made.WHOLE.encoder, side=65))
    path = made.write(tmp_path, made.content(reading))
    (tmp_path / "config.yaml").unlink()

    model = checkpoint.load(path)

    assert model.info.input.size == 65
    assert "published" in model.report.assumed["input size"]


def test_it_is_an_extra_and_never_one_of_the_systems():
    assert registry.extras() == ("EB-JEPA", "JEPA-WM")
    assert len(registry.systems()) == 7
    assert not set(registry.systems()) & set(registry.extras())


# --- numbers ---------------------------------------------------------------------------------------------------------


def test_every_channel_of_every_frame_is_stretched_by_its_own_range():
    raw = clip_of(3)
    scaled = raw.clone()
    scaled[:, 0, 1] = 5 * scaled[:, 0, 1] - 2  # one channel of one frame in other units

    assert torch.allclose(prepared(raw), prepared(scaled), atol=1e-3)
    assert (prepared(raw) - prepared(raw.mean(2, keepdim=True).expand(-1, -1, 3, -1, -1))).abs().max() > 0.1


def test_latent_is_the_whole_state_of_the_cell(model):
    """Earlier frames change nothing, and a step from a reached latent is the step of the rollout."""
    clip, actions = clip_of(4), actions_of(3)
    memory = model.begin(clip, None, 1)

    assert torch.equal(memory.latent, model.begin(clip[:, :, -1:], None, 1).latent)
    for action in actions[:2]:
        memory = model.step(memory, action[None])
    onward = model.step(memory, actions[2:])
    assert torch.allclose(
        onward.latent[:, 0], model.predict_next(memory.latent[:, 0], actions[2:]), atol=1e-6
    )


def test_every_predicted_latent_passes_the_layer_norm(model):
    memory = model.step(model.begin(clip_of(1), None, 2), actions_of(2))
    norm = model.predictor.final_ln

    plain = (memory.latent[:, 0] - norm.bias) / norm.weight

    assert torch.allclose(plain.mean(-1), torch.zeros(2), atol=1e-5)
    assert torch.allclose(plain.std(-1, unbiased=False), torch.ones(2), atol=1e-3)


def test_energy_sums_all_steps_the_start_too(model):
    goal = model.encode(clip_of(1, seed=5))[0]
    memory = model.begin(clip_of(1), None, 3)
    for action in actions_of(4):
        memory = model.step(memory, action.expand(3, -1))

    apart = model.distances(memory, goal)

    assert apart.shape == (3, 5)
    assert torch.allclose(model.energy(memory, goal), apart.sum(1))
    start = (model.encode(clip_of(1))[0] - goal).square().mean()
    assert torch.allclose(apart[:, 0], start.expand(3))


def test_surprise_is_one_step_from_each_real_frame(model):
    clip, actions = clip_of(4), actions_of(3)
    latents = model.encode(clip)

    errors = model.errors(clip, actions[None])

    wanted = (model.predict_next(latents[0, 1:2], actions[1:2]) - latents[0, 2:3]).square().mean()
    assert errors.shape == (1, 3)
    assert torch.allclose(errors[0, 1], wanted, atol=1e-6)


def test_frames_asked_for_are_rolled_out_from_the_newest_before_them(model):
    clip, actions = clip_of(4), actions_of(3)
    latents = model.encode(clip)
    once = model.predict_next(latents[:, 1], actions[1:2])
    twice = model.predict_next(once, actions[2:])

    prediction = model.predict(clip, future(4, 2), Motion(actions[None], None))

    assert torch.allclose(prediction.predicted, torch.stack((once, twice), dim=1), atol=1e-6)
    assert torch.equal(prediction.target, latents[:, 2:])
    assert torch.equal(prediction.context, latents[:, :2])


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "clip", [clip_of(1, channels=3), clip_of(1, side=32)], ids=["colours", "another size"]
)
def test_what_it_cannot_see_is_refused_and_not_converted(clip, model):
    with pytest.raises(NotAble, match="sees 2 channels of 33 x 33"):
        model.encode(clip)


@pytest.mark.parametrize(
    "action", [torch.zeros(2, 3), torch.zeros(1, 2), torch.full((2, 2), 50.0), torch.full((2, 2), torch.nan)]
)
def test_actions_of_another_shape_or_in_other_units_are_refused(action, model):
    with pytest.raises(ActionOutOfRange):
        model.step(model.begin(clip_of(1), None, 2), action)


def test_there_is_no_prediction_without_actions_and_no_map(model):
    assert model.info.layout == "global"
    with pytest.raises(NotAble, match="what was done"):
        model.predict(clip_of(4), future(4, 1))
    with pytest.raises(NotAble, match="3 actions between"):
        model.predict(clip_of(4), future(4, 1), Motion(actions_of(2)[None], None))


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    def change(saved: made.Content) -> None:
        saved["encoder.mlp.bias"][0] = torch.nan

    with pytest.raises(CheckpointError, match="not numbers"):
        checkpoint.load(made.write(tmp_path, change=change))
