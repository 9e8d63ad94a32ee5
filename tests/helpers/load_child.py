"""`python -m tests.helpers.load_child FILE`: loads a checkpoint in a fresh process and says what memory it took.

One JSON object on stdout. Everything is counted against what the process held after its imports and a first small
product, so that the libraries are not part of it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch

from jepa_core import checkpoint, registry
from jepa_core.clock import SystemClock
from jepa_core.engine import Engine
from jepa_core.families.base import JepaModel
from jepa_core.footing import modules_of
from jepa_core.masks import make_masks, rule_for
from jepa_core.messages import EngineOptions
from jepa_core.types import MaskRule, MaskSet, TokenLayout
from tests.helpers import memory


def weights_bytes(model: JepaModel) -> int:
    """Bytes of all parameters and buffers of a loaded model, each storage once."""
    tensors = [t for module in modules_of(model) for t in (*module.parameters(), *module.buffers())]
    return sum({tensor.data_ptr(): tensor.numel() * tensor.element_size() for tensor in tensors}.values())


def looked(model: JepaModel, frames: int, before: int, out: Path | None) -> dict[str, float]:
    """Time and memory of the first look and of one more."""
    engine = Engine(model, EngineOptions(clip_frames=frames), SystemClock())
    crops, masks, layout = what_is_shown(model, frames)
    held, seconds = memory.resident_bytes(), []
    memory.forget_peak()
    for _ in range(2):
        start = time.perf_counter()
        look = engine.look(crops, masks, frames=tuple(range(frames)), seq=frames - 1, t_ns=0, box=layout.crop)
        seconds.append(time.perf_counter() - start)
    if out is not None:
        np.savez(out, error=look.error)
    return {
        "first_look_s": seconds[0],
        "next_look_s": seconds[1],
        "look_peak_bytes": memory.peak_bytes() - held,
        "peak_bytes": memory.peak_bytes() - before,
        "forecast_bytes": model.report.memory_bytes,
        "tokens": layout.n_tokens,
        "surprise": look.surprise,
    }


def what_is_shown(model: JepaModel, frames: int) -> tuple[np.ndarray, MaskSet, TokenLayout]:
    """The same seeded clip for everyone, its newest two time steps to be predicted."""
    spec = model.info.input
    layout = TokenLayout(model.info.layout, model.grid(frames), spec.tubelet, (0.0, 0.0, 1.0, 1.0))
    crops = np.random.default_rng(0).integers(0, 256, (frames, spec.size, spec.size, 3), dtype=np.uint8)
    return crops, make_masks(rule_for(MaskRule(), model.info), layout, 0), layout


def main() -> int:
    parser = argparse.ArgumentParser(
        description="load a checkpoint and report the memory and the time it took"
    )
    parser.add_argument("file")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--examine", action="store_true", help="examine before loading, as the window does")
    parser.add_argument("--look", type=int, default=0, metavar="FRAMES", help="then look at a clip, twice")
    parser.add_argument("--out", type=Path, help="keep the error map of that look in this .npz file")
    args = parser.parse_args()
    for name in registry.FAMILIES:
        registry.family(name)
    torch.ones(64, 64) @ torch.ones(64, 64)
    memory.forget_peak()
    before, out = memory.resident_bytes(), {}
    if args.examine:
        start = time.perf_counter()
        checkpoint.examine(args.file, device="cpu", dtype=args.dtype)
        out["examine_s"] = time.perf_counter() - start
        out["examine_peak_bytes"] = memory.peak_bytes() - before
        memory.forget_peak()
    start = time.perf_counter()
    model = checkpoint.load(args.file, device="cpu", dtype=args.dtype)
    out["load_s"] = time.perf_counter() - start
    out["load_peak_bytes"] = memory.peak_bytes() - before
    out["held_bytes"] = memory.resident_bytes() - before
    out["weights_bytes"] = weights_bytes(model)
    if args.look:
        out |= looked(model, args.look, before, args.out)
    sys.stdout.write(json.dumps(out) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
