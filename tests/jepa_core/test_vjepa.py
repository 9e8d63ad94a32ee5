"""V-JEPA against the spec's traps, through files in its official layout."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from jepa_core import checkpoint, released
from jepa_core.clock import FakeClock
from jepa_core.design import Choices
from jepa_core.engine import Engine
from jepa_core.errors import ConfigDiffers, KeysDiffer, NotAble
from jepa_core.families.vjepa import VJepa
from jepa_core.families.vjepa2 import VJepa2
from jepa_core.latents import normalise_target
from jepa_core.masks import masks_from_roles, roles_of
from jepa_core.messages import EngineOptions
from jepa_core.nn.positions import sincos_3d
from jepa_core.preprocess import fit_frame
from jepa_core.types import Frame, MaskRule, MaskSet
from tests.helpers import table_checkpoints as made

N = 64


@pytest.fixture
def model(tmp_path) -> VJepa:
    return checkpoint.load(made.write_vjepa(tmp_path))


def clip(frames: int = 8, height: int = 32, width: int = 32, batch: int = 1, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, 3, frames, height, width, generator=torch.Generator().manual_seed(seed))


def halves(n: int = N, generator: str = "") -> MaskSet:
    return MaskSet(np.arange(n // 2, dtype=np.int32), (np.arange(n // 2, n, dtype=np.int32),), 0, generator)


# --- released configurations -------------------------------------------------------------------------------------


def test_predictor_has_as_many_heads_as_the_encoder():
    """Trap 4: 16 here, 12 in V-JEPA 2."""
    large = released.build("vjepa-vitl16").modules

    assert large["encoder"].blocks[0].attn.heads == large["predictor"].predictor_blocks[0].attn.heads == 16


# --- the masked look ---------------------------------------------------------------------------------------------


def test_hidden_pixels_never_reach_the_context(model):
    """Trap 8."""
    one = clip()
    other = one.clone()
    other[:, :, 4:] = 100.0

    with torch.no_grad():
        a, b = model.predict(one, halves()), model.predict(other, halves())

    assert torch.equal(a.context, b.context)
    assert torch.equal(a.predicted, b.predicted)
    assert not torch.equal(a.target, b.target)


@pytest.mark.parametrize(("generator", "token"), [("short", 0), ("long", 1), ("", 0)])
def test_each_generator_is_predicted_with_its_own_mask_token(model, generator, token):
    """Trap 5: the token is the generator's number; a future or a region takes 0, as the surprise procedure."""
    masks = halves(generator=generator)
    with torch.no_grad():
        predicted = model.predict(clip(), masks).predicted
        keep, ask = torch.arange(32), torch.arange(32, N)
        context = model.features(clip(), keep)
        wanted, other = (model.predict_tokens(context, keep, ask, mask_token=t) for t in (token, 1 - token))

    assert torch.allclose(predicted, wanted, atol=1e-6)
    assert not torch.allclose(predicted, other, atol=1e-4)


def test_generators_listed_the_other_way_round_keep_their_tokens(tmp_path):
    settings = made.vjepa_params()
    settings["mask"].reverse()

    model = checkpoint.load(made.write_vjepa(tmp_path, settings=settings))

    assert model.settings.token_of_generator == {"short": 1, "long": 0}


def test_chosen_mask_token_is_used_for_every_mask(tmp_path):
    model = checkpoint.load(made.write_vjepa(tmp_path), choices=Choices(mask_token=1))
    with torch.no_grad():
        one, two = (model.predict(clip(), halves(generator=g)).predicted for g in ("short", "long"))

    assert torch.equal(one, two)
    assert model.report.assumed["mask token"].startswith("1 of 2: chosen explicitly (norms ")


def test_single_mask_token_serves_both_generators(tmp_path):
    settings = made.vjepa_params()
    settings["mask"] = settings["mask"][:1]

    model = checkpoint.load(made.write_vjepa(tmp_path, made.vjepa_content(mask_tokens=1), settings))

    assert model.settings.token_of_generator == {"short": 0, "long": 0}


@pytest.mark.parametrize("generator", ["short", "long"])
def test_recorded_look_is_recomputed_with_the_token_of_its_generator(model, generator):
    """A record keeps roles and a seed, not the generator."""
    engine = Engine(
        model, EngineOptions(mask=MaskRule("multiblock", generator=generator, seed=3)), FakeClock()
    )
    frames = [Frame(n, n, n, n, -1, n * 133_000_000, np.full((40, 40, 3), 9 * n, np.uint8), "video:x") for n in range(8)]  # fmt: skip
    live = [engine.offer(frame) for frame in frames][-1]
    recorded = masks_from_roles(roles_of(live.masks, live.layout), live.masks.seed)
    fitted = [fit_frame(frames[seq].rgb, 32) for seq in live.clip]

    again = engine.look(
        np.stack([crop for crop, _ in fitted]), recorded, frames=live.clip, seq=7, t_ns=7, box=fitted[-1][1]
    )

    assert live.masks.generator == again.masks.generator == generator
    np.testing.assert_array_equal(again.error, live.error)


