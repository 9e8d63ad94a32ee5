"""The loader: exact or refused, never executing, naming every tensor."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from jepa_core import checkpoint
from jepa_core.clock import CancelToken
from jepa_core.design import Choices
from jepa_core.errors import (
    Cancelled,
    CheckpointError,
    ConfigDiffers,
    KeysDiffer,
    ShapesDiffer,
    UnknownFamily,
    UnreadableCheckpoint,
    UnsafeFile,
    WeightsNotFinite,
)
from tests.golden.runner import CASES
from tests.helpers import checkpoints as made

CONTENT = made.content()
TENSORS = sorted(
    (part, name) for part in ("encoder", "target_encoder", "predictor") for name in CONTENT[part]
)
HF_NAMES = sorted(load_file(CASES / "hf-vjepa2-a" / "model.safetensors"))


def short(part: str, name: str) -> str:
    return f"{part}/{name.removeprefix(made.PREFIX)}"


def fresh() -> made.Content:
    return {key: dict(value) if isinstance(value, dict) else value for key, value in CONTENT.items()}


# --- what loads --------------------------------------------------------------------------------------------------


def test_whole_checkpoint_loads_with_every_tensor_matched(tmp_path):
    model = checkpoint.load(made.write(tmp_path))

    assert model.report.is_exact
    assert model.report.matched == len(TENSORS)
    assert model.report.absent_parts == ()
    assert model.info.abilities == {"masked", "temporal"}
    assert (model.info.input.size, model.info.input.frames, model.info.input.fps) == (32, 8, 4.0)


def test_loaded_values_are_the_files_own(tmp_path):
    model = checkpoint.load(made.write(tmp_path))

    for part, module in (
        ("encoder", model.context_encoder),
        ("target_encoder", model.target_encoder),
        ("predictor", model.predictor),
    ):
        for name, tensor in module.state_dict().items():
            assert torch.equal(tensor, CONTENT[part][made.PREFIX + name]), name


def test_identity_is_the_hash_of_the_file(tmp_path):
    path = made.write(tmp_path)
    wanted = hashlib.sha256(path.read_bytes()).hexdigest()

    info, report = checkpoint.examine(path)

    assert info.sha256 == report.sha256 == wanted
    assert info.id == f"{wanted[:16]}:float32"
    assert report.file_bytes == path.stat().st_size


def test_examine_and_load_say_the_same(tmp_path):
    path = made.write(tmp_path)

    info, report = checkpoint.examine(path)
    model = checkpoint.load(path)

    free = {"device_free_bytes": 0}  # measured at either moment
    assert info == model.info
    assert replace(report, **free) == replace(model.report, **free)


def test_loaded_model_outlives_its_file(tmp_path):
    path = made.write(tmp_path)
    model = checkpoint.load(path)
    before = model.context_encoder.norm.weight.clone()

    with path.open("r+b") as stream:
        stream.truncate(0)
    path.unlink()

    assert torch.equal(model.context_encoder.norm.weight, before)


def test_optimizer_is_listed_as_ignored_and_never_read(tmp_path):
    model = checkpoint.load(made.write(tmp_path))

    assert {"opt", "scaler"} <= set(model.report.ignored)


def test_file_of_published_size_loads_without_touching_its_optimizer(tmp_path):
    saved = fresh()
    saved["opt"] = {"state": {0: {"exp_avg": torch.full((1000,), float("nan"))}}}

    model = checkpoint.load(made.write(tmp_path, saved))

    assert model.report.is_exact


def test_half_precision_file_is_widened(tmp_path):
    saved = fresh()
    for part in ("encoder", "target_encoder", "predictor"):
        saved[part] = {name: tensor.half() for name, tensor in saved[part].items()}

    model = checkpoint.load(made.write(tmp_path, saved), dtype="float32")

    assert model.context_encoder.norm.weight.dtype == torch.float32
    assert model.info.dtype == "float32"


def test_model_can_be_loaded_in_bfloat16(tmp_path):
    model = checkpoint.load(made.write(tmp_path), dtype="bfloat16")

    assert {p.dtype for p in model.context_encoder.parameters()} == {torch.bfloat16}
    assert model.info.id.endswith(":bfloat16")


def test_encoder_without_its_predictor_loads_with_fewer_abilities(tmp_path):
    model = checkpoint.load(made.write(tmp_path, change=lambda c: c.pop("predictor")))

    assert model.report.absent_parts == ("predictor",)
    assert "masked" not in model.info.abilities
    assert any("no predictor" in note for note in model.info.notes)


def test_file_without_target_encoder_says_whose_targets_it_uses(tmp_path):
    model = checkpoint.load(made.write(tmp_path, change=lambda c: c.pop("target_encoder")))

    assert model.report.absent_parts == ("target_encoder",)
    assert "no EMA target" in model.report.assumed["target encoder"]
    assert model.target_encoder is model.context_encoder


def test_bare_encoder_state_dict_loads_as_encoder_only(tmp_path):
    made.write(tmp_path, {name.removeprefix(made.PREFIX): t for name, t in CONTENT["encoder"].items()})

    model = checkpoint.load(tmp_path / "latest.pt")

    assert set(model.report.absent_parts) == {"target_encoder", "predictor"}


def test_stray_position_tables_of_a_rotary_file_are_ignored_by_name(tmp_path):
    def add(saved: made.Content) -> None:
        saved["encoder"][made.PREFIX + "pos_embed"] = torch.zeros(1, 64, 24)
        saved["predictor"][made.PREFIX + "predictor_pos_embed"] = torch.zeros(1, 64, 16)

    saved = fresh()
    report = checkpoint.load(made.write(tmp_path, saved, change=add)).report

    assert {"encoder/pos_embed", "predictor/predictor_pos_embed"} <= set(report.ignored)


def test_card_beside_the_file_gives_its_notes(tmp_path):
    path = made.write(tmp_path)
    path.with_name("latest.card.json").write_text(
        json.dumps({"notes": ["untrained: random"], "trained": False})
    )

    info, _ = checkpoint.examine(path)

    assert "untrained: random" in info.notes


def test_memory_forecast_grows_with_the_clip(tmp_path):
    path = made.write(tmp_path)

    short_clip = checkpoint.examine(path, clip_frames=2)[1].memory_bytes
    long_clip = checkpoint.examine(path, clip_frames=8)[1].memory_bytes

    assert 0 < short_clip < long_clip


def test_progress_rises_to_one(tmp_path):
    seen: list[float] = []

    checkpoint.load(made.write(tmp_path), progress=lambda fraction, text: seen.append(fraction))

    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1.0)


def test_load_can_be_cancelled_half_way(tmp_path):
    cancel = CancelToken()

    def stop_at_half(fraction: float, text: str) -> None:
        if fraction > 0.5:
            cancel.cancel()

    with pytest.raises(Cancelled):
        checkpoint.load(made.write(tmp_path), progress=stop_at_half, cancel=cancel)


# --- what is refused, and what the report names ------------------------------------------------------------------


@given(st.sampled_from(TENSORS))
def test_file_with_one_tensor_missing_is_refused_by_name(tmp_path, tensor):
    part, name = tensor

    with pytest.raises(KeysDiffer) as refused:
        checkpoint.load(made.write(tmp_path, fresh(), change=lambda c: c[part].pop(name)))

    assert refused.value.report.missing == (short(part, name),)
    assert refused.value.report.matched == len(TENSORS) - 1


@given(st.sampled_from(TENSORS))
def test_file_with_one_tensor_renamed_is_refused_by_both_names(tmp_path, tensor):
    part, name = tensor

    def rename(saved: made.Content) -> None:
        saved[part][name + "_old"] = saved[part].pop(name)

    with pytest.raises(KeysDiffer) as refused:
        checkpoint.load(made.write(tmp_path, fresh(), change=rename))

    assert short(part, name) in refused.value.report.missing
    assert short(part, name) + "_old" in refused.value.report.unexpected


@given(st.sampled_from(TENSORS))
def test_file_with_one_tensor_reshaped_is_refused_by_name_and_both_shapes(tmp_path, tensor):
    part, name = tensor
    shape = tuple(CONTENT[part][name].shape)
    wrong = (*shape[:-1], shape[-1] + 1)

    with pytest.raises(ShapesDiffer) as refused:
        checkpoint.load(
            made.write(tmp_path, fresh(), change=lambda c: c[part].update({name: torch.zeros(wrong)}))
        )

    assert refused.value.report.reshaped == (f"{short(part, name)}: expected {shape}, file has {wrong}",)


@given(st.sampled_from(TENSORS))
def test_refusal_does_not_depend_on_a_config(tmp_path, tensor):
    part, name = tensor
    path = made.write(tmp_path, fresh(), change=lambda c: c[part].pop(name))
    (tmp_path / "params.yaml").unlink()

    with pytest.raises(CheckpointError):
        checkpoint.load(path, choices=Choices(encoder_heads=2, predictor_heads=2))


def test_loaded_file_never_holds_a_random_weight(tmp_path):
    """The field's sorest fault: a lenient loader leaves what is missing as it was drawn."""
    with pytest.raises(ConfigDiffers, match="predictor depth 2, the tensors say 1"):
        checkpoint.load(
            made.write(
                tmp_path,
                fresh(),
                change=lambda c: [
                    c["predictor"].pop(n) for n in list(c["predictor"]) if "predictor_blocks.1" in n
                ],
            )
        )


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda c: c.update(decoder={"w": torch.zeros(2)}), "decoder/w"),
        (lambda c: c.update(extra=torch.zeros(2)), "extra"),
        (lambda c: c["encoder"].update(cls_token=torch.zeros(1, 1, 24)), "encoder/cls_token"),
        (lambda c: c["predictor"].update(head=torch.zeros(2)), "predictor/head"),
        (lambda c: c["encoder"].update({"norm.weight": torch.zeros(24)}), "encoder/norm.weight"),
    ],
    ids=["a part", "a tensor beside the parts", "in the encoder", "in the predictor", "twice the same name"],
)
def test_file_with_anything_left_over_is_refused_by_name(tmp_path, change, named):
    with pytest.raises(KeysDiffer) as refused:
        checkpoint.load(made.write(tmp_path, fresh(), change=change))

    assert refused.value.report.unexpected == (named,)
    assert refused.value.report.missing == ()


