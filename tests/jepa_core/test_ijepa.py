"""I-JEPA against the spec's traps, through files in its official and Hugging Face layouts."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from jepa_core import checkpoint, released
from jepa_core.clock import FakeClock
from jepa_core.design import Choices
from jepa_core.engine import Engine
from jepa_core.errors import CheckpointError, ConfigDiffers, KeysDiffer, NotAble, UnknownFamily
from jepa_core.families.ijepa import IJepa
from jepa_core.latents import normalise_target
from jepa_core.masks import masks_from_roles, roles_of
from jepa_core.messages import EngineOptions
from jepa_core.nn.positions import sincos_2d
from jepa_core.preprocess import fit_frame
from jepa_core.types import Frame, MaskSet
from tests.golden.runner import CASES
from tests.helpers import table_checkpoints as made

N = 36


@pytest.fixture
def model(tmp_path) -> IJepa:
    return checkpoint.load(made.write_ijepa(tmp_path))


def pictures(height: int = 48, width: int = 48, batch: int = 1, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(seed))


def blocks() -> MaskSet:
    targets = (np.array([0, 1, 6, 7], np.int32), np.array([7, 8, 13, 14], np.int32))
    return MaskSet(np.arange(20, N, dtype=np.int32), targets, 0, "picture")


# --- released configurations -------------------------------------------------------------------------------------


def test_giant_has_16_heads_and_its_predictor_as_many():
    """Traps 3 and 4."""
    giant = released.build("ijepa-vitg16-in22k").modules

    assert giant["encoder"].blocks[0].attn.heads == 16
    assert giant["predictor"].predictor_blocks[0].attn.heads == 16
    assert giant["encoder"].blocks[0].mlp.fc1.out_features == 6144


# --- the masked look ---------------------------------------------------------------------------------------------


def test_hidden_pixels_never_reach_the_context(model):
    """Trap 8."""
    one = pictures()
    other = one.clone()
    other[:, :, :24] = 100.0  # tokens 0 to 17: all targets, no context

    with torch.no_grad():
        a, b = model.predict(one[:, :, None], blocks()), model.predict(other[:, :, None], blocks())

    assert torch.equal(a.context, b.context)
    assert torch.equal(a.predicted, b.predicted)
    assert not torch.equal(a.target, b.target)


def test_rows_are_ordered_by_block_then_context_then_picture(model):
    """Trap 9: row (p·n_enc + e)·B + b."""
    batch = pictures(batch=2)
    contexts = [torch.arange(20, 28).expand(2, -1), torch.arange(28, 36).expand(2, -1)]
    asked = [torch.tensor([[0, 1, 2], [3, 4, 5]]), torch.tensor([[6, 7, 8], [9, 10, 11]]), torch.arange(3).expand(2, -1)]  # fmt: skip

    with torch.no_grad():
        context, predicted, wanted = model.predict_blocks(batch, contexts, asked)
        target = model.encode(batch)
        for p, block in enumerate(asked):
            for e, keep in enumerate(contexts):
                for b in range(2):
                    alone = model.features(batch[b : b + 1], keep[b])
                    row = (p * 2 + e) * 2 + b
                    assert torch.allclose(context[e * 2 + b], alone[0], atol=1e-5)
                    one = model.predict_tokens(alone, keep[b], block[b])
                    assert torch.allclose(predicted[row], one[0], atol=1e-5)
                    assert torch.allclose(wanted[row], target[b, block[b]], atol=1e-5)


def test_blocks_are_predicted_one_by_one_whatever_their_sizes(model):
    first, second = blocks().targets
    batch = pictures(batch=2)
    with torch.no_grad():
        even = model.predict(batch, blocks())
        odd = model.predict(batch, MaskSet(blocks().context, (first, second[:3]), 0))
        union = model.predict(batch, MaskSet(blocks().context, (np.union1d(first, second),), 0))

    assert even.predicted.shape == even.target.shape == (2, 8, made.WIDTH)
    assert torch.allclose(even.predicted[:, :4], odd.predicted[:, :4], atol=1e-6)
    assert torch.allclose(even.target, model.encode(batch)[:, np.concatenate((first, second))], atol=1e-6)
    assert not torch.allclose(even.predicted[:, :3], union.predicted[:, :3], atol=1e-4)


def test_targets_are_the_target_encoders_and_layer_normed(model):
    """Traps 6, 7 and 16."""
    with torch.no_grad():
        raw = model.features(pictures(), encoder="target")
        assert torch.equal(model.encode(pictures()), normalise_target(raw))
        assert not torch.allclose(raw, model.features(pictures()), atol=1e-2)


def test_clip_is_seen_as_its_newest_frame(model):
    clip = torch.randn(1, 3, 5, 48, 48)
    with torch.no_grad():
        assert torch.equal(model.encode(clip), model.encode(clip[:, :, -1]))
    assert model.grid(5) == model.grid(1) == (1, 6, 6)


def test_remainder_pixels_are_dropped(model):
    """Trap 12."""
    ragged = pictures(53, 49)
    with torch.no_grad():
        assert torch.equal(model.features(ragged), model.features(ragged[:, :, :48, :48]))


# --- positions ---------------------------------------------------------------------------------------------------


def test_stored_tables_win_over_the_formula(tmp_path):
    """Trap 10."""
    odd = torch.randn(1, N, made.WIDTH)
    path = made.write_ijepa(tmp_path, change=lambda c: c["encoder"].update({"module.pos_embed": odd}))

    assert torch.equal(checkpoint.load(path).context_encoder.pos_embed, odd)


def test_published_tables_put_the_column_first():
    """Trap 1, asked of an official file."""
    table = checkpoint.load(CASES / "ijepa-base" / "jepa-ep7.pth.tar").context_encoder.pos_embed

    assert torch.allclose(table, sincos_2d(6, 6, 32, column_first=True), atol=1e-6)
    assert not torch.allclose(table, sincos_2d(6, 6, 32), atol=0.1)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (40, 72), (32, 72), (24, 96)])
def test_other_sizes_interpolate_the_table_to_true_rows_and_columns(model, height, width):
    """Trap 13: also where there are as many tokens as the table has rows (32 x 72), unlike the official code."""
    rows, columns = height // 8, width // 8
    plane = model.context_encoder.pos_embed.reshape(1, 6, 6, -1).permute(0, 3, 1, 2)
    wanted = F.interpolate(plane, size=(rows, columns), mode="bicubic", align_corners=False)
    wanted = wanted.flatten(2).transpose(1, 2)

    table = model.context_encoder.fit_table(model.context_encoder.pos_embed, (1, rows, columns))

    assert torch.equal(table, wanted)
    assert not torch.equal(table, model.context_encoder.pos_embed)
    assert "extrapolated" in model.report.assumed["other input sizes"]


def test_prediction_off_the_built_size_is_refused_in_words(model):
    with pytest.raises(NotAble, match="6 x 6 tokens; this one has 8 x 8"):
        model.predict(pictures(64, 64), blocks())


# --- what files say ----------------------------------------------------------------------------------------------


def test_report_says_which_system_and_how_it_is_known(model):
    assert model.info.family == "I-JEPA"
    assert model.info.abilities == {"masked"}
    assert model.info.multiblock == "pictures"
    assert model.report.assumed["system"] == "I-JEPA (its predictor's single mask token)"
    assert model.report.assumed["predictor heads"].startswith("2 (as the encoder")
    assert (model.info.input.size, model.info.input.frames, model.info.input.tubelet) == (48, 1, 1)
    assert any("newest frame" in note for note in model.info.notes)
    assert any("no future to predict" in note for note in model.info.notes)


def test_input_size_is_read_off_the_table_where_nothing_else_says(tmp_path):
    path = made.write_ijepa(tmp_path, settings={})

    info, report = checkpoint.examine(path, choices=Choices(encoder_heads=2))

    assert info.input.size == 48
    assert report.assumed["input size"] == "48 px (position table of 6 x 6 tokens)"


def test_head_count_nobody_states_is_refused_rather_than_guessed(tmp_path):
    with pytest.raises(ConfigDiffers, match="attention heads"):
        checkpoint.load(made.write_ijepa(tmp_path, settings={}))


def test_only_mask_token_is_number_0(tmp_path):
    with pytest.raises(ConfigDiffers, match="no mask token 1"):
        checkpoint.load(made.write_ijepa(tmp_path), choices=Choices(mask_token=1))


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("architecture", "embed_dim", 48),
        ("architecture", "depth", 3),
        ("architecture", "num_heads", 5),
        ("architecture", "mlp_ratio", 2.0),
        ("data", "crop_size", 64),
        ("mask", "patch_size", 16),
        ("meta", "pred_depth", 6),
        ("meta", "pred_emb_dim", 32),
        ("meta", "model_name", "vit_huge"),
    ],
)
def test_config_that_contradicts_the_tensors_is_refused(tmp_path, section, key, value):
    settings = made.ijepa_params()
    settings[section][key] = value

    with pytest.raises(ConfigDiffers, match=r"params-ijepa\.yaml"):
        checkpoint.load(made.write_ijepa(tmp_path, settings=settings))


def test_file_of_another_system_under_this_ones_config_is_refused(tmp_path):
    saved = made.vjepa_content()

    with pytest.raises(ConfigDiffers, match="embed clips"):
        checkpoint.load(made.write_ijepa(tmp_path, saved))


def test_file_that_lost_all_its_tables_does_not_pass_for_another_system(tmp_path):
    """A rotary V-JEPA 2 keeps no tables; nothing else of these tensors would give it away."""

    def lose(saved: made.Content) -> None:
        for part in ("encoder", "target_encoder", "predictor"):
            for name in [n for n in saved[part] if "pos_embed" in n]:
                del saved[part][name]

    for settings in (None, {}):
        with pytest.raises(CheckpointError) as refused:
            checkpoint.load(
                made.write_ijepa(tmp_path / str(settings is None), settings=settings, change=lose),
                choices=Choices(encoder_heads=2, predictor_heads=2),
            )
        assert isinstance(refused.value, KeysDiffer | UnknownFamily)


def test_encoder_alone_says_in_words_that_nothing_can_be_predicted(tmp_path):
    model = checkpoint.load(made.write_ijepa(tmp_path, change=lambda c: c.pop("predictor")))

    assert model.info.abilities == frozenset()
    assert not any("no future to predict" in note for note in model.info.notes)
    assert "no predictor in this file: nothing can be predicted" in model.info.notes
    with pytest.raises(NotAble, match="no predictor"):
        model.predict(pictures(), blocks())


def test_bare_encoder_as_timm_writes_it_loads(tmp_path):
    bare = {n.removeprefix("module."): t for n, t in made.ijepa_content()["encoder"].items()}
    save_file(bare, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(
        '{"architecture": "vit_tiny", "pretrained_cfg": {"tag": "in1k_ijepa"}}'
    )

    model = checkpoint.load(tmp_path, choices=Choices(encoder_heads=2))

    assert isinstance(model, IJepa)
    assert set(model.report.absent_parts) == {"target_encoder", "predictor"}
    assert model.report.assumed["system"] == "I-JEPA (config.json)"


def test_tensor_given_with_and_without_its_wrapper_is_refused(tmp_path):
    bare = {n.removeprefix("module."): t for n, t in made.ijepa_content()["encoder"].items()}
    bare["module.norm.bias"] = torch.zeros(made.WIDTH)
    torch.save(bare, tmp_path / "bare.pth")

    with pytest.raises(KeysDiffer) as refused:
        checkpoint.load(tmp_path / "bare.pth", choices=Choices(encoder_heads=2))
    assert refused.value.report.unexpected == ("module.norm.bias",)


# --- Hugging Face folders ----------------------------------------------------------------------------------------

HF_NAMES = sorted(load_file(CASES / "hf-ijepa-a" / "model.safetensors"))


def hugging_face(tmp_path: Path) -> Path:
    return Path(shutil.copytree(CASES / "hf-ijepa-a", tmp_path / "hf", dirs_exist_ok=True))


def test_both_spellings_load_alike(tmp_path):
    folder = hugging_face(tmp_path)
    written, inside = checkpoint.load(folder), checkpoint.load(folder / "model_v5names.safetensors")

    for name, tensor in written.context_encoder.state_dict().items():
        assert torch.equal(tensor, inside.context_encoder.state_dict()[name]), name


def test_folder_is_an_encoder_without_predictor_and_target(tmp_path):
    model = checkpoint.load(hugging_face(tmp_path))

    assert set(model.report.absent_parts) == {"target_encoder", "predictor"}
    assert "masked" not in model.info.abilities
    with torch.no_grad(), pytest.raises(NotAble, match="no predictor"):
        model.predict(pictures(), blocks())


def test_pictures_are_normalised_by_imagenet_not_by_the_folders_processor(tmp_path):
    """Trap 17."""
    spec = checkpoint.load(hugging_face(tmp_path)).info.input

    assert (spec.mean, spec.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_classifier_around_the_model_is_ignored_by_name(tmp_path):
    folder = hugging_face(tmp_path)
    tensors = {f"ijepa.{name}": t for name, t in load_file(folder / "model.safetensors").items()}
    tensors |= {"classifier.weight": torch.zeros(2), "ijepa.pooler.dense.bias": torch.zeros(2)}
    save_file(tensors, folder / "model.safetensors")

    report = checkpoint.examine(folder)[1]

    assert report.is_exact
    assert {"classifier.weight", "pooler.dense.bias"} <= set(report.ignored)


@given(st.sampled_from(HF_NAMES))
def test_folder_with_one_tensor_missing_is_refused_by_its_name_there(tmp_path, name):
    folder = hugging_face(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    del tensors[name]
    save_file(tensors, folder / "model.safetensors")

    with pytest.raises(KeysDiffer) as refused:
        checkpoint.load(folder)
    assert any(name in entry for entry in refused.value.report.missing)


def test_folder_in_two_spellings_at_once_is_refused(tmp_path):
    folder = hugging_face(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    tensors["layers.0.mlp.fc1.bias"] = tensors.pop("encoder.layer.0.intermediate.dense.bias")
    save_file(tensors, folder / "model.safetensors")

    with pytest.raises(KeysDiffer) as refused:
        checkpoint.load(folder)
    assert "layers.0.mlp.fc1.bias" in refused.value.report.unexpected


def test_tensor_given_with_and_without_the_prefix_is_refused(tmp_path):
    folder = hugging_face(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    tensors["ijepa.layernorm.bias"] = torch.zeros(32)
    save_file(tensors, folder / "model.safetensors")

    with pytest.raises(KeysDiffer) as refused:
        checkpoint.load(folder)
    assert len(refused.value.report.unexpected) == 1


def test_vit_with_a_class_token_is_not_taken_for_i_jepa(tmp_path):
    folder = hugging_face(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    tensors["embeddings.cls_token"] = torch.zeros(1, 1, 32)
    save_file(tensors, folder / "model.safetensors")

    with pytest.raises(UnknownFamily):
        checkpoint.load(folder)


# --- watching video ----------------------------------------------------------------------------------------------


def frame(seq: int) -> Frame:
    rgb = np.random.default_rng(seq).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    rgb.setflags(write=False)
    return Frame(seq, seq, seq, seq, -1, seq * 33_000_000, rgb, "video:test")


def test_every_look_at_a_video_is_at_its_newest_frame(model):
    engine = Engine(model, EngineOptions(), FakeClock())
    looks = [engine.offer(frame(seq)) for seq in range(4)]

    assert [look.clip for look in looks] == [(0,), (1,), (2,), (3,)]
    assert {look.layout.shape for look in looks} == {(1, 6, 6)}
    assert {look.masks.generator for look in looks} == {"picture"}
    assert [len(look.masks.targets) for look in looks] == [4] * 4
    assert engine.rule.kind == "multiblock"
    for look in looks:
        is_target = (roles_of(look.masks, look.layout) & 2).reshape(-1) > 0
        assert (np.isfinite(look.error) == is_target).all()
        assert math.isfinite(look.surprise)


def test_recorded_look_is_recomputed_to_the_bit_although_a_record_joins_its_blocks(model):
    live = Engine(model, EngineOptions(), FakeClock()).offer(frame(7))
    recorded = masks_from_roles(roles_of(live.masks, live.layout), live.masks.seed)
    assert len(recorded.targets) == 1
    crop, box = fit_frame(frame(7).rgb, 48)

    again = Engine(model, EngineOptions(), FakeClock()).look(
        crop[None], recorded, frames=live.clip, seq=live.seq, t_ns=live.t_ns, box=box
    )

    np.testing.assert_array_equal(again.error, live.error)
