"""`python -m tests.benchmarks.encoder`: what our encoder costs above the bare arithmetic, beside Hugging Face's.

Three contenders run in turn, round after round, in one process: the floor (the same matrix products and attention
calls and nothing else), ours, and VJEPA2Model with the same weights where transformers is installed. Reported are
ratios of medians to the floor, and a whole look in which hidden tokens are not computed beside one that computes
them. Timings say something about this machine only; the ratios are what to compare.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_core import checkpoint
from jepa_core.design import Choices
from jepa_core.families.vjepa2 import VJepa2
from jepa_core.masks import make_masks
from jepa_core.types import MaskRule, TokenLayout
from tests.helpers import checkpoints as made

HEADS = {64: 1, 128: 2, 192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16}
PATCH, TUBELET = 16, 2
WITHOUT_TRANSFORMERS = (
    "transformers is not installed here: pip install the 'bench' extra into a venv of its own"
)


@dataclass(frozen=True)
class Setting:
    """One row of the report."""

    width: int
    depth: int
    frames: int
    size: int
    dtype: str

    @property
    def tokens(self) -> int:
        return (self.frames // TUBELET) * (self.size // PATCH) ** 2


def measure(setting: Setting, rounds: int) -> dict[str, Any]:
    """Time every contender `rounds` times in turn; medians in ms and ratios to the floor."""
    dtype = getattr(torch, setting.dtype)
    with tempfile.TemporaryDirectory() as folder:
        theirs, model = _models(setting, Path(folder))
    clip = torch.randn(1, 3, setting.frames, setting.size, setting.size, dtype=dtype)
    contenders: dict[str, Callable[[], object]] = {
        "floor": _floor(model, setting, dtype),
        "ours": lambda: model.features(clip),
    }
    if theirs is not None:
        video = clip.transpose(1, 2).contiguous()
        contenders["hugging_face"] = lambda: theirs.get_vision_features(video)
    shape = model.grid(setting.frames)
    layout = TokenLayout("grid", shape, TUBELET, (0.0, 0.0, 1.0, 1.0))
    masks = make_masks(MaskRule("future", predict_steps=2), layout, 0)
    keep, ask = (torch.from_numpy(m.astype("int64")) for m in (masks.context, masks.targets[0]))
    contenders["look"] = lambda: model.predict(clip, masks)
    contenders["look_computing_hidden_tokens"] = lambda: _wasteful_look(model, clip, keep, ask)

    difference = None
    with torch.inference_mode():
        if theirs is not None:
            full = theirs.get_vision_features(clip.transpose(1, 2)).float()
            difference = float((full - model.features(clip).float()).abs().max())
        seconds = _interleaved(contenders, rounds)
    medians = {name: statistics.median(times) * 1e3 for name, times in seconds.items()}
    return {
        **asdict(setting),
        "tokens": setting.tokens,
        "median_ms": medians,
        "least_ms": {name: min(times) * 1e3 for name, times in seconds.items()},
        "ratio_to_floor": {
            n: medians[n] / medians["floor"] for n in ("ours", "hugging_face") if n in medians
        },
        "look_saving": 1 - medians["look"] / medians["look_computing_hidden_tokens"],
        "difference_to_hugging_face": difference,
    }


def _interleaved(contenders: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    for run in contenders.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        order = list(contenders) if number % 2 == 0 else list(reversed(contenders))
        for name in order:
            start = time.perf_counter()
            contenders[name]()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def _models(setting: Setting, folder: Path) -> tuple[Any, VJepa2]:
    """Hugging Face's model (or None) and ours with the very same weights, through the ordinary loader."""
    dtype = getattr(torch, setting.dtype)
    try:
        from transformers import VJEPA2Config, VJEPA2Model
    except ImportError:
        encoder, predictor = _specs(setting)
        settings = made.params(encoder, predictor, size=setting.size, frames=setting.frames)
        settings["data"]["patch_size"] = PATCH
        path = made.write(folder, made.content(encoder, predictor), settings)
        model = checkpoint.load(path, device="cpu", dtype=setting.dtype)
        assert isinstance(model, VJepa2)
        return None, model
    torch.manual_seed(0)
    theirs = VJEPA2Model(
        VJEPA2Config(
            patch_size=PATCH,
            crop_size=setting.size,
            frames_per_clip=setting.frames,
            tubelet_size=TUBELET,
            hidden_size=setting.width,
            num_attention_heads=HEADS[setting.width],
            num_hidden_layers=setting.depth,
            attn_implementation="sdpa",
        )
    ).eval()
    theirs.save_pretrained(folder)
    model = checkpoint.load(folder, device="cpu", dtype=setting.dtype, choices=Choices(mask_token=1))
    assert isinstance(model, VJepa2)
    return theirs.to(dtype), model