def test_encoder_that_lost_its_last_block_is_refused_where_its_twin_kept_it(tmp_path):
    settings = made.params()
    del settings["architecture"]["depth"]

    def lose(saved: made.Content) -> None:
        saved["target_encoder"] = {n: t for n, t in saved["target_encoder"].items() if "blocks.1." not in n}

    with pytest.raises(KeysDiffer) as refused:
        checkpoint.load(made.write(tmp_path, fresh(), settings, change=lose))

    assert len(refused.value.report.missing) == 12
    assert all(name.startswith("target_encoder/blocks.1.") for name in refused.value.report.missing)


def test_weight_that_is_not_a_number_is_refused_by_name(tmp_path):
    name = made.PREFIX + "blocks.1.attn.proj.bias"

    def spoil(saved: made.Content) -> None:
        saved["encoder"][name] = saved["encoder"][name].clone()
        saved["encoder"][name][3] = float("nan")

    path = made.write(tmp_path, fresh(), change=spoil)
    for ask in (checkpoint.load, checkpoint.examine):
        with pytest.raises(WeightsNotFinite, match=r"encoder/blocks\.1\.attn\.proj\.bias"):
            ask(path)


def test_pickled_code_is_refused_and_never_run(tmp_path):
    proof = tmp_path / "it-ran"

    class Bomb:
        def __reduce__(self):
            return os.system, (f"touch {proof}",)

    torch.save({"encoder": CONTENT["encoder"], "extra": Bomb()}, tmp_path / "zip.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps({"encoder": Bomb()}))
    torch.save({"encoder": Bomb()}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)

    for name in ("zip.pt", "plain.pt", "old.pt"):
        for ask in (checkpoint.load, checkpoint.examine):
            with pytest.raises(UnsafeFile) as refused:
                ask(tmp_path / name)
            assert refused.value.hint
    assert not proof.exists()


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9, 0.999])
def test_truncated_file_is_refused_as_unreadable(tmp_path, share):
    path = made.write(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])

    with pytest.raises(UnreadableCheckpoint, match="cut off"):
        checkpoint.load(path)


