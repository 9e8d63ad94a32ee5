"""Hugging Face folders: which files hold the tensors, and what an index may not say."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

from jepa_core import checkpoint
from jepa_core.errors import ConfigDiffers, UnreadableCheckpoint, UnsafeFile
from jepa_core.weight_folder import files_of
from tests.golden.plain import hugging_face
from tests.golden.plain.hugging_face import Layout
from tests.golden.plain.masked import Size


def write(folder: Path, kind: str = "shards", **layout) -> Path:
    return hugging_face.write_vjepa2(folder / "model", Size(depth=1, p_depth=1), Layout(kind, **layout))


def edit_index(folder: Path, change) -> None:
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    change(index["weight_map"])
    path.write_text(json.dumps(index))


@pytest.mark.parametrize("kind", ["safetensors", "bin", "shards", "bin-shards"])
def test_every_way_to_save_a_folder_is_the_same_model(kind, tmp_path):
    one, other = write(tmp_path / "one", "safetensors"), write(tmp_path / "other", kind)
    clip = torch.randn(1, 3, 8, 32, 32, generator=torch.Generator().manual_seed(0))

    first, second = checkpoint.load(one), checkpoint.load(other)

    assert torch.equal(first.encode(clip), second.encode(clip))
    assert first.report.matched == second.report.matched


def test_fingerprint_of_several_files_is_of_their_bytes_one_after_another(tmp_path):
    folder = write(tmp_path)
    files = files_of(folder)
    info, report = checkpoint.examine(folder)

    assert len(files) == 3
    assert info.sha256 == hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    assert report.file_bytes == sum(file.stat().st_size for file in files)
    assert "3 files" in report.assumed["sha256"]


def test_whole_file_comes_before_an_index(tmp_path):
    folder = write(tmp_path)
    (folder / "model.safetensors").write_bytes(b"")

    assert files_of(folder) == (folder / "model.safetensors",)


def test_lost_shard_is_named(tmp_path):
    folder = write(tmp_path)
    (folder / "model-00002-of-00003.safetensors").unlink()

    with pytest.raises(UnreadableCheckpoint, match="lacks 1 of its 3 files of weights, first model-00002"):
        checkpoint.examine(folder)


@pytest.mark.parametrize(
    "name", ["../secret.safetensors", "/etc/passwd", "a\\b.safetensors", "..", "x/y", "n\0"]
)
def test_index_that_points_outside_its_folder_is_refused(name, tmp_path):
    folder = write(tmp_path)
    edit_index(folder, lambda weights: weights.update(anything=name))

    with pytest.raises(UnsafeFile, match="outside its folder"):
        checkpoint.examine(folder)


@pytest.mark.parametrize(
    "text", ["", "[1]", '{"weight_map": 3}', '{"weight_map": {}}', "{" * 5000, '{"weight_map": {"a": 7}}']
)
def test_index_that_is_none_is_refused(text, tmp_path):
    folder = write(tmp_path)
    (folder / "model.safetensors.index.json").write_text(text)

    with pytest.raises(UnreadableCheckpoint):
        checkpoint.examine(folder)


def test_one_tensor_in_two_shards_is_refused(tmp_path):
    folder = write(tmp_path)
    first, second, _ = files_of(folder)
    second.write_bytes(first.read_bytes())

    with pytest.raises(UnreadableCheckpoint, match="in two of its files"):
        checkpoint.examine(folder)


def test_shard_alone_says_what_it_is(tmp_path):
    with pytest.raises(UnreadableCheckpoint, match="one of 3 files of a model"):
        checkpoint.examine(files_of(write(tmp_path))[0])


def test_index_stands_for_its_folder(tmp_path):
    folder = write(tmp_path)

    by_index = checkpoint.examine(folder / "model.safetensors.index.json")

    assert by_index[0].sha256 == checkpoint.examine(folder)[0].sha256


def test_pickled_code_in_a_shard_is_never_run(tmp_path):
    folder = write(tmp_path, "bin-shards")
    torch.save({"x": print}, folder / "pytorch_model-00002-of-00003.bin")

    with pytest.raises(UnsafeFile):
        checkpoint.examine(folder)


def test_empty_folder_says_what_is_looked_for(tmp_path):
    with pytest.raises(UnreadableCheckpoint, match=r"without model\.safetensors or pytorch_model\.bin"):
        checkpoint.examine(tmp_path)


def test_eps_of_the_config_is_used_and_said_where_it_is_another(tmp_path):
    usual, other = write(tmp_path / "usual"), write(tmp_path / "other", eps=1e-3)

    assert "layer norm eps" not in checkpoint.load(usual).report.assumed
    model = checkpoint.load(other)
    assert (
        model.report.assumed["layer norm eps"]
        == "0.001 (config.json, layer_norm_eps); 1e-06 in every official file"
    )
    assert model.context_encoder.norm.eps == model.predictor.predictor_blocks[0].norm2.eps == 1e-3


@pytest.mark.parametrize(
    ("key", "value"), [("hidden_act", "silu"), ("layer_norm_eps", 0), ("layer_norm_eps", "small")]
)
def test_config_of_other_blocks_is_refused(key, value, tmp_path):
    folder = write(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {key: value}))

    with pytest.raises(ConfigDiffers):
        checkpoint.examine(folder)
