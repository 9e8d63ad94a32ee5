"""LeWorldModel: every trap its specification lists, and what its files and configs may get wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from jepa_core import checkpoint, solvers
from jepa_core.design import Choices
from jepa_core.errors import ActionOutOfRange, CheckpointError, ConfigDiffers, KeysDiffer, NotAble
from jepa_core.families.lewm import LeWorldModel, empty_modules
from jepa_core.lewm_facts import VIT_EPS
from jepa_core.masks import make_masks
from jepa_core.nn.adaln import AdaLnSpec
from jepa_core.nn.cls_vit import ClsVitSpec
from jepa_core.sigreg import draw_directions, sigreg
from jepa_core.types import MaskRule, MaskSet, TokenLayout
from tests.golden import lewm_cases
from tests.helpers import lewm_checkpoints as made

HUB = Path(__file__).parents[1] / "golden/cases/lewm-hub"
SIZE = 32


@pytest.fixture
def model(tmp_path) -> LeWorldModel:
    return checkpoint.load(made.write(tmp_path))


def clip_of(frames: int, seed: int = 0, size: int = SIZE) -> torch.Tensor:
    return torch.randn(1, 3, frames, size, size, generator=torch.Generator().manual_seed(seed))


def actions_of(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, made.ACTION, generator=torch.Generator().manual_seed(seed))


# --- files -----------------------------------------------------------------------------------------------------------


def test_both_spellings_of_the_vit_hold_the_same_model(tmp_path):
    old = checkpoint.load(made.write(tmp_path / "4", made.content(is_new=False)))
    new = checkpoint.load(made.write(tmp_path / "5", made.content(is_new=True)))

    assert torch.equal(old.encode(clip_of(2)), new.encode(clip_of(2)))
    assert old.report.matched == new.report.matched


@pytest.mark.parametrize(
    "wrap",
    [
        lambda saved: {f"model.{name}": tensor for name, tensor in saved.items()},
        lambda saved: {f"_orig_mod.{name}": tensor for name, tensor in saved.items()},
        lambda saved: {name.replace("predictor.", "predictor._orig_mod."): t for name, t in saved.items()},
        lambda saved: {"state_dict": saved, "epoch": 3},
        lambda saved: {"model": saved},
    ],
    ids=["training wrapper", "compiled", "a compiled part", "state_dict", "model"],
)
def test_wrapped_files_are_the_same_model(wrap, model, tmp_path):
    wrapped = checkpoint.load(made.write(tmp_path / "wrapped", wrap(made.content())))

    assert torch.equal(model.encode(clip_of(2)), wrapped.encode(clip_of(2)))


def test_one_tensor_in_both_spellings_is_refused(tmp_path):
    def twice(saved: made.Content) -> None:
        saved["encoder.layers.0.mlp.fc1.bias"] = saved["encoder.encoder.layer.0.intermediate.dense.bias"]

    with pytest.raises(KeysDiffer) as refused:
        checkpoint.load(made.write(tmp_path, change=twice))
    assert refused.value.report.unexpected == ("encoder.layers.0.mlp.fc1.bias",)


def test_missing_tensor_is_named_as_the_file_would_spell_it(tmp_path):
    lost = "encoder.encoder.layer.1.attention.output.dense.weight"

    with pytest.raises(KeysDiffer) as refused:
        checkpoint.load(made.write(tmp_path, change=lambda saved: saved.pop(lost)))
    assert refused.value.report.missing == (f"encoder/blocks.1.attn.out.weight ({lost})",)


def test_file_without_a_whole_part_is_refused_by_the_part(tmp_path):
    def drop(saved: made.Content) -> None:
        for name in [name for name in saved if name.startswith("action_encoder.")]:
            del saved[name]

    with pytest.raises(KeysDiffer, match="without its action encoder"):
        checkpoint.load(made.write(tmp_path, change=drop))


@pytest.mark.parametrize(
    "predictor",
    [
        replace(made.PREDICTOR, inner=24, out=24),
        replace(made.PREDICTOR, inner=24, out=16),
        replace(made.PREDICTOR, heads=1, head_dim=16),
        replace(made.PREDICTOR, heads=1, head_dim=20),
        replace(made.PREDICTOR, history=1),
    ],
    ids=["input layers", "input and output layers", "no attention output", "one head", "one frame"],
)
def test_layers_that_exist_only_for_some_widths_are_read_from_the_shapes(predictor, tmp_path):
    saved, settings = made.content(predictor=predictor), made.config(predictor=predictor)

    model = checkpoint.load(made.write(tmp_path, saved, settings))

    assert model.predictor.spec == predictor
    latents = model.encode(clip_of(predictor.history))
    assert (
        model.predict_next(latents, model.embed_actions(actions_of(1, predictor.history))).shape
        == latents.shape
    )


def test_report_says_what_no_file_says(model):
    assert "unknown" in model.report.assumed["action statistics"]
    assert "5 environment steps" in model.report.assumed["frameskip"]
    assert model.report.assumed["predictor heads"] == "2 (config.json, predictor.heads)"
    assert model.info.layout == "global"
    assert any("no map" in note for note in model.info.notes)


def test_released_size_has_the_published_counts():
    vit = ClsVitSpec(192, 12, 3, 768, 14, 257, VIT_EPS)
    predictor = AdaLnSpec(192, 192, 192, 3, 6, 16, 64, 2048)
    reading = replace(made.reading(vit, predictor), projector_hidden=2048, pred_hidden=2048)

    for action, parameters in ((10, 18_034_478), (25, 18_034_628)):
        modules = empty_modules(replace(reading, action=action)).values()
        assert sum(p.numel() for module in modules for p in module.parameters()) == parameters
        assert sum(len(module.state_dict()) for module in modules) == 303


# --- configs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("encoder", "image_size"), 40),
        (("encoder", "patch_size"), 16),
        (("encoder", "hidden_size"), 192),
        (("encoder", "num_hidden_layers"), 12),
        (("encoder", "num_attention_heads"), 5),
        (("encoder", "size"), "colossal"),
        (("predictor", "num_frames"), 4),
        (("predictor", "depth"), 6),
        (("predictor", "heads"), 5),
        (("predictor", "dim_head"), 64),
        (("predictor", "mlp_dim"), 2048),
        (("action_encoder", "input_dim"), 25),
        (("projector", "hidden_dim"), 2048),
    ],
)
def test_config_that_contradicts_the_tensors_is_refused(path, value, tmp_path):
    settings = made.config()
    settings[path[0]][path[1]] = value

    with pytest.raises(ConfigDiffers):
        checkpoint.load(made.write(tmp_path, settings=settings))


@pytest.mark.parametrize("name", ["os.system", "builtins.eval", "torch.load", 7])
def test_config_that_names_foreign_code_is_refused_and_nothing_is_imported(name, tmp_path):
    settings = made.config()
    settings["projector"]["norm_fn"] = {"_target_": name}

    with pytest.raises(ConfigDiffers, match="no part of a LeWorldModel"):
        checkpoint.load(made.write(tmp_path, settings=settings))


@pytest.mark.parametrize("name", ["jepa.JEPA", "stable_worldmodel.wm.lewm.LeWM", None])
def test_known_class_names_and_none_at_all_are_the_same(name, tmp_path):
    settings = made.config()
    settings.pop("_target_")
    if name is not None:
        settings["_target_"] = name

    assert checkpoint.load(made.write(tmp_path, settings=settings)).report.is_exact


def test_named_size_gives_the_heads_unless_they_are_stated(tmp_path):
    vit = replace(made.VIT, width=192, depth=12, heads=3)
    settings = made.config(vit)
    for key in ("hidden_size", "num_hidden_layers", "num_attention_heads"):
        del settings["encoder"][key]

    model = checkpoint.load(made.write(tmp_path, made.content(vit), settings))

    assert model.encoder.spec.heads == 3
    assert "tiny" in model.report.assumed["ViT heads"]


def test_unknown_heads_are_asked_for_and_never_guessed(tmp_path):
    path = made.write(tmp_path)
    (tmp_path / "config.json").unlink()

    with pytest.raises(ConfigDiffers, match="does not say its number of ViT heads"):
        checkpoint.load(path)
    with pytest.raises(ConfigDiffers, match="number of predictor heads"):
        checkpoint.load(path, choices=Choices(encoder_heads=2))
    chosen = checkpoint.load(path, choices=Choices(encoder_heads=2, predictor_heads=2))
    assert chosen.report.assumed["predictor heads"] == "2 (chosen explicitly)"


def test_heads_that_contradict_the_pickled_object_are_refused(tmp_path):
    case = HUB.with_name("lewm-object")
    settings = (
        (case / "structure.json")
        .read_text()
        .replace('"heads": 2', '"heads": 4')
        .replace('"dim_head": 16', '"dim_head": 8')
    )
    (tmp_path / "config.json").write_text(settings)

    with pytest.raises(ConfigDiffers, match="its own objects say predictor heads 2"):
        checkpoint.load(case / "lewm_object.ckpt", config=tmp_path / "config.json")


# --- numbers ---------------------------------------------------------------------------------------------------------


def test_batch_norm_uses_the_statistics_of_the_file(model):
    alone, beside = clip_of(1), torch.cat((clip_of(1), 9 * clip_of(1, seed=5)))

    assert not any(
        module.training for part in (model.projector, model.pred_proj) for module in part.modules()
    )
    right = model.encode(alone)
    assert torch.allclose(model.encode(beside)[:1], right, atol=1e-6)
    model.projector.train()  # what a careless loader does
    assert (model.encode(beside)[:1] - right).abs().max() > 0.1


def test_counters_stay_whole_numbers_in_half_precision(tmp_path):
    model = checkpoint.load(made.write(tmp_path), dtype="bfloat16")

    assert model.projector.net[1].num_batches_tracked.dtype == torch.int64
    assert model.encode(clip_of(2)).dtype == torch.float32


def test_norms_have_the_eps_of_each_place(model):
    assert model.encoder.norm.eps == model.encoder.blocks[0].norm1.eps == 1e-12
    assert model.predictor.transformer.norm.eps == model.predictor.transformer.layers[0].attn.norm.eps == 1e-5


def test_other_input_sizes_get_a_resized_table_and_keep_the_cls_place(model):
    table = model.encoder.table(6, 5)

    assert table.shape == (1, 31, 24)
    assert torch.equal(table[:, 0], model.encoder.position_embeddings[:, 0])
    assert model.encode(clip_of(1, size=48)).shape == (1, 1, 16)


def test_predictor_is_causal(model):
    latents, actions = model.encode(clip_of(3)), model.embed_actions(actions_of(1, 3))
    before = model.predict_next(latents, actions)
    latents[:, 2] += 1
    actions[:, 2] += 1

    after = model.predict_next(latents, actions)

    assert torch.equal(before[:, :2], after[:, :2])
    assert not torch.equal(before[:, 2], after[:, 2])


def test_more_frames_than_the_table_has_rows_are_refused(model):
    with pytest.raises(NotAble, match="sees 3 frames"):
        model.predict_next(torch.zeros(1, 4, 16), torch.zeros(1, 4, 16))


def test_rollout_windows_grow_to_the_history_and_begin_at_position_zero(model):
    blocks = actions_of(2, 5)
    memory = model.begin(clip_of(1), None, 2)
    for t in range(5):
        memory = model.step(memory, blocks[:, t])
    latents, actions = model.encode(clip_of(1)).expand(2, -1, -1), model.embed_actions(blocks)
    for t in range(5):
        first = max(0, t - 2)
        new = model.predict_next(latents[:, first : t + 1], actions[:, first : t + 1])[:, -1:]
        latents = torch.cat((latents, new), dim=1)

    assert memory.latents.shape == (2, 6, 16)
    assert torch.allclose(memory.latents, latents, atol=1e-5)


def test_begin_without_executed_actions_uses_the_newest_frame_only(model):
    newest = model.begin(clip_of(3)[:, :, -1:], None, 2)

    assert torch.allclose(model.begin(clip_of(3), None, 2).latents, newest.latents, atol=1e-6)


def test_executed_actions_pair_with_the_context_frames(model):
    blocks = actions_of(1, 3)
    memory = model.step(model.begin(clip_of(3), None, 1, history=blocks[:, :2]), blocks[:, 2])
    wanted = model.predict_next(model.encode(clip_of(3)), model.embed_actions(blocks))[:, -1:]

    assert torch.allclose(memory.latent, wanted, atol=1e-6)
    with pytest.raises(ActionOutOfRange, match="executed actions"):
        model.begin(clip_of(3), None, 1, history=blocks)


def test_energy_is_a_sum_and_one_goal_serves_every_candidate(model):
    memory = model.begin(clip_of(1), None, 2)
    memory = model.step(memory, actions_of(2))
    goal = model.encode(clip_of(1, seed=9))[0]

    energies = model.energy(memory, goal)

    assert energies.shape == (2,)
    for k in range(2):
        assert energies[k] == pytest.approx(float((memory.latent[k, 0] - goal[0]).square().sum()), rel=1e-5)


def test_surprise_compares_after_both_projectors(model):
    clip, blocks = clip_of(4), actions_of(1, 3)
    latents = model.encode(clip)
    predicted = model.predict_next(latents[:, :3], model.embed_actions(blocks))[:, -1]

    errors = model.errors(clip, blocks)

    assert errors.shape == (1, 3)
    assert errors[0, 2] == pytest.approx(float((predicted - latents[:, 3]).square().mean()), rel=1e-4)


@pytest.mark.parametrize(
    "action",
    [torch.full((1, 10), float("nan")), torch.full((1, 10), 250.0), torch.zeros(1, 2), torch.zeros(3, 10)],
)
def test_actions_in_other_units_or_shapes_are_refused(action, model):
    with pytest.raises(ActionOutOfRange):
        model.step(model.begin(clip_of(1), None, 1), action)


def test_no_region_is_predicted(model):
    layout = TokenLayout("global", model.grid(4), 1, (0.0, 0.0, 32.0, 32.0))

    hidden = MaskSet(np.array([0, 2], np.int32), (np.array([1, 3], np.int32),), 0)
    with pytest.raises(NotAble, match="not hidden regions"):
        model.predict(clip_of(4), hidden)
    with pytest.raises(NotAble):
        make_masks(MaskRule("region", region=(0, 0, 9, 9)), layout, 0)


def test_sigreg_is_small_for_a_unit_gaussian_and_grows_otherwise():
    gaussian = torch.randn(1, 512, 16, generator=torch.Generator().manual_seed(0))
    directions = draw_directions(16, seed=0, count=64)

    assert directions.norm(dim=0).allclose(torch.ones(64))
    assert sigreg(gaussian, directions) < 0.1 * sigreg(3 * gaussian, directions)
    assert sigreg(gaussian, directions) < 0.1 * sigreg(torch.zeros(1, 512, 16), directions)


# --- planners --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "refit", "near"), [("cem", solvers.cem, 1e-4), ("mppi", solvers.mppi, 5e-3)]
)
def test_recorded_planning_run_comes_out_again_from_the_same_noise(name, refit, near):
    """Run freely. MPPI's softmax amplifies the rounding of energies near 45; its plan agrees to that."""
    with np.load(HUB / "plan.npz") as plan, np.load(HUB / "io.npz") as arrays:
        recorded = {key: torch.from_numpy(plan[key]) for key in plan.files}
        start, goal = (torch.from_numpy(arrays[key]).transpose(1, 2) for key in ("roll_pixels", "roll_goal"))
    settings, seed = lewm_cases.settings_of(name, recorded, (HUB / "README.md").read_text())
    model = checkpoint.load(HUB / "weights.pt", device="cpu", dtype="float32")

    with torch.inference_mode():
        noise = solvers.draw_noise(settings, 10, seed)
        memory, latent = model.begin(start, None, settings.samples), model.encode(goal)[0]
        *_, last = solvers.plan(model, memory, latent, settings, refit, noise, torch.zeros(5, 10))

    assert torch.allclose(last.mean, recorded[f"{name}_plan"], atol=near)