@pytest.mark.parametrize("junk", [b"", b"hello", b"\x89PNG\r\n\x1a\n" + bytes(100)])
def test_file_that_is_no_checkpoint_is_refused(tmp_path, junk):
    (tmp_path / "x.pt").write_bytes(junk)

    with pytest.raises(UnreadableCheckpoint):
        checkpoint.load(tmp_path / "x.pt")


def test_missing_file_is_refused_in_words(tmp_path):
    with pytest.raises(UnreadableCheckpoint, match="does not exist"):
        checkpoint.load(tmp_path / "nothing.pt")


def test_foreign_checkpoint_is_named_for_what_it_looks_like(tmp_path):
    torch.save({"encoder.stack_blocks.0.initial_conv.weight": torch.zeros(1)}, tmp_path / "model.pt")

    with pytest.raises(UnknownFamily, match="EB-JEPA") as refused:
        checkpoint.load(tmp_path / "model.pt")
    assert refused.value.report.family == "EB-JEPA"
    assert "I-JEPA, V-JEPA, V-JEPA 2" in refused.value.hint


# --- facts that are not in the tensors ---------------------------------------------------------------------------


def test_head_counts_come_with_their_source(tmp_path):
    assumed = checkpoint.examine(made.write(tmp_path))[1].assumed

    assert assumed["encoder heads"] == "2 (params.yaml, architecture.num_heads)"
    assert assumed["predictor heads"] == "2 (params.yaml, model.pred_num_heads)"


