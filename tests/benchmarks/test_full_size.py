"""The full-size run, practised small: its file is a real checkpoint, and its comparison notices a difference."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

from jepa_core import checkpoint
from tests.benchmarks import full_size
from tests.helpers import checkpoints as made
from tests.helpers import streamed_file
from tests.helpers.streamed_file import Drawn

needs_transformers = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None, reason="transformers is not installed: the bench extra"
)


def test_streamed_file_is_the_one_that_torch_writes(tmp_path: Path):
    names = {"a.weight": Drawn("a", (3, 5)), "norm.weight": Drawn("x.norm.weight", (7,)), "s": Drawn("s", ())}

    size = streamed_file.write(
        tmp_path / "a.pt", {"encoder": names, "epoch": 3, "opt": {"state": {}}}, seed=4
    )

    read = torch.load(tmp_path / "a.pt", weights_only=True, mmap=True)
    assert size == (tmp_path / "a.pt").stat().st_size
    assert read["epoch"] == 3
    for name, drawn in names.items():
        assert torch.equal(read["encoder"][name], torch.from_numpy(drawn.values(4)))
        assert read["encoder"][name].data_ptr() % streamed_file.ALIGNMENT == 0


@pytest.mark.slow
def test_file_of_a_released_configuration_loads_and_holds_an_optimizer_larger_than_the_model(tmp_path: Path):
    path = tmp_path / "latest.pt"

    size = streamed_file.write(path, streamed_file.official("vjepa2-vit_tiny"))

    info, report = checkpoint.examine(path, device="cpu")
    assert info.variant.startswith("ViT-Ti/16")
    assert report.is_exact
    assert "opt" in report.ignored
    assert size > 2.5 * 4 * info.parameters


@needs_transformers
@pytest.mark.slow
def test_look_is_the_one_that_the_pieces_of_hugging_face_make(tmp_path: Path):
    encoder = made.VitSpec(48, 2, 2, 192, patch=8, tubelet=2)
    predictor = made.PredictorSpec(48, 48, 2, 2, 192, mask_tokens=3)
    path = made.write(tmp_path, made.content(encoder, predictor), made.params(encoder, predictor))

    found = full_size.compare(path, 8)

    assert found["same_tokens_have_an_error"]
    assert found["mean_error"] > 0.1
    for name in (
        "context_encoder_features",
        "target_encoder_features",
        "predictions_from_our_context",
        "error_map",
    ):
        assert found[name] < 2e-5, name


@needs_transformers
@pytest.mark.slow
def test_another_placeholder_would_be_noticed(tmp_path: Path, monkeypatch):
    encoder = made.VitSpec(48, 2, 2, 192, patch=8, tubelet=2)
    predictor = made.PredictorSpec(48, 48, 2, 2, 192, mask_tokens=3)
    path = made.write(tmp_path, made.content(encoder, predictor), made.params(encoder, predictor))
    monkeypatch.setattr(full_size, "MASK_TOKEN", 0)

    assert full_size.compare(path, 8)["error_map"] > 1e-3