def test_candidate_zero_is_the_mean_and_elites_refit_without_bias():
    actions = torch.arange(12.0).view(4, 1, 3)
    energies = torch.tensor([3.0, 1.0, 2.0, 9.0])
    settings = solvers.SolverSettings(samples=4, elites=2, iterations=1, horizon=1)

    mean, std = solvers.cem(actions, energies, torch.ones(1, 3), settings)
    moved, same = solvers.mppi(actions, energies, torch.ones(1, 3), settings)

    assert torch.equal(solvers.candidates(mean, std, torch.ones(4, 1, 3))[0], mean)
    assert torch.equal(mean, actions[1:3].mean(0))
    assert torch.allclose(std, torch.full((1, 3), 3 / 2**0.5))
    assert torch.equal(same, torch.ones(1, 3))
    weight = 1 / (1 + torch.tensor(-2.0).exp())  # of energies 1 and 2 at temperature 0.5
    assert torch.allclose(moved, weight * actions[1] + (1 - weight) * actions[2])


def test_checkpoint_of_another_family_is_not_taken_for_it(tmp_path):
    def foreign(saved: made.Content) -> None:
        for name in [name for name in saved if "adaLN" in name]:
            del saved[name]

    with pytest.raises(CheckpointError):
        checkpoint.load(made.write(tmp_path, change=foreign))
