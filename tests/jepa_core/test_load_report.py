"""What a person is told of a file: in seven situations, in exact words, and which rule stood in for what no file says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from jepa_core import checkpoint, registry
from jepa_core.design import Choices
from jepa_core.errors import (
    CheckpointError,
    ConfigDiffers,
    KeysDiffer,
    ShapesDiffer,
    UnreadableCheckpoint,
    WeightsNotFinite,
)
from jepa_core.types import CheckpointInfo, LoadReport
from tests.golden.runner import CASES
from tests.helpers import ac_checkpoints, checkpoints, leveled_checkpoints, table_checkpoints
from tests.helpers.cli import ROOT, main_py
from tests.helpers.situations import SITUATIONS
from tests.jepa_core.test_families import CHECKPOINTS

UNUSED = ("opt", "scaler", "epoch", "loss", "batch_size", "world_size", "lr")


def examined(name: str, folder: Path) -> tuple[CheckpointInfo, LoadReport]:
    return checkpoint.examine(SITUATIONS[name].make(folder), device="cpu")


def refused(name: str, folder: Path, kind: type[CheckpointError]) -> CheckpointError:
    path = SITUATIONS[name].make(folder)
    for ask in (checkpoint.examine, checkpoint.load):
        with pytest.raises(CheckpointError) as caught:
            ask(path, device="cpu")
        assert type(caught.value) is kind
    return caught.value


# --- the seven situations ----------------------------------------------------------------------------------------


def test_right_file_is_matched_to_the_last_tensor_and_says_how_it_is_known(tmp_path):
    info, report = examined("right", tmp_path)

    assert (info.family, info.variant) == ("V-JEPA 2", "ViT 24x2/8, 32 px, 8 frames")
    assert (report.matched, report.missing, report.unexpected, report.reshaped) == (88, (), (), ())
    assert report.is_exact
    assert report.absent_parts == ()
    assert report.ignored == UNUSED
    assert report.marks == (
        "data.dataset_fpcs in params.yaml",
        "predictor/mask_tokens.0 … 1",
        "no position table",
        "patch_embed.proj of 5 axes: clips",
        "names wrapped in module. and backbone.",
    )
    assert info.abilities == {"masked", "temporal"}
    assert info.notes == ()
    assert report.memory_bytes > 0
    assert len(report.sha256) == 64


def test_predictor_that_is_too_short_is_refused_and_every_missing_tensor_named(tmp_path):
    error = refused("short", tmp_path, ConfigDiffers)

    assert (
        error.what == "latest.pt: params.yaml, model.pred_depth says predictor depth 24, the tensors say 12."
    )
    assert error.hint == (
        "12 blocks are missing, and nothing is ever filled with random numbers. Ask for the complete file, or for the "
        "config it was made with."
    )
    assert (error.report.family, error.report.matched) == ("V-JEPA 2.1", 475)
    assert len(error.report.missing) == 12 * 12
    assert error.report.missing[0] == "predictor/predictor_blocks.12.norm1.weight"
    assert error.report.missing[-1] == "predictor/predictor_blocks.23.mlp.fc2.bias"
    assert (error.report.unexpected, error.report.reshaped) == ((), ())
    assert error.report.marks


def test_encoder_alone_loads_and_says_what_it_cannot(tmp_path):
    info, report = examined("encoder", tmp_path)

    assert report.is_exact
    assert report.matched == 28
    assert report.absent_parts == ("target_encoder", "predictor")
    assert info.abilities == {"temporal"}
    assert info.notes == (
        "no EMA target in this file: its context encoder gives the targets",
        "no predictor in this file: nothing can be predicted",
    )
    assert report.assumed["target encoder"] == (
        "the context encoder with the target layer norm (no EMA target in this file)"
    )


def test_config_of_another_system_is_named_as_the_reason(tmp_path):
    error = refused("config", tmp_path, KeysDiffer)

    assert error.what == (
        "latest.pt is not exactly a V-JEPA ViT 24x2/8, 32 px, 8 frames: 3 missing (encoder/pos_embed, …)."
    )
    assert error.hint == (
        "params.yaml is of a V-JEPA; by its tensors this file is a V-JEPA 2. Choose its own config with --config, or "
        "take this one away."
    )
    assert error.report.missing == (
        "encoder/pos_embed",
        "target_encoder/pos_embed",
        "predictor/predictor_pos_embed",
    )
    assert error.report.marks[0] == "data.num_frames and a list of masks in params.yaml"


def test_distilled_file_loads_as_features_and_claims_no_target(tmp_path):
    info, report = examined("distilled", tmp_path)

    assert report.is_exact
    assert report.absent_parts == ("encoder", "teacher")
    assert info.abilities == {"temporal"}
    assert info.notes == (
        "no target in this file: it was distilled from a larger teacher, whose latents its predictor speaks of",
    )
    assert report.assumed["features and targets"] == "the part ema_encoder"
    assert report.marks[0] == "ema_encoder/norms_block.0 … 3"


def test_action_predictor_without_its_encoder_is_refused_by_that_reason(tmp_path):
    error = refused("action", tmp_path, KeysDiffer)

    assert error.what == (
        "latest.pt holds the predictor of a V-JEPA 2-AC without its encoder, whose latents alone it can read."
    )
    assert error.hint == (
        "Load the complete file. The encoder of another V-JEPA 2 file does not fit, even where its shapes do."
    )
    assert error.report.family == "V-JEPA 2-AC"
    assert error.report.missing == ("encoder (the whole part)",)
    assert error.report.absent_parts == ("encoder", "target_encoder")
    assert error.report.ignored == UNUSED
    assert len(error.report.sha256) == 64
    assert "predictor/action_encoder" in error.report.marks


def test_heads_of_a_fine_tuned_file_are_listed_as_ignored(tmp_path):
    info, report = examined("fine-tuned", tmp_path)

    assert report.is_exact
    assert report.ignored == ("classifier.weight", "pooler.query_tokens")
    assert report.absent_parts == ("target_encoder",)
    assert info.abilities == {"masked", "temporal"}
    assert report.marks[0] == "model_type 'vjepa2' in config.json"


@pytest.mark.slow
@pytest.mark.parametrize("name", SITUATIONS)
def test_exit_code_of_the_command_line_is_0_for_what_loads_and_3_for_what_is_refused(name, tmp_path):
    said = main_py("checkpoint", SITUATIONS[name].make(tmp_path), "--device", "cpu", "--json")

    is_refused = name in ("short", "config", "action")
    assert said.code == (3 if is_refused else 0)
    report = said.json["report"]
    assert bool(report["missing"]) == is_refused
    assert report["marks"]


@pytest.mark.slow
def test_page_of_the_seven_reports_is_what_the_program_says():
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "make_load_report.py"), "--check"],
        check=False,
        capture_output=True,
    )
    assert done.returncode == 0, "run docs/make_load_report.py and read what has changed"


# --- how a system is known ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_every_family_says_by_what_it_was_recognised(name, tmp_path):
    _, report = checkpoint.examine(CHECKPOINTS[name](tmp_path), device="cpu")

    assert report.marks
    assert all(mark and mark.isprintable() and len(mark) < 120 for mark in report.marks)


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_marks_are_found_in_the_file_and_not_recited(name, tmp_path):
    """Each mark that names a tensor names one that is there; without the config the config is not named."""
    path = CHECKPOINTS[name](tmp_path)
    file = checkpoint.open_weights(path, checkpoint.sidecar.find_config(path))
    family = registry.family(name)
    keys = file.keys()

    named = [m for m in family.marks(keys, {}) if "/" in m]
    bare = family.marks(frozenset(key.partition("/")[0] + "/x" for key in keys), {})

    assert named
    for mark in named:
        stem = mark.split(" … ")[0].split(",")[0].replace(".….", ".0.")
        assert any(key.startswith(stem) for key in keys), mark
    assert not [m for m in bare if m in named and "/" in m and not m.endswith("/")]


def test_marks_of_a_published_name_say_so(tmp_path):
    path = table_checkpoints.write_vjepa(tmp_path, settings={}, name="vitl16.pth.tar")

    with pytest.raises(CheckpointError) as caught:
        checkpoint.examine(path)
    assert caught.value.report.marks[0] == "the file's published name, vitl16.pth.tar"
    assert caught.value.report.family == "V-JEPA"


# --- which rule stood in for what no file says -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zero", "choice", "says"),
    [
        ((), None, "0 of 2: the rule where several are non-zero (norms "),
        ((0,), None, "1 of 2: the only one with a non-zero norm (norms 0, "),
        ((1,), None, "0 of 2: the only one with a non-zero norm (norms "),
        ((0, 1), None, "0 of 2: all are zero (norms 0, 0)"),
        ((), 1, "1 of 2: chosen explicitly (norms "),
    ],
)
def test_rule_that_chose_the_mask_token_is_in_the_report(zero, choice, says, tmp_path):
    def untrained(saved: checkpoints.Content) -> None:
        for number in zero:
            saved["predictor"][f"{checkpoints.PREFIX}mask_tokens.{number}"] = torch.zeros(1, 1, 16)

    path = checkpoints.write(tmp_path, change=untrained)
    report = checkpoint.examine(path, choices=Choices(mask_token=choice))[1]

    assert report.assumed["mask token"].startswith(says)


@pytest.mark.parametrize(
    ("lost", "key", "says"),
    [
        (
            "target_encoder",
            "target encoder",
            "the context encoder with the target layer norm (no EMA target in this file)",
        ),
        ("encoder", "context encoder", "the EMA target encoder (no context encoder in this file)"),
    ],
)
def test_whose_encoder_stands_in_for_a_lost_one_is_in_the_report(lost, key, says, tmp_path):
    report = checkpoint.examine(checkpoints.write(tmp_path, change=lambda saved: saved.pop(lost)))[1]

    assert report.assumed[key] == says
    assert lost in report.absent_parts


@pytest.mark.parametrize(
    ("parts", "targets", "context"),
    [
        (("encoder", "target_encoder", "ema_encoder"), "ema_encoder", "encoder"),
        (("encoder", "target_encoder"), "target_encoder", "encoder"),
        (("target_encoder",), "target_encoder", "target_encoder"),
        (("ema_encoder",), "ema_encoder", "ema_encoder"),
        (("encoder",), "encoder", "encoder"),
    ],
)
def test_whose_features_a_leveled_file_gives_follows_the_published_order(parts, targets, context, tmp_path):
    def only(saved: checkpoints.Content) -> None:
        one = saved["encoder"]
        for part in ("encoder", "target_encoder", "ema_encoder"):
            saved.pop(part, None)
            if part in parts:
                saved[part] = {name: tensor.clone() for name, tensor in one.items()}

    report = checkpoint.examine(leveled_checkpoints.write(tmp_path, change=only))[1]

    assert report.assumed["features and targets"] == f"the part {targets}"
    assert report.assumed["context"] == f"the part {context}"


@pytest.mark.parametrize(
    ("choice", "written", "says"),
    [
        (None, None, "scaled to a 16 x 16 grid (as in training; the published builder says otherwise)"),
        (None, False, "as counted (params.yaml, architecture.predictor.interpolate_rope)"),
        (False, True, "as counted (chosen explicitly)"),
        (True, False, "scaled to a 16 x 16 grid (chosen explicitly)"),
    ],
)
def test_rule_for_the_predictors_positions_is_in_the_report(choice, written, says, tmp_path):
    settings = leveled_checkpoints.params()
    settings["architecture"]["predictor"]["interpolate_rope"] = written
    if written is None:
        del settings["architecture"]["predictor"]["interpolate_rope"], settings["model"]["interpolate_rope"]
    path = leveled_checkpoints.write(tmp_path, settings=settings)

    report = checkpoint.examine(path, choices=Choices(predictor_scaling=choice))[1]

    assert report.assumed["predictor positions"] == says


def test_whether_positions_are_rotary_or_a_table_is_in_the_report_with_its_reason(tmp_path):
    for folder, settings, says in (
        ("says", checkpoints.params(), "rotary (params.yaml, model.use_rope)"),
        ("silent", None, "rotary (the file holds no position table)"),
    ):
        path = checkpoints.write(tmp_path / folder, settings=settings)
        if settings is None:
            (tmp_path / folder / "params.yaml").unlink()
        choices = Choices(encoder_heads=2, predictor_heads=2)
        assert checkpoint.examine(path, choices=choices)[1].assumed["positions"] == says


def test_frozen_encoder_of_an_action_model_is_said_to_be_the_files_own(tmp_path):
    assert checkpoint.examine(ac_checkpoints.write(tmp_path))[1].assumed["encoder"] == (
        "the file's own, for context and targets alike: it was frozen in training"
    )


# --- what a file says of its own wholeness -----------------------------------------------------------------------


def test_report_says_what_shows_that_a_weight_was_changed(tmp_path):
    torch_file = checkpoint.examine(checkpoints.write(tmp_path))[1]
    safetensors = checkpoint.examine(CASES / "hf-vjepa2-a")[1]

    assert torch_file.assumed["check sums"] == "the file's own CRC-32 of every tensor that is read"
    assert safetensors.assumed["check sums"].startswith("none: this format has none")


def test_torch_file_written_without_check_sums_loads_and_says_so(tmp_path):
    path = checkpoints.write(tmp_path)
    content = torch.load(path, weights_only=True)
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(content, path)
    finally:
        torch.serialization.set_crc32_options(True)

    assert checkpoint.examine(path)[1].assumed["check sums"].startswith("none: this file was written without")


@pytest.mark.parametrize("ask", [checkpoint.examine, checkpoint.load])
def test_one_changed_bit_of_a_weight_is_noticed_and_named(ask, tmp_path):
    """torch.load would give the changed number without a word."""
    path = checkpoints.write(tmp_path)
    weight = torch.load(path, weights_only=True)["predictor"][f"{checkpoints.PREFIX}predictor_norm.bias"]
    content = bytearray(path.read_bytes())
    content[content.index(weight.numpy().tobytes()) + 6] ^= 1
    path.write_bytes(content)
    assert not torch.equal(
        torch.load(path, weights_only=True)["predictor"][f"{checkpoints.PREFIX}predictor_norm.bias"], weight
    )

    with pytest.raises(
        UnreadableCheckpoint, match=r"latest\.pt is damaged.*have changed since they were written"
    ) as caught:
        ask(path)
    assert caught.value.report.family == "V-JEPA 2"
    assert caught.value.report.sha256


@pytest.mark.parametrize(("dtype", "weight"), [("float16", 70_000.0), ("bfloat16", 1e39), ("float32", 1e39)])
def test_weight_that_the_wanted_precision_would_make_infinite_is_refused(dtype, weight, tmp_path):
    name = f"{checkpoints.PREFIX}norm.bias"

    def grow(saved: checkpoints.Content) -> None:
        saved["encoder"][name] = saved["encoder"][name].double()
        saved["encoder"][name][3] = weight

    path = checkpoints.write(tmp_path, change=grow)
    for ask in (checkpoint.examine, checkpoint.load):
        with pytest.raises(WeightsNotFinite, match=rf"in encoder/norm\.bias, more than {dtype} can say"):
            ask(path, dtype=dtype)


@pytest.mark.parametrize("kind", [torch.int64, torch.int32, torch.uint8, torch.bool])
def test_weights_of_whole_numbers_are_no_weights(kind, tmp_path):
    name = f"{checkpoints.PREFIX}norm.bias"

    def cut(saved: checkpoints.Content) -> None:
        saved["encoder"][name] = saved["encoder"][name].to(kind)

    with pytest.raises(ShapesDiffer) as caught:
        checkpoint.load(checkpoints.write(tmp_path, change=cut))
    expected = f"encoder/norm.bias: expected broken numbers, file has {str(kind).removeprefix('torch.')}"
    assert caught.value.report.reshaped == (expected,)


def test_thirds_of_different_kinds_are_not_joined(tmp_path):
    folder = SITUATIONS["fine-tuned"].make(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    name = "vjepa2.encoder.layer.0.attention.key.bias"
    tensors[name] = tensors[name].long()
    save_file(tensors, folder / "model.safetensors")

    with pytest.raises(KeysDiffer) as caught:
        checkpoint.load(folder)
    assert any("encoder/blocks.0.attn.qkv.bias" in line for line in caught.value.report.missing)