def test_explicit_choice_comes_before_the_config(tmp_path):
    path = made.write(tmp_path)

    assumed = checkpoint.examine(path, choices=Choices(encoder_heads=4, mask_token=1))[1].assumed

    assert assumed["encoder heads"] == "4 (chosen explicitly)"
    assert assumed["mask token"].startswith("1 of 2: chosen explicitly")


def test_unknown_head_count_refuses_rather_than_guesses(tmp_path):
    path = made.write(tmp_path)
    (tmp_path / "params.yaml").unlink()

    with pytest.raises(ConfigDiffers, match="attention heads"):
        checkpoint.load(path)


def test_only_trained_mask_token_is_chosen_and_all_norms_are_said(tmp_path):
    name = made.PREFIX + "mask_tokens.0"
    path = made.write(
        tmp_path, fresh(), change=lambda c: c["predictor"].update({name: torch.zeros(1, 1, 16)})
    )

    model = checkpoint.load(path)

    assert model.settings.mask_token == 1
    assert "the only one with a non-zero norm (norms 0, " in model.report.assumed["mask token"]


def test_first_mask_token_is_chosen_where_several_are_trained(tmp_path):
    assert checkpoint.load(made.write(tmp_path)).settings.mask_token == 0


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("architecture", "embed_dim", 48),
        ("architecture", "depth", 3),
        ("architecture", "mlp_ratio", 2.0),
        ("architecture", "num_heads", 5),
        ("data", "patch_size", 16),
        ("data", "tubelet_size", 1),
        ("model", "pred_depth", 6),
        ("model", "pred_embed_dim", 32),
        ("model", "model_name", "vit_large"),
        ("model", "use_silu", True),
        ("model", "use_rope", False),
    ],
)
def test_config_that_contradicts_the_tensors_is_refused_in_words(tmp_path, section, key, value):
    settings = made.params()
    settings[section][key] = value

    with pytest.raises(ConfigDiffers) as refused:
        checkpoint.load(made.write(tmp_path, settings=settings))

    assert "params.yaml" in refused.value.what
    assert refused.value.report is not None


def test_config_given_by_hand_is_used_instead_of_the_one_beside(tmp_path):
    path = made.write(tmp_path)
    settings = made.params()
    settings["data"]["fps"] = 12
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(settings))

    assert checkpoint.examine(path, config=tmp_path / "other.yaml")[0].input.fps == 12


def test_config_named_after_the_file_comes_before_a_general_one(tmp_path):
    path = made.write(tmp_path)
    settings = made.params()
    settings["data"]["fps"] = 15
    (tmp_path / "latest.params.yaml").write_text(yaml.safe_dump(settings))

    assert checkpoint.examine(path)[0].input.fps == 15


