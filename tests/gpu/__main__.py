"""`python -m tests.gpu`: everything that needs a GPU, in one run, into one JSON file named after the machine.

Parity of every reference case in float32 and bfloat16, the memory forecast against the allocator, looks per second
beside the plain published algorithm. Needs torch, numpy, safetensors, PyYAML, OpenCV and psutil; neither Qt nor pytest.
`--device cpu --tiny` runs the same code small, without a GPU. Exit 1 where something failed.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import torch

from tests.gpu import forecasts, parity, speed

ROOT = Path(__file__).parents[2]
PARTS = ("parity", "forecast", "speed")


def machine(device: str) -> dict[str, Any]:
    """What the numbers were measured on."""
    facts: dict[str, Any] = {
        "name": "cpu", "device": device, "torch": torch.__version__, "python": platform.python_version(),
        "system": platform.platform(), "cores": psutil.cpu_count(), "memory_bytes": psutil.virtual_memory().total,
    }  # fmt: skip
    if device.startswith("cuda"):
        found = torch.cuda.get_device_properties(device)
        facts |= {
            "name": found.name, "device_memory_bytes": found.total_memory,
            "capability": f"{found.major}.{found.minor}", "cuda": torch.version.cuda,
        }  # fmt: skip
    return facts


def file_name(name: str) -> str:
    """ "NVIDIA H100 80GB HBM3" → "gpu-nvidia-h100-80gb-hbm3.json"."""
    return f"gpu-{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}.json"


def run(device: str, *, tiny: bool, parts: tuple[str, ...] = PARTS) -> dict[str, Any]:
    """Every part; `passed` is what parity and forecast say."""
    out: dict[str, Any] = {"machine": machine(device), "tiny": tiny}
    start = time.perf_counter()
    if "parity" in parts:
        out["parity"] = parity.report(device)
    if "forecast" in parts:
        out["forecast"] = forecasts.report(device, tiny=tiny)
    if "speed" in parts:
        out["speed"] = speed.report(device, tiny=tiny)
    out["seconds"] = time.perf_counter() - start
    judged = [*out.get("parity", []), *out.get("forecast", [])]
    out["failed"] = [one.get("case", one.get("config")) for one in judged if not one["passed"]]
    out["passed"] = not out["failed"]
    return out


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.gpu", description="parity, forecast and speed on a GPU"
    )
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--tiny", action="store_true", help="small models: for a run without a GPU")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--json", type=Path, help="the report; a GPU's goes to docs/benchmarks by itself")
    args = parser.parse_args(argv)
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error("there is no CUDA device here; --device cpu --tiny runs the same code small")
    report = run(args.device, tiny=args.tiny, parts=tuple(args.only))
    report["command"] = "python -m tests.gpu " + " ".join(argv if argv is not None else sys.argv[1:])
    target = args.json
    if target is None and args.device.startswith("cuda"):
        target = ROOT / "docs" / "benchmarks" / file_name(report["machine"]["name"])
    if target is not None:
        target.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        print(f"written to {target}")
    print("everything passed" if report["passed"] else f"FAILED: {', '.join(report['failed'])}")
    return 0 if report["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
