"""Looks per second: the engine's own look and the plain published algorithm, on the same weights, in turn, in one run.

A look of the engine is everything from the uint8 crops to the error map on the host. The plain one (`plain`)
is given its clip normalised and ends with the error on the host. Where the plain one finds no room for its matrix of
scores, that is its result.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from jepa_core.device import device_errors
from jepa_core.errors import OutOfMemory
from jepa_core.families.vjepa2 import VJepa2
from jepa_core.footing import free_memory
from jepa_core.preprocess import normalise
from tests.gpu.models import Config, Looker, build, shown
from tests.gpu.plain import PlainLook

FULL = tuple(
    Config(name, size, frames, "bfloat16")
    for name in ("vjepa2-vitl", "vjepa2-vith", "vjepa2-vitg")
    for size in (256, 384)
    for frames in (16, 64)
)
TINY = (Config("tiny", 128, 8, "bfloat16"), Config("tiny", 128, 8, "float32"))
ROUNDS, BUDGET_S = 7, 20.0  # of one contender at one configuration: whichever comes first


@dataclass(frozen=True)
class Speed:
    """One configuration."""

    config: str
    tokens: int
    ours_per_s: float
    plain_per_s: float  # 0: it found no room
    plain_problem: str
    rounds: int
    ratio: float  # ours over plain, 0 where there is none

    def line(self) -> str:
        beside = self.plain_problem or f"plain {self.plain_per_s:.2f}, {self.ratio:.2f} x"
        return f"{self.config:<40} {self.tokens:>6} tokens  ours {self.ours_per_s:.2f} looks/s, {beside}"


def run(config: Config, device: str, rounds: int = ROUNDS) -> Speed:
    """Both in turn, medians."""
    gc.collect()
    free_memory()
    model = build(config, device)
    assert isinstance(model, VJepa2)
    crops, masks, layout = shown(model, config.frames)
    looker, plain = Looker(model, config.frames), PlainLook(model)
    clip = normalise(crops, model.info.input, device, getattr(torch, config.dtype))

    def look_plainly() -> np.ndarray:
        with torch.inference_mode(), device_errors("looking plainly"):
            return plain.error(clip, masks).cpu().numpy()

    contenders: dict[str, Callable[[], object]] = {"ours": looker.look, "plain": look_plainly}
    problem = _try(look_plainly)
    if problem:
        del contenders["plain"]
        free_memory()
    seconds = _interleaved(contenders, rounds, device)
    per_s = {name: 1 / statistics.median(times) for name, times in seconds.items()}
    beside = per_s.get("plain", 0.0)
    return Speed(
        str(config), layout.n_tokens, per_s["ours"], beside, problem, len(seconds["ours"]),
        per_s["ours"] / beside if beside else 0.0,
    )  # fmt: skip


def _try(work: Callable[[], object]) -> str:
    try:
        work()
    except OutOfMemory as failure:
        return f"plain: out of memory ({failure.detail.splitlines()[0][:80]})"
    return ""


def _interleaved(
    contenders: dict[str, Callable[[], object]], rounds: int, device: str
) -> dict[str, list[float]]:
    """One warm-up each, then in turn; results end on the host, so no contender leaves work behind."""
    for work in contenders.values():
        work()
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name in sorted(contenders, reverse=bool(number % 2)):
            if device.startswith("cuda"):
                torch.cuda.synchronize(device)
            start = time.perf_counter()
            contenders[name]()
            seconds[name].append(time.perf_counter() - start)
        if number >= 2 and max(map(sum, seconds.values())) > BUDGET_S:
            break
    return seconds


def report(device: str, *, tiny: bool) -> list[dict[str, Any]]:
    found = []
    for config in TINY if tiny else FULL:
        found.append(run(config, device, 2 if tiny else ROUNDS))
        print(found[-1].line(), flush=True)
    return [asdict(one) for one in found]
