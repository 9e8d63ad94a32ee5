"""`python -m tests.helpers.load_child FILE`: loads a checkpoint in a fresh process and says what memory it took.

One JSON object on stdout. Everything is counted against what the process held after its imports and a first small
product, so that the libraries are not part of it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

import torch

from jepa_core import checkpoint, registry
from tests.helpers import memory


def weights_bytes(model: object) -> int:
    """Bytes of all parameters and buffers of a loaded model, each storage once."""
    seen: dict[int, int] = {}
    for part in vars(model).values():
        modules = part.values() if isinstance(part, dict) else [part]
        for module in modules:
            if isinstance(module, torch.nn.Module):
                for tensor in (*module.parameters(), *module.buffers()):
                    seen[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
    return sum(seen.values())


def main() -> int:
    parser = argparse.ArgumentParser(
        description="load a checkpoint and report the memory and the time it took"
    )
    parser.add_argument("file")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--examine", action="store_true", help="examine before loading, as the window does")
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
    sys.stdout.write(json.dumps(out) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
