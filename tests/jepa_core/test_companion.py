"""A C-JEPA predictor and the slot encoder that its card names: one checkpoint of two files, or a refusal in words."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from jepa_core import checkpoint
from jepa_core.clock import SystemClock
from jepa_core.engine import Engine
from jepa_core.errors import CheckpointError, ConfigDiffers
from jepa_core.messages import EngineOptions
from jepa_core.types import Frame, frozen
from tests.helpers import checkpoints
from tests.helpers import cjepa_checkpoints as made


def write_pair(folder: Path, names: str | None = "videosaur.ckpt") -> Path:
    """Predictor and slot encoder side by side, as somebody downloads them; the card names the encoder."""
    encoder = made.write_videosaur(folder)
    assert encoder.name == "videosaur.ckpt"
    predictor = made.write_predictor(folder)
    (folder / "config.json").write_text(json.dumps(made.config(made.VIDEOSAUR) | made.config(made.PREDICTOR)))
    if names is not None:
        (folder / "predictor.card.json").write_text(json.dumps({"slot_encoder": names}))
    return predictor


def test_named_slot_encoder_makes_a_predictor_see(tmp_path):
    alone = checkpoint.load(write_pair(tmp_path / "alone", None))
    model = checkpoint.load(write_pair(tmp_path / "pair"))

    assert alone.info.cannot_see
    assert any("slot_encoder" in note for note in alone.info.notes)
    assert model.info.cannot_see == ""
    assert model.info.abilities == {"temporal", "slots", "masked"}
    assert model.report.is_exact
    assert model.report.matched > alone.report.matched
    assert "videosaur.ckpt" in model.report.assumed["slot encoder"]
    assert model.info.sha256 != alone.info.sha256  # two files, another identity


def test_pair_is_looked_at_and_predicts_without_actions(tmp_path):
    model = checkpoint.load(write_pair(tmp_path))
    encoder = checkpoint.load(tmp_path / "videosaur.ckpt")
    engine = Engine(model, EngineOptions(), SystemClock())
    look = None
    for seq in range(5):
        rgb = np.random.default_rng(seq).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        look = (
            engine.offer(Frame(seq, seq, seq * 10**9 // 2, 0, 0, seq * 10**9 // 2, frozen(rgb), "made"))
            or look
        )

    assert look is not None
    assert look.note == ""
    assert np.isfinite(look.error.reshape(-1, 4)[-2:]).all()
    assert look.regions is not None
    clip = torch.randn(1, 3, 2, made.SIZE, made.SIZE, generator=torch.Generator().manual_seed(0))
    assert torch.equal(model.encode(clip), encoder.encode(clip))


def test_other_weights_of_the_encoder_are_another_checkpoint(tmp_path):
    one = checkpoint.load(write_pair(tmp_path / "one"))
    predictor = write_pair(tmp_path / "two")
    saved = {
        "epoch": 0,
        "global_step": 1,
        "state_dict": made.content(made.VIDEOSAUR, seed=9),
        "hyper_parameters": {},
    }
    torch.save(saved, tmp_path / "two" / "videosaur.ckpt")
    assert checkpoint.load(predictor).info.id != one.info.id


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ("../videosaur.ckpt", "no name of a file"),
        ("/etc/passwd", "no name of a file"),
        ("", "no name of a file"),
        (7, "no name of a file"),
        ("not_there.ckpt", "there is no such file"),
        ("predictor.ckpt", "is no slot encoder"),
    ],
)
def test_card_that_names_no_slot_encoder_refuses_the_checkpoint(names, words, tmp_path):
    predictor = write_pair(tmp_path, names)
    with pytest.raises(ConfigDiffers, match=words):
        checkpoint.load(predictor)


def test_hostile_file_named_as_an_encoder_never_runs(tmp_path):
    predictor = write_pair(tmp_path)
    (tmp_path / "videosaur.ckpt").write_bytes(b"\x80\x04cposix\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(CheckpointError):
        checkpoint.load(predictor)


def test_only_a_predictor_alone_may_have_one(tmp_path):
    made.write_videosaur(tmp_path)
    path = checkpoints.write(tmp_path / "grid")
    (path.parent / f"{path.stem}.card.json").write_text(json.dumps({"slot_encoder": "videosaur.ckpt"}))
    (path.parent / "videosaur.ckpt").write_bytes((tmp_path / "videosaur.ckpt").read_bytes())
    with pytest.raises(ConfigDiffers, match="is no predictor alone"):
        checkpoint.load(path)
