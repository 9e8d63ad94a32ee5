"""`python -m tests.helpers.reading_child`: opens the files it is told of, one after another, and says what came of each.

One JSON object per line on stdin ({"path": …, "config": …}) and on stdout. It may die or hang: that is what its parent
(`tests.helpers.reading`) is for. Nothing of it is used by the program.
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
import traceback
from pathlib import Path
from typing import Any

import torch

from jepa_core import checkpoint, registry
from jepa_core.errors import CheckpointError
from tests.helpers import memory

ADDRESS_SPACE = (
    6 << 30
)  # bytes above what the imports took: a swelling file ends in MemoryError, not in the machine


def main() -> int:
    for name in registry.FAMILIES:
        registry.family(name)
    torch.set_num_threads(1)
    torch.ones(64, 64) @ torch.ones(64, 64)
    if memory.IS_MEASURABLE:
        used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * memory.PAGE
        resource.setrlimit(resource.RLIMIT_AS, (used + ADDRESS_SPACE,) * 2)
    for line in sys.stdin:
        asked = json.loads(line)
        sys.stdout.write(json.dumps(_open(asked["path"], asked.get("config"))) + "\n")
        sys.stdout.flush()
    return 0


def _open(path: str, config: str | None) -> dict[str, Any]:
    before = 0
    if memory.IS_MEASURABLE:
        memory.forget_peak()
        before = memory.resident_bytes()
    out = _outcome(path, config)
    out["peak_bytes"] = memory.peak_bytes() - before if memory.IS_MEASURABLE else 0
    return out


def _outcome(path: str, config: str | None) -> dict[str, Any]:
    try:
        model = checkpoint.load(path, config=config, device="cpu", dtype="float32")
    except CheckpointError as error:
        return {"kind": "refused", "error": type(error).__name__, "what": error.what, "hint": error.hint}
    except BaseException as error:  # noqa: BLE001  whatever it is, the parent counts it as a crash
        return {
            "kind": "crashed",
            "error": type(error).__name__,
            "what": "".join(traceback.format_exception(error)),
        }
    return {"kind": "loaded", "family": model.info.family, "digest": _digest(model)}


def _digest(model: Any) -> str:
    """Of every weight the model uses, with its name."""
    digest = hashlib.sha256()
    for part, value in sorted(vars(model).items()):
        modules = value if isinstance(value, dict) else {part: value}
        for name, module in sorted(modules.items()):
            if isinstance(module, torch.nn.Module):
                for key, tensor in sorted(module.state_dict().items()):
                    digest.update(f"{name}/{key}{tuple(tensor.shape)}".encode())
                    digest.update(tensor.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
