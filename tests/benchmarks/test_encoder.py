"""Tracked timings of the encoder. Never a pass or fail by time; `python -m tests.benchmarks.encoder` compares."""

from __future__ import annotations

import pytest
import torch

from jepa_core import checkpoint
from tests.benchmarks.encoder import Setting, measure
from tests.helpers import checkpoints as made


@pytest.mark.benchmark
@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("share", [1.0, 0.5], ids=["all tokens", "half of the tokens"])
def test_encoder(benchmark, tmp_path, dtype, share):
    encoder = made.VitSpec(384, 2, 6, 1536, patch=8, tubelet=2)
    saved, settings = made.content(encoder), made.params(encoder, size=128)
    saved.pop("predictor")
    model = checkpoint.load(made.write(tmp_path, saved, settings), device="cpu", dtype=dtype)
    clip = torch.randn(1, 3, 8, 128, 128)
    t, h, w = model.grid(8)
    keep = torch.arange(int(t * h * w * share))

    with torch.inference_mode():
        latents = benchmark(lambda: model.features(clip, keep))

    assert latents.shape == (1, len(keep), 384)


@pytest.mark.slow
def test_comparison_runs_and_names_its_ratios():
    row = measure(Setting(width=64, depth=1, frames=4, size=32, dtype="float32"), rounds=2)

    assert row["tokens"] == 8
    assert row["ratio_to_floor"]["ours"] > 0
    assert set(row["median_ms"]) >= {"floor", "ours", "look", "look_computing_hidden_tokens"}
