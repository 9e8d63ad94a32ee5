"""Monitor signals: what one look says in one number each. A name, a unit, a title and a function.

A signal that stands here appears in every inspection, in the table, on the timeline and in the file; nothing else
has to be edited. numpy only: the engine brings the arrays to the host first. A signal that has nothing to say for a
look is NaN, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jepa_core.types import TokenLayout

TOP_SHARE = 0.05  # localised surprise: a small hazard vanishes in a mean (specs/signals.md, section 1)


@dataclass(frozen=True, slots=True)
class EngineLook:
    """What a signal may look at: one look, on the host."""

    l1: NDArray[np.float32]  # (N,) mean |predicted - target| over features, NaN where nothing was predicted
    error: NDArray[np.float32]  # (N,) the same in the metric of the inspection
    pooled: NDArray[np.float32]  # (3, D) means over tokens: predicted, target, context
    crops: NDArray[np.uint8]  # (T, S, S, 3) what the model saw, oldest first
    layout: TokenLayout


@dataclass(frozen=True, slots=True)
class Signal:
    unit: str
    title: str  # for a person
    function: Callable[[EngineLook], float]


def surprise(look: EngineLook) -> float:
    """Mean over predicted tokens of the L1 error per feature, whatever metric the error map is drawn in.

    A token that lay in several targets counts once. Comparable within one checkpoint only. Where a family layer-norms
    its targets (I-JEPA, the V-JEPAs) they have unit variance per feature and predicting nothing costs about 0.8;
    LeWorldModel's latents and C-JEPA's slots have whatever spread their training gave them.
    """
    values = _finite(look.l1)
    return float(values.mean(dtype=np.float64)) if len(values) else math.nan


def surprise_top(look: EngineLook) -> float:
    """Mean of the worst 5 % of predicted tokens, at least one."""
    values = _finite(look.l1)
    if not len(values):
        return math.nan
    count = max(1, round(TOP_SHARE * len(values)))  # as metrics.surprise_top
    return float(np.partition(values, len(values) - count)[-count:].mean(dtype=np.float64))


def frame_difference(look: EngineLook) -> float:
    """The trivial baseline: mean absolute difference of the newest crop and the one before it in the clip, 0..1."""
    if len(look.crops) < 2:
        return math.nan
    newest = look.crops[-1].astype(np.int16)
    return float(np.abs(newest - look.crops[-2]).mean(dtype=np.float64) / 255.0)


SIGNALS: dict[str, Signal] = {
    "surprise": Signal("L1", "Surprise", surprise),
    "surprise_top": Signal("L1", "Surprise, top 5 %", surprise_top),
    "frame_difference": Signal("of full scale", "Frame difference", frame_difference),
}


def measure(look: EngineLook) -> dict[str, float]:
    """Every registered signal of one look."""
    return {name: signal.function(look) for name, signal in SIGNALS.items()}


def _finite(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return values[np.isfinite(values)]
