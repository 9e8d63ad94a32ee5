"""`python -m tests.benchmarks.full_size`: a released configuration at full size, from a file of gigabytes to a look.

Makes a file in the official layout (encoder, target encoder, predictor, optimizer with two Adam moments, seeded random
weights), loads it with the ordinary loader in processes of their own, and reports time and peak memory of examining,
loading and looking, in float32 and in bfloat16. Then holds the looks against Hugging Face's VJEPA2Model with the same
weights, where theirs applies: theirs never masks its encoder, so its predictor is given our context; theirs never
layer-norms a target, so its target is normed here. The file is deleted afterwards.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_core import checkpoint, hugging_face, released
from jepa_core.clock import SystemClock
from jepa_core.design import Choices
from jepa_core.engine import Engine
from jepa_core.families.vjepa2 import VJepa2
from jepa_core.messages import EngineOptions
from jepa_core.preprocess import normalise
from tests.helpers import memory, streamed_file
from tests.helpers.load_child import what_is_shown

MASK_TOKEN = 1  # the only one Hugging Face's predictor uses
SPARE_BYTES = 2_000_000_000  # of the disk, left free


def run(name: str, frames: int, dtypes: list[str], folder: Path) -> dict[str, Any]:
    """Everything measured of one configuration."""
    path = folder / "latest.pt"
    memory.forget_peak()
    before, start = memory.resident_bytes(), time.perf_counter()
    size = streamed_file.write(path, streamed_file.official(name))
    made = {
        "bytes": size,
        "written_s": time.perf_counter() - start,
        "writing_peak_bytes": memory.peak_bytes() - before,
    }
    say(f"{name}: {size / 1e9:.2f} GB written in {made['written_s']:.0f} s")
    loads: dict[str, Any] = {}
    for dtype in dtypes:
        loads[dtype] = child(
            "tests.helpers.load_child", str(path), "--dtype", dtype, "--examine", "--look", str(frames),
            "--out", str(folder / f"{dtype}.npz"),
        )  # fmt: skip
        loads[dtype]["peak_over_weights"] = loads[dtype]["load_peak_bytes"] / loads[dtype]["weights_bytes"]
        say(line(dtype, loads[dtype]))
    maps = [np.load(folder / f"{dtype}.npz")["error"] for dtype in dtypes]
    report = {"name": name, "frames": frames, "file": made, "loads": loads}
    if len(maps) == 2:
        report["largest_error_difference_between_precisions"] = float(np.nanmax(np.abs(maps[0] - maps[1])))
    report["hugging_face"] = child(
        "tests.benchmarks.full_size", "--compare", str(path), "--frames", str(frames)
    )
    say(f"against Hugging Face: {report['hugging_face']}")
    return report


def child(module: str, *options: str) -> dict[str, Any]:
    """The JSON object that `python -m module` prints."""
    done = subprocess.run(
        [sys.executable, "-m", module, *options], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{module} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


# --- against Hugging Face ------------------------------------------------------------------------------------------


def compare(path: Path, frames: int) -> dict[str, Any]:
    """Largest differences between our look in float32 and one made of Hugging Face's pieces."""
    try:
        from transformers import VJEPA2Config, VJEPA2Model
    except ImportError:
        return {"left_out": "transformers is not installed: the bench extra"}
    model = checkpoint.load(path, device="cpu", dtype="float32", choices=Choices(mask_token=MASK_TOKEN))
    assert isinstance(model, VJepa2)
    assert model.predictor is not None
    theirs = hugging_face_model(model, VJEPA2Model, VJEPA2Config)
    crops, masks, layout = what_is_shown(model, frames)
    look = Engine(model, EngineOptions(), SystemClock()).look(
        crops, masks, frames=tuple(range(frames)), seq=frames - 1, t_ns=0, box=layout.crop
    )
    keep, ask = (torch.from_numpy(mask.astype(np.int64)) for mask in (masks.context, masks.targets[0]))
    with torch.inference_mode():
        clip = normalise(crops, model.info.input, "cpu", torch.float32)
        video = clip.transpose(1, 2).contiguous()  # N T C H W
        features = _difference(theirs.get_vision_features(video), model.features(clip))
        context = model.features(clip, keep)
        everywhere = context.new_zeros(1, layout.n_tokens, context.shape[-1])
        everywhere[:, keep] = context  # theirs gathers the context tokens from an encoding of all
        predicted = theirs.predictor(
            encoder_hidden_states=everywhere, context_mask=[keep[None]], target_mask=[ask[None]]
        ).last_hidden_state
        ours = model.predict_tokens(context, keep, ask, layout.shape)
        theirs.load_state_dict(their_names(model, "target"), strict=False, assign=True)  # its encoder alone
        raw = theirs.get_vision_features(video)
        targets = _difference(raw, model.features(clip, encoder="target"))
        error = (predicted - F.layer_norm(raw, raw.shape[-1:])[:, ask]).abs().mean(-1)[0]
    wanted = np.full(layout.n_tokens, np.nan, np.float32)
    wanted[ask.numpy()] = error.numpy()
    return {
        "transformers": sys.modules["transformers"].__version__,
        "tokens": layout.n_tokens,
        "predicted_tokens": len(ask),
        "mean_error": float(np.nanmean(look.error)),
        "context_encoder_features": features,
        "target_encoder_features": targets,
        "predictions_from_our_context": _difference(predicted, ours),
        "error_map": float(np.nanmax(np.abs(look.error - wanted))),
        "same_tokens_have_an_error": bool(np.array_equal(np.isnan(look.error), np.isnan(wanted))),
    }


