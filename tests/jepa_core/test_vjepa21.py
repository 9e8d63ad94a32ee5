"""V-JEPA 2.1 against the spec's formulas and traps, written independently of the code under test."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from jepa_core import checkpoint
from jepa_core.clock import FakeClock
from jepa_core.design import Choices
from jepa_core.engine import Engine
from jepa_core.errors import ConfigDiffers, KeysDiffer, NotAble
from jepa_core.families.vjepa21 import VJepa21, context_weights
from jepa_core.matching import design_of
from jepa_core.messages import EngineOptions
from jepa_core.metrics import token_error
from jepa_core.nn.leveled import (
    LEVELS,
    LeveledPredictor,
    LeveledPredictorSpec,
    LeveledTransformer,
    LeveledVitSpec,
    leveled_rotary,
)
from jepa_core.nn.positions import rotary_from_positions
from jepa_core.types import Frame, MaskRule, MaskSet
from tests.helpers import leveled_checkpoints as made
from tests.helpers.checkpoints import PREFIX
from tests.helpers.meta_files import parameters, weight_file

N = 4 * 4 * 4


@pytest.fixture
def model(tmp_path) -> VJepa21:
    return checkpoint.load(made.write(tmp_path))


def clip(frames: int = 8, height: int = 32, width: int = 32, batch: int = 1, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, 3, frames, height, width, generator=torch.Generator().manual_seed(seed))


def future_masks() -> MaskSet:
    return MaskSet(np.arange(48, dtype=np.int32), (np.arange(48, N, dtype=np.int32),), 0)


# --- released configurations -------------------------------------------------------------------------------------

RELEASED = {  # section B1: width, depth, heads, hidden, predictor blocks, levels, out; encoder part; parameter counts
    "vjepa2_1_vitb_dist_vitG_384.pt": (768, 12, 12, 3072, 12, 1, 1664, "ema_encoder", 86_833_152, 22_874_752),
    "vjepa2_1_vitl_dist_vitG_384.pt": (
        1024,
        24,
        16,
        4096,
        12,
        1,
        1664,
        "ema_encoder",
        304_680_960,
        22_973_056,
    ),
    "vjepa2_1_vitg_384.pt": (1408, 40, 22, 6144, 24, 4, 1408, "target_encoder", 1_013_267_968, 55_400_704),
    "vjepa2_1_vitG_384.pt": (1664, 48, 26, 8192, 24, 4, 1664, "target_encoder", 1_845_216_768, 59_433_472),
}


def released(name: str, *, blocks: int = 0, config: dict | None = None, called: str = ""):
    """The published file of that name, shapes only; `blocks` cuts its predictor, `called` renames it."""
    width, depth, heads, hidden, published, levels, out, part, _, _ = RELEASED[name]
    with torch.device("meta"):
        encoder = LeveledTransformer(LeveledVitSpec(width, depth, heads, hidden, patch=16))
        predictor = LeveledPredictor(
            LeveledPredictorSpec(
                width, 384, blocks or published, 12, 1536, mask_tokens=8, levels=levels, output_width=out
            )
        )
    return weight_file(called or name, {part: encoder, "predictor": predictor}, config)


@pytest.mark.parametrize("name", RELEASED)
def test_released_file_is_read_with_the_published_sizes(name):
    _, _, heads, _, blocks, levels, _, part, encoder_count, predictor_count = RELEASED[name]

    design = VJepa21.design(released(name), Choices())

    assert parameters(design.modules) == {part: encoder_count, "predictor": predictor_count}
    assert design.modules[part].spec.heads == heads
    assert design.modules["predictor"].spec.depth == blocks
    assert design.modules["predictor"].spec.heads == 12
    assert (design.input.size, design.input.frames) == (384, 64)
    assert ("masked" in design.abilities) == (levels == 4)
    assert {part: set(tensors) for part, tensors in design.sources.items()} == {
        part: set(module.state_dict()) for part, module in design.modules.items()
    }


@pytest.mark.parametrize("name", RELEASED)
def test_predictor_that_lost_half_of_its_blocks_is_refused_without_any_config(name):
    """A lenient loader fills the missing half with random weights and says nothing."""
    half = RELEASED[name][4] // 2

    with pytest.raises(ConfigDiffers, match=f"has {2 * half} blocks, this file has {half}") as refused:
        design_of(released(name, blocks=half), Choices())

    missing = refused.value.report.missing
    assert len(missing) == 12 * half
    assert {int(line.split(".")[1]) for line in missing} == set(range(half, 2 * half))


def test_official_config_of_the_large_model_that_says_24_blocks_is_refused_with_the_reason():
    config = {"model": {"model_name": "vit_large", "pred_depth": 24}}

    with pytest.raises(ConfigDiffers, match="predictor depth 24, the tensors say 12") as refused:
        design_of(released("vjepa2_1_vitl_dist_vitG_384.pt", config=config), Choices())

    assert "mistake" in refused.value.hint


def test_tensors_decide_between_vitg_and_vitG_whatever_the_name():
    design = VJepa21.design(released("vjepa2_1_vitG_384.pt", called="vjepa2_1_vitg_384.pt"), Choices())

    assert design.variant.startswith("ViT-G/16")
    assert "ViT-g" in design.assumed["size"]


@pytest.mark.parametrize(("depth", "taken"), LEVELS.items())
def test_levels_are_taken_after_the_published_blocks(depth, taken):
    wanted = {12: (2, 5, 8, 11), 24: (5, 11, 17, 23), 40: (9, 19, 29, 39), 48: (11, 23, 37, 47)}

    assert taken == wanted[depth]


def test_encoder_of_another_depth_is_refused(tmp_path):
    settings = made.params()
    del settings["architecture"]["encoder"]["depth"]

    def lose(saved: dict) -> None:
        for part in ("encoder", "target_encoder"):
            saved[part] = {n: t for n, t in saved[part].items() if "blocks.11." not in n}

    with pytest.raises(ConfigDiffers, match="an encoder of 11 blocks"):
        checkpoint.load(made.write(tmp_path, None, settings, change=lose))


# --- positions ---------------------------------------------------------------------------------------------------


def slow_rotation(x: np.ndarray, position: tuple[float, float, float]) -> np.ndarray:
    """Section B2.1 for one head vector, pair by pair: both members turn by the same angle."""
    axis = 2 * ((len(x) // 3) // 2)
    out = x.copy()
    for number, place in enumerate(position):
        for j in range(axis // 2):
            angle = place * 10000.0 ** (-j / (axis / 2))
            a, b = number * axis + 2 * j, number * axis + 2 * j + 1
            out[a] = x[a] * math.cos(angle) - x[b] * math.sin(angle)
            out[b] = x[b] * math.cos(angle) + x[a] * math.sin(angle)
    return out


@given(st.integers(6, 70), st.integers(0, 3000), st.integers(2, 30), st.integers(2, 30), st.booleans())
def test_rotary_turns_pairs_truly_at_scaled_rows_and_columns_and_counted_times(
    head_dim, number, rows, columns, scaled
):
    x = torch.randn(
        1, 1, 2, 1, head_dim, dtype=torch.float64, generator=torch.Generator().manual_seed(head_dim)
    )
    time, row, column = number // (rows * columns), number % (rows * columns) // columns, number % columns
    place = (time, row * 15 / (rows - 1), column * 15 / (columns - 1)) if scaled else (time, row, column)
    wanted = slow_rotation(x[0, 0, 0, 0].numpy(), place)

    table = leveled_rotary(torch.tensor([number]), (1, rows, columns), head_dim, torch.float64, scaled=scaled)
    turned = table.apply_(x.clone())[0, 0, 0, 0]

    np.testing.assert_allclose(turned.numpy(), wanted, atol=1e-9)
    assert turned.norm() == pytest.approx(float(x[0, 0, 0, 0].norm()))


def test_both_rotary_kinds_exist_and_differ():
    """2.0 tiles its angles, 2.1 pairs them; nothing in the tensors tells which is right."""
    x = torch.randn(1, 1, 2, 1, 24, generator=torch.Generator().manual_seed(1))
    place = (torch.tensor([[3]]), torch.tensor([[2]]), torch.tensor([[5]]))

    tiled, paired = (
        rotary_from_positions(place, 24, torch.float32, paired=p).apply_(x.clone()) for p in (False, True)
    )

    assert not torch.allclose(tiled, paired, atol=1e-2)
    assert torch.allclose(paired.norm(dim=-1), x.norm(dim=-1), atol=1e-5)
    assert not torch.allclose(tiled.norm(dim=-1), x.norm(dim=-1), atol=1e-3)


def test_encoder_scales_by_the_clips_own_rows_and_columns_masked_or_not(model):
    """A masked token stands where it stood: the same latents as with all tokens kept in another order."""
    wide = clip(4, 32, 48)
    n = 2 * 4 * 6
    order = torch.randperm(n, generator=torch.Generator().manual_seed(0))

    with torch.no_grad():
        assert torch.allclose(model.levels(wide, order), model.levels(wide)[:, :, order], atol=1e-5)


@pytest.mark.parametrize("part", ["encoder", "predictor"])
def test_scaling_of_positions_follows_the_config_for_each_part_alone(tmp_path, part):
    spec = {"encoder": made.ENCODER, "predictor": made.PREDICTOR}
    other = {**spec, part: replace(spec[part], scales_positions=False)}
    saved = made.content()
    scaled = checkpoint.load(made.write(tmp_path / "a", saved, made.params(**spec)))
    counted = checkpoint.load(made.write(tmp_path / "b", saved, made.params(**other)))

    with torch.no_grad():
        a, b = scaled.predict(clip(), future_masks()), counted.predict(clip(), future_masks())

    assert torch.equal(a.target, b.target) == (part == "predictor")
    assert not torch.allclose(a.predicted, b.predicted, atol=1e-5)
    assert f"{part} positions" in counted.report.assumed
    assert "as counted" in counted.report.assumed[f"{part} positions"]


def test_predictor_scales_as_in_training_where_nothing_says_and_the_report_says_so():
    design = VJepa21.design(released("vjepa2_1_vitg_384.pt"), Choices())
    chosen = VJepa21.design(released("vjepa2_1_vitg_384.pt"), Choices(predictor_scaling=False))

    assert design.modules["predictor"].spec.scales_positions
    assert "published builder says otherwise" in design.assumed["predictor positions"]
    assert not chosen.modules["predictor"].spec.scales_positions


def test_grid_of_one_row_is_refused_not_hidden(model):
    """The official code divides by zero there; its fused kernel hides the NaN."""
    with pytest.raises(NotAble, match="1 x 4 tokens"):
        model.encode(clip(4, 8, 32))


# --- the encoder -------------------------------------------------------------------------------------------------


def test_levels_go_through_their_own_norms(model):
    encoder = model.target_encoder
    after: list[torch.Tensor] = []
    for block in encoder.blocks:
        block.register_forward_hook(lambda module, args, output: after.append(output))

    with torch.no_grad():
        levels = model.levels(clip())
        wanted = [encoder.norms_block[i](after[n]) for i, n in enumerate((2, 5, 8, 11))]

    assert not any(torch.allclose(wanted[3], encoder.norms_block[i](after[11]), atol=1e-3) for i in range(3))
    assert torch.equal(levels, torch.stack(wanted))
    assert {m.eps for m in encoder.modules() if isinstance(m, torch.nn.LayerNorm)} == {1e-6}


def test_picture_has_its_own_tokenizer_and_mark(model):
    still = clip(1)
    encoder = model.target_encoder
    with torch.no_grad():
        picture = model.levels(still)
        frames = model.levels(still.repeat(1, 1, 2, 1, 1))
        kernel = encoder.patch_embed_img.proj
        tokens = kernel(still).flatten(2).transpose(1, 2) + encoder.img_mod_embed
        seen: list[torch.Tensor] = []
        handle = encoder.blocks[0].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
        model.levels(still)
        handle.remove()

    assert picture.shape == frames.shape == (4, 1, 16, 12)
    assert not torch.allclose(picture, frames, atol=1e-2)
    assert torch.allclose(seen[0], tokens, atol=1e-5)


def test_picture_without_a_time_axis_is_refused(model):
    with pytest.raises(NotAble, match="time axis"):
        model.encode(clip()[:, :, 0])


def test_odd_last_frame_is_dropped(model):
    with torch.no_grad():
        assert torch.equal(model.encode(clip(5)), model.encode(clip(5)[:, :, :4]))
    assert model.grid(5) == (2, 4, 4)
    assert model.grid(1) == (1, 4, 4)


def test_masked_tokens_are_not_computed(model):
    seen: list[int] = []
    for block in model.context_encoder.blocks:
        block.register_forward_hook(lambda module, args, output: seen.append(output.shape[1]))

    with torch.no_grad():
        model.context(clip(), torch.arange(10))

    assert seen == [10] * 12


# --- the predictor -----------------------------------------------------------------------------------------------


def test_hidden_pixels_never_reach_the_context(model):
    one = clip()
    other = one.clone()
    other[:, :, 6:] = 100.0  # the last time step, which is hidden

    with torch.no_grad():
        a, b = model.predict(one, future_masks()), model.predict(other, future_masks())

    assert torch.equal(a.context, b.context)
    assert torch.equal(a.predicted, b.predicted)
    assert not torch.equal(a.target, b.target)


def test_context_is_the_students_and_not_normed_again_and_targets_are_the_teachers(model):
    with torch.no_grad():
        result = model.predict(clip(), future_masks())
        student = model.context_encoder(clip(), torch.arange(48))
        teacher = model.target_encoder(clip())
        wanted = torch.cat([F.layer_norm(level, (12,), eps=1e-5) for level in teacher], dim=-1)

    assert torch.equal(result.context, torch.cat(list(student), dim=-1))
    assert torch.allclose(result.target, wanted[:, 48:], atol=1e-6)
    assert not torch.allclose(student, model.target_encoder(clip(), torch.arange(48)), atol=1e-2)


def test_each_level_of_the_target_is_normed_alone(model):
    """Normed together, a loud level would silence the others."""
    with torch.no_grad():
        by_level = model.encode(clip()).unflatten(-1, (4, 12))

    assert torch.allclose(by_level.mean(-1), torch.zeros(1, N, 4), atol=1e-5)
    assert torch.allclose(by_level.var(-1, unbiased=False), torch.ones(1, N, 4), atol=1e-2)


@pytest.mark.parametrize("is_gated", [False, True])
def test_activation_between_the_predictors_embeddings_is_the_blocks_own(tmp_path, is_gated):
    spec = replace(made.PREDICTOR, is_gated=is_gated, hidden=48 if is_gated else 64)
    model = checkpoint.load(made.write(tmp_path, made.content(predictor=spec), made.params(predictor=spec)))
    x = torch.randn(1, 3, 48)
    first, second = model.predictor.predictor_embed[0], model.predictor.predictor_embed[2]

    with torch.no_grad():
        wanted = second((F.silu if is_gated else F.gelu)(first(x)))
        assert torch.allclose(model.predictor.predictor_embed(x), wanted, atol=1e-6)


def test_predictors_own_marks_are_added_to_context_and_placeholders(model):
    """Section B2.5: to the whole sequence, clip or picture by what it was asked for."""
    context, keep, ask = torch.randn(1, 8, 48), torch.arange(8), torch.arange(8, 12)
    seen: list[torch.Tensor] = []
    model.predictor.predictor_blocks[0].register_forward_pre_hook(lambda module, args: seen.append(args[0]))

    with torch.no_grad():
        for is_picture in (False, True):
            model.predict_tokens(context, keep, ask, (1, 4, 4), is_picture=is_picture)
        apart = model.predictor.img_mod_embed - model.predictor.video_mod_embed

    assert torch.allclose(seen[1] - seen[0], apart.expand(1, 12, -1), atol=1e-5)


def test_context_head_is_another_than_the_target_head(model):
    context, keep = torch.randn(1, 8, 48), torch.arange(8)
    with torch.no_grad():
        predicted, seen = model.predict_tokens(context, keep, torch.arange(8, 12))
        weight, other = model.predictor.predictor_proj, model.predictor.predictor_proj_context

    assert (predicted.shape, seen.shape) == ((1, 4, 48), (1, 8, 48))
    assert not torch.allclose(weight.weight, other.weight)


@given(st.permutations(list(range(40, 52))))
def test_order_of_the_targets_is_the_order_of_the_predictions(order):
    predictor = LeveledPredictor(made.PREDICTOR).eval()
    torch.manual_seed(0)
    context, keep = torch.randn(1, 40, 48), torch.arange(40)
    with torch.no_grad():
        straight, _ = predictor(context, keep, torch.arange(40, 52), grid=(4, 4, 4))
        mixed, _ = predictor(context, keep, torch.tensor(order), grid=(4, 4, 4))

    assert torch.allclose(mixed, straight[:, [i - 40 for i in order]], atol=1e-5)


def test_only_trained_mask_token_is_chosen_and_others_on_demand(tmp_path):
    def train_one(saved: dict) -> None:
        for number in (0, 2):
            saved["predictor"][f"{PREFIX}mask_tokens.{number}"] = torch.zeros(1, 1, 16)

    path = made.write(tmp_path, change=train_one)

    assert checkpoint.load(path).settings.mask_token == 1
    assert checkpoint.load(path, choices=Choices(mask_token=2)).settings.mask_token == 2
    assert "only one with a non-zero norm" in checkpoint.load(path).report.assumed["mask token"]


def test_square_split_is_a_switch_that_matters_only_off_the_square(tmp_path):
    path = made.write(tmp_path)
    ours, official = checkpoint.load(path), checkpoint.load(path, choices=Choices(square_split=True))
    masks = MaskSet(np.arange(16, dtype=np.int32), (np.arange(16, 32, dtype=np.int32),), 0)

    with torch.no_grad():
        square = [m.predict(clip(4), masks).predicted for m in (ours, official)]
        wide = [m.predict(clip(4, 16, 64), masks).predicted for m in (ours, official)]

    assert torch.equal(*square)
    assert not torch.allclose(*wide, atol=1e-5)


# --- what files lack ---------------------------------------------------------------------------------------------


def test_distilled_file_says_that_it_holds_no_target_and_compares_nothing(tmp_path):
    model = checkpoint.load(made.write(tmp_path, made.distilled(), made.params(predictor=made.DISTILLED)))

    assert model.report.is_exact
    assert model.report.absent_parts == ("encoder", "teacher")
    assert "masked" not in model.info.abilities
    assert any("no target in this file" in note for note in model.info.notes)
    with pytest.raises(NotAble, match="no target in this file"):
        model.predict(clip(), future_masks())


def test_distilled_predictor_reads_the_last_level_and_speaks_in_its_teachers_width(tmp_path):
    model = checkpoint.load(made.write(tmp_path, made.distilled(), made.params(predictor=made.DISTILLED)))
    keep = torch.arange(48)

    with torch.no_grad():
        context = model.context(clip(), keep)
        predicted, seen = model.predict_tokens(context, keep, torch.arange(48, N))
        own = model.levels(clip(), keep)[-1]

    assert torch.equal(context, own)
    assert (predicted.shape, seen.shape) == ((1, 16, 20), (1, 48, 20))


def test_features_are_those_of_the_ema_encoder_where_there_are_several(tmp_path):
    saved = made.content()
    saved["ema_encoder"] = made.distilled(seed=7)["ema_encoder"]
    model = checkpoint.load(made.write(tmp_path, saved))

    wanted = saved["ema_encoder"][PREFIX + "norms_block.3.weight"]
    assert torch.equal(model.target_encoder.norms_block[3].weight, wanted)
    assert torch.equal(
        model.context_encoder.norms_block[3].weight, saved["encoder"][PREFIX + "norms_block.3.weight"]
    )
    assert model.report.assumed["features and targets"] == "the part ema_encoder"


@pytest.mark.parametrize("part", ["encoder", "target_encoder"])
def test_file_of_one_encoder_predicts_and_says_what_it_lacks(tmp_path, part):
    model = checkpoint.load(made.write(tmp_path, change=lambda saved: saved.pop(part)))

    assert model.report.absent_parts == (part,)
    assert model.target_encoder is model.context_encoder
    assert any(note.startswith("no ") for note in model.info.notes)
    with torch.no_grad():
        assert torch.isfinite(model.predict(clip(), future_masks()).predicted).all()


def test_file_without_predictor_is_an_encoder_of_levels(tmp_path):
    model = checkpoint.load(made.write(tmp_path, change=lambda saved: saved.pop("predictor")))

    assert model.info.abilities == {"temporal"}
    with torch.no_grad():
        assert model.levels(clip()).shape == (4, 1, N, 12)
        assert model.encode(clip()).shape == (1, N, model.info.embed_dim)
    with pytest.raises(NotAble, match="no predictor"):
        model.predict(clip(), future_masks())


@pytest.mark.parametrize("source", ["config", "tensors"])
def test_plain_clip_model_has_no_marks_no_pictures_no_context_head(tmp_path, source):
    encoder = replace(made.ENCODER, has_modality=False, has_pictures=False)
    predictor = replace(made.PREDICTOR, has_modality=False, has_context_head=False)
    settings = made.params(encoder, predictor)
    if source == "tensors":
        del settings["model"]["modality_embedding"], settings["model"]["img_temporal_dim_size"]
        del settings["loss"]
    model = checkpoint.load(made.write(tmp_path, made.content(encoder, predictor), settings))

    with torch.no_grad():
        assert torch.isfinite(model.predict(clip(), future_masks()).predicted).all()
        context = model.context(clip(), torch.arange(8))
        assert model.predict_tokens(context, torch.arange(8), torch.arange(8, 12))[1] is None
    with pytest.raises(NotAble, match="tokenizer for pictures"):
        model.encode(clip(1))


@pytest.mark.parametrize(
    "layer",
    ["patch_embed.proj.weight", "norms_block.3.bias", "patch_embed_img.proj.weight", "video_mod_embed"],
)
def test_tensor_lost_from_the_only_encoder_is_named(tmp_path, layer):
    saved = made.distilled()
    del saved["ema_encoder"][PREFIX + layer]

    with pytest.raises(KeysDiffer) as refused:
        checkpoint.load(made.write(tmp_path, saved, made.params(predictor=made.DISTILLED)))

    assert refused.value.report.missing == (f"ema_encoder/{layer}",)


def test_config_of_another_teacher_is_refused(tmp_path):
    settings = made.params(predictor=replace(made.DISTILLED, output_width=24))

    with pytest.raises(ConfigDiffers, match="width of its teacher 24, the tensors say 20"):
        checkpoint.load(made.write(tmp_path, made.distilled(), settings))


def test_context_weight_is_the_root_of_the_distance_to_the_nearest_target():
    grid = (3, 4, 5)
    here, there = torch.tensor([[0, 1 * 20 + 2 * 5 + 3]]), torch.tensor([[2 * 20 + 1 * 5 + 1, 4]])
    nearest = [min(math.dist((0, 0, 0), p) for p in ((2, 1, 1), (0, 0, 4)))]
    nearest.append(min(math.dist((1, 2, 3), p) for p in ((2, 1, 1), (0, 0, 4))))

    weights = context_weights(here, there, grid)

    assert weights[0].tolist() == pytest.approx([math.sqrt(d) for d in nearest])


# --- live --------------------------------------------------------------------------------------------------------


def frame(seq: int) -> Frame:
    rgb = np.random.default_rng(seq).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    rgb.setflags(write=False)
    return Frame(seq, seq, seq, seq, -1, seq * 250_000_000, rgb, "video:test")


@pytest.mark.parametrize("rule", [MaskRule("future"), MaskRule("multiblock", generator="long")])
def test_engine_looks_through_it_as_through_any_other_family(model, rule):
    engine = Engine(model, EngineOptions(mask=rule), FakeClock())

    looks = [look for seq in range(10) if (look := engine.offer(frame(seq))) is not None]

    assert looks
    assert looks[-1].layout.shape == (4, 4, 4)
    predicted = np.concatenate(looks[-1].masks.targets)
    assert np.isfinite(looks[-1].error[predicted]).all()
    assert looks[-1].pooled.shape == (3, 48)  # four levels of 12


def test_error_of_a_look_is_the_mean_over_its_levels(model):
    with torch.no_grad():
        result = model.predict(clip(), future_masks())
    levels = (result.predicted - result.target).abs().unflatten(-1, (4, 12)).mean(-1)

    assert torch.allclose(token_error(result.predicted, result.target), levels.mean(-1), atol=1e-6)
