"""Rolling candidates out a few at a time: the first thing given up when a plan finds no room on the device.

A candidate's rollout depends on no other, so parts give what the whole gives, to the rounding of a batch. The number
goes down the ladder and stays down; each step is told. Used by the planners; owns nothing.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import TypeVar

import torch
from torch import Tensor

from jepa_core.device import device_errors
from jepa_core.errors import OutOfMemory
from jepa_core.families.base import Memory
from jepa_core.ladder import Limits, Rung, Step, step_down

T = TypeVar("T")


class AtOnce:
    """How many candidates are rolled out together, from now on."""

    def __init__(self, candidates: int, tell: Callable[[Step], None] | None = None) -> None:
        """`tell` hears of every step down, before the work is tried again."""
        self.candidates = candidates
        self._tell = tell

    def fit(self, work: Callable[[int], T]) -> T:
        """`work(candidates at once)`, again with fewer where there is no room. Raises OutOfMemory at the ladder's end."""
        while True:
            try:
                with device_errors("rolling candidates out"):
                    return work(self.candidates)
            except OutOfMemory as failure:
                told = OutOfMemory(
                    failure.what, "Ask for fewer candidates or a shorter horizon.", failure.detail
                )
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            step = step_down(Rung(0, 0, "", self.candidates), Limits())
            if step is None or step.what != "candidates":
                raise told
            self.candidates = step.rung.candidates
            if self._tell is not None:
                self._tell(step)


def parts(memory: Memory, at_once: int) -> Iterator[tuple[slice, Memory]]:
    """The candidates of a rollout, `at_once` after another: where they stand among all, and their memory."""
    count = len(memory.latent)
    for first in range(0, count, at_once):
        span = slice(first, min(first + at_once, count))
        yield span, (memory if at_once >= count else _part(memory, span, count))


def _part(memory: Memory, span: slice, count: int) -> Memory:
    """What all candidates share (a first axis of another length) stays whole."""
    own = {
        field.name: value[span]
        for field in fields(memory)
        if isinstance(value := getattr(memory, field.name), Tensor) and len(value) == count
    }
    return replace(memory, **own)
