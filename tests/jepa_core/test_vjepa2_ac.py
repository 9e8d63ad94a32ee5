"""V-JEPA 2-AC against the spec's formulas and traps, written independently of the code under test."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from jepa_core import checkpoint, poses
from jepa_core.design import Choices
from jepa_core.errors import ActionOutOfRange, ConfigDiffers, KeysDiffer, NotAble, ShapesDiffer
from jepa_core.families.vjepa2_ac import VJepa2Ac
from jepa_core.matching import design_of
from jepa_core.nn.ac_predictor import AcPredictor, AcPredictorSpec, causal_mask
from jepa_core.nn.positions import sincos_3d
from jepa_core.nn.vit import VisionTransformer, VitSpec
from jepa_core.types import MaskSet
from tests.helpers import ac_checkpoints as made
from tests.helpers.checkpoints import PREFIX
from tests.helpers.meta_files import parameters, weight_file

n = 16  # tokens of a frame


@pytest.fixture
def model(tmp_path) -> VJepa2Ac:
    return checkpoint.load(made.write(tmp_path))


def clip(frames: int = 4, height: int = 32, width: int = 32, seed: int = 0) -> torch.Tensor:
    return torch.randn(1, 3, frames, height, width, generator=torch.Generator().manual_seed(seed))


def track(frames: int = 4, size: int = 7, seed: int = 1) -> torch.Tensor:
    """(1, T, size) of plausible poses."""
    return torch.rand(1, frames, size, generator=torch.Generator().manual_seed(seed)) * 0.5


def inputs(frames: int = 4) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """latents (1, T·n, D), actions, states"""
    generator = torch.Generator().manual_seed(3)
    return torch.randn(1, frames * n, 24, generator=generator), track(frames, seed=4), track(frames, seed=5)


# --- the released file -------------------------------------------------------------------------------------------


def released(
    *, blocks: int = 24, config: dict | None = None, parts: tuple[str, ...] = ("encoder", "predictor")
):
    """The published file, shapes only."""
    with torch.device("meta"):
        whole = {
            "encoder": VisionTransformer(VitSpec(1408, 40, 22, 6144, patch=16, tubelet=2)),
            "predictor": AcPredictor(AcPredictorSpec(1408, 1024, blocks, 16, 4096)),
        }
    whole["target_encoder"] = whole["encoder"]
    return weight_file("vjepa2-ac-vitg.pt", {part: whole[part] for part in parts}, config)


def test_released_file_is_read_with_the_published_sizes():
    design = VJepa2Ac.design(released(), Choices())

    assert parameters(design.modules) == {"encoder": 1_012_173_952, "predictor": 305_220_992}
    assert design.modules["encoder"].spec.heads == 22
    assert design.modules["predictor"].spec.heads == 16
    assert (design.input.size, design.input.frames, design.input.fps) == (256, 8, 4.0)
    assert design.variant == "ViT-g/16, 256 px, 8 frames"
    assert design.settings.limit == 32
    assert design.settings.normalises
    assert not design.settings.uses_camera


def test_frozen_twin_is_compared_but_costs_no_memory():
    design = VJepa2Ac.design(released(parts=("encoder", "target_encoder", "predictor")), Choices())

    assert set(design.modules) == {"encoder", "predictor"}
    assert sum(parameters(design.modules).values()) == 1_317_394_944


def test_predictor_that_lost_its_last_blocks_is_refused_without_any_config():
    with pytest.raises(ConfigDiffers, match="has 24 blocks, this file has 12") as refused:
        design_of(released(blocks=12), Choices())

    assert len(refused.value.report.missing) == 12 * 12


def test_actions_are_named_with_their_units(model):
    assert model.info.action.names == ("x", "y", "z", "roll", "pitch", "yaw", "gripper")
    assert model.info.action.units == ("m", "m", "m", "rad", "rad", "rad", "closedness")
    assert model.info.abilities == {"temporal", "actions"}


# --- frames ------------------------------------------------------------------------------------------------------


def test_each_frame_is_encoded_alone_and_repeated_to_one_tubelet(model):
    pixels = clip()
    with torch.no_grad():
        latents = model.features(pixels)
        alone = [model.encoder(pixels[:, :, t : t + 1].repeat(1, 1, 2, 1, 1)) for t in range(4)]
        as_clip = model.encoder(pixels)

    assert torch.allclose(latents, torch.cat(alone, dim=1), atol=1e-5)
    assert as_clip.shape[1] == 2 * n
    assert not torch.allclose(latents[:, :n], as_clip[:, :n], atol=1e-2)


def test_one_latent_step_per_frame(model):
    assert model.grid(3) == (3, 4, 4)
    assert model.info.input.tubelet == 1


def test_latents_are_layer_normed_with_torchs_own_eps(model):
    with torch.no_grad():
        assert torch.equal(model.encode(clip()), F.layer_norm(model.features(clip()), (24,), eps=1e-5))
    small = torch.randn(1, 2, 24) * 1e-3
    assert not torch.allclose(model.normed(small), F.layer_norm(small, (24,), eps=1e-6), atol=1e-3)


def test_latents_stay_as_encoded_where_the_config_says_so(tmp_path):
    settings = made.params()
    settings["loss"]["normalize_reps"] = False
    model = checkpoint.load(made.write(tmp_path, None, settings))

    with torch.no_grad():
        assert torch.equal(model.encode(clip()), model.features(clip()))


def test_encoder_with_a_table_takes_its_first_rows_for_a_frame(tmp_path):
    """One time step of the stored table, without interpolation."""
    rows = made.LIMIT * n
    encoder = replace(made.ENCODER, has_rope=False, table_tokens=rows)
    saved = made.content(encoder)
    for part in ("encoder", "target_encoder"):
        saved[part][PREFIX + "pos_embed"] = sincos_3d((made.LIMIT, 4, 4), 24, uniform_power=True)
    model = checkpoint.load(made.write(tmp_path, saved, made.params(encoder)))
    seen: list[torch.Tensor] = []
    model.encoder.blocks[0].register_forward_pre_hook(lambda module, args: seen.append(args[0]))

    with torch.no_grad():
        model.features(clip(1))
        patches, _ = model.encoder.patch_embed.patches(clip(1).repeat(1, 1, 2, 1, 1))
        wanted = model.encoder.patch_embed.project(patches) + model.encoder.pos_embed[:, :n]

    assert torch.allclose(seen[0], wanted, atol=1e-5)


def test_rotary_encoders_stray_table_is_ignored_by_name(tmp_path):
    def add(saved: dict) -> None:
        for part in ("encoder", "target_encoder"):
            saved[part][PREFIX + "pos_embed"] = torch.zeros(1, 96, 24)

    model = checkpoint.load(made.write(tmp_path, change=add))

    assert "encoder/pos_embed" in model.report.ignored
    assert model.encoder.spec.has_rope


# --- the predictor -----------------------------------------------------------------------------------------------


def test_mask_lets_a_frame_see_itself_whole_and_all_before():
    mask = causal_mask(3, 4)

    for i in range(12):
        for j in range(12):
            assert bool(mask[i, j]) == (j // 4 <= i // 4)


def test_first_frames_do_not_change_when_frames_are_appended(model):
    latents, actions, states = inputs(4)
    with torch.no_grad():
        whole = model.predict_frames(latents, actions, states)
        for k in (1, 2, 3):
            part = model.predict_frames(latents[:, : k * n], actions[:, :k], states[:, :k])
            assert torch.allclose(part, whole[:, : k * n], atol=1e-5)


@pytest.mark.parametrize("which", [0, 1, 2], ids=["latents", "actions", "states"])
def test_nothing_of_a_later_frame_reaches_an_earlier_one_and_its_own_does(model, which):
    given = inputs(3)
    changed = [tensor.clone() for tensor in given]
    share = slice(n, 2 * n) if which == 0 else slice(1, 2)
    changed[which][:, share] += 0.5  # of frame 1

    with torch.no_grad():
        a, b = model.predict_frames(*given), model.predict_frames(*changed)

    assert torch.equal(a[:, :n], b[:, :n])
    assert not torch.allclose(a[:, n : 2 * n], b[:, n : 2 * n], atol=1e-4)
    assert not torch.allclose(a[:, 2 * n :], b[:, 2 * n :], atol=1e-5)


def test_action_and_state_go_through_their_own_layers_in_front_of_each_frames_patches(model):
    latents, actions, states = inputs(2)
    seen: list[torch.Tensor] = []
    model.predictor.predictor_blocks[0].register_forward_pre_hook(lambda module, args: seen.append(args[0]))

    with torch.no_grad():
        model.predict_frames(latents, actions, states)
        frames = seen[0].unflatten(1, (2, n + 2))

        assert torch.allclose(frames[:, :, 0], model.predictor.action_encoder(actions), atol=1e-6)
        assert torch.allclose(frames[:, :, 1], model.predictor.state_encoder(states), atol=1e-6)
        patches = model.predictor.predictor_embed(latents).unflatten(1, (2, n))
        assert torch.allclose(frames[:, :, 2:], patches, atol=1e-6)


def slow_turn(x: np.ndarray, place: tuple[float, float, float]) -> np.ndarray:
    """The 2.0 rotation of one head vector, channel by channel: tiled frequencies, adjacent partners."""
    axis = 2 * ((len(x) // 3) // 2)
    out = x.copy()
    for number, where in enumerate(place):
        for c in range(axis):
            angle = where * 10000.0 ** (-(c % (axis // 2)) / (axis // 2))
            here = number * axis + c
            partner = -x[here + 1] if c % 2 == 0 else x[here - 1]
            out[here] = x[here] * math.cos(angle) + partner * math.sin(angle)
    return out


@pytest.mark.parametrize(("rows", "columns"), [(4, 4), (2, 3), (3, 2)])
@pytest.mark.parametrize("uses_camera", [False, True])
def test_positions_are_frame_row_and_scaled_column_and_conditions_turn_with_time_alone(
    rows, columns, uses_camera
):
    spec = AcPredictorSpec(24, 32, 1, 1, 64, uses_camera=uses_camera)
    predictor, frames, per_frame = AcPredictor(spec), 3, rows * columns + (3 if uses_camera else 2)
    x = torch.randn(1, frames * per_frame, 2, 1, 32, generator=torch.Generator().manual_seed(0)).double()

    turned = predictor._rotary(frames, rows, columns, x[:, :, 0, 0]).apply_(x.clone())

    for token in range(frames * per_frame):
        frame, inside = divmod(token, per_frame)
        patch = inside - (3 if uses_camera else 2)
        place = (frame, 0, 0)
        if patch >= 0:
            place = (frame, patch // columns, patch % columns * rows / columns)
        wanted = slow_turn(x[0, token, 0, 0].numpy(), place)
        np.testing.assert_allclose(turned[0, token, 0, 0].numpy(), wanted, atol=1e-6)


def test_predictor_without_rotary_cannot_tell_places_apart(tmp_path):
    predictor = replace(made.PREDICTOR, has_rope=False)
    settings = made.params(predictor=predictor)
    model = checkpoint.load(made.write(tmp_path, None, settings))
    latents, actions, states = inputs(1)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(0))

    with torch.no_grad():
        straight = model.predict_frames(latents, actions, states)
        mixed = model.predict_frames(latents[:, order], actions, states)

    assert torch.allclose(mixed, straight[:, order], atol=1e-5)


def test_camera_layer_is_there_even_when_unused_and_is_asked_for_when_used(tmp_path):
    saved = made.content()
    assert PREFIX + "extrinsics_encoder.weight" in saved["predictor"]
    used = replace(made.PREDICTOR, uses_camera=True)
    model = checkpoint.load(made.write(tmp_path, saved, made.params(predictor=used)))
    latents, actions, states = inputs(2)

    with torch.no_grad():
        here = model.predict_frames(latents, actions, states, torch.zeros(1, 2, 6))
        there = model.predict_frames(latents, actions, states, torch.ones(1, 2, 6))
    assert not torch.allclose(here, there, atol=1e-4)
    with pytest.raises(ValueError, match="camera"):
        model.predict_frames(latents, actions, states)


def test_frames_of_another_size_are_refused(model):
    with pytest.raises(NotAble, match="not 2 frames of 4 x 4"):
        model.predict_frames(torch.zeros(1, 2 * 9, 24), torch.zeros(1, 2, 7), torch.zeros(1, 2, 7))


# --- rollouts ----------------------------------------------------------------------------------------------------


def test_rollout_is_the_published_loop(model):
    """Section A6, written out: latents and integrated poses appended, the whole sequence through the predictor."""
    actions = track(3, seed=8) * 0.2
    with torch.no_grad():
        memory = model.begin(clip(1), track(1), 2)
        z, pose, applied = model.encode(clip(1)), track(1), torch.zeros(1, 0, 7)
        for h in range(3):
            memory = model.step(memory, actions[:, h].expand(2, -1))
            applied = torch.cat((applied, actions[:, h : h + 1]), dim=1)
            new = model.predict_frames(z, applied, pose)[:, -n:]
            z = torch.cat((z, F.layer_norm(new, (24,))), dim=1)
            pose = torch.cat((pose, poses.integrate(pose[:, -1:], actions[:, h : h + 1])), dim=1)

    assert torch.allclose(memory.frames[1].flatten(0, 1), z[0], atol=1e-5)
    assert torch.equal(memory.poses[0], pose[0])
    assert torch.equal(memory.latent, memory.frames[:, -1])


def test_context_of_several_frames_brings_its_own_past_actions(model):
    states = track(3)
    with torch.no_grad():
        memory = model.begin(clip(3), states, 1)

    assert torch.equal(memory.actions, poses.actions_between(states).float())
    assert torch.equal(memory.poses, states)
    assert memory.frames.shape == (1, 3, n, 24)


def test_candidates_share_the_context_and_never_each_other(model):
    actions = torch.zeros(3, 7)
    actions[:, 0] = torch.tensor([-0.05, 0.0, 0.05])
    with torch.no_grad():
        start = model.begin(clip(1), track(1), 3)
        together = model.step(start, actions).latent
        alone = [model.step(model.begin(clip(1), track(1), 1), action[None]).latent for action in actions]

    assert start.frames.stride(0) == 0  # shared, not repeated
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)
    assert not torch.allclose(together[0], together[2], atol=1e-5)


def test_step_leaves_its_memory_as_it_was(model):
    with torch.no_grad():
        start = model.begin(clip(1), track(1), 2)
        one, two = (model.step(start, torch.full((2, 7), 0.1)) for _ in range(2))

    assert start.poses.shape[1] == 1
    assert torch.equal(one.latent, two.latent)


def test_poses_are_needed_and_their_number_must_be_right(model):
    with pytest.raises(NotAble, match="must know the arm's pose"):
        model.begin(clip(2), None, 1)
    with pytest.raises(NotAble, match=r"2 frames need \(1, 2, 7\)"):
        model.begin(clip(2), track(1), 1)


def test_camera_trained_rollout_takes_the_camera_beside_the_pose_and_keeps_it(tmp_path):
    used = replace(made.PREDICTOR, uses_camera=True)
    model = checkpoint.load(made.write(tmp_path, None, made.params(predictor=used)))

    with torch.no_grad():
        memory = model.step(model.begin(clip(2), track(2, 13), 2), torch.zeros(2, 7))

    assert len(model.info.action.state) == 13
    assert torch.equal(memory.camera[:, -1], memory.camera[:, -2])


def test_rollout_stops_where_the_predictor_was_built_to(model):
    """The official mask has no rows beyond; ours must not go on silently."""
    with torch.no_grad():
        memory = model.begin(clip(made.LIMIT), track(made.LIMIT), 1)
        memory = model.step(memory, torch.zeros(1, 7))
        with pytest.raises(NotAble, match="built for 6 frames"):
            model.step(memory, torch.zeros(1, 7))
    with pytest.raises(NotAble, match="built for 6 frames"):
        model.begin(clip(made.LIMIT + 1), track(made.LIMIT + 1), 1)


@pytest.mark.parametrize(
    ("column", "value", "named"),
    [(0, 50.0, "x is 50 m"), (4, 45.0, "pitch is 45 rad"), (6, 1.5, "gripper"), (2, math.nan, "z")],
)
def test_action_in_wrong_units_is_refused(model, column, value, named):
    action = torch.zeros(2, 7)
    action[1, column] = value

    with torch.no_grad(), pytest.raises(ActionOutOfRange, match=named):
        model.step(model.begin(clip(1), track(1), 2), action)


def test_action_of_another_length_is_refused(model):
    with torch.no_grad(), pytest.raises(ActionOutOfRange, match=r"\(2, 7\)"):
        model.step(model.begin(clip(1), track(1), 2), torch.zeros(2, 4))


def test_masked_look_is_refused_and_said_on_the_card(model):
    masks = MaskSet(np.arange(8, dtype=np.int32), (np.arange(8, 16, dtype=np.int32),), 0)

    with pytest.raises(NotAble, match="not hidden regions"):
        model.predict(clip(), masks)
    assert any("takes actions" in note for note in model.info.notes)


def test_bfloat16_rollout_stays_near_the_float32_one(tmp_path):
    path = made.write(tmp_path)
    latents = []
    for dtype in ("float32", "bfloat16"):
        model = checkpoint.load(path, dtype=dtype)
        with torch.no_grad():
            latents.append(model.step(model.begin(clip(2), track(2), 1), torch.full((1, 7), 0.05)).latent)

    assert latents[1].dtype == torch.float32
    assert torch.allclose(*latents, atol=0.25)


# --- what files lack ---------------------------------------------------------------------------------------------


def test_predictor_without_its_encoder_is_refused_with_a_report(tmp_path):
    def lose(saved: dict) -> None:
        del saved["encoder"], saved["target_encoder"]

    with pytest.raises(KeysDiffer, match="without its encoder") as refused:
        checkpoint.load(made.write(tmp_path, change=lose))

    report = refused.value.report
    assert report.family == "V-JEPA 2-AC"
    assert report.missing == ("encoder (the whole part)",)
    assert len(report.sha256) == 64


def test_frozen_target_encoder_stands_in_for_a_lost_encoder_and_the_report_says_so(tmp_path):
    whole = checkpoint.load(made.write(tmp_path / "whole"))
    other = checkpoint.load(made.write(tmp_path / "other", change=lambda saved: saved.pop("encoder")))

    with torch.no_grad():
        assert torch.equal(whole.encode(clip()), other.encode(clip()))
    assert other.report.is_exact
    assert "target_encoder" in other.report.assumed["encoder"]


def test_file_without_the_twin_loads(tmp_path):
    model = checkpoint.load(made.write(tmp_path, change=lambda saved: saved.pop("target_encoder")))

    assert model.report.is_exact


def test_twins_that_differ_are_told(tmp_path):
    def move(saved: dict) -> None:
        saved["target_encoder"][PREFIX + "norm.weight"] += 0.1

    model = checkpoint.load(made.write(tmp_path, change=move))

    assert any("differ in this file" in note for note in model.info.notes)
    assert not any("differ" in note for note in checkpoint.load(made.write(tmp_path / "b")).info.notes)


def test_damaged_twin_is_refused_though_it_would_not_be_loaded(tmp_path):
    name = "blocks.1.attn.qkv.weight"

    with pytest.raises(ShapesDiffer) as refused:
        checkpoint.load(
            made.write(
                tmp_path,
                change=lambda saved: saved["target_encoder"].update({PREFIX + name: torch.zeros(3, 3)}),
            )
        )

    assert refused.value.report.reshaped[0].startswith(f"target_encoder/{name}")


def test_predictor_of_another_robot_is_refused(tmp_path):
    spec = replace(made.PREDICTOR, action_size=5)

    with pytest.raises(ConfigDiffers, match="actions of 5 numbers"):
        checkpoint.load(made.write(tmp_path, made.content(predictor=spec)))


@pytest.mark.parametrize(
    ("section", "key", "value", "said"),
    [
        ("model", "pred_depth", 3, "predictor depth 3"),
        ("model", "pred_embed_dim", 32, "predictor width 32"),
        ("model", "use_pred_silu", True, "SwiGLU predictor True"),
        ("model", "pred_is_frame_causal", False, "frame-causal"),
        ("data", "patch_size", 16, "patch 16"),
        ("data", "tubelet_size", 1, "tubelet 1"),
    ],
)
def test_config_that_contradicts_the_tensors_is_refused(tmp_path, section, key, value, said):
    settings = made.params()
    settings[section][key] = value

    with pytest.raises(ConfigDiffers, match=said):
        checkpoint.load(made.write(tmp_path, None, settings))


def test_built_image_size_decides_the_grid_not_the_training_crop(model):
    assert model.grid(1) == (1, 4, 4)
    assert "img_size" in model.report.assumed["input size"]


def test_wide_frames_are_rolled_out_on_their_own_grid(tmp_path):
    settings = made.params()
    settings["architecture"]["img_size"] = [32, 48]
    model = checkpoint.load(made.write(tmp_path, None, settings))

    with torch.no_grad():
        memory = model.step(model.begin(clip(1, 32, 48), track(1), 1), torch.zeros(1, 7))

    assert model.grid(2) == (2, 4, 6)
    assert memory.latent.shape == (1, 24, 24)
