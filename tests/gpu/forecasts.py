"""The memory forecast against what the allocator really gave: weights and one look, for several configurations.

On CUDA the witness is `torch.cuda.max_memory_allocated`, on the CPU the allocator's own events. What the allocator
reserved on top is reported, not judged.
"""

from __future__ import annotations

import gc
from dataclasses import asdict, dataclass
from typing import Any

import torch

from jepa_core.footing import free_memory, modules_of
from jepa_core.forecast import in_words
from jepa_core.nn.positions import full_rotary_table
from tests.gpu.models import Config, Looker, build
from tests.helpers import allocations

MOST = 0.15  # issue 3
FULL = (
    Config("vjepa2-vitl", 256, 16, "float32"),
    Config("vjepa2-vitl", 256, 64, "bfloat16"),
    Config("vjepa2-vith", 384, 64, "bfloat16"),
    Config("vjepa2-vitg-384", 384, 64, "bfloat16"),
    Config("vjepa21-vitg-384", 384, 64, "bfloat16"),
    Config("vjepa-vith16-384", 384, 16, "float16"),
    Config("ijepa-vith14-in1k", 224, 1, "float32"),
)
TINY = (
    Config("tiny", 128, 16, "float32"),
    Config("tiny", 128, 32, "bfloat16"),
    Config("tiny", 192, 16, "float32"),
    Config("tiny", 192, 8, "bfloat16"),
    Config("tiny", 256, 8, "float32"),
)


@dataclass(frozen=True)
class Forecast:
    """One configuration."""

    config: str
    forecast_bytes: int
    allocated_bytes: int
    reserved_bytes: int  # by the caching allocator; 0 on the CPU
    off: float  # forecast over allocated, less 1

    @property
    def passed(self) -> bool:
        return abs(self.off) <= MOST

    def line(self) -> str:
        return (
            f"{self.config:<46} forecast {in_words(self.forecast_bytes):>9}, allocated "
            f"{in_words(self.allocated_bytes):>9}, off by {self.off:+.1%}{'' if self.passed else '  FAILED'}"
        )


def run(config: Config, device: str) -> Forecast:
    """Build, look once, compare."""
    gc.collect()
    free_memory()
    full_rotary_table.cache_clear()
    is_cuda = device.startswith("cuda")
    if is_cuda:
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
    model = build(config, device)
    looker = Looker(model, config.frames)
    if is_cuda:
        looker.look()
        torch.cuda.synchronize(device)
        allocated = torch.cuda.max_memory_allocated(device) - before
        reserved = torch.cuda.max_memory_reserved(device)
    else:
        weights = sum(t.nbytes for module in modules_of(model) for t in module.parameters())
        allocated, reserved = weights + allocations.peak_bytes(looker.look), 0
    expected = model.report.memory_bytes
    return Forecast(str(config), expected, allocated, reserved, expected / allocated - 1)


def report(device: str, *, tiny: bool) -> list[dict[str, Any]]:
    found = []
    for config in TINY if tiny else FULL:
        found.append(run(config, device))
        print(found[-1].line(), flush=True)
    return [{**asdict(one), "passed": one.passed} for one in found]