def test_targets_are_the_target_encoders_and_layer_normed(model):
    """Traps 6, 7 and 16."""
    with torch.no_grad():
        raw = model.features(clip(), encoder="target")
        assert torch.equal(model.encode(clip()), normalise_target(raw))
        assert not torch.allclose(raw, model.features(clip()), atol=1e-2)


def test_remainder_pixels_and_frames_are_dropped(model):
    """Trap 12."""
    ragged = clip(9, 35, 37)
    with torch.no_grad():
        assert torch.equal(model.features(ragged), model.features(ragged[:, :, :8, :32, :32]))


def test_picture_is_refused_and_a_single_frame_is_repeated(model):
    still = clip(1)
    with torch.no_grad():
        assert torch.equal(model.features(still), model.features(still.repeat(1, 1, 2, 1, 1)))
        with pytest.raises(NotAble):
            model.features(still[:, :, 0])


# --- positions at other sizes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("grid", [(2, 4, 4), (6, 4, 4), (4, 3, 6), (5, 5, 7)])
def test_features_interpolate_the_stored_table_also_for_shorter_clips(model, grid):
    """Section 4.3: unlike V-JEPA 2, whose shorter clips take the first rows."""
    table = model.context_encoder.pos_embed
    volume = table.reshape(1, 4, 4, 4, -1).permute(0, 4, 1, 2, 3)
    wanted = F.interpolate(volume, size=grid, mode="trilinear", align_corners=False)

    assert torch.equal(model.context_encoder.fit_table(table, grid), wanted.flatten(2).transpose(1, 2))


def test_look_at_a_shorter_clip_is_as_if_built_for_it(model):
    """Context and predictor must count time alike, so a look does not interpolate where its predictor cannot."""
    short = clip(4)
    with torch.no_grad():
        prediction = model.predict(short, halves(32))
        patches, grid = model.context_encoder.patch_embed.patches(short)
        x = model.context_encoder.patch_embed.project(patches) + model.context_encoder.pos_embed[:, :32]
        x = x[:, :16]
        for block in model.context_encoder.blocks:
            x = block(x, None)

    assert grid == (2, 4, 4)
    assert torch.allclose(prediction.context, model.context_encoder.norm(x), atol=1e-5)
    assert torch.allclose(prediction.target, model.encode(short)[:, 16:], atol=1e-6)


def test_predictors_table_is_rebuilt_never_interpolated(model):
    """Trap 13."""
    table = model.predictor.predictor_pos_embed

    assert torch.equal(model.predictor.fit_table(table, (2, 4, 4)), table[:, :32])
    rebuilt = sincos_3d((4, 2, 6), made.PREDICTOR_WIDTH, uniform_power=True)
    assert torch.equal(model.predictor.fit_table(table, (4, 2, 6)), rebuilt)


def test_report_says_both_rules(model):
    said = model.report.assumed["other input sizes"]

    assert "features: the stored table interpolated" in said
    assert "looks: encoder and predictor as if built" in said


def test_stored_table_wins_over_the_formula(tmp_path):
    """Trap 10."""
    odd = torch.randn(1, N, made.WIDTH)
    path = made.write_vjepa(
        tmp_path, change=lambda c: c["encoder"].update({"module.backbone.pos_embed": odd})
    )

    assert torch.equal(checkpoint.load(path).context_encoder.pos_embed, odd)


# --- what files say ----------------------------------------------------------------------------------------------


def test_report_says_which_system_and_how_it_is_known(model):
    assert model.info.family == "V-JEPA"
    assert model.info.abilities == {"masked", "temporal"}
    assert model.report.assumed["system"] == "V-JEPA (params-pretrain.yaml)"
    assert model.report.assumed["mask token"].startswith("0 for short-range blocks, 1 for long-range blocks")
    assert model.report.absent_parts == ()


def test_frame_rate_is_the_frame_step_through_sources_of_30_per_second(model):
    assert model.info.input.fps == 7.5
    assert "one frame in 4" in model.report.assumed["frame rate"]


def test_clip_duration_of_the_config_gives_the_frame_rate(tmp_path):
    settings = made.vjepa_params()
    settings["data"]["clip_duration"] = 2.0

    assert checkpoint.examine(made.write_vjepa(tmp_path, settings=settings))[0].input.fps == 4.0


