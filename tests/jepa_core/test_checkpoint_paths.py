"""What a person dropped, and what the loader is given for it."""

from __future__ import annotations

import pytest

from jepa_core.checkpoint_paths import is_meant_as_checkpoint, meant_by, other_model
from jepa_core.errors import UnreadableCheckpoint
from jepa_core.sidecar import find_config
from jepa_core.weight_files import open_weights
from jepa_core.weight_folder import files_of


def folder_of(path, *names):
    path.mkdir(parents=True, exist_ok=True)
    for name in names:
        (path / name).touch()
    return path


@pytest.mark.parametrize(
    "name",
    ["vitl.pt", "jepa-latest.pth", "IN1K-vit.h.14-300e.pth.tar", "lewm_object.ckpt", "savi.CKPT", "model.safetensors",
     "config.json", "params-pretrain.yaml", "pytorch_model.bin", "net.onnx"],
)  # fmt: skip
def test_a_checkpoint_its_config_and_a_model_of_another_kind_are_meant_as_one(tmp_path, name):
    assert is_meant_as_checkpoint(tmp_path / name)


@pytest.mark.parametrize("name", ["clip.mp4", "session.h5", "run.wmj", "notes.txt", "picture.png", "ptx"])
def test_what_is_no_model_is_not(tmp_path, name):
    assert not is_meant_as_checkpoint(tmp_path / name)


def test_a_folder_is_meant_as_one_when_it_holds_weights_or_a_config(tmp_path):
    assert is_meant_as_checkpoint(folder_of(tmp_path / "hub", "config.json", "model.safetensors"))
    assert is_meant_as_checkpoint(folder_of(tmp_path / "run", "jepa-latest.pth.tar"))
    assert not is_meant_as_checkpoint(folder_of(tmp_path / "empty"))


def test_a_folder_of_pictures_is_none_also_with_a_checkpoint_in_it(tmp_path):
    assert not is_meant_as_checkpoint(folder_of(tmp_path / "frames", "0001.png", "0002.png", "best.pt"))
    assert is_meant_as_checkpoint(folder_of(tmp_path / "hub", "config.json", "weights.pt", "preview.png"))


def test_a_hubs_folder_is_loaded_as_a_whole(tmp_path):
    whole = folder_of(tmp_path / "hub", "config.json", "model.safetensors", "other.safetensors")

    assert meant_by(whole).path == whole
    assert meant_by(whole / "config.json") == meant_by(whole)


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "model.safetensors.index.json", "pytorch_model.bin.index.json"]
)
def test_every_way_a_hub_saves_a_model_makes_its_folder_one(tmp_path, name):
    folder = folder_of(tmp_path / "hub", "config.json", name)

    assert meant_by(folder).path == folder
    assert meant_by(folder / "config.json").path == folder
    assert is_meant_as_checkpoint(folder / name)
    assert other_model(name) == ""


def test_lewms_folder_means_its_weights(tmp_path):
    folder = folder_of(tmp_path / "lewm", "config.json", "weights.pt")

    assert meant_by(folder).path == folder / "weights.pt"
    assert meant_by(folder / "config.json").path == folder / "weights.pt"


def test_the_only_weights_of_a_folder_are_meant_by_it_and_by_its_config(tmp_path):
    folder = folder_of(tmp_path / "run", "params-pretrain.yaml", "jepa-ep7.pth.tar", "log.csv")

    assert meant_by(folder).path == folder / "jepa-ep7.pth.tar"
    meant = meant_by(folder / "params-pretrain.yaml")
    assert (meant.path, meant.config) == (folder / "jepa-ep7.pth.tar", folder / "params-pretrain.yaml")


def test_a_config_named_after_one_of_several_weights_means_that_one(tmp_path):
    folder = folder_of(tmp_path / "all", "vitl.pt", "vith.pt", "vitl.params.yaml")

    meant = meant_by(folder / "vitl.params.yaml")

    assert (meant.path, meant.config) == (folder / "vitl.pt", folder / "vitl.params.yaml")


def test_what_cannot_be_decided_is_handed_on_as_it_is(tmp_path):
    folder = folder_of(tmp_path / "all", "a.pt", "b.pt", "params.yaml")

    assert meant_by(folder).path == folder
    assert meant_by(folder / "params.yaml").path == folder / "params.yaml"
    assert meant_by(tmp_path / "nowhere").path == tmp_path / "nowhere"
    with pytest.raises(UnreadableCheckpoint, match=r"2 files of weights: a\.pt, b\.pt"):
        files_of(folder)
    with pytest.raises(UnreadableCheckpoint, match="without a file of weights"):
        files_of(folder_of(tmp_path / "empty"))


def test_the_loader_takes_a_folder_with_one_file_of_weights(tmp_path):
    folder = folder_of(tmp_path / "lewm", "config.json", "weights.pt")

    assert files_of(folder) == (folder / "weights.pt",)


def test_the_only_other_name_of_a_config_is_said_by_the_folder_it_is_in(tmp_path):
    folder = folder_of(tmp_path / "hub", "config.json", "model.safetensors")
    (folder / "config.json").write_text("{}")

    assert find_config(folder).source == "config.json"


def test_a_model_of_another_kind_says_what_it_is(tmp_path):
    assert other_model("net.onnx") == "an ONNX graph"
    assert other_model("IN1K-vit.h.14-300e.pth.tar") == ""
    path = tmp_path / "net.onnx"
    path.write_bytes(b"\x08\x07\x12\x07pytorch")

    with pytest.raises(UnreadableCheckpoint, match=r"net\.onnx is an ONNX graph"):
        open_weights(path, find_config(path))