@pytest.mark.parametrize("text", ["a: [1", "just text", "!!python/object/apply:os.system ['true']"])
def test_broken_config_is_refused_with_its_name(tmp_path, text):
    path = made.write(tmp_path)
    (tmp_path / "params.yaml").write_text(text)

    with pytest.raises(ConfigDiffers, match=r"params\.yaml"):
        checkpoint.load(path)


# --- Hugging Face folders ----------------------------------------------------------------------------------------


def hugging_face(tmp_path: Path) -> Path:
    return Path(shutil.copytree(CASES / "hf-vjepa2-a", tmp_path / "hf", dirs_exist_ok=True))


def test_hugging_face_folder_and_its_file_load_alike(tmp_path):
    folder = hugging_face(tmp_path)

    by_folder, by_file = checkpoint.load(folder), checkpoint.load(folder / "model.safetensors")

    assert by_folder.info.sha256 == by_file.info.sha256
    assert by_folder.report.assumed == by_file.report.assumed
    assert by_folder.report.absent_parts == ("target_encoder",)
    assert any("no EMA target" in note for note in by_folder.info.notes)


def test_classifier_around_a_hugging_face_model_is_ignored_by_name(tmp_path):
    folder = hugging_face(tmp_path)
    tensors = {f"vjepa2.{name}": t for name, t in load_file(folder / "model.safetensors").items()}
    tensors |= {"pooler.query_tokens": torch.zeros(2), "classifier.weight": torch.zeros(2)}
    save_file(tensors, folder / "model.safetensors")

    report = checkpoint.examine(folder)[1]

    assert report.is_exact
    assert {"pooler.query_tokens", "classifier.weight"} <= set(report.ignored)


@given(st.sampled_from(HF_NAMES))
def test_hugging_face_file_with_one_tensor_missing_is_refused_by_its_name_there(tmp_path, name):
    folder = hugging_face(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    del tensors[name]
    save_file(tensors, folder / "model.safetensors")

    with pytest.raises(KeysDiffer) as refused:
        checkpoint.load(folder)

    assert any(name in missing for missing in refused.value.report.missing)


@given(st.sampled_from(HF_NAMES))
def test_hugging_face_file_with_one_tensor_reshaped_is_refused_by_its_name_there(tmp_path, name):
    folder = hugging_face(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    tensors[name] = torch.zeros(*tensors[name].shape[:-1], tensors[name].shape[-1] + 1)
    save_file(tensors, folder / "model.safetensors")

    with pytest.raises(CheckpointError) as refused:
        checkpoint.load(folder)

    report = refused.value.report
    assert any(name in line for line in (*report.missing, *report.unexpected, *report.reshaped))


def test_truncated_safetensors_file_is_refused(tmp_path):
    path = hugging_face(tmp_path) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])

    with pytest.raises(UnreadableCheckpoint):
        checkpoint.load(path)


def test_hugging_face_config_that_counts_other_mask_tokens_is_refused(tmp_path):
    folder = hugging_face(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"pred_num_mask_tokens": 12}))

    with pytest.raises(KeysDiffer) as refused:
        checkpoint.load(folder)
    assert any("mask_tokens.11" in name for name in refused.value.report.missing)


def test_table_checkpoint_whose_config_names_another_size_is_refused(tmp_path):
    path = made.write_with_tables(tmp_path)
    settings = yaml.safe_load((tmp_path / "params.yaml").read_text())
    settings["data"]["crop_size"] = 40
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings))

    with pytest.raises(ConfigDiffers, match="position table"):
        checkpoint.load(path)


def test_published_file_name_stands_in_for_a_config(tmp_path):
    """A file called vitl.pt that is no ViT-L is not believed."""
    path = made.write(tmp_path, name="vitl.pt")
    (tmp_path / "params.yaml").unlink()

    with pytest.raises(CheckpointError):
        checkpoint.load(path)


def test_gated_file_is_recognised_by_its_third_layer(tmp_path):
    encoder = replace(made.ENCODER, is_gated=True, hidden=64)
    path = made.write(tmp_path, made.content(encoder), made.params(encoder))

    assert checkpoint.load(path).context_encoder.spec.is_gated
