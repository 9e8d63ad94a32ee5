"""Parity and forecast on a GPU, skipped with a count where there is none; and the whole of it on the CPU, small.

`python -m tests.gpu` runs the same without pytest and writes the file. Nothing here may import Qt.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from jepa_core import checkpoint
from jepa_core.design import Choices
from jepa_core.masks import make_masks
from jepa_core.preprocess import normalise
from jepa_core.types import MaskRule, TokenLayout
from tests.gpu import __main__ as gpu
from tests.gpu import forecasts, parity, speed
from tests.gpu.elsewhere import elsewhere
from tests.gpu.plain import PlainLook
from tests.helpers import checkpoints as made

needs_cuda = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a CUDA device: python -m tests.gpu"
)
QUICK = ("vjepa2-rope-gelu", "lewm-object", "cjepa-predictor")  # every case runs among the slow ones


# --- on a GPU --------------------------------------------------------------------------------------------------------


@needs_cuda
@pytest.mark.parametrize("dtype", parity.PRECISIONS)
@pytest.mark.parametrize("folder", parity.cases(), ids=lambda folder: folder.name)
def test_case_agrees_with_its_reference_on_the_gpu(folder: Path, dtype: str):
    found = parity.run(folder, "cuda:0", dtype)
    assert found.passed, found.line()


@needs_cuda
@pytest.mark.parametrize("config", forecasts.FULL, ids=str)
def test_forecast_agrees_with_the_allocator_of_the_gpu(config: forecasts.Config):
    found = forecasts.run(config, "cuda:0")
    assert found.passed, found.line()


# --- the same code without one -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", parity.PRECISIONS)
@pytest.mark.parametrize(
    "folder",
    [
        folder if folder.name in QUICK else pytest.param(folder, marks=pytest.mark.slow)
        for folder in parity.cases()
    ],
    ids=lambda folder: folder.name,
)
def test_case_agrees_with_its_reference_on_the_cpu(folder: Path, dtype: str):
    found = parity.run(folder, "cpu", dtype)

    assert found.passed, found.line()
    assert found.arrays > 0


def test_wrong_numbers_fail_in_half_precision_too(monkeypatch):
    folder = next(folder for folder in parity.cases() if folder.name == "vjepa2-rope-gelu")
    read = parity.runner._read

    def shuffled(case: Path) -> dict[str, np.ndarray]:
        arrays = read(case)
        return arrays | {"enc_full_s0": np.roll(arrays["enc_full_s0"], 1, axis=1)}

    monkeypatch.setattr(parity.runner, "_read", shuffled)

    found = parity.run(folder, "cpu", "bfloat16")

    assert not found.passed
    assert "enc_full_s0" in found.problem


def test_check_that_breaks_off_is_a_failed_case_that_says_where(tmp_path):
    folder = tmp_path / "vjepa2-empty"
    folder.mkdir()
    np.savez(folder / "io.npz", clips_s0=np.zeros(3, np.float32))

    found = parity.run(folder, "cpu", "float32")

    assert not found.passed
    assert ".py:" in found.problem


def test_checks_elsewhere_put_their_tensors_there():
    with elsewhere("meta", "bfloat16"):
        made_there = torch.from_numpy(np.zeros(3, np.float32)), torch.arange(3), torch.zeros(2)
        drawn_here = torch.randn(2, generator=torch.Generator().manual_seed(0))

    assert {tensor.device.type for tensor in made_there} == {"meta"}
    assert drawn_here.device.type == "cpu"
    assert torch.from_numpy(np.zeros(3, np.float32)).device.type == "cpu"


@pytest.mark.parametrize("config", forecasts.TINY, ids=str)
def test_forecast_agrees_with_the_allocator_of_the_cpu(config: forecasts.Config):
    found = forecasts.run(config, "cpu")

    assert found.passed, found.line()


def test_plain_algorithm_gives_our_numbers_where_it_skips_what_is_hidden(tmp_path):
    encoder = made.VitSpec(48, 2, 2, 192, patch=8, tubelet=2)
    predictor = made.PredictorSpec(48, 48, 2, 2, 192, mask_tokens=3)
    path = made.write(tmp_path, made.content(encoder, predictor), made.params(encoder, predictor))
    model = checkpoint.load(path, device="cpu", dtype="float32", choices=Choices(mask_token=2))
    layout = TokenLayout("grid", model.grid(8), 2, (0.0, 0.0, 1.0, 1.0))
    masks = make_masks(MaskRule("multiblock"), layout, 0)
    crops = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    clip = normalise(crops, model.info.input, "cpu", torch.float32)

    with torch.inference_mode():
        ours = model.predict(clip, masks)
        plain = PlainLook(model, skips_hidden=True).error(clip, masks)
        leaking = PlainLook(model).error(clip, masks)

    wanted = (ours.predicted - ours.target).abs().mean(-1)[0]
    torch.testing.assert_close(plain, wanted, rtol=0, atol=1e-5)
    assert (leaking - wanted).abs().max() > 1e-3  # gathering from an encoding of all is another computation


@pytest.mark.slow
def test_whole_run_writes_one_file_and_needs_neither_qt_nor_pytest(tmp_path):
    target = tmp_path / "gpu.json"
    code = (
        "import sys; from tests.gpu.__main__ import main; "
        f"main(['--device', 'cpu', '--tiny', '--only', 'forecast', 'speed', '--json', {str(target)!r}]); "
        "foreign = {'PySide6', 'pytest', 'pyqtgraph', 'hypothesis', 'av'} & {name.partition('.')[0] for name in sys.modules}; "
        "sys.exit(str(foreign) if foreign else 0)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    report = json.loads(target.read_text())
    assert report["passed"]
    assert len(report["forecast"]) == 5
    assert [row["ours_per_s"] > 0 and row["plain_per_s"] > 0 for row in report["speed"]] == [True, True]
    assert report["machine"]["device"] == "cpu"
    assert "--tiny" in report["command"]


def test_every_size_that_is_asked_for_is_measured():
    asked = {(config.name, config.size, config.frames) for config in speed.FULL}

    assert asked == {
        (name, size, frames)
        for name in ("vjepa2-vitl", "vjepa2-vith", "vjepa2-vitg")
        for size in (256, 384)
        for frames in (16, 64)
    }
    assert {config.dtype for config in speed.FULL} == {"bfloat16"}
    assert len(forecasts.FULL) >= 5


def test_file_is_named_after_the_machine():
    assert gpu.file_name("NVIDIA H100 80GB HBM3") == "gpu-nvidia-h100-80gb-hbm3.json"


def test_without_a_gpu_the_command_says_what_to_do(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    with pytest.raises(SystemExit):
        gpu.main([])
    assert "--device cpu --tiny" in capsys.readouterr().err