def _specs(setting: Setting) -> tuple[made.VitSpec, made.PredictorSpec]:
    encoder = made.VitSpec(
        setting.width, setting.depth, HEADS[setting.width], 4 * setting.width, patch=PATCH, tubelet=TUBELET
    )
    return encoder, made.PredictorSpec(setting.width, 384, 12, 12, 4 * 384, mask_tokens=1)


def _floor(model: VJepa2, setting: Setting, dtype: torch.dtype) -> Callable[[], Tensor]:
    """The encoder's matrix products and attention calls on ready-made operands of the same shapes."""
    D, N, heads = setting.width, setting.tokens, HEADS[setting.width]
    tokens = torch.randn(1, N, D, dtype=dtype)
    hidden = torch.randn(1, N, 4 * D, dtype=dtype)
    patches = torch.randn(1, N, 3 * TUBELET * PATCH * PATCH, dtype=dtype)
    q, k, v = (torch.randn(1, heads, N, D // heads, dtype=dtype) for _ in range(3))
    encoder = model.context_encoder
    projection = encoder.patch_embed.proj.weight.flatten(1)

    def run() -> Tensor:
        out = F.linear(patches, projection, encoder.patch_embed.proj.bias)
        for block in encoder.blocks:
            block.attn.qkv(tokens)
            F.scaled_dot_product_attention(q, k, v)
            block.attn.proj(tokens)
            block.mlp.fc1(tokens)
            out = block.mlp.fc2(hidden)
        return out

    return run


def _wasteful_look(model: VJepa2, clip: Tensor, keep: Tensor, ask: Tensor) -> Tensor:
    """The same look with the context gathered from an encoding of everything, as Hugging Face's model does."""
    model.encode(clip)
    context = model.features(clip).index_select(1, keep)
    return model.predict_tokens(context, keep, ask, model.grid(clip.shape[2]))


def line(row: dict[str, Any]) -> str:
    """One row in words."""
    ratios = ", ".join(
        f"{name.replace('_', ' ')} {ratio:.2f}x" for name, ratio in row["ratio_to_floor"].items()
    )
    ms = row["median_ms"]
    return (
        f"width {row['width']}, {row['depth']} blocks, {row['tokens']} tokens, {row['dtype']}: "
        f"floor {ms['floor']:.1f} ms, {ratios}; look {ms['look']:.1f} ms, "
        f"{row['look_saving']:.0%} less than computing hidden tokens"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="our encoder, Hugging Face's and the floor, interleaved")
    parser.add_argument("--width", type=int, nargs="+", default=[384, 1024], choices=sorted(HEADS))
    parser.add_argument("--dtype", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--depth", type=int, default=4, help="blocks; every block costs the same")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--size", type=int, default=256, help="pixels")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=0, help="0 = torch's own choice")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    rows = []
    for width in args.width:
        for dtype in args.dtype:
            row = measure(Setting(width, args.depth, args.frames, args.size, dtype), args.rounds)
            rows.append(row)
            print(line(row), flush=True)
    if not any("hugging_face" in row["ratio_to_floor"] for row in rows):
        print(WITHOUT_TRANSFORMERS)
    if args.json:
        machine = {
            "cpu": platform.processor(),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        }
        args.json.write_text(json.dumps({"machine": machine, "rows": rows}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