def hugging_face_model(model: VJepa2, made: Any, config: Any) -> Any:
    """Theirs, sharing our loaded tensors: no second copy stands in memory."""
    spec, settings = model.info.input, model.context_encoder.spec
    assert model.predictor is not None
    predictor = model.predictor.spec
    with torch.device("meta"):
        theirs = made(
            config(
                patch_size=spec.patch, crop_size=spec.size, frames_per_clip=spec.frames, tubelet_size=spec.tubelet,
                hidden_size=settings.width, num_attention_heads=settings.heads, num_hidden_layers=settings.depth,
                mlp_ratio=settings.hidden / settings.width, pred_hidden_size=predictor.width,
                pred_num_attention_heads=predictor.heads, pred_num_hidden_layers=predictor.depth,
                pred_num_mask_tokens=predictor.mask_tokens, attn_implementation="sdpa",
            )
        )  # fmt: skip
    theirs.load_state_dict(their_names(model, "context"), strict=True, assign=True)
    return theirs.eval()


def their_names(model: VJepa2, encoder: str) -> dict[str, Tensor]:
    """Our tensors under Hugging Face's names: one encoder, and with the context encoder the predictor."""
    assert model.predictor is not None
    parts = {"encoder": model.context_encoder if encoder == "context" else model.target_encoder}
    if encoder == "context":
        parts["predictor"] = model.predictor  # type: ignore[assignment]
    out: dict[str, Tensor] = {}
    placeholders = []
    for part, module in parts.items():
        for name, tensor in module.state_dict().items():
            if name.startswith("mask_tokens."):
                placeholders.append(tensor)
                continue
            names = hugging_face.spelling(part, name)
            out.update(zip(names, tensor.chunk(len(names)), strict=True))
    if placeholders:
        out["predictor.embeddings.mask_tokens"] = torch.stack(placeholders)
    return out


def _difference(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max())


# --- in words ------------------------------------------------------------------------------------------------------


def line(dtype: str, load: dict[str, Any]) -> str:
    gb = {name: value / 1e9 for name, value in load.items() if name.endswith("bytes")}
    return (
        f"{dtype}: examined in {load['examine_s']:.1f} s ({gb['examine_peak_bytes']:.2f} GB at most), loaded in "
        f"{load['load_s']:.1f} s with {gb['load_peak_bytes']:.2f} GB at most for {gb['weights_bytes']:.2f} GB of weights "
        f"({load['peak_over_weights']:.2f} x); first look {load['first_look_s']:.1f} s, next {load['next_look_s']:.1f} s, "
        f"in all {gb['peak_bytes']:.2f} GB, forecast {gb['forecast_bytes']:.2f} GB"
    )


def say(text: str) -> None:
    print(text, flush=True)


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    cpu = next(
        (row.partition(":")[2].strip() for row in _cpuinfo() if row.startswith("model name")),
        platform.processor(),
    )
    return {
        "cpu": cpu,
        "cores": psutil.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "load_average": psutil.getloadavg()[
            0
        ],  # what else the machine was doing: times suffer, memory does not
    }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="a released configuration from a full-size file to a look")
    parser.add_argument("--name", default="vjepa2-vitl", choices=released.names())
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--dtype", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--folder", type=Path, help="where the file is made; the system's temporary folder")
    parser.add_argument("--json", type=Path, help="write the report to this file")
    parser.add_argument("--compare", type=Path, help=argparse.SUPPRESS)  # the child that holds both models
    args = parser.parse_args(argv)
    if args.compare:
        print(json.dumps(compare(args.compare, args.frames)))
        return 0
    folder = Path(tempfile.mkdtemp(prefix="jepa-full-size-", dir=args.folder))
    needed = 4 * sum(drawn.count for drawn in _drawn(streamed_file.official(args.name)))
    if shutil.disk_usage(folder).free < needed + SPARE_BYTES:
        folder.rmdir()
        parser.error(
            f"{folder.parent} has no room for a file of {needed / 1e9:.1f} GB; name another --folder"
        )
    try:
        report = run(args.name, args.frames, args.dtype, folder)
    finally:
        shutil.rmtree(folder)
    if args.json:
        command = "python -m tests.benchmarks.full_size " + " ".join(
            argv if argv is not None else sys.argv[1:]
        )
        args.json.write_text(
            json.dumps({"machine": machine(), "command": command, **report}, indent=2) + "\n",
            encoding="utf-8",
        )
    return 0


def _drawn(tree: Any) -> list[streamed_file.Drawn]:
    if isinstance(tree, streamed_file.Drawn):
        return [tree]
    return [found for value in tree.values() for found in _drawn(value)] if isinstance(tree, dict) else []


if __name__ == "__main__":
    sys.exit(main())