@pytest.mark.parametrize("uniform", [True, False])
def test_clip_shape_nobody_states_is_the_one_whose_formula_gives_the_table(tmp_path, uniform):
    """64 rows are 4 x 4 x 4, 16 x 2 x 2 or one picture of 8 x 8 (section 3)."""

    def tables(saved: made.Content) -> None:
        for part in ("encoder", "target_encoder"):
            saved[part]["module.backbone.pos_embed"] = sincos_3d((4, 4, 4), 24, uniform_power=uniform)

    path = made.write_vjepa(tmp_path, settings={}, change=tables)

    model = checkpoint.load(path, choices=Choices(encoder_heads=2))

    assert isinstance(model, VJepa)
    assert model.settings.native == (4, 4, 4)
    assert (model.info.input.size, model.info.input.frames) == (32, 8)
    fresh = model.settings.look_tables(model.context_encoder.pos_embed, (5, 4, 4))
    assert torch.equal(fresh, sincos_3d((5, 4, 4), 24, uniform_power=uniform))


def test_table_that_no_formula_gives_is_refused_rather_than_guessed(tmp_path):
    def spoil(saved: made.Content) -> None:
        for part in ("encoder", "target_encoder"):
            saved[part]["module.backbone.pos_embed"] = torch.randn(1, N, made.WIDTH)

    with pytest.raises(ConfigDiffers, match="clip length and input size"):
        checkpoint.load(made.write_vjepa(tmp_path, settings={}, change=spoil))


def test_run_without_mask_tokens_is_refused_in_words(tmp_path):
    settings = made.vjepa_params()
    settings["model"]["use_mask_tokens"] = False

    def lose(saved: made.Content) -> None:
        for name in [n for n in saved["predictor"] if "mask_tokens" in n]:
            del saved["predictor"][name]

    with pytest.raises(ConfigDiffers, match="noised targets"):
        checkpoint.load(made.write_vjepa(tmp_path, settings=settings, change=lose))


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("architecture", "num_heads", 5),
        ("data", "crop_size", 64),
        ("data", "num_frames", 16),
        ("data", "patch_size", 16),
        ("data", "tubelet_size", 1),
        ("model", "pred_depth", 6),
        ("model", "pred_embed_dim", 32),
        ("model", "model_name", "vit_large"),
        ("model", "use_mask_tokens", False),
    ],
)
def test_config_that_contradicts_the_tensors_is_refused(tmp_path, section, key, value):
    settings = made.vjepa_params()
    settings[section][key] = value

    with pytest.raises(ConfigDiffers, match=r"params-pretrain\.yaml"):
        checkpoint.load(made.write_vjepa(tmp_path, settings=settings))


def test_mask_token_more_than_the_config_has_generators_is_refused(tmp_path):
    with pytest.raises(KeysDiffer) as refused:
        checkpoint.load(made.write_vjepa(tmp_path, made.vjepa_content(mask_tokens=3)))

    assert refused.value.report.unexpected == ("predictor/mask_tokens.2",)


@pytest.mark.parametrize(("n_mask_tokens", "family"), [(2, VJepa), (6, VJepa2), (10, VJepa2)])
def test_file_without_config_is_told_from_v_jepa_2_by_its_mask_tokens(tmp_path, n_mask_tokens, family):
    """Section 3: released V-JEPA 2 files keep stray tables, and 6 or 10 mask tokens."""
    path = made.write_vjepa(tmp_path, made.vjepa_content(mask_tokens=n_mask_tokens), settings={})

    model = checkpoint.load(path, choices=Choices(encoder_heads=2, predictor_heads=2))

    assert type(model) is family


def test_file_that_lost_all_its_tables_does_not_pass_for_v_jepa_2(tmp_path):
    def lose(saved: made.Content) -> None:
        for part in ("encoder", "target_encoder", "predictor"):
            for name in [n for n in saved[part] if "pos_embed" in n]:
                del saved[part][name]

    with pytest.raises(KeysDiffer) as refused:
        checkpoint.load(made.write_vjepa(tmp_path, change=lose))
    assert len(refused.value.report.missing) == 3


def test_encoder_alone_is_a_model_of_time_that_predicts_nothing(tmp_path):
    def lose(saved: made.Content) -> None:
        del saved["predictor"], saved["target_encoder"]

    model = checkpoint.load(made.write_vjepa(tmp_path, change=lose))

    assert model.info.abilities == {"temporal"}
    with pytest.raises(NotAble, match="no predictor"):
        model.predict(clip(), halves())


def test_table_of_a_width_that_no_formula_gives_is_asked_about_and_breaks_nothing(tmp_path):
    """A V-JEPA 2 file with stray tables, without its config: 60 channels divide into no even shares."""
    case = Path(__file__).parents[1] / "golden/cases/vjepa2-rope-gelu"
    shutil.copy(case / "latest.pt", tmp_path)

    with pytest.raises(ConfigDiffers, match="clip length and input size"):
        checkpoint.load(tmp_path / "latest.pt")
